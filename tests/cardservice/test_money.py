"""Amounts between text and minor units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardservice.money import exponent, format_minor, parse_minor

CURRENCIES = ("GBP", "PLN", "JPY", "KWD", "CLF")


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("4.00", "PLN", 400),
        ("4", "PLN", 400),
        ("4.5", "PLN", 450),
        ("0.00", "PLN", 0),
        ("0.29", "GBP", 29),  # 0.29 * 100 is 28.999… as a float
        ("1.15", "GBP", 115),
        ("210", "JPY", 210),
        ("1.234", "KWD", 1234),
        ("0.0001", "CLF", 1),
        ("-1.50", "GBP", -150),
        ("0004.00", "GBP", 400),
        ("9999999999999.99", "GBP", 999999999999999),
    ],
)
def test_parsed(text: str, currency: str, minor: int) -> None:
    assert parse_minor(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        *(
            (text, "GBP")
            for text in ("", " 4.00", "4.", ".5", "4,00", "1_000", "1e3", "--1", "£4", "4.00\n", "0x4")
        ),
        ("4.001", "GBP"),
        ("210.0", "JPY"),
        ("1.2345", "KWD"),
        ("10000000000000.00", "GBP"),
    ],
)
def test_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match=r"decimal|out of range"):
        parse_minor(text, currency)


@given(st.integers(-(10**15) + 1, 10**15 - 1), st.sampled_from(CURRENCIES))
def test_what_is_written_is_read_again(minor: int, currency: str) -> None:
    text = format_minor(minor, currency)
    assert parse_minor(text, currency) == minor
    assert len(text.partition(".")[2]) == exponent(currency)
