"""Where in a menu file something stands, and what is checked of it wherever it stands."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cardservice.money import parse_minor
from cardservice.services.json_files import Sheet
from cardservice.services.seam import TariffError

# Ours: in minor units; a price beyond it is a slip of the finger.
MAX_PRICE_MINOR = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the file one of a list stands, as people find it again."""

    sheet: Sheet
    listed: str
    number: int
    key: str

    def __str__(self) -> str:
        return f"{self.listed}[{self.number}] ({self.key})"

    def error(self, reason: str) -> TariffError:
        """The refusal of it."""
        line = self.sheet.line(f"{self.listed}[{self.number}]")
        return TariffError(self.sheet.file, line, f"{self}: {reason}")


def price_of(text: str, currency: str, error: Callable[[str], TariffError]) -> int:
    """A price in minor units; raises what `error` makes of a reason."""
    try:
        price_minor = parse_minor(text, currency)
    except ValueError as problem:
        raise error(str(problem)) from problem
    if not 0 <= price_minor <= MAX_PRICE_MINOR:
        raise error(f"{text[:40]} is no price of a meal")
    return price_minor


def prices_of(place: Place, what: Mapping[str, Any], menu: Mapping[str, Any]) -> dict[str, int]:
    """The prices of categories of buyers."""
    return {
        buyer: price_of(text, menu["currency"], lambda it: place.error(f"prices: {buyer}: {it}"))  # noqa: B023 - called at once
        for buyer, text in sorted(what["prices"].items())
    }


def distinct(place: Place, field: str, named: Sequence[object]) -> None:
    """Whether nothing is named twice. Raises TariffError."""
    if len(set(named)) < len(named):
        raise place.error(f"{field}: names one twice")
