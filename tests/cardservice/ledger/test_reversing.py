"""Partial refunds add up: to the unit, in tax, and for every source."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cardservice.authorisation.money import pay, receipt_lines
from cardservice.ids import PayerId, ProviderId, TransactionId, new_id
from cardservice.ledger.reversing import given_back, last_first
from cardservice.ledger.values import (
    PAYER_ARREARS,
    PAYER_PREPAID,
    AccountName,
    AccountView,
    PayerView,
    StoredTransfer,
)
from cardservice.services.seam import Line

BUSES = AccountName("provider:buses:payable")
SALE = TransactionId(new_id())


def view(prepaid_minor: int = 0, owed_minor: int = 0) -> PayerView:
    """A payer with these balances."""
    return PayerView(
        PayerId(new_id()),
        1,
        (
            AccountView("arrears", "", "", "GBP", -owed_minor, None),
            AccountView("prepaid", "", "", "GBP", prepaid_minor, 0),
        ),
    )


@st.composite
def taxed_lines(draw: st.DrawFn) -> StoredTransfer:
    """A line with a tax, however odd."""
    amount_minor = draw(st.integers(1, 10_000))
    tax_minor = draw(st.integers(0, amount_minor))
    return StoredTransfer(
        1, PAYER_PREPAID, BUSES, amount_minor, "GBP", 0, "standard", 2000, amount_minor - tax_minor, tax_minor
    )


@given(line=taxed_lines(), cuts=st.sets(st.integers(1, 9_999), max_size=12))
def test_parts_of_any_size_add_up_to_the_lines_net_and_tax(line: StoredTransfer, cuts: set[int]) -> None:
    net = tax = done = 0
    for end in sorted({cut for cut in cuts if cut < line.amount_minor} | {line.amount_minor}):
        amount_minor = end - done
        as_it_stands = replace(line, reversed_minor=done)
        [back] = given_back(SALE, last_first([as_it_stands], amount_minor), 0)
        assert (back.debit, back.credit, back.amount_minor) == (BUSES, PAYER_PREPAID, amount_minor)
        assert (back.tax_code, back.tax_rate_bp, back.reverses_line) == ("standard", 2000, 1)
        assert back.net_minor is not None
        assert back.tax_minor is not None
        assert min(back.net_minor, back.tax_minor) >= 0
        assert back.net_minor + back.tax_minor == amount_minor
        done, net, tax = done + amount_minor, net + back.net_minor, tax + back.tax_minor
    assert (net, tax) == (line.net_minor, line.tax_minor)
    assert last_first([replace(line, reversed_minor=done)]) == ()


@given(
    amounts=st.lists(st.integers(1, 500), min_size=1, max_size=5),
    done=st.data(),
    owed_minor=st.integers(0, 2_000),
)
def test_the_last_source_comes_first_and_never_more_than_came(
    amounts: list[int], done: st.DataObject, owed_minor: int
) -> None:
    """Arrears that have been settled since go to `prepaid`, and no more is settled than is owed."""
    debits = (PAYER_PREPAID, PAYER_ARREARS)
    lines = [
        StoredTransfer(number, debits[number % 2], BUSES, amount, "GBP", done.draw(st.integers(0, amount)))
        for number, amount in enumerate(amounts, 1)
    ]
    left = {line.line: line.amount_minor - line.reversed_minor for line in lines}
    wanted_minor = done.draw(st.integers(0, sum(left.values()) + 10))
    back = given_back(SALE, last_first(lines, wanted_minor), owed_minor)
    assert sum(each.amount_minor for each in back) == min(wanted_minor, sum(left.values()))
    taken: Counter[int] = Counter()
    for each in back:
        assert each.reverses_line is not None
        taken[each.reverses_line] += each.amount_minor
    order = [each.reverses_line for each in back]
    assert order == sorted(order, key=lambda line: -(line or 0))
    assert all(amount <= left[line] for line, amount in taken.items())
    # A line that is not exhausted is the last that was reached.
    assert all(taken[line] == left[line] for line in list(taken)[:-1])
    to_arrears = sum(each.amount_minor for each in back if each.credit == PAYER_ARREARS)
    assert to_arrears <= owed_minor


@given(
    lines=st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=6),
    prepaid_minor=st.integers(0, 900),
)
def test_what_pays_which_line_of_the_receipt_is_told_from_the_amounts(
    lines: list[tuple[int, bool]], prepaid_minor: int
) -> None:
    receipt = [Line(label="x", amount_minor=amount, may_end_in_arrears=may) for amount, may in lines]
    transfers = pay(view(prepaid_minor), receipt, ProviderId("buses"), "GBP")
    paid: Counter[int] = Counter()
    for number, transfer in zip(receipt_lines(receipt, transfers), transfers, strict=True):
        paid[number] += transfer.amount_minor
    assert paid == Counter({n: line.amount_minor for n, line in enumerate(receipt, 1) if line.amount_minor})
