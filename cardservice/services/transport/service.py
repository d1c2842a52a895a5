"""The service as the seam wants it: its actions, and the way from files to a decision."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from marshmallow import Schema, fields, validate

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
from cardservice.services.transport import rules
from cardservice.services.transport.compile import compile_tariff
from cardservice.services.transport.feed import read_feed
from cardservice.services.transport.mapping import read_map
from cardservice.services.transport.tariff import Tariff, prepare

_ID = validate.Length(min=1, max=255)


class SingleFareDetails(Schema):
    """Where the ride begins and ends, as the feed's stop_id; the route where a fare depends on it."""

    from_stop = fields.String(required=True, validate=_ID)
    to_stop = fields.String(required=True, validate=_ID)
    route = fields.String(validate=_ID)


SINGLE_FARE = Action(
    name="single-fare",
    roles=frozenset({"validator"}),
    details_schema=SingleFareDetails,
    retention_class="travel",
    retention_days=56,  # eight weeks: where somebody was
)


class Transport:
    """Fares of public transport, from GTFS with Fares v2."""

    name = "transport"
    actions: Mapping[str, Action] = MappingProxyType({SINGLE_FARE.name: SINGLE_FARE})
    limits: Mapping[str, str] = MappingProxyType({})

    def details_schema(self, action: str) -> type[Schema]:
        """The schema of the action's details; KeyError where there is no such action."""
        return self.actions[action].details_schema

    def load(self, files: Sequence[Path], *, currency: str) -> LoadedTariff:
        """Read a feed (a zip or a folder) and the map beside it (a .json file); raises TariffError."""
        maps = [path for path in files if path.suffix.lower() == ".json" and not path.is_dir()]
        feeds = [path for path in files if path not in maps]
        if len(maps) != 1:
            raise TariffError("map", None, "name one map file, MAP.json, beside the feed")
        if len(feeds) != 1:
            raise TariffError("feed", None, "name one feed, a zip file or a folder")
        card_map = read_map(maps[0])
        return compile_tariff(read_feed(feeds[0], currency), card_map, currency)

    def prepare(self, content: Mapping[str, object]) -> Tariff:
        """The compiled tariff of a stored content."""
        return prepare(content)

    def quote(self, ask: Ask, holder: Holder | None, tariff: object) -> Quote | Refusal:
        """The fare of a ride."""
        return rules.quote(ask, holder, _compiled(tariff))

    def decide(self, ask: Ask, holder: Holder, view: View, tariff: object) -> Decision:
        """Whether the ride is approved, and what it costs."""
        del view  # a single fare depends on nothing the payer has; the floor is the ledger's check
        return rules.decide(ask, holder, _compiled(tariff))


def _compiled(tariff: object) -> Tariff:
    if not isinstance(tariff, Tariff):
        raise TypeError(f"not a prepared transport tariff: {type(tariff).__name__}")
    return tariff
