"""A stay in the ledger: paid by a card, and refused to whoever comes with the same vehicle too early."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from cardservice.audit.models import audit
from cardservice.authorisation.explanation import explain
from cardservice.authorisation.export import fault_of_proof
from cardservice.authorisation.refunding import Wish
from cardservice.authorisation.refunds import Refund, give
from cardservice.errors import RefundRefused
from cardservice.ids import TransactionId
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.values import PAYER_RESERVED
from cardservice.ledger.verify import verify
from cardservice.payments.equation import equation
from cardservice.tariffs.service import store_tariff
from cardservice.upkeep import keep_up
from pki.statements import details_hmac
from tests.cardservice.advices.chunk import advice, answers
from tests.cardservice.services.parking_tariffs import load
from tests.support.council import (
    ACTOR,
    SALT,
    Card,
    Council,
    Reply,
    Terminal,
    advice_of,
    annulment,
    message,
    request_for,
)

URL = "/v1/authorisations"


@dataclass(slots=True)
class Street:
    """A council with a machine in the street."""

    council: Council
    machine: Terminal
    last: UUID | None = None

    def ask(self, card: Card, action: str, amount_minor: int, /, **details: Any) -> Reply:
        """Ask for an action at a price."""
        sent = {"plate": "ab12 cde", **details}
        statement = request_for(
            self.machine,
            card,
            service="parking",
            action=action,
            amount_minor=amount_minor,
            details_hmac=details_hmac(SALT, sent),
        )
        self.last = statement.id
        return self.machine.post(URL, message(statement, card, details=sent))


@pytest.fixture
def street(council: Council, tmp_path: Path) -> Iterator[Street]:
    """Monday, 11:00 in London. In the end all that was posted is proven, and explained by what was stored."""
    council.clock.moment = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
    loaded = load(tmp_path)
    with council.context.database.begin() as connection:
        store_tariff(connection, "parking", loaded, source="t.json", actor=ACTOR, moment=council.clock())
    council.provider("council-parking")
    yield Street(council, council.terminal("machine-1", "parking-machine", provider="council-parking"))
    context, stored = council.context, ledger_transaction.c
    assert verify(context.database, partial(fault_of_proof, context)).findings == ()
    asked = select(stored.id).where(stored.kind.in_(("request", "advice")))
    with context.database.reading() as connection:
        found = [explain(context, connection, one) for one in connection.scalars(asked).all()]
    assert [one.differs for one in found] == [()] * len(found)


def test_a_stay_and_no_return_across_two_cards(street: Street) -> None:
    """High Street: an hour until 12:00, and no return before 13:00, whoever's card it is."""
    council = street.council
    one, other = council.card(top_up_minor=2000), council.card(top_up_minor=2000)
    wanted = {"service": "parking", "action": "start", "card": str(one.id)}
    details = {"place": "high-street", "plate": "AB12CDE", "minutes": 60}
    quoted = street.machine.post("/v1/quotes", {**wanted, "details": details}).json
    assert quoted["amount_minor"] == 160
    paid = street.ask(one, "start", 160, place="high-street", minutes=60)
    assert paid.outcome == (200, "approved")
    line = {"label": "High Street, AB12 CDE, until 12:00", "amount_minor": 160}
    assert (paid.json["receipt"], council.balances(one.payer)) == ([line], (1840, 0))
    # Extended within the longest stay, and not beyond it.
    since = {"place": "high-street", "started_at": "2026-06-15T10:00:00Z"}
    assert street.ask(one, "extend", 140, paid_minutes=60, minutes=30, **since).outcome == (200, "approved")
    over = street.ask(one, "extend", 0, paid_minutes=90, minutes=31, **since)
    assert (over.outcome, over.json["decision"]) == ((200, "max_stay"), "declined")
    # Until 12:30, and an hour away: 13:29 is too early and 13:30 is not.
    council.clock.moment = datetime(2026, 6, 15, 12, 29, tzinfo=UTC)
    refused = street.ask(other, "start", 90, place="high-street", minutes=30)
    assert refused.outcome == (200, "resource_taken")
    assert "may not return within 60 minutes" in refused.json["message"]
    assert council.balances(other.payer) == (2000, 0)
    another = street.ask(other, "start", 90, place="high-street", minutes=30, plate="XY99 ZZZ")
    assert another.outcome == (200, "approved")
    council.clock.moment = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
    assert street.ask(other, "start", 90, place="high-street", minutes=30).outcome == (200, "approved")


def test_longest_stay_of_an_order_across_two_cards(street: Street) -> None:
    """Market Street: 20 minutes a day by vehicle and place; what is annulled is free again."""
    council = street.council
    one, other = council.card(), council.card()
    market = {"place": "market-street"}
    assert street.ask(one, "start", 0, minutes=12, **market).outcome == (200, "approved")
    council.clock.advance(minutes=30)
    assert street.ask(other, "start", 0, minutes=9, **market).outcome == (200, "resource_taken")
    assert street.ask(other, "start", 0, minutes=9, plate="XY99ZZZ", **market).outcome == (200, "approved")
    assert street.ask(other, "start", 0, minutes=8, **market).outcome == (200, "approved")
    council.clock.advance(minutes=30)
    assert street.ask(one, "start", 0, minutes=1, **market).outcome == (200, "resource_taken")
    council.clock.advance(days=1)
    assert street.ask(one, "start", 0, minutes=20, **market).outcome == (200, "approved")
    assert street.last is not None
    assert street.machine.post(URL, annulment(street.machine, one, street.last)).outcome == (200, "annulled")
    assert street.ask(other, "start", 0, minutes=20, **market).outcome == (200, "approved")


def test_a_decline_is_explained_again(street: Street) -> None:
    """From what was stored, to the same result and the same words."""
    council = street.council
    card = council.card(top_up_minor=2000)
    for outcome in ("approved", "resource_taken"):
        assert street.ask(card, "start", 90, place="high-street", minutes=30).outcome == (200, outcome)
        assert street.last is not None
        with council.context.database.reading() as connection:
            told = explain(council.context, connection, street.last)
        assert (told.reason, told.differs) == (outcome, ())


def test_a_plate_is_looked_up_without_a_card(street: Street) -> None:
    """Paid until when, by a role of its own, noted under what tells nobody the plate; never whose it is."""
    council = street.council
    paying = council.card(top_up_minor=20_000, category="resident")
    warden = council.terminal("warden-1", "enforcement", provider="council-parking")

    def asked(terminal: Terminal, plate: str = "ab12 cde", place: str = "high-street") -> Reply:
        details = {"place": place, "plate": plate}
        return terminal.post("/v1/look-ups", {"service": "parking", "details": details})

    assert asked(warden).json["found"] is False
    assert street.ask(paying, "start", 72, place="high-street", minutes=30).outcome == (200, "approved")
    told = asked(warden).json
    assert told == {"found": True, "message": "Paid until 11:30.", "until": "2026-06-15T10:30:00.000Z"}
    assert asked(warden, plate="XY99ZZZ").json["found"] is False
    assert asked(warden, place="green").json["found"] is False
    assert asked(street.machine).outcome == (403, "role_not_allowed")
    assert asked(warden, place="nowhere").outcome == (422, "place_unknown")
    assert asked(warden, plate="?").outcome == (422, "details_malformed")
    council.clock.advance(minutes=41)
    assert asked(warden).json["found"] is False
    bought = street.ask(paying, "permit", 4500, permit="zone-a", number=1, plate="XY99ZZZ")
    assert bought.outcome == (200, "approved")
    told = asked(warden, plate="xy99zzz").json
    assert (told["message"], told["until"]) == (
        "XY99 ZZZ has a permit for High Street.",
        "2027-06-14T23:00:00.000Z",
    )
    with council.context.database.reading() as connection:
        noted = connection.execute(select(audit).where(audit.c.action == "look-up")).all()
    assert {row.actor for row in noted} == {"terminal:warden-1"}
    assert len(noted) == 6
    assert not any("AB12" in str(row).upper() for row in noted)


def reserved(council: Council, card: Card) -> tuple[int, int]:
    """What a payer may spend, and what is set aside of the payer's money."""
    view = council.view(card.payer)
    aside = view.account(PAYER_RESERVED)
    return view.prepaid.balance, 0 if aside is None else aside.balance


def test_an_amount_is_reserved_on_entry_and_released_on_exit(street: Street) -> None:
    """Old Wharf reserves 6.00; two hours cost 2.00. However it ends, nothing is given back twice."""
    council = street.council
    card, poor = council.card(top_up_minor=1000), council.card(top_up_minor=599)
    wharf, since = {"place": "old-wharf"}, {"entered_at": "2026-06-15T10:00:00Z"}
    assert street.ask(poor, "enter", 600, **wharf).outcome == (200, "insufficient_funds")
    told = street.ask(card, "enter", 600, **wharf)
    assert (told.outcome, told.json["receipt"]) == (
        (200, "approved"),
        [{"label": "Old Wharf, AB12 CDE, reserved", "amount_minor": 600}],
    )
    first = street.last
    assert reserved(council, card) == (400, 600)
    # It is nobody's to spend, for anything.
    assert street.ask(card, "enter", 600, plate="P1", **wharf).outcome == (200, "insufficient_funds")
    assert street.ask(card, "enter", 600, **wharf).outcome == (200, "entered_already")
    council.clock.advance(hours=2)
    assert street.ask(card, "pay-on-exit", 200, **wharf, **since).outcome == (200, "approved")
    left = street.last
    assert reserved(council, card) == (800, 0)
    assert first is not None
    assert left is not None
    for each in (first, left):
        with council.context.database.reading() as connection:
            assert explain(council.context, connection, each).differs == ()
    refund = Refund(Wish(TransactionId(first)))
    with pytest.raises(RefundRefused):
        give(council.context, refund, actor=ACTOR)
    # Taking back the exit gives back what was paid, and holds nothing anew.
    assert street.machine.post(URL, annulment(street.machine, card, left)).outcome == (200, "annulled")
    assert reserved(council, card) == (1000, 0)
    assert street.ask(card, "pay-on-exit", 200, **wharf, **since).outcome == (200, "approved")
    assert give(council.context, Refund(Wish(TransactionId(street.last or first))), actor=ACTOR).amount_minor
    assert reserved(council, card) == (1000, 0)
    with council.context.database.reading() as connection:
        assert equation(connection, "GBP").difference_minor == 0
    assert verify(council.context.database).is_clean


def test_a_hold_that_nothing_settles_ends_by_itself(street: Street) -> None:
    """After seven days, by the worker, once; or before, where the entry is annulled or refunded."""
    council = street.council
    card = council.card(top_up_minor=2000)
    for plate in ("P1", "P2", "P3"):
        assert street.ask(card, "enter", 600, place="old-wharf", plate=plate).outcome == (200, "approved")
        if plate == "P1":
            assert street.last is not None
            undone = annulment(street.machine, card, street.last)
        if plate == "P2":
            refunded = Refund(Wish(TransactionId(street.last or UUID(int=0))))
    assert reserved(council, card) == (200, 1800)
    assert street.machine.post(URL, undone).outcome == (200, "annulled")
    assert give(council.context, refunded, actor=ACTOR).amount_minor == 600
    assert reserved(council, card) == (1400, 600)
    council.clock.moment = datetime(2026, 6, 22, 9, 59, 59, tzinfo=UTC)
    assert keep_up(council.context).ended == 0
    council.clock.advance(seconds=1)
    assert [keep_up(council.context).ended for _ in range(2)] == [1, 0]
    assert reserved(council, card) == (2000, 0)
    assert verify(council.context.database).is_clean


def test_entries_told_afterwards_reserve_what_there_is(street: Street) -> None:
    """By the thousand, too: nobody owes what is only set aside."""
    council = street.council
    card = council.card(top_up_minor=700)
    details = {"place": "old-wharf", "plate": "P1"}, {"place": "old-wharf", "plate": "P2"}
    told = [
        advice(
            advice_of(
                street.machine,
                card,
                service="parking",
                action="enter",
                amount_minor=600,
                details_hmac=details_hmac(SALT, each),
            ),
            card,
            each,
        )
        for each in details
    ]
    given = answers(street.machine, told)
    flags = [sorted(each["answer"]["flags"]) for each in given]
    assert flags == [["outside_offline_limits"], ["outside_offline_limits", "over_floor"]]
    assert (reserved(council, card), council.balances(card.payer)) == ((0, 700), (0, 0))
    out = {"place": "old-wharf", "plate": "P2", "entered_at": "2026-06-15T10:00:00Z"}
    council.clock.advance(minutes=30)
    assert street.ask(card, "pay-on-exit", 100, **out).outcome == (200, "approved")
    assert reserved(council, card) == (0, 600)
    assert verify(council.context.database).is_clean
