"""A service that is set up by the console scripts, without anybody in it, and opened within this process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cardservice.config import load_settings
from cardservice.context import Context, open_context
from tests.benchmarks.filling import CURRENCY
from tests.benchmarks.town import SCHEME
from tests.support.council import StandingClock
from tests.support.databases import OWNER, SERVICE_ROLE, PostgresServer
from tests.support.stack import Stack


@contextmanager
def installed(server: PostgresServer, moment: datetime) -> Iterator[tuple[Context, str, str]]:
    """It, at this moment; and how its owner and the service itself connect."""
    name = server.create()
    owner_url, service_url = server.url(name, OWNER), server.url(name, SERVICE_ROLE)
    with TemporaryDirectory(prefix="citizen-card-bench-") as folder:
        stack = Stack(Path(folder), service_url, owner_url, CURRENCY, "Europe/London")
        try:
            stack.install(SCHEME)
            origin = {"CARDSERVICE_PUBLIC_ORIGIN": stack.origin}
            settings = load_settings({**os.environ, **stack.environment, **origin})
            context = open_context(settings, StandingClock(moment))
            try:
                yield context, owner_url, service_url
            finally:
                context.close()
        finally:
            stack.close()
