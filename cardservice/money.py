"""Money from decimal strings, by the currency's exponent and never through a float."""

import re

# ISO 4217:2015, list one, "minor unit": the currencies that do not have two decimal places.
_PLACES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENTS = {currency: places for places, currencies in _PLACES.items() for currency in currencies.split()}
_MAX_DIGITS = 15  # ours: below 2**53 and below BIGINT, whatever a file says
_AMOUNT = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")


def exponent(currency: str) -> int:
    """How many decimal places the currency's minor unit has."""
    return _EXPONENTS.get(currency, 2)


def parse_minor(text: str, currency: str) -> int:
    """The amount in minor units; raises ValueError with a sentence for the person who wrote it.

    Fewer places than the currency has are taken as they are meant (`4` is 4.00); more are refused, even
    zeros, since they say that the writer had another currency in mind.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a decimal amount like 4.00")
    sign, whole, fraction = match[1], match[2], match[3] or ""
    places = exponent(currency)
    if len(fraction) > places:
        raise ValueError(f"{text[:40]!r} has more than the {places} decimal places of {currency}")
    digits = whole + fraction.ljust(places, "0")
    if len(digits.lstrip("0")) > _MAX_DIGITS:
        raise ValueError(f"{text[:40]!r} is out of range")
    return int(sign + digits)


def format_minor(amount_minor: int, currency: str) -> str:
    """The amount as people write it, with the currency's own decimal places: `4.00`."""
    places = exponent(currency)
    digits = f"{abs(amount_minor):0{places + 1}d}"
    sign = "-" if amount_minor < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)
