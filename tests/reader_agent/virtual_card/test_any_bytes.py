"""Whatever is sent, the card answers with a status word, keeps its memory sound and stays usable."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reader_agent.cardspec import tlv
from reader_agent.cardspec.piv import Instruction
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.virtual_card.conftest import PIN, PUK
from tests.reader_agent.virtual_card.host import SELECT_PIV, Host, personalise_fully

TAGS = st.sampled_from([0x5C, 0x53, 0x7C, 0x80, 0x81, 0x82, 0x85, 0x86, 0xAC, 0x7E, 0x5FC102])
TEMPLATES = st.recursive(
    st.binary(max_size=40),
    lambda inner: st.lists(st.builds(tlv.encode, TAGS, inner), min_size=1, max_size=3).map(b"".join),
    max_leaves=6,
).filter(lambda data: len(data) < 256)
INSTRUCTIONS = st.sampled_from([*Instruction, 0xC0])

# Near misses of commands: right class and instruction, plausible parameters, broken data.
COMMANDS = st.builds(
    lambda cla, ins, parameters, data, le: bytes((cla, ins, *parameters, len(data))) + data + le,
    st.sampled_from([0x00, 0x10]),
    INSTRUCTIONS,
    st.sampled_from(
        [
            (0x3F, 0xFF),
            (0x00, 0x80),
            (0x00, 0x81),
            (0x11, 0x9A),
            (0x11, 0x9C),
            (0x11, 0x9D),
            (0x11, 0x9E),
            (0xFF, 0x80),
            (0x0A, 0x9B),
            (0x00, 0x9E),
            (0xFF, 0xFF),
            (0x04, 0x00),
        ]
    ),
    TEMPLATES,
    st.sampled_from([b"", b"\x00", b"\x08"]),
)
BYTES = st.lists(COMMANDS | st.binary(max_size=300), max_size=25)


@pytest.fixture(scope="module")
def state() -> Iterator[CardState]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "card.json"
        memory = factory_memory(os.urandom, pin=PIN, puk=PUK)
        with CardState.create(path, memory) as state:
            personalise_fully(Host.of(state, Face.CONTACT))
            yield state


@pytest.mark.parametrize("face", Face)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commands=BYTES, authenticated=st.booleans(), contactless_pin=st.booleans())
def test_every_command_is_answered(
    state: CardState, face: Face, commands: list[bytes], authenticated: bool, contactless_pin: bool
) -> None:
    state.commit(replace(state.memory, contactless_pin=contactless_pin))
    host = Host.of(state, face)
    if authenticated:
        host.authenticate()
    for command in commands:
        answer = host.card.transmit(command)
        assert 2 <= len(answer) <= 258
        assert answer[-2] in range(0x60, 0x70) or answer[-2:] == b"\x90\x00"
    assert host.raw(SELECT_PIV)[1] == 0x9000
    assert type(state.memory).from_json(state.memory.to_json()) == state.memory
    assert read_memory(state._path) == state.memory
