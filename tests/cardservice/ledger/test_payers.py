"""Whose money it is, and since when."""

from datetime import timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from cardservice.database import Database
from cardservice.ids import CardholderId, PayerId, new_id
from cardservice.ledger.errors import BackdatedPayer, PayerUnknown
from cardservice.ledger.models import cardholder_payer
from cardservice.ledger.payers import assign_payer, payer_at, payers_of, touch_payers, touch_payers_of
from tests.cardservice.ledger.conftest import MakePayer
from tests.cardservice.ledger.postings import MOMENT, view_of

MINUTE = timedelta(minutes=1)


def test_a_new_payer_has_money_and_arrears_and_a_floor(database: Database, make_payer: MakePayer) -> None:
    view = view_of(database, make_payer(0))
    assert [(account.name, account.unit, account.balance, account.floor) for account in view.accounts] == [
        ("payer:arrears", "GBP", 0, None),
        ("payer:prepaid", "GBP", 0, 0),
    ]
    assert view.version == 0


def test_the_payer_is_the_one_of_the_moment(
    database: Database, make_payer: MakePayer, payer: PayerId, holder: CardholderId
) -> None:
    family = make_payer(0)
    with database.begin() as connection:
        assign_payer(connection, holder, family, MOMENT + 2 * MINUTE, MOMENT + MINUTE)
    with database.reading() as connection:
        found = {
            offset: payer_at(connection, holder, MOMENT + timedelta(seconds=offset))
            for offset in (-3600, 0, 119, 120, 9999)
        }
        assert payers_of(connection, holder) == (payer, family)
        assert payer_at(connection, CardholderId(new_id()), MOMENT) is None
    assert found == {-3600: payer, 0: payer, 119: payer, 120: family, 9999: family}


def test_a_change_of_payer_changes_both_versions(
    database: Database, make_payer: MakePayer, payer: PayerId, holder: CardholderId
) -> None:
    family = make_payer(0)
    before = [view_of(database, each).version for each in (payer, family)]
    with database.begin() as connection:
        assign_payer(connection, holder, family, MOMENT + MINUTE, MOMENT + MINUTE)
    assert [view_of(database, each).version for each in (payer, family)] == [
        version + 1 for version in before
    ]


@pytest.mark.parametrize(("valid_from", "moment"), [(0, 1), (-1, -1), (0, 0), (0, -1)])
def test_a_change_is_never_backdated(
    database: Database,
    make_payer: MakePayer,
    payer: PayerId,
    holder: CardholderId,
    valid_from: int,
    moment: int,
) -> None:
    family = make_payer(0)
    with pytest.raises(BackdatedPayer), database.begin() as connection:
        assign_payer(connection, holder, family, MOMENT + valid_from * MINUTE, MOMENT + moment * MINUTE)


def test_the_table_refuses_backdating_too(database: Database, payer: PayerId, holder: CardholderId) -> None:
    with pytest.raises(IntegrityError, match="never_backdated"), database.begin() as connection:
        connection.execute(
            insert(cardholder_payer).values(
                cardholder_id=holder,
                payer_id=payer,
                valid_from=MOMENT + MINUTE,
                recorded_at=MOMENT + 2 * MINUTE,
            )
        )


def test_nobody_is_touched_or_assigned_who_is_not_there(database: Database, holder: CardholderId) -> None:
    nobody = PayerId(new_id())
    with pytest.raises(PayerUnknown), database.begin() as connection:
        touch_payers(connection, [nobody])
    with pytest.raises(PayerUnknown), database.begin() as connection:
        assign_payer(connection, holder, nobody, MOMENT + MINUTE, MOMENT)
    with pytest.raises(PayerUnknown), database.begin() as connection:
        assign_payer(connection, CardholderId(new_id()), nobody, MOMENT, MOMENT)


def test_touching_a_cardholder_tells_every_payer(
    database: Database, make_payer: MakePayer, payer: PayerId, holder: CardholderId
) -> None:
    family = make_payer(0)
    with database.begin() as connection:
        assign_payer(connection, holder, family, MOMENT + MINUTE, MOMENT)
    before = [view_of(database, each).version for each in (payer, family)]
    with database.begin() as connection:
        touch_payers_of(connection, holder)
    assert [view_of(database, each).version for each in (payer, family)] == [
        version + 1 for version in before
    ]
