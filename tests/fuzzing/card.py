"""Any commands at the software card: each is answered; then the card is sound and can be selected."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.memory import CardMemory, factory_memory
from reader_agent.virtual_card.state import CardState, read_memory
from tests.fuzzing.pieces import join, split
from tests.reader_agent.virtual_card.conftest import PIN, PUK
from tests.reader_agent.virtual_card.host import SELECT_PIV, Host, personalise_fully

# The first byte of an input
WITHOUT_CONTACT, BY_ADMINISTRATOR = 0x80, 0x01

_SEEDS = (
    "00CB3FFF055C035FC10200",
    "00CB3FFF035C017E00",
    "0020008008" + PIN.hex(),
    "00200080",
    "0020FF80",
    "0024008010" + 2 * PIN.hex(),
    "002C008010" + PUK.hex() + PIN.hex(),
    "0087119E267C2482008120" + 32 * "5A" + "00",
    "0087119A267C2482008120" + 32 * "5A" + "00",
    "00870A9B047C02810000",
    "0047009E05AC0380011100",
    "00DB3FFF0B5C035FC10953043E020102",
    "10DB3FFF055C035FC109",
    "00DB3FFF0453023E00",
    "00C0000000",
    "00FFFFFF1B0A9B18" + 24 * "42",
)


@dataclass(frozen=True, slots=True)
class Commands:
    """Each input begins with a card as it was made."""

    state: CardState
    path: Path
    before: CardMemory

    def __call__(self, data: bytes) -> None:
        if self.state.memory != self.before:
            self.state.commit(self.before)
        how, commands = data[0] if data else 0, split(data[1:])
        host = Host.of(self.state, Face.CONTACTLESS if how & WITHOUT_CONTACT else Face.CONTACT)
        if how & BY_ADMINISTRATOR:
            host.authenticate()
        for command in commands:
            answer = host.card.transmit(command)
            assert 2 <= len(answer) <= 258
            assert answer[-2] in range(0x60, 0x70) or answer[-2:] == b"\x90\x00"
        assert host.raw(SELECT_PIV)[1] == 0x9000
        after = self.state.memory
        assert CardMemory.from_json(after.to_json()) == after == read_memory(self.path)
        for secret in (after.pin, after.puk):
            assert 0 <= secret.tries_left <= secret.tries

    def seeds(self) -> list[bytes]:
        """The commands of a card's life, one by one and all together."""
        commands = [bytes.fromhex(text) for text in _SEEDS]
        flags = (0, BY_ADMINISTRATOR, WITHOUT_CONTACT)
        return [bytes((how,)) + join(some) for how in flags for some in (commands, *([c] for c in commands))]


@contextmanager
def card(folder: Path) -> Iterator[Commands]:
    """The target."""
    path = folder / "card.json"
    with CardState.create(path, factory_memory(os.urandom, pin=PIN, puk=PUK)) as state:
        personalise_fully(Host.of(state, Face.CONTACT))
        yield Commands(state, path, state.memory)
