"""What leads where in the life of a card: refused by the service in words, and by the tables whoever asks."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from cardservice.cardholders.models import cardholder
from cardservice.cards import service as cards
from cardservice.cards.models import card, card_state, card_transition
from cardservice.cards.states import LEADS_TO, CardState
from cardservice.database import Database, connect
from cardservice.errors import StateChangeRefused
from cardservice.ids import CardholderId, CardId, new_id
from cardservice.ledger.payers import assign_payer, create_payer
from tests.support.databases import KINDS, Databases, Kind

MOMENT = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
PAIRS = [(state, wanted) for state in CardState for wanted in CardState]
FORBIDDEN = [(state, wanted) for state, wanted in PAIRS if wanted not in LEADS_TO[state]]
ALLOWED = [(state, wanted) for state, wanted in PAIRS if wanted in LEADS_TO[state]]


@pytest.fixture(scope="module")
def of_kind(databases: Databases) -> Iterator[Mapping[Kind, tuple[Database, CardholderId]]]:
    """A database of each kind with a cardholder; each test takes back what it has done."""
    made, urls = {}, []
    for kind in KINDS:
        urls.append(databases.create(kind))
        database, holder = connect(urls[-1].service), CardholderId(new_id())
        with database.begin() as connection:
            connection.execute(insert(cardholder).values(_holder(holder)))
            payer = create_payer(connection, "person", "GBP", MOMENT)
            assign_payer(connection, holder, payer, MOMENT, MOMENT)
        made[kind] = (database, holder)
    yield made
    for database, _ in made.values():
        database.dispose()
    for each in urls:
        databases.drop(each)


@pytest.fixture
def place(
    of_kind: Mapping[Kind, tuple[Database, CardholderId]], database_kind: Kind
) -> Iterator[tuple[Connection, CardholderId]]:
    """A connection whose transaction is taken back, and a cardholder."""
    database, holder = of_kind[database_kind]
    with suppress(_TakenBackError), database.begin() as connection:
        yield connection, holder
        raise _TakenBackError


class _TakenBackError(Exception):
    """Ends a transaction without effect."""


def _holder(holder: CardholderId) -> dict[str, object]:
    return {"id": holder, "category": "adult", "created_at": MOMENT}


def new_card(connection: Connection, holder: CardholderId, kind: str = "citizen") -> CardId:
    """A card in stock."""
    card_id = CardId(uuid4())
    connection.execute(
        insert(card).values(
            id=card_id, cardholder_id=holder, kind=kind, expires_on=MOMENT.date(), created_at=MOMENT
        )
    )
    return card_id


def put(connection: Connection, card_id: CardId, state: CardState, moment: datetime = MOMENT) -> None:
    """What the service inserts, without asking it."""
    cards.record_state(connection, card_id, state, reason="test", actor="test", moment=moment)


def way_to(state: CardState) -> list[CardState]:
    """The shortest way from the stock."""
    ways: dict[CardState, list[CardState]] = {CardState.STOCK: []}
    while state not in ways:
        for known, way in list(ways.items()):
            for after in sorted(LEADS_TO[known]):
                ways.setdefault(after, [*way, after])
    return ways[state]


def brought_to(connection: Connection, holder: CardholderId, state: CardState) -> CardId:
    """A card that has come to this state."""
    card_id = new_card(connection, holder)
    for each in way_to(state):
        put(connection, card_id, each)
    return card_id


def state_of(connection: Connection, card_id: CardId) -> str:
    """What the card's row says."""
    return str(connection.scalar(select(card.c.state).where(card.c.id == card_id)))


def test_the_tables_know_what_the_program_knows(place: tuple[Connection, CardholderId]) -> None:
    """One is checked against the other: a state that one of them does not know is a fault."""
    connection, _ = place
    rows = connection.execute(select(card_transition.c.state, card_transition.c.next))
    assert {(row.state, row.next) for row in rows} == {(state.value, after.value) for state, after in ALLOWED}


def test_the_page_says_the_same() -> None:
    """What whoever issues cards reads."""
    page = (Path(__file__).parents[3] / "docs" / "cards.md").read_text()
    table = page.partition("<!-- transitions:")[2].partition("<!-- transitions end")[0]
    told = {}
    for row in re.findall(r"^\| (`.*?) \| .*? \| (.*?) ?\|$", table, re.MULTILINE):
        states, after = (re.findall(r"`(\w+)`", cell) for cell in row)
        told.update({state: set(after) for state in states})
    assert told == {state.value: {after.value for after in LEADS_TO[state]} for state in CardState}


@pytest.mark.parametrize(("state", "wanted"), FORBIDDEN)
def test_no_way(place: tuple[Connection, CardholderId], state: CardState, wanted: CardState) -> None:
    """Neither by the service nor past it."""
    connection, holder = place
    card_id = brought_to(connection, holder, state)
    if state is not CardState.STOCK:
        known = cards.require_card(connection, card_id)
        with pytest.raises(StateChangeRefused) as refused:
            cards.change_state(connection, known, wanted, reason="test", actor="test", moment=MOMENT)
        assert (refused.value.state, refused.value.wanted) == (state, wanted)
    with pytest.raises(IntegrityError, match=r"card_transition|is not .* next"), connection.begin_nested():
        put(connection, card_id, wanted)
    assert state_of(connection, card_id) == state


@pytest.mark.parametrize(("state", "wanted"), ALLOWED)
def test_a_way(place: tuple[Connection, CardholderId], state: CardState, wanted: CardState) -> None:
    """The card's row follows."""
    connection, holder = place
    card_id = brought_to(connection, holder, state)
    put(connection, card_id, wanted)
    assert state_of(connection, card_id) == wanted


def test_states_are_dated_in_their_order(place: tuple[Connection, CardholderId]) -> None:
    """Nothing is put before what has happened: a tap of then was judged by it."""
    connection, holder = place
    card_id = brought_to(connection, holder, CardState.ACTIVE)
    with pytest.raises(IntegrityError), connection.begin_nested():
        put(connection, card_id, CardState.SUSPENDED, MOMENT - timedelta(milliseconds=1))
    put(connection, card_id, CardState.SUSPENDED, MOMENT + timedelta(days=1))
    # A machine whose clock is behind does not fail for it.
    known = cards.require_card(connection, card_id)
    cards.change_state(connection, known, CardState.ACTIVE, reason="test", actor="test", moment=MOMENT)
    latest = cards.require_card(connection, card_id).states[-1]
    assert (latest.state, latest.valid_from) == (CardState.ACTIVE, MOMENT + timedelta(days=1))


def test_a_state_is_neither_written_over_nor_past_its_history(
    place: tuple[Connection, CardholderId], database_kind: Kind
) -> None:
    """By the service's role on PostgreSQL, which has no right to; by anybody on SQLite."""
    connection, holder = place
    card_id = brought_to(connection, holder, CardState.SUSPENDED)
    refusal = "permission denied" if database_kind == "postgresql" else "never changed|latest of its history"
    for change in (
        update(card).where(card.c.id == card_id).values(state="active"),
        update(card_state).where(card_state.c.card_id == card_id).values(state="active"),
    ):
        with pytest.raises(DBAPIError, match=refusal), connection.begin_nested():
            connection.execute(change)
    values = {"id": uuid4(), "cardholder_id": holder, "kind": "citizen", "created_at": MOMENT}
    made_active = insert(card).values(**values, expires_on=MOMENT.date(), state="active")
    with pytest.raises(IntegrityError), connection.begin_nested():
        connection.execute(made_active)
    assert state_of(connection, card_id) == "suspended"


def test_not_even_the_owner_on_postgresql(databases: Databases) -> None:
    """The triggers hold for whoever owns the tables, too."""
    urls = databases.create("postgresql")
    owner, holder = connect(urls.owner), CardholderId(new_id())
    try:
        with owner.begin() as connection:
            connection.execute(insert(cardholder).values(_holder(holder)))
            card_id = brought_to(connection, holder, CardState.LOST)
            for statement in ("UPDATE card SET state = 'active'", "UPDATE card_state SET state = 'active'"):
                with pytest.raises(IntegrityError), connection.begin_nested():
                    connection.execute(text(statement))
            assert state_of(connection, card_id) == "lost"
    finally:
        owner.dispose()
        databases.drop(urls)


@pytest.mark.parametrize("first", [CardState.ACTIVE, CardState.SUSPENDED])
def test_one_card_of_a_kind_in_use(place: tuple[Connection, CardholderId], first: CardState) -> None:
    """A second one comes into use when the first no longer is; of another kind at any time."""
    connection, holder = place
    old = brought_to(connection, holder, first)
    new = brought_to(connection, holder, CardState.DISPATCHED)
    with pytest.raises(IntegrityError), connection.begin_nested():
        put(connection, new, CardState.ACTIVE)
    other = new_card(connection, holder, "visitor")
    put(connection, other, CardState.ORDERED)
    put(connection, other, CardState.ACTIVE)
    put(connection, old, CardState.LOST)
    put(connection, new, CardState.ACTIVE)
    assert [state_of(connection, each) for each in (old, new, other)] == ["lost", "active", "active"]
