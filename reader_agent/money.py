"""Amounts as people write them, by the currency's own number of decimal places."""

import re

# ISO 4217:2015, list one, "minor unit": the currencies that do not have two decimal places.
_PLACES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENTS = {currency: places for places, currencies in _PLACES.items() for currency in currencies.split()}
_CURRENCY = re.compile(r"[A-Z]{3}")


def exponent(unit: str) -> int:
    """How many decimal places the unit has; one that is no currency, such as points, is counted in wholes."""
    return _EXPONENTS.get(unit, 2) if _CURRENCY.fullmatch(unit) else 0


def format_minor(amount_minor: int, unit: str) -> str:
    """The amount without its unit: 4.00 for 400 of GBP, 400 for 400 of JPY."""
    places = exponent(unit)
    digits = f"{abs(amount_minor):0{places + 1}d}"
    sign = "-" if amount_minor < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)
