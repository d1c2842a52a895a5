"""Stock of blanks: whatever is moved, counts are what the movements add up to, and never below nothing."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from cardservice.blanks import service as blanks
from cardservice.blanks.errors import DeliveryRefused, StockTooLow
from cardservice.blanks.models import blank_movement, blank_stock
from cardservice.blanks.service import By, Delivery
from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.cards import personalisation
from cardservice.cards import service as cards
from cardservice.database import Database
from cardservice.errors import OrderInvalid
from cardservice.ids import TerminalId
from tests.support.council import ACTOR, START, Council, Terminal, csr

BY = By("test", START)
PRODUCT = "dual-8k"


@pytest.fixture
def places(database: Database) -> Database:
    """Two places, and a hundred blanks at the first."""
    with database.begin() as connection:
        for place in ("town-hall", "library"):
            blanks.add_place(connection, place, place.title(), BY)
        blanks.receive(connection, Delivery("Vale Cards", PRODUCT, 100), "town-hall", BY)
    return database


def counts(database: Database) -> dict[str, int]:
    """What lies where."""
    with database.reading() as connection:
        return {each.place: each.count for each in blanks.stock(connection)}


def test_what_is_moved_adds_up(places: Database) -> None:
    """Moved, spoiled, counted: both places say so, and what is low is listed."""
    with places.begin() as connection:
        blanks.move(connection, PRODUCT, "town-hall", "library", 30, BY)
        blanks.spoil(connection, PRODUCT, "library", 2, "bent", BY)
        found = blanks.take_stock(connection, PRODUCT, "library", 27, "one behind the shelf?", BY)
        assert (found.expected, found.difference) == (28, -1)
        assert blanks.take_stock(connection, PRODUCT, "library", 27, "again", BY).difference == 0
        blanks.warn_below(connection, PRODUCT, "library", 28, BY)
        blanks.warn_below(connection, PRODUCT, "town-hall", 70, BY)
        assert [each.place for each in blanks.stock(connection, low=True)] == ["library"]
    assert counts(places) == {"town-hall": 70, "library": 27}


def test_more_than_there_is(places: Database) -> None:
    """Refused in words; and past the program, by the table."""
    with places.begin() as connection:
        with pytest.raises(StockTooLow) as refused:
            blanks.move(connection, PRODUCT, "town-hall", "library", 101, BY)
        assert (refused.value.there, refused.value.wanted) == (100, 101)
        values = {"product": PRODUCT, "source": "town-hall", "count": 101, "why": "spoiled", "note": ""}
        past = insert(blank_movement).values(**values, moved_at=START, moved_by="test")
        with pytest.raises(IntegrityError, match="count"), connection.begin_nested():
            connection.execute(past)
    assert counts(places)["town-hall"] == 100


def test_counts_follow_movements_alone(places: Database) -> None:
    """By whoever is connected: by the role's rights on PostgreSQL, by triggers on SQLite."""
    for statement in (
        update(blank_stock).values(count=7),
        update(blank_movement).values(count=7),
        text("DELETE FROM blank_movement"),
        insert(blank_stock).values(place_id="library", product="other", count=7),
    ):
        with places.begin() as connection, pytest.raises(DBAPIError), connection.begin_nested():
            connection.execute(statement)
    assert counts(places) == {"town-hall": 100}


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_not_even_the_owner(owner_database: Database) -> None:
    """The triggers hold for whoever owns the tables, too."""
    with owner_database.begin() as connection:
        blanks.add_place(connection, "town-hall", "Town hall", BY)
        blanks.receive(connection, Delivery("Vale Cards", PRODUCT, 100), "town-hall", BY)
        for statement in (update(blank_stock).values(count=7), text("DELETE FROM blank_movement")):
            with pytest.raises(DBAPIError), connection.begin_nested():
                connection.execute(statement)
    assert counts(owner_database) == {"town-hall": 100}


REFUSED = [
    (10, "8944000000000001", "8944000000000009"),  # nine
    (10, "8944000000000001", None),
    (10, "0009", "00018"),  # of another length
    (10, "8944000000000009", "8944000000000000"),
    (10, "04A1B2C3D4E5F0", "04A1B2C3D4E5F8"),  # too few chips
    (10, "serial 1", "serial 9"),
    (5, "8944000000000504", "8944000000000508"),  # the last of the delivery before
]


def test_what_numbers_contradict(places: Database) -> None:
    """Nothing of it is taken in; a maker's UIDs have gaps."""
    with places.begin() as connection:
        known = Delivery("Vale Cards", PRODUCT, 5, "8944000000000500", "8944000000000504")
        blanks.receive(connection, known, "library", BY)
        for count, first, last in REFUSED:
            with pytest.raises(DeliveryRefused):
                blanks.receive(connection, Delivery("Vale Cards", PRODUCT, count, first, last), "library", BY)
        chips = Delivery("Vale Cards", PRODUCT, 10, "04A1B2C3D4E5F0", "04A1B2C3D4FFFF")
        blanks.receive(connection, chips, "library", BY)
    assert counts(places)["library"] == 15


def test_bad_input(places: Database) -> None:
    """Said so in words."""
    with places.begin() as connection:
        for wrong in (0, -1, 2_000_000):
            with pytest.raises(OrderInvalid):
                blanks.move(connection, PRODUCT, "town-hall", "library", wrong, BY)
        with pytest.raises(OrderInvalid, match="no place"):
            blanks.receive(connection, Delivery("Vale Cards", PRODUCT, 1), "nowhere", BY)
        with pytest.raises(OrderInvalid, match="ever lay"):
            blanks.spoil(connection, "unknown", "town-hall", 1, "bent", BY)
        with pytest.raises(OrderInvalid, match="one line"):
            blanks.spoil(connection, PRODUCT, "town-hall", 1, "two\nlines", BY)
        with pytest.raises(OrderInvalid, match="already"):
            blanks.add_place(connection, "library", "Library", BY)


def test_two_take_the_last(places: Database) -> None:
    """At once, from two connections: as many succeed as there are blanks."""

    def spoil(_: int) -> bool:
        try:
            with places.begin() as connection:
                blanks.spoil(connection, PRODUCT, "town-hall", 30, "bent", BY)
        except StockTooLow:
            return False
        return True

    with ThreadPoolExecutor(5) as pool:
        assert sum(pool.map(spoil, range(5))) == 3
    assert counts(places)["town-hall"] == 10


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["move", "spoil", "count", "receive"]),
        st.sampled_from(["town-hall", "library"]),
        st.integers(1, 120),
    ),
    max_size=12,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_steps(places: Database, steps: list[tuple[str, str, int]]) -> None:
    """Whatever is done in whatever order: the model's counts, and nothing below zero."""
    model = counts(places)
    with places.begin() as connection:
        for what, place, count in steps:
            other = "library" if place == "town-hall" else "town-hall"
            enough = model.get(place, 0) >= count
            with suppress(StockTooLow, OrderInvalid):
                match what:
                    case "move":
                        blanks.move(connection, PRODUCT, place, other, count, BY)
                        model[other] = model.get(other, 0) + count
                        model[place] -= count
                    case "spoil":
                        blanks.spoil(connection, PRODUCT, place, count, "bent", BY)
                        model[place] -= count
                    case "count":
                        blanks.take_stock(connection, PRODUCT, place, count, "counted", BY)
                        model[place], enough = count, True
                    case _:
                        blanks.receive(connection, Delivery("Vale Cards", PRODUCT, count), place, BY)
                        model[place], enough = model.get(place, 0) + count, True
                assert enough
    assert counts(places) == model
    assert min(model.values()) >= 0


@pytest.fixture
def desk(council: Council) -> Terminal:
    """An issuing desk that takes its blanks from the town hall, of which two lie there."""
    made = council.terminal("desk-1", "issuer")
    with council.context.database.begin() as connection:
        blanks.add_place(connection, "town-hall", "Town hall", BY)
        blanks.receive(connection, Delivery("Vale Cards", PRODUCT, 2), "town-hall", BY)
        blanks.supply_desk(connection, TerminalId("desk-1"), PRODUCT, "town-hall", BY)
    return made


def ordered(council: Council) -> str:
    """Where the outcome of a visitor's order is told, whose card has its certificate."""
    moment = council.clock()
    with council.context.database.begin() as connection:
        new, currency = NewCardholder("Morgan Reed", "adult"), council.context.scheme.currency
        holder, _ = add_cardholder(connection, new, currency, council.kek, actor=ACTOR, moment=moment)
        made = personalisation.order_card(connection, holder, "visitor", actor=ACTOR, moment=moment)
        authority = council.context.authority(cards.AUTHORITY, connection)
        request = csr(ec.generate_private_key(ec.SECP256R1()), "card").public_bytes(Encoding.DER)
        personalisation.certify(connection, authority, made.id, request, actor=ACTOR, moment=moment)
    return f"/v1/personalisation-orders/{made.id}/result"


def test_each_card_takes_a_blank(council: Council, desk: Terminal) -> None:
    """Told twice it is one; a card of which the books knew no blank shows that they were wrong."""
    database = council.context.database
    for expected in (1, 0, 0):
        path = ordered(council)
        for _ in range(2):
            assert desk.post(path, {"outcome": "done"}).status == 200
        assert counts(database) == {"town-hall": expected}
    with database.reading() as connection:
        rows = connection.execute(select(blank_movement.c.why).order_by(blank_movement.c.id)).scalars()
        assert list(rows) == ["delivered", "made", "made", "counted", "made"]


def test_a_card_that_failed(council: Council, desk: Terminal) -> None:
    """It takes a blank if that is of no use any more, once; a desk of which nothing is counted takes none."""
    database = council.context.database
    elsewhere = council.terminal("desk-2", "issuer")
    for where, told, left in (
        (desk, {"outcome": "failed"}, 2),
        (desk, {"outcome": "failed", "spoiled": True}, 1),
        (elsewhere, {"outcome": "done"}, 1),
    ):
        path = ordered(council)
        for _ in range(2):
            assert where.post(path, told).status == 200
        assert counts(database) == {"town-hall": left}
