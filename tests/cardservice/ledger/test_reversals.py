"""A reversal goes back the way the money came, and never more than came; the tables see to it."""

from dataclasses import replace
from typing import Any

import pytest

from cardservice.database import Database
from cardservice.ids import PayerId, ProviderId
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.posting import post
from cardservice.ledger.values import (
    PAYER_ARREARS,
    PAYER_PREPAID,
    NewTransfer,
    Outcome,
    Posting,
    provider_payable,
)
from tests.cardservice.ledger.postings import (
    CASH,
    PAYABLE,
    advice,
    balances_of,
    known_of,
    sale,
    topup,
    transaction,
    transfer,
    view_of,
)


def reversal(sold: Posting, version: int, *lines: NewTransfer) -> Posting:
    """Staff give something of a sale back."""
    new = transaction(origin="staff", kind="request", reason="refund")
    return Posting(sold.payer_id, version, new, lines)


def back(sold: Posting, amount_minor: int, **changes: Any) -> NewTransfer:
    """So much of the first line, as it should be but for the changes."""
    line = transfer(
        PAYABLE, PAYER_PREPAID, amount_minor, reverses_transaction=sold.transaction.id, reverses_line=1
    )
    return replace(line, **changes)


@pytest.fixture
def sold(database: Database, payer: PayerId) -> Posting:
    """A sale of 200."""
    posting = sale(payer, 1, 200)
    post(database, [posting])
    return posting


def test_a_line_is_reversed_in_parts_up_to_its_amount(database: Database, sold: Posting) -> None:
    for version, amount_minor in ((2, 150), (3, 50)):
        [result] = post(database, [reversal(sold, version, back(sold, amount_minor))])
        assert result.outcome is Outcome.POSTED
    assert view_of(database, sold.payer_id).prepaid.balance == 500
    known = known_of(database, sold.transaction.id, sold.payer_id)
    assert known is not None
    assert [line.reversed_minor for line in known.transfers] == [200]
    with pytest.raises(PostingRefused):
        post(database, [reversal(sold, 4, back(sold, 1))])


@pytest.mark.parametrize(
    "lines",
    [
        [{"amount_minor": 201}],
        [{"amount_minor": 101}, {"amount_minor": 100}],
        [{"debit": PAYER_PREPAID, "credit": PAYABLE}],
        [{"debit": provider_payable(ProviderId("trams"))}],
        [{"credit": CASH}],
        [{"reverses_line": 2}],
    ],
)
def test_what_does_not_go_back_is_refused(
    database: Database, sold: Posting, lines: list[dict[str, Any]]
) -> None:
    with pytest.raises(PostingRefused):
        post(database, [reversal(sold, 2, *(replace(back(sold, 200), **changes) for changes in lines))])
    assert view_of(database, sold.payer_id).prepaid.balance == 300


def test_a_reversal_is_not_reversed(database: Database, sold: Posting) -> None:
    first = reversal(sold, 2, back(sold, 200))
    post(database, [first])
    again = transfer(PAYER_PREPAID, PAYABLE, 200, reverses_transaction=first.transaction.id, reverses_line=1)
    with pytest.raises(PostingRefused):
        post(database, [reversal(sold, 3, again)])


def test_what_came_from_arrears_may_go_back_to_prepaid(database: Database, payer: PayerId) -> None:
    """The arrears were settled by a payment since, so that there is nothing owed to take it."""
    sold = advice(payer, 1, 500, 75)
    post(database, [sold])
    settled = replace(topup(payer, 2, 75), transfers=(transfer(CASH, PAYER_ARREARS, 75),))
    post(database, [settled])
    lines = (back(sold, 500), back(sold, 75, reverses_line=2))
    post(database, [reversal(sold, 3, *lines)])
    assert balances_of(database, payer) == {"payer:prepaid": 575, "payer:arrears": 0}
