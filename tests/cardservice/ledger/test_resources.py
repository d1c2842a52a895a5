"""What there is only so much of: claimed once, confirmed with the posting, settled where that broke off."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, select, update

from cardservice.database import Database
from cardservice.ids import PayerId
from cardservice.ledger import resources
from cardservice.ledger.errors import ResourceInvalid, ResourceTaken
from cardservice.ledger.event_models import reservation, resource
from cardservice.ledger.posting import post
from cardservice.ledger.resources import (
    HELD_FOR,
    Claim,
    Settlement,
    claim,
    confirm,
    read_resource,
    release,
    set_capacity,
    settle_reservations,
)
from cardservice.ledger.values import Outcome, Posting
from tests.cardservice.ledger.conftest import MakePayer, Without
from tests.cardservice.ledger.postings import (
    MOMENT,
    new_transaction_id,
    sale,
    transaction,
    view_of,
)
from tests.cardservice.ledger.test_two_sessions import race

BOOK = Claim("library", "copy-7")
LATER = MOMENT + HELD_FOR


@pytest.fixture
def book(database: Database) -> Claim:
    """One copy of a book."""
    with database.begin() as connection:
        set_capacity(connection, BOOK.service, BOOK.key, 1)
    return BOOK


def taken(database: Database) -> int:
    """How much of the book is taken."""
    with database.reading() as connection:
        found = read_resource(connection, BOOK.service, BOOK.key)
    assert found is not None
    return found.taken


def states(database: Database) -> list[str]:
    """Of all reservations, in the order in which they were made."""
    with database.reading() as connection:
        rows = connection.execute(select(reservation.c.state).order_by(reservation.c.transaction_id))
        return list(rows.scalars())


def test_claimed_once_for_a_transaction(database: Database, payer: PayerId, book: Claim) -> None:
    first, second = new_transaction_id(), new_transaction_id()
    for _ in range(2):
        claim(database, payer, first, [book], MOMENT)
    with pytest.raises(ResourceTaken):
        claim(database, payer, second, [book], MOMENT)
    with pytest.raises(ResourceTaken):
        claim(database, payer, second, [Claim("library", "copy-8")], MOMENT)
    assert (taken(database), states(database)) == (1, ["held"])
    with database.begin() as connection:
        assert (confirm(connection, first), confirm(connection, first)) == (1, 0)
        assert (release(connection, first), release(connection, first)) == (1, 0)
    claim(database, payer, second, [book], MOMENT)
    assert (taken(database), states(database)) == (1, ["released", "held"])


def test_all_or_none(database: Database, payer: PayerId, book: Claim) -> None:
    with database.begin() as connection:
        set_capacity(connection, "library", "seat", 3)
    with pytest.raises(ResourceTaken):
        claim(database, payer, new_transaction_id(), [book, Claim("library", "seat", 4)], MOMENT)
    assert (taken(database), states(database)) == (0, [])


def test_there_is_never_less_than_is_taken(database: Database, payer: PayerId, book: Claim) -> None:
    claim(database, payer, new_transaction_id(), [book], MOMENT)
    with pytest.raises(ResourceInvalid), database.begin() as connection:
        set_capacity(connection, book.service, book.key, 0)


def test_what_was_left_is_settled(database: Database, make_payer: MakePayer, book: Claim) -> None:
    """Posted, and the process ended before it confirmed; never posted; declined; and annulled since."""
    with database.begin() as connection:
        set_capacity(connection, book.service, book.key, 4)
    posted, lost, declined, annulled = payers = [make_payer(500) for _ in range(4)]
    sales = [sale(payer, 1, 100) for payer in payers]
    for payer, sold in zip(payers, sales, strict=True):
        claim(database, payer, sold.transaction.id, [book], MOMENT)
    refused = sale(declined, 1, 0, id=sales[2].transaction.id, decision="declined")
    post(database, [sales[0], refused, sales[3]])
    with database.begin() as connection:
        confirm(connection, sales[3].transaction.id)
    undo = transaction(origin="system", kind="annul", annuls=sales[3].transaction.id)
    assert post(database, [Posting(annulled, 2, undo)])[0].outcome is Outcome.POSTED
    # What may still be on its way is left alone; what was annulled is not.
    assert settle_reservations(database, MOMENT) == Settlement(0, 1)
    assert settle_reservations(database, LATER) == Settlement(1, 2)
    assert settle_reservations(database, LATER) == Settlement()
    assert (taken(database), states(database)) == (1, ["confirmed", "released", "released", "released"])
    assert view_of(database, posted).prepaid.balance == 400
    # What was on its way all the same finds another version, and is decided anew.
    assert post(database, [sales[1]])[0].outcome is Outcome.VERSION_CHANGED
    claim(database, lost, sales[1].transaction.id, [book], LATER)
    assert taken(database) == 2


def _without_looking(connection: Connection, wanted: Claim) -> bool:
    own = resource.c
    row = update(resource).where(own.service == wanted.service, own.key == wanted.key)
    return connection.execute(row.values(taken=own.taken + wanted.quantity)).rowcount == 1


def _looking_first(seen: int) -> Callable[[Connection, Claim], bool]:
    """Takes what was free when it was looked at, before the other's claim was committed."""

    def take(connection: Connection, wanted: Claim) -> bool:
        own = resource.c
        row = update(resource).where(own.service == wanted.service, own.key == wanted.key)
        return connection.execute(row.values(taken=seen + wanted.quantity)).rowcount == 1

    return take


@pytest.mark.parametrize(
    ("variant", "outcome", "held"),
    [
        (None, ResourceTaken, 1),
        # The last line of defence: a constraint, which answers nobody.
        (_without_looking, "refused", 1),
        (_looking_first(0), None, 2),
    ],
)
def test_two_members_and_one_copy(
    opened: Without,
    make_payer: MakePayer,
    book: Claim,
    monkeypatch: pytest.MonkeyPatch,
    variant: Callable[[Connection, Claim], bool] | None,
    outcome: object,
    held: int,
) -> None:
    database = opened()
    first, second = make_payer(0), make_payer(0)
    if variant is not None:
        monkeypatch.setattr(resources, "take", variant)

    def other() -> object:
        try:
            claim(database, second, new_transaction_id(), [book], MOMENT)
        except ResourceTaken:
            return ResourceTaken
        except Exception as error:  # noqa: BLE001 - whatever refuses it
            return "refused" if "ck_resource_taken" in str(error) else error
        return None

    def one(connection: Connection) -> None:
        resources.claim_on(connection, first, new_transaction_id(), [book], MOMENT)

    assert race(database, one, other) == outcome
    assert (taken(database), len(states(database))) == (1, held)
