"""The service as the seam wants it: its actions, and the way from a tariff to a decision."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from marshmallow import Schema

from cardservice.services.leisure import rules
from cardservice.services.leisure.loading import load_tariff
from cardservice.services.leisure.price_list import price_list
from cardservice.services.leisure.schemas import BookingDetails, EntryDetails, PurchaseDetails
from cardservice.services.leisure.tariff import Tariff, prepare
from cardservice.services.price_lists import Listed
from cardservice.services.seam import (
    Action,
    Ask,
    Decision,
    Holder,
    LoadedTariff,
    Quote,
    Refusal,
    TariffError,
    View,
)


def _action(name: str, details_schema: type[Schema]) -> Action:
    return Action(
        name=name,
        roles=frozenset({"gate", "till"}),
        details_schema=details_schema,
        retention_class="visits",
        retention_days=56,  # eight weeks: where somebody was
    )


_SCHEMAS = {rules.ENTRY: EntryDetails, rules.BOOK: BookingDetails, rules.BUY: PurchaseDetails}


class Leisure:
    """Pools, gyms and attractions, from a tariff of the council's own."""

    name = "leisure"
    actions: Mapping[str, Action] = MappingProxyType(
        {name: _action(name, schema) for name, schema in _SCHEMAS.items()}
    )
    limits: Mapping[str, str] = MappingProxyType({})

    def details_schema(self, action: str) -> type[Schema]:
        """The schema of the action's details; KeyError where there is no such action."""
        return self.actions[action].details_schema

    def load(self, files: Sequence[Path], *, currency: str) -> LoadedTariff:
        """Read a tariff (one .json file); raises TariffError."""
        if len(files) != 1:
            raise TariffError("tariff", None, "name one tariff file, LEISURE.json")
        return load_tariff(files[0], currency)

    def prepare(self, content: Mapping[str, object]) -> Tariff:
        """The tariff of a stored content."""
        return prepare(content)

    def quote(self, ask: Ask, holder: Holder | None, tariff: object) -> Quote | Refusal:
        """The price of a visit, a booking or a product."""
        return rules.quote(ask, holder, _prepared(tariff))

    def decide(self, ask: Ask, holder: Holder, view: View, tariff: object) -> Decision:
        """Whether it is approved, and what it costs."""
        return rules.decide(ask, holder, view, _prepared(tariff))

    def price_list(self, tariff: object) -> tuple[Listed, ...]:
        """All that a tariff says, for people who compare two."""
        return price_list(_prepared(tariff))


def _prepared(tariff: object) -> Tariff:
    if not isinstance(tariff, Tariff):
        raise TypeError(f"not a prepared leisure tariff: {type(tariff).__name__}")
    return tariff
