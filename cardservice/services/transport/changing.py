"""Joining legs and changing between them: fare_leg_join_rules.txt and fare_transfer_rules.txt."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from cardservice.services.transport.archive import Archive
from cardservice.services.transport.places import Places, optional_rows
from cardservice.services.transport.rows import Row
from cardservice.services.transport.schemas import (
    FareLegJoinRuleSchema,
    FareTransferRuleSchema,
    TransferCount,
)


class Cost(IntEnum):
    """fare_transfer_rules.txt, fare_transfer_type: what the first change of a journey makes of A and B."""

    WITHOUT_NEXT = 0  # A + AB
    WITH_BOTH = 1  # A + AB + B
    ALONE = 2  # AB


@dataclass(frozen=True, slots=True)
class JoinRule:
    """Two legs of one network are one; between some stops only, if it says so."""

    line: int
    network: str
    from_stops: frozenset[str] | None
    to_stops: frozenset[str] | None

    def joins(self, network: str | None, alighted: str, next_network: str | None, boarded: str) -> bool:
        """Whether who alights from the one and boards the other is still on one leg."""
        if not network == next_network == self.network:
            return False
        ends = ((self.from_stops, alighted), (self.to_stops, boarded))
        return all(stops is None or stop in stops for stops, stop in ends)


@dataclass(frozen=True, slots=True)
class TransferRule:
    """A row of fare_transfer_rules.txt; None is an empty field."""

    line: int
    from_group: str | None
    to_group: str | None
    # How many changes in a row it may be used for; None: there is no limit.
    count: int | None
    limit_s: int | None
    # Which ends of the two legs the limit is between: departure (0, 1) or arrival (2, 3) of the first, and
    # departure (1, 2) or arrival (0, 3) of the next.
    limit_type: int | None
    cost: Cost
    product: str | None

    @property
    def label(self) -> str:
        """How people find it again."""
        return f"fare_transfer_rules.txt:{self.line}"

    def in_time(self, first: tuple[datetime, datetime], following: tuple[datetime, datetime]) -> bool:
        """Whether the next leg is within the limit, which belongs to it; legs by departure and arrival."""
        if self.limit_s is None:
            return True
        since = first[0] if self.limit_type in (0, 1) else first[1]
        until = following[0] if self.limit_type in (1, 2) else following[1]
        return until - since <= timedelta(seconds=self.limit_s)


# From which group to which, as far as a rule names them
Change = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Changing:
    """Both files of a feed, laid out to be asked."""

    joins: tuple[JoinRule, ...]
    transfers: tuple[TransferRule, ...]
    listed_from: frozenset[str]
    listed_to: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.joins or self.transfers)

    def between(self, from_group: str | None, to_group: str | None) -> Change | None:
        """How rules can name a change between two groups; None for a leg that is in no group.

        An empty field stands for the groups that no rule names in that column, and for nothing else.
        """
        if from_group is None or to_group is None:
            return None
        return (
            from_group if from_group in self.listed_from else None,
            to_group if to_group in self.listed_to else None,
        )

    def rule(
        self,
        change: Change,
        number: int,
        first: tuple[datetime, datetime],
        following: tuple[datetime, datetime],
    ) -> TransferRule | None:
        """The rule for the `number`th such change in a row; `first` is the leg before the first of them.

        Of several in time the one with the least count that is enough, then (ours) the shortest limit.
        """
        found = [
            rule
            for rule in self.transfers
            if (rule.from_group, rule.to_group) == change
            and (rule.count is None or number <= rule.count)
            and rule.in_time(first, following)
        ]
        return min(found, key=_rank, default=None)


def _rank(rule: TransferRule) -> tuple[float, float, int]:
    unlimited = float("inf")
    return (
        unlimited if rule.count is None else rule.count,
        unlimited if rule.limit_s is None else rule.limit_s,
        rule.line,
    )


def changing_of(joins: tuple[JoinRule, ...], transfers: tuple[TransferRule, ...]) -> Changing:
    """Laid out."""
    return Changing(
        joins,
        transfers,
        frozenset(rule.from_group for rule in transfers if rule.from_group is not None),
        frozenset(rule.to_group for rule in transfers if rule.to_group is not None),
    )


def read_joins(archive: Archive, places: Places) -> tuple[JoinRule, ...]:
    """fare_leg_join_rules.txt; raises TariffError."""
    return tuple(_join(row, places) for row in optional_rows(archive, FareLegJoinRuleSchema()))


def _join(row: Row, places: Places) -> JoinRule:
    values = row.values
    for column in ("from_network_id", "to_network_id"):
        if values[column] not in places.networks:
            raise row.error(f"{column}: there is no {values[column]!r} in networks.txt or routes.txt")
    if values["from_network_id"] != values["to_network_id"]:
        raise row.error("to_network_id: must be the same as from_network_id")
    stops = values.get("from_stop_id"), values.get("to_stop_id")
    if (stops[0] is None) != (stops[1] is None):
        missing = "from_stop_id" if stops[0] is None else "to_stop_id"
        raise row.error(f"{missing}: is empty, and the other stop is not")
    found = []
    for column, stop in zip(("from_stop_id", "to_stop_id"), stops, strict=True):
        if stop is not None and stop not in places.stops:
            raise row.error(f"{column}: there is no stop or station {stop!r} in stops.txt")
        found.append(None if stop is None else places.within(stop))
    return JoinRule(row.line, values["from_network_id"], *found)


def read_transfers(
    archive: Archive, groups: frozenset[str], products: frozenset[str]
) -> tuple[tuple[Row, TransferRule], ...]:
    """fare_transfer_rules.txt, for the leg groups and products that there are; raises TariffError."""
    found: list[tuple[Row, TransferRule]] = []
    taken: dict[tuple[object, ...], int] = {}
    for row in optional_rows(archive, FareTransferRuleSchema()):
        rule = _transfer(row, groups, products)
        # The product is part of the file's key, but two products for one change are two prices of it.
        key = (rule.from_group, rule.to_group, rule.count, rule.limit_s)
        if key in taken:
            raise row.error(f"is for the same change as line {taken[key]}")
        taken[key] = row.line
        found.append((row, rule))
    return tuple(found)


def _transfer(row: Row, groups: frozenset[str], products: frozenset[str]) -> TransferRule:
    values = row.values
    start, end = values.get("from_leg_group_id"), values.get("to_leg_group_id")
    for column, known, where in (
        ("from_leg_group_id", groups, "fare_leg_rules.txt"),
        ("to_leg_group_id", groups, "fare_leg_rules.txt"),
        ("fare_product_id", products, "fare_products.txt"),
    ):
        value = values.get(column)
        if value is not None and value not in known:
            raise row.error(f"{column}: there is no {value!r} in {where}")
    count, limit_s, limit_type = (
        values[column] for column in ("transfer_count", "duration_limit", "duration_limit_type")
    )
    if start == end and not count:
        raise row.error("transfer_count: is empty, and both leg groups are the same")
    if start != end and count:
        raise row.error("transfer_count: must be empty, since the leg groups differ")
    if limit_s and limit_type < 0:
        raise row.error("duration_limit_type: is empty, and there is a duration_limit")
    if not limit_s and limit_type >= 0:
        raise row.error("duration_limit_type: must be empty, since there is no duration_limit")
    return TransferRule(
        line=row.line,
        from_group=start,
        to_group=end,
        count=None if count in (0, TransferCount.UNLIMITED) else count,
        limit_s=limit_s or None,
        limit_type=limit_type if limit_s else None,
        cost=Cost(values["fare_transfer_type"]),
        product=values.get("fare_product_id"),
    )


def stored_joins(joins: tuple[JoinRule, ...]) -> list[dict[str, Any]]:
    """As they are stored with a tariff."""
    return [
        {
            "line": rule.line,
            "network": rule.network,
            "from_stops": None if rule.from_stops is None else sorted(rule.from_stops),
            "to_stops": None if rule.to_stops is None else sorted(rule.to_stops),
        }
        for rule in joins
    ]


def stored_transfers(transfers: tuple[TransferRule, ...]) -> list[list[Any]]:
    """As they are stored with a tariff: the fields of a rule in their order."""
    return [
        [
            *(rule.line, rule.from_group, rule.to_group, rule.count, rule.limit_s, rule.limit_type),
            *(int(rule.cost), rule.product),
        ]
        for rule in transfers
    ]


def changing_from(content: Mapping[str, Any]) -> Changing:
    """As `stored_joins` and `stored_transfers` wrote them into a tariff's content."""
    joins = (
        JoinRule(rule["line"], rule["network"], _stops(rule["from_stops"]), _stops(rule["to_stops"]))
        for rule in content.get("joins", ())
    )
    transfers = (
        TransferRule(line, from_group, to_group, count, limit_s, limit_type, Cost(cost), product)
        for line, from_group, to_group, count, limit_s, limit_type, cost, product in content.get(
            "transfers", ()
        )
    )
    return changing_of(tuple(joins), tuple(transfers))


def _stops(stored: list[str] | None) -> frozenset[str] | None:
    return None if stored is None else frozenset(stored)
