"""What is erased does not stay in quarantine, nor does a terminal that sends it again bring it back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from cardservice.audit.service import security_events
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.cardholders.retention import QUARANTINE, RECORD_DAYS, erase_records, survey_records
from cardservice.ids import TransactionId
from cardservice.ledger.privacy import erase_details
from cardservice.quarantine import service
from cardservice.quarantine.looking import look, said_in
from cardservice.quarantine.models import quarantine
from cardservice.quarantine.service import Held, QuarantineUnreadable
from tests.cardservice.advices.chunk import advice, annulment, answers, outcomes
from tests.support.council import ACTOR, Card, Council, Terminal, advice_of, message, new_id

URL = "/v1/authorisations"


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator that may give away two fares at a time."""
    return council.terminal("bus-12")


def held(council: Council) -> Mapping[int, Held]:
    """All that lies in quarantine, or lay there, by number."""
    with council.context.database.reading() as connection:
        return {each.number: each for each in service.held(connection, everything=True)}


def gone(council: Council) -> set[int]:
    """Those of which nothing is kept but the row."""
    with council.context.database.reading() as connection:
        return set(connection.scalars(select(quarantine.c.id).where(func.length(quarantine.c.sealed) == 0)))


def says(council: Council, number: int) -> str | None:
    """The card that a message names; None where its bytes are gone."""
    if number in gone(council):
        with pytest.raises(QuarantineUnreadable, match="was erased"):
            look(council.context, number, actor=ACTOR)
        return None
    known, entry = look(council.context, number, actor=ACTOR)
    said: str = said_in(council.context, known, entry)["card"]
    return said


def dismiss(council: Council, number: int) -> None:
    """As somebody does who has looked at it."""
    with council.context.database.begin() as connection:
        service.dismiss(connection, number, "a forgery", actor=ACTOR, moment=council.clock())


def forged(council: Council, bus: Terminal, *cards: Card) -> list[int]:
    """An advice of each that another card has signed; their numbers in quarantine."""
    other = council.card()
    for card in cards:
        forger = replace(card, key=other.key)
        assert bus.post(URL, message(advice_of(bus, card), forger)).outcome == (422, "proof_invalid")
    return sorted(held(council))[-len(cards) :]


def test_what_an_erased_persons_cards_said(council: Council, bus: Terminal) -> None:
    """Held or dismissed, it goes with the person; terminal, id and hash stay, and all of everybody else's."""
    ava, ben = council.card(), council.card()
    mine, closed, his = forged(council, bus, ava, ava, ben)
    dismiss(council, closed)
    council.revoke_terminal(bus.id)
    council.clock.advance(minutes=1)
    # An annulment names its card, too.
    assert outcomes(answers(bus, [annulment(bus, ava, new_id())])) == ["terminal_revoked"]
    [late] = held(council).keys() - {mine, closed, his}
    before = held(council)
    assert [says(council, each) for each in (mine, closed, late)] == [str(ava.id)] * 3

    erase_cardholder(council.context, ava.holder, actor=ACTOR)

    assert [says(council, each) for each in (mine, closed, late)] == [None] * 3
    assert says(council, his) == str(ben.id)
    after = held(council)
    assert {number: each.state for number, each in after.items()} == {
        **dict.fromkeys((mine, closed, late), "dismissed"),
        his: "held",
    }
    assert after[closed] == before[closed]
    assert after[mine].body == before[mine].body
    # By the day: the moment would tell which erasure it was.
    assert after[mine].closed_at == council.clock().replace(hour=0, minute=0, second=0, microsecond=0)


def test_what_is_sent_again_once_it_was_erased(council: Council, bus: Terminal) -> None:
    """By itself or in a chunk: it is refused, noted by its hash, and not kept."""
    ava = council.card()
    told = [advice_of(bus, ava, amount_minor=0) for _ in range(2)]
    entries = [advice(statement, ava) for statement in told]
    assert outcomes(answers(bus, entries)) == ["approved"] * 2
    with council.context.database.begin() as connection:
        erase_details(connection, ava.payer, [TransactionId(statement.id) for statement in told])
    assert outcomes(answers(bus, entries)) == ["erased"] * 2
    erase_cardholder(council.context, ava.holder, actor=ACTOR)
    new = advice_of(bus, ava)
    assert bus.post(URL, message(told[0], ava)).outcome == (410, "erased")
    assert (
        outcomes(answers(bus, [*entries, advice(new, ava), annulment(bus, ava, new_id())])) == ["erased"] * 4
    )
    assert held(council) == {}
    with council.context.database.reading() as connection:
        events = list(security_events(connection))
        assert [tally.not_kept for tally in service.tallies(connection)] == [0]
    assert [(event.code, event.quarantined) for event in events] == [("erased", False)] * 7
    assert {event.transaction_id for event in events} >= {*(statement.id for statement in told), new.id}


def test_what_was_dismissed_long_ago(council: Council, bus: Terminal) -> None:
    """Its bytes have their time; what nobody has looked at yet stays."""
    days = RECORD_DAYS[QUARANTINE]
    card = council.card()
    first, second, unseen = forged(council, bus, card, card, card)
    dismiss(council, first)
    council.clock.advance(days=1)
    dismiss(council, second)
    council.clock.moment += timedelta(days=days) - timedelta(hours=1)
    with council.context.database.reading() as connection:
        found = survey_records(council.context, connection, RECORD_DAYS, council.clock())
    [over] = [each for each in found if each.record_class == QUARANTINE]
    assert over.due == 1
    assert erase_records(council.context, over, council.clock(), actor=ACTOR) == 1
    assert erase_records(council.context, over, council.clock(), actor=ACTOR) == 0
    assert says(council, first) is None
    assert [says(council, each) for each in (second, unseen)] == [str(card.id)] * 2
