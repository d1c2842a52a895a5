"""A payer with money, and the ways to ask for more."""

from collections.abc import Callable, Iterator

import pytest

from cardservice.database import Database
from cardservice.ids import CardholderId, PayerId
from cardservice.ledger.payers import create_payer
from cardservice.ledger.posting import post
from cardservice.ledger.values import Outcome
from tests.cardservice.ledger.postings import CURRENCY, MOMENT, make_holder, topup
from tests.cardservice.ledger.variants import without
from tests.support.databases import DatabaseUrls

MakePayer = Callable[[int], PayerId]
# The database without the checks of these names
Without = Callable[..., Database]


@pytest.fixture
def make_payer(database: Database) -> MakePayer:
    """Makes a payer with so much money."""

    def make(amount_minor: int) -> PayerId:
        with database.begin() as connection:
            payer_id = create_payer(connection, "person", CURRENCY, MOMENT)
        if amount_minor:
            [result] = post(database, [topup(payer_id, 0, amount_minor)])
            assert result.outcome is Outcome.POSTED
        return payer_id

    return make


@pytest.fixture
def payer(make_payer: MakePayer) -> PayerId:
    """A payer with 500 prepaid, at version 1."""
    return make_payer(500)


@pytest.fixture
def holder(database: Database, payer: PayerId) -> CardholderId:
    """A cardholder for whom the payer pays, which makes the payer's version 2."""
    return make_holder(database, payer)


@pytest.fixture
def opened(database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> Iterator[Without]:
    """Opens the database with checks taken out."""
    found: list[Database] = []

    def open_without(*removed: str) -> Database:
        found.append(without(removed, database_urls, monkeypatch))
        return found[-1]

    yield open_without
    for database in found:
        database.dispose()
