"""What the tables refuse beyond amounts and floors, whatever program posts it."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from cardservice.database import Database
from cardservice.ids import PayerId
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.models import account
from cardservice.ledger.posting import post
from cardservice.ledger.values import (
    INTO_ARREARS,
    PAYER_ARREARS,
    PAYER_PREPAID,
    Outcome,
    Posting,
    payer_account,
)
from tests.cardservice.ledger.conftest import MakePayer
from tests.cardservice.ledger.postings import CASH, PAYABLE, balances_of, sale, transaction, transfer
from tests.cardservice.ledger.test_reversals import back, reversal

OWED = (transfer(PAYER_ARREARS, PAYABLE, 75),)


def test_who_may_owe(database: Database, make_payer: MakePayer) -> None:
    """Nobody by a refund, a repayment or a movement, whatever they are flagged with."""
    cases: list[tuple[dict[str, Any], bool]] = [
        ({"kind": "request"}, False),
        ({"kind": "request", "flags": (INTO_ARREARS,)}, True),
        ({"kind": "request", "origin": "staff"}, True),
        ({"kind": "advice"}, True),
        ({"kind": "chargeback", "origin": "payment"}, True),
        ({"kind": "repayment", "origin": "payment"}, False),
        ({"kind": "topup", "origin": "payment"}, False),
        ({"kind": "refund", "origin": "staff"}, False),
        ({"kind": "goodwill", "origin": "staff"}, False),
        ({"kind": "carry_over", "origin": "staff", "flags": (INTO_ARREARS,)}, False),
    ]
    for said, may in cases:
        payer = make_payer(0)
        posting = replace(sale(payer, 0, 0, **said), transfers=OWED)
        if posting.transaction.origin != "card":
            posting = replace(posting, proof=None)
        if may:
            assert post(database, [posting])[0].outcome is Outcome.POSTED, said
        else:
            with pytest.raises(PostingRefused, match="arrears"):
                post(database, [posting])
        assert balances_of(database, payer)[PAYER_ARREARS] == (-75 if may else 0)


def test_each_kind_has_its_origin(database: Database, payer: PayerId) -> None:
    for kind, origin in (
        ("refund", "system"),
        ("chargeback", "staff"),
        ("carry_over", "payment"),
        ("request", "rating"),
        ("rating", "staff"),
    ):
        with pytest.raises(PostingRefused):
            post(database, [Posting(payer, 1, transaction(kind=kind, origin=origin))])


def test_points_are_no_money(database: Database, payer: PayerId) -> None:
    """No account of money is in points, or the other way; and a transfer has its account's unit."""
    for kind, unit in (("points", "GBP"), ("reserved", "points")):
        with pytest.raises(IntegrityError, match="points_are_no_money"), database.begin() as connection:
            connection.execute(insert(account).values(payer_id=payer, kind=kind, unit=unit, floor=0))
    with database.begin() as connection:
        connection.execute(insert(account).values(payer_id=payer, kind="points", unit="points", floor=0))
    points = payer_account("points")
    for line in (transfer(points, PAYER_PREPAID, 1), transfer(CASH, PAYER_PREPAID, 1, unit="points")):
        with pytest.raises(PostingRefused):
            post(database, [Posting(payer, 1, transaction(origin="staff"), (line,))])


TAX: dict[str, Any] = {"tax_code": "standard", "tax_rate_bp": 2000, "net_minor": 100, "tax_minor": 20}


def test_tax_goes_back_as_it_came(database: Database, payer: PayerId) -> None:
    """At its code and rate, and neither more tax nor more net than there was."""
    sold = replace(sale(payer, 1, 0), transfers=(transfer(PAYER_PREPAID, PAYABLE, 120, **TAX),))
    post(database, [sold])
    wrong: tuple[dict[str, Any], ...] = (
        {"tax_rate_bp": 500},
        {"tax_code": "reduced"},
        {"net_minor": None, "tax_minor": None},
        {"net_minor": 99, "tax_minor": 21},
        {"net_minor": 101, "tax_minor": 19},
        {"net_minor": 130, "tax_minor": -10},
    )
    for changes in wrong:
        with pytest.raises(PostingRefused, match="tax"):
            post(database, [reversal(sold, 2, back(sold, 120, **TAX | changes))])
    [result] = post(database, [reversal(sold, 2, back(sold, 120, **TAX))])
    assert result.outcome is Outcome.POSTED
