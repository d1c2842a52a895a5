"""A day's charge: what should be minus what was rated before, whatever came in between, and once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from cardservice.database import Database
from cardservice.ids import CardholderId, PayerId, ProviderId
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.event_models import rating
from cardservice.ledger.payers import create_payer
from cardservice.ledger.posting import locked, post
from cardservice.ledger.rating_days import post_rating, rate, read_rated
from cardservice.ledger.ratings import Rating, Share, Subject, standing
from cardservice.ledger.reading import read_payers
from cardservice.ledger.values import PAYER_PREPAID, SCHEME_GOODWILL, Posting
from cardservice.ledger.verify import verify
from tests.cardservice.ledger.conftest import Without
from tests.cardservice.ledger.postings import (
    CURRENCY,
    MOMENT,
    SOMEBODY,
    balances_of,
    known_of,
    new_transaction_id,
    topup,
    transaction,
    transfer,
    view_of,
)
from tests.cardservice.ledger.test_two_sessions import race

DAY = date(2026, 11, 24)
BUSES, TRAMS = ProviderId("buses"), ProviderId("trams")


def day(
    payer: PayerId, *amounts: int, taps: int = 1, tariff: str = "t1", holder: CardholderId = SOMEBODY
) -> Rating:
    """The day at so much for the buses, and for the trams."""
    shares = tuple(Share(name, amount) for name, amount in zip((BUSES, TRAMS), amounts, strict=False))
    subject = Subject(payer, holder, "transport", DAY)
    return Rating(
        subject=subject,
        shares=shares,
        taps=tuple(new_transaction_id() for _ in range(taps)),
        tariff_version=tariff,
        unit=CURRENCY,
    )


def test_dearer_is_charged_cheaper_goes_back(database: Database, payer: PayerId) -> None:
    """500 prepaid: what is missing is owed, and what goes back settles that first."""
    for amount, prepaid, arrears in (
        (300, 200, 0),
        (620, 0, -120),
        (560, 0, -60),
        (100, 400, 0),
        (0, 500, 0),
    ):
        assert rate(database, day(payer, amount), MOMENT) is not None
        assert balances_of(database, payer) == {PAYER_PREPAID: prepaid, "payer:arrears": arrears}
    assert verify(database).is_clean


def test_said_again_it_posts_nothing(database: Database, payer: PayerId) -> None:
    """Not the same id alone: the same taps at the same price by the same tariff."""
    first = day(payer, 300)
    assert rate(database, first, MOMENT) == first.id
    assert rate(database, first, MOMENT) is None
    again = Rating(
        subject=first.subject, shares=first.shares, taps=first.taps, tariff_version="t1", unit=CURRENCY
    )
    assert rate(database, again, MOMENT) is None
    # Another tap that costs nothing more is a revision without a transfer.
    more = day(payer, 300, taps=2)
    assert rate(database, more, MOMENT) == more.id
    known = known_of(database, more.id, payer)
    assert known is not None
    assert (known.origin, known.kind, known.amount_minor, known.transfers) == ("rating", "rating", 0, ())
    with database.reading() as connection:
        before = read_rated(connection, first.subject)
    assert (before.revision, before.taps, before.should_be_minor) == (2, more.taps, 300)


def test_goodwill_stays_outside_the_difference(database: Database, payer: PayerId) -> None:
    """100 for a late bus: the day that turns out free gives back all of its own 300 beside it."""
    rate(database, day(payer, 300), MOMENT)
    new = transaction(origin="staff", kind="goodwill", terminal_id=None)
    version = view_of(database, payer).version
    post(database, [Posting(payer, version, new, (transfer(SCHEME_GOODWILL, PAYER_PREPAID, 100),))])
    rate(database, day(payer, 0), MOMENT)
    assert view_of(database, payer).prepaid.balance == 600


def test_each_person_and_payer_is_a_day_of_its_own(database: Database, payer: PayerId) -> None:
    other = CardholderId(new_transaction_id())
    rate(database, day(payer, 100), MOMENT)
    rate(database, day(payer, 50, holder=other), MOMENT)
    assert view_of(database, payer).prepaid.balance == 350
    rate(database, day(payer, 60), MOMENT)
    assert view_of(database, payer).prepaid.balance == 390


@given(
    days=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=5),
    settled_minor=st.integers(0, 300),
)
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_however_often_it_is_rated_the_last_word_stands(
    database: Database, days: Sequence[tuple[int, int]], settled_minor: int
) -> None:
    """What the payer has lost in all is what the day should be; operators have what is theirs."""
    with database.begin() as connection:
        payer = create_payer(connection, "person", CURRENCY, MOMENT)
    post(database, [topup(payer, 0, 250)])
    for number, amounts in enumerate(days):
        rate(database, day(payer, *amounts, tariff=f"t{number}"), MOMENT + timedelta(minutes=number))
    balances = balances_of(database, payer)
    assert sum(balances.values()) == 250 - sum(days[-1])
    assert balances[PAYER_PREPAID] >= 0
    with database.reading() as connection:
        stands = standing(read_rated(connection, day(payer).subject))
    wanted = zip(("provider:buses:payable", "provider:trams:payable"), days[-1], strict=True)
    assert stands == {(name, None): amount for name, amount in wanted if amount}


def test_the_tables_keep_it_unique_and_without_a_gap(database: Database, payer: PayerId) -> None:
    first = day(payer, 100)
    rate(database, first, MOMENT)
    row = {
        "payer_id": payer,
        "transaction_id": new_transaction_id(),
        "key_id": SOMEBODY,
        "service": "transport",
        "travel_day": DAY,
        "should_be_minor": 1,
        "taps": [],
    }
    for revision, follows in ((1, None), (3, 2), (2, None), (2, 2), (0, None)):
        with pytest.raises(IntegrityError), database.begin() as connection:
            connection.execute(insert(rating).values(revision=revision, follows=follows, **row))
    # Nor is there one without its transaction, or a transaction of a rating without one.
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(insert(rating).values(revision=2, follows=1, **row))
    new = transaction(origin="rating", kind="rating", terminal_id=None)
    with pytest.raises(PostingRefused, match="names its day"):
        post(database, [Posting(payer, 2, new)])


def test_what_was_rated_is_never_changed(
    owner_database: Database, database: Database, payer: PayerId
) -> None:
    rate(database, day(payer, 100), MOMENT)
    for statement in ("UPDATE rating SET should_be_minor = 1", "DELETE FROM rating"):
        with pytest.raises(IntegrityError, match="never changed"), owner_database.begin() as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize(
    ("removed", "revision", "said", "paid"),
    [
        # The table refuses the same revision twice; under another number it is the version that has changed.
        ((), 1, "refused by the database", 200),
        ((), 2, "version_changed", 200),
        (("version",), 2, None, 400),
    ],
)
def test_two_workers_rate_one_day(
    opened: Without, payer: PayerId, removed: tuple[str, ...], revision: int, said: str | None, paid: int
) -> None:
    """The second decided on what it read before the first had committed."""
    database = opened(*removed)
    one, other = day(payer, 200), day(payer, 200)
    with database.reading() as connection:
        view = read_payers(connection, (payer,))[payer]
        before = read_rated(connection, one.subject)

    def second() -> None:
        as_numbered = replace(before, revision=revision - 1)
        with locked(database, (payer,), lock_timeout_s=30) as connection:
            post_rating(connection, view, as_numbered, other, MOMENT)

    came = race(database, lambda connection: post_rating(connection, view, before, one, MOMENT), second)
    assert came is None if said is None else said in str(came)
    assert sum(balances_of(database, payer).values()) == 500 - paid
    if not removed:
        # Decided anew under the lock it is a revision that costs nothing more.
        assert rate(database, other, MOMENT) == other.id
        assert view_of(database, payer).prepaid.balance == 300
