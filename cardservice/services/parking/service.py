"""The service as the seam wants it: its actions, and the way from files to a decision."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from marshmallow import Schema

from cardservice.services.findable import Finding, Trace
from cardservice.services.parking import finding, rules, schemas
from cardservice.services.parking.holding import time_is_over
from cardservice.services.parking.loading import load_tariff
from cardservice.services.parking.plates import Vehicles
from cardservice.services.parking.price_list import price_list
from cardservice.services.parking.stays import DAY_LIMIT, period_is_over
from cardservice.services.parking.tariff import Tariff, prepare
from cardservice.services.price_lists import Listed
from cardservice.services.seam import (
    Action,
    Ask,
    Counter,
    Decision,
    Holder,
    LoadedTariff,
    Quote,
    Refusal,
    TariffError,
    View,
)

_DRIVER, _WARDEN = frozenset({"parking-machine"}), frozenset({"warden"})
_DETAILS: Mapping[str, tuple[type[Schema], frozenset[str]]] = {
    "start": (schemas.StartDetails, _DRIVER),
    "extend": (schemas.ExtendDetails, _DRIVER),
    "stop": (schemas.StopDetails, _DRIVER),
    "enter": (schemas.EntryDetails, _DRIVER),
    "pay-on-exit": (schemas.ExitDetails, _DRIVER),
    "permit": (schemas.PermitDetails, _DRIVER),
    "permit-end": (schemas.PermitEndDetails, _DRIVER),
    "permit-change": (schemas.PermitChangeDetails, _DRIVER),
    "visit": (schemas.VisitDetails, _DRIVER),
    "permit-check": (schemas.LookUpDetails, _WARDEN),
    "look-up": (schemas.LookUpDetails, _WARDEN),
}


class Parking:
    """Parking, from a tariff file and the digital orders that it names; it decides when it has its key."""

    name = "parking"
    retention_class = "travel"
    find_roles = frozenset({"enforcement"})
    find_schema: type[Schema] = schemas.LookUpDetails
    actions: Mapping[str, Action] = MappingProxyType(
        {
            name: Action(
                name=name, roles=roles, details_schema=schema, retention_class="travel", retention_days=56
            )
            for name, (schema, roles) in _DETAILS.items()
        }
    )
    limits: Mapping[str, str] = MappingProxyType({DAY_LIMIT: "what is spent on parking in a day"})

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key

    def keyed(self, key: bytes) -> "Parking":
        """The same, with the key under which vehicles are counted and held."""
        return Parking(key)

    def counter_is_over(self, rule: str, period: str, moment: datetime) -> bool:
        """Whether what a counter of its is about has ended by then."""
        return period_is_over(rule, period, moment)

    def resource_is_over(self, key: str, moment: datetime) -> bool:
        """Whether the time that a resource of its is has passed by then."""
        return time_is_over(key, moment)

    def details_schema(self, action: str) -> type[Schema]:
        """The schema of the action's details; KeyError where there is no such action."""
        return self.actions[action].details_schema

    def load(self, files: Sequence[Path], *, currency: str) -> LoadedTariff:
        """Read a tariff (the first .json file) and the orders after it; raises TariffError."""
        if not files:
            raise TariffError("tariff", None, "name the tariff file, TARIFF.json, and then its orders")
        return load_tariff(files[0], files[1:], currency)

    def prepare(self, content: Mapping[str, object]) -> Tariff:
        """The tariff of a stored content."""
        return prepare(content)

    def quote(self, ask: Ask, holder: Holder | None, tariff: object) -> Quote | Refusal:
        """The price of what is asked for."""
        return rules.quote(ask, holder, _tariff(tariff), self._vehicles)

    def decide(self, ask: Ask, holder: Holder, view: View, tariff: object) -> Decision:
        """Whether it is approved, and what it costs, counts and holds."""
        return rules.decide(ask, holder, view, _tariff(tariff), self._vehicles)

    def price_list(self, tariff: object) -> tuple[Listed, ...]:
        """All that a tariff says, for people who compare two."""
        return price_list(_tariff(tariff))

    def traces(self, question: Mapping[str, object], tariff: object) -> tuple[Trace, ...] | Refusal:
        """The counters that tell of a vehicle at a place."""
        return finding.traces(question, _tariff(tariff), self._vehicles)

    def find(
        self,
        question: Mapping[str, object],
        payers: Sequence[Sequence[Counter]],
        tariff: object,
        moment: datetime,
    ) -> Finding:
        """Until when a vehicle may stand there, whoever has paid."""
        return finding.find(question, payers, _tariff(tariff), moment, self._vehicles)

    @property
    def _vehicles(self) -> Vehicles:
        if self._key is None:
            raise RuntimeError("parking has no key yet: use services.with_keys")
        return Vehicles(self._key)


def _tariff(tariff: object) -> Tariff:
    if not isinstance(tariff, Tariff):
        raise TypeError(f"not a prepared parking tariff: {type(tariff).__name__}")
    return tariff
