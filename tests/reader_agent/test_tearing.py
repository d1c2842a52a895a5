"""The power fails at every moment of every flow that writes: no attempt comes back, and nothing is half done.

Directly at the card every cut is tried each time, since that takes a moment. Over pcscd a few are, and all of
them in `make test-long`.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from reader_agent.errors import CardError
from reader_agent.piv.session import PivSession
from reader_agent.transport.pcsc import PcscConnection, PcscReaders
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import read_memory
from tests.reader_agent.tearing import FLOWS, Cut, Flow, cuts, prepare, run_flow
from tests.support.pcsc import CONTACT_READER, Readers
from tests.support.tears import PROPERTY

# Over pcscd a cut takes about a second: the reader looks for its card every 400 ms.
SAMPLE = 3


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card that has been used."""
    return prepare(tmp_path / "card.json", factory_memory(os.urandom))


@pytest.fixture
def fresh(card: Path, tmp_path: Path) -> Iterator[Path]:
    """Where each cut's own copy of that card goes."""
    yield tmp_path / "cut.json"
    for path in tmp_path.glob(".*.new"):
        path.unlink()


def all_cuts(flow: Flow, card: Path) -> list[Cut]:
    """Those of a flow, counted on a copy."""
    return cuts(flow, Path(shutil.copy(card, card.with_name("counted.json"))))


@pytest.mark.parametrize("name", FLOWS)
def test_wherever_the_power_fails_the_card_is_sound_and_the_flow_can_be_finished(
    name: str, card: Path, fresh: Path, record_property: Callable[[str, object], None]
) -> None:
    flow = FLOWS[name]
    points = all_cuts(flow, card)
    broken_off = 0
    for cut in points:
        shutil.copy(card, fresh)
        broken_off += not run_flow(flow, fresh, cut)
        left = read_memory(fresh)
        flow.check(left)
        if name == "failed PIN":
            # Once more is one attempt less, also where the first was torn after it was spent.
            assert run_flow(flow, fresh, Cut())
            assert read_memory(fresh).pin.tries_left == left.pin.tries_left - 1
        else:
            assert run_flow(flow, fresh, Cut())
            assert flow.is_finished(read_memory(fresh))
    assert broken_off == len(points)  # none of them came too late to cut anything
    record_property(PROPERTY, len(points))


@dataclass
class Puller:
    """A CardConnection over pcscd whose card is pulled before one of its commands."""

    connection: PcscConnection
    readers: Readers
    before_command: int | None
    sent: int = 0

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """See CardConnection."""
        if self.sent == self.before_command:
            self.readers.pull(CONTACT_READER)
        self.sent += 1
        return self.connection.transmit(command)

    def transaction(self) -> AbstractContextManager[None]:
        """See CardConnection."""
        return self.connection.transaction()

    def close(self, *, reset: bool = False) -> None:
        """See CardConnection."""
        self.connection.close(reset=reset)


def run_over_pcscd(flow: Flow, readers: Readers, path: Path, cut: Cut) -> None:
    """Run a flow into a cut, over a real pcscd. Raises CardError, which without a cut is a fault."""
    readers.insert(CONTACT_READER, path, behaviour=cut.behaviour())
    pcsc = PcscReaders()
    session = PivSession(Puller(pcsc.connect(CONTACT_READER), readers, cut.before_command))
    try:
        with session.exclusive():
            flow.run(session)
    finally:
        session.close()
        pcsc.close()
        readers.pull_all()


def check_over_pcscd(flow: Flow, readers: Readers, card: Path, fresh: Path, points: list[Cut]) -> None:
    """As directly at the card: cut, look, and finish."""
    for cut in points:
        shutil.copy(card, fresh)
        with pytest.raises(CardError):
            run_over_pcscd(flow, readers, fresh, cut)
        flow.check(read_memory(fresh))
        run_over_pcscd(flow, readers, fresh, Cut())


def pcscd_cuts(flow: Flow, card: Path) -> list[Cut]:
    """Those that can be made from outside: calls to the file system are this process's alone."""
    return [cut for cut in all_cuts(flow, card) if cut.at_file_call is None]


@pytest.mark.parametrize("name", FLOWS)
def test_some_cuts_over_pcscd(name: str, card: Path, fresh: Path, readers: Readers) -> None:
    """The first, one in the middle, and the last: a write that was kept without its answer."""
    points = pcscd_cuts(FLOWS[name], card)
    step = (len(points) - 1) / (SAMPLE - 1)
    sample = [points[round(number * step)] for number in range(SAMPLE)]
    check_over_pcscd(FLOWS[name], readers, card, fresh, sample)


@pytest.mark.long
@pytest.mark.parametrize("name", FLOWS)
def test_every_cut_over_pcscd(
    name: str, card: Path, fresh: Path, readers: Readers, record_property: Callable[[str, object], None]
) -> None:
    points = pcscd_cuts(FLOWS[name], card)
    check_over_pcscd(FLOWS[name], readers, card, fresh, points)
    record_property(PROPERTY, len(points))
