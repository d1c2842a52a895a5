"""Amounts by their currency's own decimal places."""

import pytest

from cardservice import money as service_money
from reader_agent import money


@pytest.mark.parametrize(
    ("amount_minor", "unit", "text"),
    [
        (0, "GBP", "0.00"),
        (5, "GBP", "0.05"),
        (-5, "GBP", "-0.05"),
        (123456, "PLN", "1234.56"),
        (400, "JPY", "400"),
        (-400, "ISK", "-400"),
        (400, "KWD", "0.400"),
        (12345, "OMR", "12.345"),
        (12345, "CLF", "1.2345"),
        (40, "points", "40"),
    ],
)
def test_an_amount_as_people_write_it(amount_minor: int, unit: str, text: str) -> None:
    """ISO 4217: two places, none, three or four; what is no currency is counted in wholes."""
    assert money.format_minor(amount_minor, unit) == text


def test_the_service_and_its_terminals_agree() -> None:
    """Both have a table, since neither imports the other: it is one table."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    codes = [a + b + c for a in letters for b in letters for c in letters]
    assert [code for code in codes if money.exponent(code) != service_money.exponent(code)] == []
