"""What the tests of the HTTP face share."""

import io
import logging
from collections.abc import Iterator

import pytest

from cardservice.api.request_log import JsonLines


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """All that the service logs, as it is written in production."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)
