"""Many payers' days in one transaction: whom somebody else has changed meanwhile is left out, alone."""

from dataclasses import replace
from datetime import timedelta

from cardservice.database import Database
from cardservice.ids import PayerId
from cardservice.ledger.payers import create_payer
from cardservice.ledger.posting import post
from cardservice.ledger.rating_days import read_days, read_rated
from cardservice.ledger.rating_groups import Revision, post_group
from cardservice.ledger.ratings import Rated, Rating
from cardservice.ledger.reading import read_payers
from cardservice.ledger.verify import verify
from tests.cardservice.ledger.postings import CURRENCY, MOMENT, balances_of, topup, view_of
from tests.cardservice.ledger.test_ratings import DAY, day


def first_of(new: Rating) -> Revision:
    return Revision(Rated(), new)


def payers_of(database: Database, count: int) -> list[PayerId]:
    with database.begin() as connection:
        payers = [create_payer(connection, "person", CURRENCY, MOMENT) for _ in range(count)]
    post(database, [topup(payer, 0, 250) for payer in payers])
    return payers


def test_who_changed_meanwhile_is_left_out(database: Database) -> None:
    """The second day of one payer is decided on what the first has left."""
    one, changed = payers_of(database, 2)
    with database.reading() as connection:
        views = read_payers(connection, (one, changed))
    post(database, [topup(changed, view_of(database, changed).version, 1)])
    next_day = day(one, 100)
    next_day = replace(next_day, subject=replace(next_day.subject, travel_day=DAY + timedelta(days=1)))
    wanted = {
        one: [first_of(day(one, 200)), first_of(next_day)],
        changed: [first_of(day(changed, 200))],
    }
    assert post_group(database, views, wanted, MOMENT) == {one}
    assert balances_of(database, one) == {"payer:prepaid": 0, "payer:arrears": -50}
    assert view_of(database, changed).prepaid.balance == 251
    with database.reading() as connection:
        found = read_days(connection, (one, changed), "transport", DAY, DAY + timedelta(days=1))
        assert found == {each.new.subject: read_rated(connection, each.new.subject) for each in wanted[one]}
        # Days that were never rated are left out.
        assert not read_days(connection, (changed,), "transport", DAY, DAY)
    # Decided anew it is posted.
    with database.reading() as connection:
        views = read_payers(connection, (changed,))
    assert post_group(database, views, {changed: wanted[changed]}, MOMENT) == {changed}
    assert verify(database).is_clean


def test_a_group_that_is_refused_posts_nothing(database: Database) -> None:
    """One day as if it had never been rated: none of the group is posted, and each can be rated alone."""
    one, rated = payers_of(database, 2)
    with database.reading() as connection:
        views = read_payers(connection, (rated,))
    assert post_group(database, views, {rated: [first_of(day(rated, 100))]}, MOMENT) == {rated}
    with database.reading() as connection:
        views = read_payers(connection, (one, rated))
    wanted = {payer: [first_of(day(payer, 200))] for payer in (one, rated)}
    assert post_group(database, views, wanted, MOMENT) == frozenset()
    assert (view_of(database, one).prepaid.balance, view_of(database, rated).prepaid.balance) == (250, 150)
    assert verify(database).is_clean
