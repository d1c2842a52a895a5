"""The service's orders, carried out on a card by relay. The card is an independent one of the tests."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from pki.card_keys import (
    Application,
    ChangeKey,
    Credit,
    Dialogue,
    Order,
    ServiceMaster,
    ServiceRole,
    TerminalMaster,
    TerminalRole,
    WriteEntitlement,
    transaction_mac_master,
)
from pki.card_keys.errors import (
    CardAnswerInvalid,
    CardNotAuthentic,
    CardOrderInvalid,
    CardRefused,
    CardSessionEnded,
    CardSessionError,
)
from pki.statements import CardBinding, Entitlement, sign_entitlement
from tests.pki.card_keys.card import UID, Card
from tests.pki.card_keys.conftest import TRANSPORT, Keys
from tests.pki.conftest import new_key

READER = b"the service's   "
ENTITLEMENT = sign_entitlement(
    Entitlement(
        scheme="ashcombe",
        predicate="resident",
        binding=CardBinding.of(UID, UUID(int=7)),
        issued_at=datetime(2026, 11, 24, tzinfo=UTC),
        expires_at=datetime(2027, 11, 24, tzinfo=UTC),
        status_index=4711,
    ),
    new_key(),
)


def dialogue(keys: Keys, order: Order) -> Dialogue:
    return Dialogue(order, UID, keys.service_sam, keys.terminal_sam, READER)


def run(card: Card, running: Dialogue) -> list[bytes]:
    """Relay until the end; the instructions that were sent."""
    sent = []
    while (command := running.command) is not None:
        sent.append(command[1:2])
        running.take(card.send(command))
    return sent


def test_credit(keys: Keys) -> None:
    """The Transaction MAC attests the reader, the value before and the credit."""
    card = replace(keys.card(), value=1_000)
    running = dialogue(keys, Credit(TRANSPORT, 500))
    assert b"".join(run(card, running)).hex() == "5a71afc86c0cc7"
    assert card.value == 1_500
    outcome = running.outcome
    assert outcome is not None
    assert outcome.value_before == 1_000
    assert outcome.transaction_mac is not None
    key = keys.service_sam.transaction_mac_key(transaction_mac_master(outcome), UID)
    key.verify(outcome.transaction_mac, outcome.transaction)


def test_the_reader_before_is_attested(keys: Keys) -> None:
    card = keys.card()
    run(card, dialogue(keys, Credit(TRANSPORT, 1)))
    running = dialogue(keys, Credit(TRANSPORT, 1))
    run(card, running)
    assert running.outcome is not None
    assert running.outcome.transaction_mac is not None
    key = keys.service_sam.transaction_mac_key(transaction_mac_master(running.outcome), UID)
    encrypted = running.outcome.transaction.data[17:33]
    assert key.previous_reader(2, encrypted) == READER


def test_write_an_entitlement(keys: Keys) -> None:
    card = keys.card()
    running = dialogue(keys, WriteEntitlement(TRANSPORT, 200, ENTITLEMENT))
    assert b"".join(run(card, running)).hex() == "5a71afc88dc7"
    assert card.entitlements[200 : 200 + len(ENTITLEMENT)] == ENTITLEMENT
    assert running.outcome is not None
    assert running.outcome.transaction_mac is not None
    key = keys.service_sam.transaction_mac_key(transaction_mac_master(running.outcome), UID)
    key.verify(running.outcome.transaction_mac, running.outcome.transaction)


@pytest.mark.parametrize("role", [ServiceRole.ADMINISTRATION, ServiceRole.CREDIT])
def test_change_a_key_of_the_service(keys: Keys, role: ServiceRole) -> None:
    """The session's own key is sent and answered differently."""
    card = keys.card()
    old, new = ServiceMaster(TRANSPORT, role), ServiceMaster(TRANSPORT, role, 1)
    running = dialogue(keys, ChangeKey(old, new))
    run(card, running)
    assert running.outcome is not None
    assert running.outcome.transaction_mac is None
    assert card.keys[int(role.value)] == keys.service_sam.card_key(new, UID)
    assert card.versions == {role.value: 1}


@pytest.mark.parametrize("role", TerminalRole)
def test_change_a_key_of_the_terminals(keys: Keys, role: TerminalRole) -> None:
    card = keys.card()
    old, new = TerminalMaster(TRANSPORT, role), TerminalMaster(TRANSPORT, role, 1)
    run(card, dialogue(keys, ChangeKey(old, new)))
    assert card.keys[role.value] == keys.terminal_sam.card_key(new, UID)
    assert card.versions == {role.value: 1}


def test_the_new_key_of_administration_serves(keys: Keys) -> None:
    card = keys.card()
    administration = ServiceMaster(TRANSPORT, ServiceRole.ADMINISTRATION)
    run(card, dialogue(keys, ChangeKey(administration, replace(administration, version=1))))
    credit = ServiceMaster(TRANSPORT, ServiceRole.CREDIT)
    order = ChangeKey(credit, replace(credit, version=1), administration_version=1)
    running = dialogue(keys, order)
    run(card, running)
    assert running.outcome is not None


@pytest.mark.parametrize("instruction", [0x5A, 0x71, 0xAF, 0xC8, 0x6C, 0x0C, 0xC7])
def test_a_refusal_at_each_step(keys: Keys, instruction: int) -> None:
    card = keys.card()
    card.refuse[instruction] = 0x9D
    running = dialogue(keys, Credit(TRANSPORT, 500))
    with pytest.raises(CardRefused):
        run(card, running)
    assert card.value == 0
    assert running.outcome is None
    with pytest.raises(CardSessionEnded):
        running.take(b"\x91\x00")


def test_a_card_of_another_scheme(keys: Keys) -> None:
    card = keys.card()
    card.keys[3] = bytes(16)
    with pytest.raises((CardRefused, CardNotAuthentic)):
        run(card, dialogue(keys, Credit(TRANSPORT, 500)))


@pytest.mark.parametrize("step", range(3, 7))
def test_an_agent_that_changes_an_answer(keys: Keys, step: int) -> None:
    """After the authentication not a byte goes through."""
    card, running = keys.card(), dialogue(keys, Credit(TRANSPORT, 500))
    for _ in range(step):
        assert running.command is not None
        running.take(card.send(running.command))
    assert running.command is not None
    answer = bytearray(card.send(running.command))
    answer[0] ^= 1
    with pytest.raises(CardAnswerInvalid):
        running.take(bytes(answer))


@pytest.mark.parametrize("step", range(3, 7))
def test_an_agent_that_changes_a_command(keys: Keys, step: int) -> None:
    card, running = keys.card(), dialogue(keys, Credit(TRANSPORT, 500))
    for _ in range(step):
        assert running.command is not None
        running.take(card.send(running.command))
    assert running.command is not None
    command = bytearray(running.command)
    command[-2] ^= 1
    with pytest.raises(CardRefused):
        running.take(card.send(bytes(command)))
    assert card.value == 0


@pytest.mark.parametrize("answer", [b"", b"\x90\x00", b"\x6a\x82", bytes(300)])
def test_what_no_card_answers(keys: Keys, answer: bytes) -> None:
    running = dialogue(keys, Credit(TRANSPORT, 500))
    with pytest.raises(CardSessionError):
        running.take(answer)
    assert running.command is None


class TestOrders:
    """What cannot be ordered, whoever asks."""

    @pytest.mark.parametrize("amount", [-1, 0, 1 << 31])
    def test_a_credit_is_positive_and_fits(self, amount: int) -> None:
        with pytest.raises(CardOrderInvalid):
            Credit(TRANSPORT, amount)

    @pytest.mark.parametrize("statement", [b"", b"anything", ENTITLEMENT[:-1], ENTITLEMENT + b"\x00"])
    def test_only_entitlements_are_written(self, statement: bytes) -> None:
        with pytest.raises(CardOrderInvalid, match="only entitlements"):
            WriteEntitlement(TRANSPORT, 0, statement)

    @pytest.mark.parametrize("offset", [-1, 1 << 24])
    def test_an_offset_has_three_bytes(self, offset: int) -> None:
        with pytest.raises(CardOrderInvalid):
            WriteEntitlement(TRANSPORT, offset, ENTITLEMENT)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (ServiceMaster(TRANSPORT, ServiceRole.CREDIT), ServiceMaster(TRANSPORT, ServiceRole.CREDIT)),
            (
                ServiceMaster(TRANSPORT, ServiceRole.CREDIT),
                ServiceMaster(TRANSPORT, ServiceRole.ADMINISTRATION, 1),
            ),
            (
                ServiceMaster(TRANSPORT, ServiceRole.CREDIT),
                ServiceMaster(Application(0xF5C010), ServiceRole.CREDIT, 1),
            ),
            (ServiceMaster(TRANSPORT, ServiceRole.CREDIT), TerminalMaster(TRANSPORT, TerminalRole.READ, 1)),
            (
                ServiceMaster(TRANSPORT, ServiceRole.TRANSACTION_MAC),
                ServiceMaster(TRANSPORT, ServiceRole.TRANSACTION_MAC, 1),
            ),
        ],
        ids=["the same version", "another number", "another application", "another class", "no numbered key"],
    )
    def test_a_key_is_replaced_by_its_successor(
        self, old: ServiceMaster | TerminalMaster, new: ServiceMaster | TerminalMaster
    ) -> None:
        with pytest.raises(CardOrderInvalid):
            ChangeKey(old, new)

    def test_a_reader_id_has_16_bytes(self, keys: Keys) -> None:
        with pytest.raises(CardOrderInvalid):
            Dialogue(Credit(TRANSPORT, 1), UID, keys.service_sam, keys.terminal_sam, b"short")
