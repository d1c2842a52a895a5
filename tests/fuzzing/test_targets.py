"""The targets of `make fuzz` hold for any bytes, and for what fuzzing begins with."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzzing.pieces import MAX_PIECES, join, split
from tests.fuzzing.targets import TARGETS, Target

INPUTS = st.binary(max_size=600) | st.builds(
    lambda how, pieces: bytes((how,)) + join(pieces),
    st.integers(0, 255),
    st.lists(st.binary(max_size=40), max_size=8),
)


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Each target, opened once."""
    with TARGETS[request.param](tmp_path_factory.mktemp("target")) as opened:
        yield opened


@settings(max_examples=100, deadline=None)
@given(data=INPUTS)
def test_any_bytes_will_do(target: Target, data: bytes) -> None:
    target(data)


def test_what_fuzzing_begins_with_will_do(target: Target) -> None:
    for seed in target.seeds():
        target(seed)


@given(pieces=st.lists(st.binary(max_size=300), max_size=MAX_PIECES))
def test_pieces_are_put_together_and_taken_apart(pieces: list[bytes]) -> None:
    assert split(join(pieces)) == pieces
