"""Who has looked at what somebody did: told to that person, and on the trail without them."""

import re
from pathlib import Path

import pytest
from sqlalchemy import select

from cardservice.audit.models import audit
from cardservice.cardholders.accesses import READS, accesses
from cardservice.cardholders.transaction_reads import whose
from cardservice.ids import CardholderId, new_id
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.payers import assign_payer
from tests.cardservice.advices.test_staff import run
from tests.support.council import FARE_MINOR, Card, Council, message, request_for


@pytest.fixture
def card(council: Council) -> Card:
    """A card with money."""
    return council.card(top_up_minor=5 * FARE_MINOR)


def paid(council: Council, card: Card) -> str:
    """A fare that the card has paid."""
    bus = council.terminal(f"bus-{new_id()}")
    statement = request_for(bus, card)
    assert bus.post("/v1/authorisations", message(statement, card)).status == 200
    return str(statement.id)


def reads(council: Council, holder: CardholderId) -> list[str]:
    """Which looks somebody is told of."""
    with council.context.database.reading() as connection:
        return [each.action for each in accesses(connection, holder) if each.is_read]


def test_who_explains_what_a_card_paid_is_told_to_its_holder(
    council: Council, card: Card, tmp_path: Path
) -> None:
    """So is who exports its proof, and who is told a whole day; the trail names the transaction alone."""
    fare, other = paid(council, card), council.card()
    run(council, "transaction", "explain", fare)
    run(council, "proof", "export", fare, str(tmp_path / "proof"))
    run(council, "transaction", "day", str(card.holder), "transport", "2026-06-15")
    assert reads(council, card.holder) == ["transaction.explain", "proof.export", "transaction.day"]
    assert reads(council, other.holder) == []
    with council.context.database.reading() as connection:
        told = connection.execute(
            select(audit.c.action, audit.c.subject).where(
                audit.c.action.in_(["transaction.explain", "proof.export"])
            )
        ).all()
    assert {tuple(row) for row in told} == {("transaction.explain", fare), ("proof.export", fare)}


def test_of_a_family_it_is_whose_card_it_was(council: Council, card: Card) -> None:
    """Of what no card did, such as money that came in, the one for whom the payer pays alone."""
    with council.context.database.reading() as connection:
        stored = ledger_transaction.c
        paid_in = connection.scalars(select(stored.id).where(stored.payer_id == card.payer)).one()
        assert whose(connection, paid_in) == {card.holder}
        assert whose(connection, new_id()) == set()
    other = council.card()
    council.clock.advance(minutes=1)
    now, family = council.clock(), council.family(card, top_up_minor=5 * FARE_MINOR)
    with council.context.database.begin() as connection:
        assign_payer(connection, other.holder, family, now, now)
    run(council, "transaction", "explain", paid(council, other))
    assert (reads(council, card.holder), reads(council, other.holder)) == ([], ["transaction.explain"])


def test_each_look_at_a_transaction_is_a_read() -> None:
    """Whatever is noted so is one of the reads that people are told of."""
    root = Path(__file__).parents[3] / "cardservice"
    text = "\n".join(path.read_text("utf-8") for path in root.rglob("*.py"))
    noted = re.findall(r'note_transaction_read\(\s*connection, \w+, "([a-z_.]+)"', text)
    assert len(noted) == text.count("note_transaction_read(") - 1 >= 4
    assert set(noted) <= READS
