"""The service as the seam wants it: its actions, and the way from files to a decision."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from marshmallow import Schema, fields, validate

from cardservice.services.rated import DayCharge, Reimbursement, Span, StoredTap
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
from cardservice.services.transport import days, rules, selling, taps
from cardservice.services.transport.compile import compile_tariff
from cardservice.services.transport.feed import read_feed
from cardservice.services.transport.mapping import read_map
from cardservice.services.transport.tariff import Tariff, prepare

_ID = validate.Length(min=1, max=255)
_WEEKS_8 = 56  # days, ours: where somebody was


class SingleFareDetails(Schema):
    """Where the ride begins and ends, as the feed's stop_id; the route where a fare depends on it."""

    from_stop = fields.String(required=True, validate=_ID)
    to_stop = fields.String(required=True, validate=_ID)
    route = fields.String(validate=_ID)


class RideDetails(Schema):
    """Where a ride with a pass begins, and ends if that is known."""

    from_stop = fields.String(required=True, validate=_ID)
    to_stop = fields.String(validate=_ID)


class TapDetails(Schema):
    """Where somebody boards or alights; the route where a fare or a concession depends on it."""

    stop = fields.String(required=True, validate=_ID)
    route = fields.String(validate=_ID)


class BoardingDetails(TapDetails):
    """And whether somebody goes with the holder, on the holder's concession."""

    companion = fields.Boolean(truthy={True}, falsy={False})


class InspectDetails(Schema):
    """Where somebody is asked, for passes that hold in some areas alone."""

    stop = fields.String(validate=_ID)


class PassDetails(Schema):
    """Which pass, and from which day on where the holder may choose."""

    product = fields.String(required=True, validate=_ID)
    first_day = fields.Date()


SINGLE_FARE = Action(
    name="single-fare",
    roles=frozenset({"validator"}),
    details_schema=SingleFareDetails,
    retention_class="travel",
    retention_days=_WEEKS_8,
)
TAP_IN, TAP_OUT, INSPECT, USE_PASS, BUY_PASS = (
    Action(
        name=name,
        roles=frozenset({"validator"}),
        details_schema=schema,
        retention_class="travel",
        retention_days=_WEEKS_8,
    )
    for name, schema in (
        (taps.TAP_IN, BoardingDetails),
        (taps.TAP_OUT, TapDetails),
        ("inspect", InspectDetails),
        ("use-pass", RideDetails),
        (selling.BUY_PASS, PassDetails),
    )
)
_ACTIONS = (SINGLE_FARE, TAP_IN, TAP_OUT, INSPECT, USE_PASS, BUY_PASS)


class Transport:
    """Fares of public transport, from GTFS with Fares v2."""

    name = "transport"
    actions: Mapping[str, Action] = MappingProxyType({each.name: each for each in _ACTIONS})
    tap_actions = frozenset({taps.TAP_IN, taps.TAP_OUT})
    bears_on_days = tap_actions | {selling.BUY_PASS, "use-pass"}
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
        """The fare of a ride, the price of a pass; nothing of a tap, whose day has a price."""
        compiled = _compiled(tariff)
        if ask.action == SINGLE_FARE.name:
            return rules.quote(ask, holder, compiled)
        if ask.action == selling.BUY_PASS:
            return selling.quote(ask, holder, compiled)
        found = (
            taps.tap(ask, holder, compiled)
            if ask.action in self.tap_actions
            else taps.in_force(ask, compiled)
        )
        if isinstance(found, Refusal):
            return found
        validity = timedelta(hours=compiled.offline_quote_hours) if ask.offline else rules.QUOTE_VALIDITY
        return Quote(
            amount_minor=0,
            currency=compiled.currency,
            tariff_version=compiled.version,
            valid_until=min(ask.occurred_at + validity, compiled.valid_until),
            lines=(),
        )

    def decide(self, ask: Ask, holder: Holder, view: View, tariff: object) -> Decision:
        """Whether it is approved, and what is posted at once."""
        compiled = _compiled(tariff)
        if ask.action == SINGLE_FARE.name:
            return rules.decide(ask, holder, compiled)
        if ask.action == selling.BUY_PASS:
            return selling.decide(ask, holder, compiled)
        if ask.action in self.tap_actions:
            found = taps.tap(ask, holder, compiled)
        elif ask.action == INSPECT.name:
            found = taps.inspect(ask, holder, view, compiled)
        else:
            found = taps.use_pass(ask, holder, view, compiled)
        return taps.decided(ask, found, holder, compiled)

    def spans(self, moment: datetime, tariff: object, action: str | None = None) -> tuple[Span, ...]:
        """The weeks whose price something at `moment` can change; by a pass also weeks long after it."""
        compiled = _compiled(tariff)
        if compiled.travel is None:
            return ()
        reach = None if action is None else days.reach_of(compiled, bought=action == selling.BUY_PASS)
        return days.spans(moment, compiled.travel.rules.days, reach)

    def tariff_named(self, tap: StoredTap) -> str | None:
        """The version that a tap was decided by."""
        version = tap.inputs.get("tariff_version")
        return None if version is None else str(version)

    def day_charges(
        self,
        taps: Sequence[StoredTap],
        counters: Sequence[Counter],
        tariffs: Mapping[str, object],
        span: Span,
    ) -> tuple[DayCharge, ...]:
        """What each day of the span should cost."""
        compiled = {version: _compiled(tariff) for version, tariff in tariffs.items()}
        return days.days_of(taps, counters, compiled, span)

    def reimbursement(self, tariff: object, authority: str, provider: str) -> Reimbursement | None:
        """What the authority pays a provider for a ride by a concession."""
        travel = _compiled(tariff).travel
        for concession in () if travel is None else travel.concessions:
            if (authority, provider) in concession.reimbursement:
                return concession.reimbursement[authority, provider]
        return None


def _compiled(tariff: object) -> Tariff:
    if not isinstance(tariff, Tariff):
        raise TypeError(f"not a prepared transport tariff: {type(tariff).__name__}")
    return tariff
