"""The issuing desk: a blank card becomes the one of an order, also after somebody tripped over the cable."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from pki.scheme import Scheme
from reader_agent.agent import Agent
from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY, ObjectId
from reader_agent.errors import (
    CardContentInvalid,
    CardOfAnotherOrder,
    CardRemoved,
    ManagementKeyRefused,
    PersonalisationFailed,
    PukRefused,
    ServiceProblem,
)
from reader_agent.personalise import Stage, give_up, personalise, reset_card
from reader_agent.personalise.references import new_pin
from reader_agent.piv.session import PivSession, read_identity
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState, read_memory
from reader_agent.wire import to_base64url
from tests.reader_agent.card_contents import Signer, contents_of
from tests.reader_agent.card_service import CardService, Order
from tests.reader_agent.world import DirectConnection, MovableClock, blank_card, make_agent, new_order


@pytest.fixture
def desk(scheme: Scheme, card_service: CardService, clock: MovableClock, tmp_path: Path) -> Iterator[Agent]:
    """An issuing desk."""
    with Agent(make_agent(tmp_path / "desk", card_service, scheme, "desk-1"), clock) as agent:
        yield agent


@pytest.fixture
def order(card_service: CardService) -> Order:
    """An open order."""
    return new_order(card_service)


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """A card as it comes from its maker."""
    return blank_card(tmp_path / "card.json")


def test_a_blank_card_is_made(desk: Agent, order: Order, blank: Path) -> None:
    """Identity, key, certificate and management key are on the card, and the service knows it."""
    stages: list[Stage] = []
    with DirectConnection.to(blank) as connection:
        done = personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY, stages.append, uid=bytes(7))
        assert connection.closed_with_reset == [True]
    assert (done.card, done.state, order.uid) == (order.card, "active", to_base64url(bytes(7)))
    assert list(dict.fromkeys(stages)) == list(Stage)
    assert stages.count(Stage.CERTIFIED) == 3
    memory = read_memory(blank)
    assert memory.pin.value == piv.encode_pin(done.initial_pin or "")
    assert memory.puk.value == order.puk.encode()
    for tag, content in order.contents.items():
        assert memory.objects[tag] == content
    assert set(memory.private_keys) == {0x9A, 0x9C, 0x9E}
    assert memory.management_key == order.management_key
    assert piv.Chuid.decode(memory.objects[ObjectId.CHUID]).guid == order.card
    assert ObjectId.CCC in memory.objects
    with DirectConnection.to(blank, Face.CONTACTLESS) as connection:
        identity = read_identity(PivSession(connection))
    assert identity.card == order.card
    assert identity.certificate == order.certificate


def test_the_certificate_names_only_the_card(desk: Agent, order: Order, blank: Path) -> None:
    """The request carries no name at all, and the key in it is the card's."""
    with DirectConnection.to(blank) as connection:
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    assert order.certificate is not None
    (attribute,) = order.certificate.subject
    assert (attribute.oid, attribute.value) == (x509.NameOID.SERIAL_NUMBER, str(order.card))


def test_a_key_of_its_own_batch(desk: Agent, order: Order, tmp_path: Path) -> None:
    """A card that came with another transport key, AES-256."""
    key = os.urandom(32)
    path = tmp_path / "card.json"
    CardState.create(path, factory_memory(os.urandom, transport_key=key)).close()
    with DirectConnection.to(path) as connection, pytest.raises(ManagementKeyRefused):
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    assert ObjectId.CHUID not in read_memory(path).objects
    with DirectConnection.to(path) as connection:
        assert personalise(desk, connection, order.id, key).state == "active"


def command_count(desk: Agent, service: CardService, folder: Path) -> int:
    """How many commands a card gets until it is made."""
    with DirectConnection.to(blank_card(folder / "counted.json")) as connection:
        personalise(desk, connection, new_order(service).id, WELL_KNOWN_TRANSPORT_KEY)
        return len(connection.sent)


def test_broken_off_anywhere_it_is_resumed(desk: Agent, card_service: CardService, tmp_path: Path) -> None:
    """The card is pulled before every third command in turn; the second time it is made to the end.

    In between no terminal takes it for a whole card: either it has no certificate, or it is whole. Every
    command, and every write of the card's memory, is in `test_tearing.py`.
    """
    total = command_count(desk, card_service, tmp_path)
    assert total > 80
    for count in range(0, total, 3):
        order, card = new_order(card_service), blank_card(tmp_path / f"card-{count}.json")

        def pull(connection: DirectConnection, _: bytes, count: int = count) -> None:
            connection.is_pulled = len(connection.sent) == count

        with DirectConnection.to(card) as connection:
            connection.before = pull
            with pytest.raises(CardRemoved):
                personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
        memory = read_memory(card)
        if ObjectId.CARD_AUTHENTICATION_CERTIFICATE in memory.objects:
            assert memory.management_key == order.management_key
        with DirectConnection.to(card) as connection:
            assert personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY).state == "active"


def test_resumed_with_a_certificate_the_key_stays(
    desk: Agent, card_service: CardService, order: Order, blank: Path
) -> None:
    """All was written, and only the report was lost: the same key, and the same certificate."""
    with DirectConnection.to(blank) as connection:
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    certificate, key = order.certificate, read_memory(blank).private_keys
    card_service.orders[order.id].state = "open"
    with DirectConnection.to(blank) as connection:
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    assert order.certificate == certificate
    assert read_memory(blank).private_keys == key


def test_the_card_of_another_order_is_left_alone(
    desk: Agent, card_service: CardService, order: Order, blank: Path
) -> None:
    """A finished card lies on the desk: nothing is written to it."""
    with DirectConnection.to(blank) as connection:
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    before = read_memory(blank)
    with DirectConnection.to(blank) as connection, pytest.raises(CardOfAnotherOrder):
        personalise(desk, connection, new_order(card_service).id, WELL_KNOWN_TRANSPORT_KEY)
    assert read_memory(blank) == before


def test_a_card_that_forgets_is_not_reported(desk: Agent, order: Order, blank: Path) -> None:
    """What is read back is not what was written."""
    forgotten: list[bytes] = []

    def forget(connection: DirectConnection, command: bytes) -> None:
        if command[1] == 0xCB and b"\x5f\xc1\x02" in command and connection.sent and not forgotten:
            if not any(sent[1] == 0xDB for sent in connection.sent):
                return
            memory = connection.state.memory
            connection.state.commit(memory.with_object(ObjectId.CHUID, b"\x30\x00"))
            forgotten.append(command)

    with DirectConnection.to(blank) as connection:
        connection.before = forget
        with pytest.raises(PersonalisationFailed):
            personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    assert forgotten
    assert order.state == "open"


def test_nobody_learns_the_pin_but_the_desk(
    desk: Agent, order: Order, blank: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in what is printed of the result, not in a log, and the PUK neither."""
    caplog.set_level(0)
    with DirectConnection.to(blank) as connection:
        done = personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    assert done.initial_pin is not None
    for secret in (done.initial_pin, order.puk, order.management_key.hex()):
        assert secret not in repr(done)
        assert secret not in caplog.text


def test_a_card_without_pin_keys_has_no_pin_to_hand_out(
    desk: Agent, card_service: CardService, blank: Path
) -> None:
    """A visitor's; but no PUK that everybody knows is left on it."""
    order = new_order(card_service)
    order.slots = ("9E",)
    with DirectConnection.to(blank) as connection:
        done = personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    assert done.initial_pin is None
    memory = read_memory(blank)
    assert memory.puk.value == order.puk.encode()
    assert set(memory.private_keys) == {0x9E}


def test_a_puk_of_its_own_batch(desk: Agent, order: Order, tmp_path: Path) -> None:
    """A card whose maker's PUK is another: the well-known one is tried, and the right one asked for."""
    path = tmp_path / "card.json"
    CardState.create(path, factory_memory(os.urandom, puk=b"55667788")).close()
    with DirectConnection.to(path) as connection, pytest.raises(PukRefused):
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    with DirectConnection.to(path) as connection:
        done = personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY, transport_puk="55667788")
    assert done.state == "active"
    assert read_memory(path).puk.tries_left == read_memory(path).puk.tries


def test_a_content_that_nobody_vouches_for_is_not_reported(
    desk: Agent, card_service: CardService, order: Order, blank: Path
) -> None:
    """Printed information that is not what was signed: the card is not done."""
    order.contents = contents_of(order.card, card_service.content_signer)
    order.contents[ObjectId.PRINTED_INFORMATION] += b"\x07\x00"
    with DirectConnection.to(blank) as connection, pytest.raises(CardContentInvalid):
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    assert order.state == "open"


def test_a_content_signer_of_another_trade_is_none(
    desk: Agent, card_service: CardService, order: Order, blank: Path
) -> None:
    """The key that signs answers is the scheme's, too, but vouches for no card."""
    other = Signer(card_service.answer_certificate, card_service.answer_key)
    order.contents = contents_of(order.card, other)
    with DirectConnection.to(blank) as connection, pytest.raises(CardContentInvalid):
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)


def test_a_card_becomes_blank_again(
    desk: Agent, card_service: CardService, order: Order, blank: Path
) -> None:
    """Nothing of the order is left but keys that nobody vouches for, and the next order has it anew."""
    factory = read_memory(blank)
    with DirectConnection.to(blank) as connection:
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    order.state = "open"
    with DirectConnection.to(blank) as connection:
        assert reset_card(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY) == "revoked"
    memory = read_memory(blank)
    assert memory.objects == factory.objects
    assert (memory.management_key, memory.puk) == (factory.management_key, factory.puk)
    keys = memory.private_keys
    with DirectConnection.to(blank) as connection:
        personalise(desk, connection, new_order(card_service).id, WELL_KNOWN_TRANSPORT_KEY)
    assert not set(keys.values()) & set(read_memory(blank).private_keys.values())


def test_a_reset_that_broke_off_is_taken_up(desk: Agent, card_service: CardService, tmp_path: Path) -> None:
    """Pulled before each command of it in turn; the second time the card is blank."""
    made = tmp_path / "made.json"
    factory = read_memory(blank_card(made))
    order = new_order(card_service)
    with DirectConnection.to(made) as connection:
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    total = 2
    count = 0
    while count < total:
        order.state, card = "open", tmp_path / f"card-{count}.json"
        shutil.copy(made, card)

        def pull(connection: DirectConnection, _: bytes, count: int = count) -> None:
            connection.is_pulled = connection.is_pulled or len(connection.sent) == count

        with DirectConnection.to(card) as connection:
            connection.before = pull
            try:
                reset_card(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
            except CardRemoved:
                total = count + 2
        order.state = "open"
        with DirectConnection.to(card) as connection:
            reset_card(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
        memory = read_memory(card)
        assert memory.objects == factory.objects
        assert (memory.management_key, memory.puk) == (factory.management_key, factory.puk)
        count += 1
    assert count > 20


@pytest.mark.parametrize(
    ("drawn", "pin"), [([111111, 482915], "482915"), ([123456, 0, 901234, 765432, 7], "000007")], ids=str
)
def test_a_pin_that_everybody_tries_is_not_given(drawn: list[int], pin: str) -> None:
    """One digit throughout, or a run of digits; zeros in front count."""
    numbers = iter(drawn)
    assert new_pin(lambda _: next(numbers)) == pin


def test_a_closed_order_is_refused(desk: Agent, order: Order, blank: Path) -> None:
    """Given up: what was certified is revoked, and nothing more is written under it."""
    assert give_up(desk, order.id) == "revoked"
    with DirectConnection.to(blank) as connection, pytest.raises(ServiceProblem, match="order_closed"):
        personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    assert ObjectId.CHUID not in read_memory(blank).objects
