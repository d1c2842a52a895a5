"""A terminal that sends again what was erased does not bring it back by way of quarantine."""

import pytest

from cardservice.audit.service import security_events
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.ids import TransactionId
from cardservice.ledger.privacy import erase_details
from cardservice.quarantine import service
from tests.cardservice.advices.chunk import advice, annulment, answers, outcomes
from tests.support.council import ACTOR, Council, Terminal, advice_of, message, new_id

URL = "/v1/authorisations"


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator that may give away two fares at a time."""
    return council.terminal("bus-12")


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
    with council.context.database.reading() as connection:
        assert service.held(connection, everything=True) == []
        events = list(security_events(connection))
        assert [tally.not_kept for tally in service.tallies(connection)] == [0]
    assert [(event.code, event.quarantined) for event in events] == [("erased", False)] * 7
    assert {event.transaction_id for event in events} >= {*(statement.id for statement in told), new.id}
