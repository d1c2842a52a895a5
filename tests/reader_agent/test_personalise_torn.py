"""The power fails at every moment of a personalisation: what is left is unfinished and says so, or whole.

What a power cut leaves behind is the card's memory and what the service has recorded; the desk's own memory
is lost. So one personalisation is watched, both are noted before each command and around each write, and from
each that differs from the others the card is finished. That such a note is what a real cut leaves is tried by
real cuts, at the connection and over pcscd: a few each time, and all of them in `make test-long`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from pki.scheme import Scheme
from reader_agent.agent import Agent
from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY, ObjectId
from reader_agent.errors import CardDataMissing, CardError, CardOfAnotherOrder
from reader_agent.known_cards import KnownCards
from reader_agent.personalise import Stage, personalise
from reader_agent.piv.session import PivSession
from reader_agent.tapping.card import identify
from reader_agent.transport.pcsc import PcscReaders
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.behaviour import ToldCard
from reader_agent.virtual_card.memory import CardMemory
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.card_service import CardService, Order
from tests.reader_agent.tearing import Cut, _inserted
from tests.reader_agent.test_tearing import Puller
from tests.reader_agent.world import DirectConnection, MovableClock, blank_card, make_agent, new_order
from tests.support.pcsc import CONTACT_READER, Readers
from tests.support.tears import PROPERTY

Certificates = dict[str, x509.Certificate]
# Real cuts at the connection in each run; over pcscd one takes about two seconds.
SAMPLE, PCSCD_SAMPLE = 10, 3


@pytest.fixture
def desk(scheme: Scheme, card_service: CardService, clock: MovableClock, tmp_path: Path) -> Iterator[Agent]:
    """An issuing desk."""
    with Agent(make_agent(tmp_path / "desk", card_service, scheme, "desk-1"), clock) as agent:
        yield agent


@dataclass(frozen=True, slots=True)
class Moment:
    """What would be left if the power failed now."""

    cut: Cut
    memory: bytes
    certificates: Certificates

    @property
    def left(self) -> tuple[bytes, frozenset[int]]:
        """What tells it from others."""
        serials = (certificate.serial_number for certificate in self.certificates.values())
        return self.memory, frozenset(serials)


def watch(desk: Agent, order: Order, path: Path) -> list[Moment]:
    """A personalisation, with every moment at which the power could fail."""
    moments: list[Moment] = []
    state = CardState.load(path)
    card = ToldCard(state, Face.CONTACT, Cut().behaviour())
    card.power_on()

    stages: list[Stage] = []

    def note(cut: Cut) -> None:
        # From then on the card is done with: it is only told to forget the PIN.
        if Stage.VERIFIED not in stages:
            moments.append(Moment(cut, state.memory.to_json(), dict(order.certificates)))

    def before_command(connection: DirectConnection, _: bytes) -> None:
        note(Cut(before_command=len(connection.sent)))

    count = 0

    def around_write(write: Callable[[], None]) -> None:
        nonlocal count
        count += 1
        note(Cut(at_write=count))
        write()
        note(Cut(at_write=count, write_is_kept=True))

    state.write_hook = around_write
    with DirectConnection(card, state) as connection:
        connection.before = before_command
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY, stages.append)
    return moments


def finish(desk: Agent, order: Order, path: Path) -> CardMemory:
    """The same command again; the card is whole then."""
    with DirectConnection.to(path) as connection:
        done = personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    memory = read_memory(path)
    assert done.state == "active"
    assert memory.management_key == order.management_key
    assert memory.puk.value == order.puk.encode()
    assert (memory.puk.tries_left, memory.pin.tries_left) == (memory.puk.tries, memory.pin.tries)
    assert memory.pin.value == piv.encode_pin(done.initial_pin or "")
    assert set(memory.private_keys) == {0x9A, 0x9C, 0x9E}
    assert memory.objects.keys() == {
        *order.contents,
        *(ObjectId.CCC, ObjectId.CARD_AUTHENTICATION_CERTIFICATE),
        *(ObjectId.PIV_AUTHENTICATION_CERTIFICATE, ObjectId.DIGITAL_SIGNATURE_CERTIFICATE),
    }
    return memory


def check_left(desk: Agent, service: CardService, path: Path, whole: CardMemory) -> bool:
    """Assert that a card that is not whole passes for none; whether it is."""
    memory = read_memory(path)
    # An attempt is never won by cutting the power: only the right PUK brings them back.
    assert memory.puk.tries_left >= memory.puk.tries - 1
    is_whole = ObjectId.CARD_AUTHENTICATION_CERTIFICATE in memory.objects
    with DirectConnection.to(path) as connection:
        session = PivSession(connection)
        if is_whole:
            assert memory.objects.keys() == whole.objects.keys()
            assert str(identify(session, desk.trust(), desk.now(), KnownCards()).card)
        else:
            with pytest.raises(CardDataMissing):
                identify(session, desk.trust(), desk.now(), KnownCards())
    if ObjectId.CHUID in memory.objects:
        with DirectConnection.to(path) as connection, pytest.raises(CardOfAnotherOrder):
            personalise(desk, connection, new_order(service).id, WELL_KNOWN_TRANSPORT_KEY)
    return is_whole


def test_from_every_moment_the_card_is_finished(
    desk: Agent,
    card_service: CardService,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Until its last write the card is none for any terminal, and from then on it is whole."""
    path, order = tmp_path / "card.json", new_order(card_service)
    moments = watch(desk, order, blank_card(path))
    record_property(PROPERTY, len(moments))
    whole = read_memory(path)
    different = {moment.left: moment for moment in moments}
    assert len(moments) > 150
    assert len(different) > 20
    looks = []
    for moment in different.values():
        path.write_bytes(moment.memory)
        order.state, order.certificates = "open", dict(moment.certificates)
        looks.append(check_left(desk, card_service, path, whole))
        finish(desk, order, path)
    # In their order, none after a whole one is unfinished again; and only the very last is whole.
    assert looks == sorted(looks)
    assert sum(looks) >= 1


def cut_at_the_connection(desk: Agent, order: Order, path: Path, cut: Cut) -> bool:
    """Personalise into a cut; whether it came to its end."""
    with _inserted(path, cut) as connection:
        try:
            personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
        except CardError:
            assert connection.is_pulled
            return False
    return True


def all_cuts(desk: Agent, service: CardService, path: Path) -> tuple[list[Cut], CardMemory]:
    """Every cut, by a personalisation that is watched; and the whole card."""
    moments = watch(desk, new_order(service), blank_card(path))
    return [moment.cut for moment in moments], read_memory(path)


def spread(cuts: list[Cut], count: int) -> list[Cut]:
    """So many of them, the first and the last included."""
    step = (len(cuts) - 1) / (count - 1)
    return [cuts[round(number * step)] for number in range(count)]


def check_real_cuts(
    desk: Agent, service: CardService, cuts: list[Cut], whole: CardMemory, path: Path
) -> None:
    """Cut, look, and finish, each with a card of its own."""
    for cut in cuts:
        path.unlink(missing_ok=True)
        order = new_order(service)
        assert not cut_at_the_connection(desk, order, blank_card(path), cut)
        check_left(desk, service, path, whole)
        finish(desk, order, path)


def test_some_real_cuts(desk: Agent, card_service: CardService, tmp_path: Path) -> None:
    """Some of every kind: between commands, at writes that are kept and at those that are not."""
    cuts, whole = all_cuts(desk, card_service, tmp_path / "watched.json")
    check_real_cuts(desk, card_service, spread(cuts, SAMPLE), whole, tmp_path / "card.json")


@pytest.mark.long
def test_every_real_cut(
    desk: Agent,
    card_service: CardService,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """All of them."""
    cuts, whole = all_cuts(desk, card_service, tmp_path / "watched.json")
    check_real_cuts(desk, card_service, cuts, whole, tmp_path / "card.json")
    record_property(PROPERTY, len(cuts))


def personalise_over_pcscd(desk: Agent, readers: Readers, order: Order, path: Path, cut: Cut) -> None:
    """Into a cut over a real pcscd. Raises AgentError, which without a cut is a fault that the test shows."""
    readers.insert(CONTACT_READER, path, behaviour=cut.behaviour())
    pcsc = PcscReaders()
    try:
        connection = Puller(pcsc.connect(CONTACT_READER), readers, cut.before_command)
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    finally:
        pcsc.close()
        readers.pull_all()


def check_over_pcscd(
    desk: Agent, service: CardService, readers: Readers, cuts: list[Cut], whole: CardMemory, path: Path
) -> None:
    """As at the connection."""
    for cut in cuts:
        path.unlink(missing_ok=True)
        order = new_order(service)
        with pytest.raises(CardError):
            personalise_over_pcscd(desk, readers, order, blank_card(path), cut)
        check_left(desk, service, path, whole)
        personalise_over_pcscd(desk, readers, order, path, Cut())


def test_some_cuts_over_pcscd(
    desk: Agent, card_service: CardService, readers: Readers, tmp_path: Path
) -> None:
    """The first, one in the middle, and the last."""
    cuts, whole = all_cuts(desk, card_service, tmp_path / "watched.json")
    check_over_pcscd(desk, card_service, readers, spread(cuts, PCSCD_SAMPLE), whole, tmp_path / "card.json")


@pytest.mark.long
def test_every_cut_over_pcscd(
    desk: Agent,
    card_service: CardService,
    readers: Readers,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """All of them."""
    cuts, whole = all_cuts(desk, card_service, tmp_path / "watched.json")
    check_over_pcscd(desk, card_service, readers, cuts, whole, tmp_path / "card.json")
    record_property(PROPERTY, len(cuts))
