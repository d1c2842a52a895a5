"""Stops, areas, routes and networks of a feed: where a fare leg begins and ends, and on what."""

from collections.abc import Mapping
from dataclasses import dataclass

from cardservice.services.seam import TariffError
from cardservice.services.transport.archive import Archive
from cardservice.services.transport.rows import Row, read_table
from cardservice.services.transport.schemas import (
    AreaSchema,
    NetworkSchema,
    RouteNetworkSchema,
    RouteSchema,
    RowSchema,
    StopAreaSchema,
    StopSchema,
)

# stops.txt, location_type: nobody boards at an entrance (2) or a generic node (3).
_BOARDING_TYPES = frozenset({0, 1, 4})
MAX_AREAS = 20  # ours: of one stop; each pair of areas is a look-up for every fare


@dataclass(frozen=True, slots=True)
class Stop:
    """A place where people board, with the areas that count for it, its own or else its parent's."""

    name: str
    areas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """`areas` has their names; `route_networks` has the routes that are in a network."""

    stops: Mapping[str, Stop]
    areas: Mapping[str, str]
    routes: frozenset[str]
    networks: frozenset[str]
    route_networks: Mapping[str, str]
    parents: Mapping[str, str]

    def within(self, stop: str) -> frozenset[str]:
        """A stop, or a station with everything in it where somebody boards."""
        return frozenset(each for each in self.stops if stop in self._upwards(each))

    def _upwards(self, stop: str) -> tuple[str, ...]:
        found = [stop]
        # From a boarding area by its platform to its station
        for _ in range(2):
            if (parent := self.parents.get(found[-1])) is not None:
                found.append(parent)
        return tuple(found)


def read_places(archive: Archive) -> Places:
    """The feed's places; raises TariffError."""
    areas = {
        row.values["area_id"]: row.values.get("area_name") or row.values["area_id"]
        for row in optional_rows(archive, AreaSchema())
    }
    stops, parents = _stops(archive, areas)
    routes = optional_rows(archive, RouteSchema())
    networks, route_networks = _networks(archive, routes)
    return Places(
        stops=stops,
        areas=areas,
        routes=frozenset(row.values["route_id"] for row in routes),
        networks=networks,
        route_networks=route_networks,
        parents=parents,
    )


def optional_rows(archive: Archive, schema: RowSchema) -> tuple[Row, ...]:
    """The rows of a file that a feed may be without."""
    return read_table(archive, schema).rows if schema.file in archive else ()


def _stops(archive: Archive, areas: Mapping[str, str]) -> tuple[dict[str, Stop], dict[str, str]]:
    rows = {row.values["stop_id"]: row for row in read_table(archive, StopSchema()).rows}
    own: dict[str, list[str]] = {}
    for row in optional_rows(archive, StopAreaSchema()):
        area, stop = row.values["area_id"], row.values["stop_id"]
        if area not in areas:
            raise row.error(f"area_id: there is no area {area!r} in areas.txt")
        if stop not in rows:
            raise row.error(f"stop_id: there is no stop {stop!r} in stops.txt")
        own.setdefault(stop, []).append(area)
        if len(own[stop]) > MAX_AREAS:
            raise row.error(f"stop_id: {stop!r} is in more than {MAX_AREAS} areas")
    for row in rows.values():
        _check_parent(row, rows)
    stops = {
        stop: Stop(row.values.get("stop_name") or stop, _areas_of(stop, rows, own))
        for stop, row in rows.items()
        if row.values["location_type"] in _BOARDING_TYPES
    }
    parents = {stop: row.values["parent_station"] for stop, row in rows.items() if _has_parent(row)}
    return stops, {stop: parent for stop, parent in parents.items() if stop in stops}


def _has_parent(row: Row) -> bool:
    return row.values.get("parent_station") is not None


def _check_parent(row: Row, rows: Mapping[str, Row]) -> None:
    parent = row.values.get("parent_station")
    if parent is not None and parent not in rows:
        raise row.error(f"parent_station: there is no stop {parent!r} in stops.txt")


def _areas_of(stop: str, rows: Mapping[str, Row], own: Mapping[str, list[str]]) -> tuple[str, ...]:
    """stop_areas.txt, stop_id: a station's areas are its platforms', unless these have some of their own.

    A boarding area's parent is a platform and that one's a station (stops.txt, parent_station), so the way
    up has three steps at most.
    """
    current: str | None = stop
    for _ in range(3):
        if current is None:
            return ()
        if current in own:
            return tuple(sorted(own[current]))
        current = rows[current].values.get("parent_station")
    if current is not None:
        raise rows[stop].error("parent_station: leads over more than a platform and a station")
    return ()


def _networks(archive: Archive, routes: tuple[Row, ...]) -> tuple[frozenset[str], dict[str, str]]:
    """networks.txt is forbidden where routes.txt has networks: two truths about one route."""
    in_routes = {
        row.values["route_id"]: row.values["network_id"] for row in routes if "network_id" in row.values
    }
    if in_routes:
        for name in ("networks.txt", "route_networks.txt"):
            if name in archive:
                raise TariffError(name, None, "must not be there, since routes.txt names networks itself")
        return frozenset(in_routes.values()), in_routes
    networks = frozenset(row.values["network_id"] for row in optional_rows(archive, NetworkSchema()))
    known = {row.values["route_id"] for row in routes}
    of_route: dict[str, str] = {}
    for row in optional_rows(archive, RouteNetworkSchema()):
        route, network = row.values["route_id"], row.values["network_id"]
        if network not in networks:
            raise row.error(f"network_id: there is no network {network!r} in networks.txt")
        if route not in known:
            raise row.error(f"route_id: there is no route {route!r} in routes.txt")
        of_route[route] = network
    return networks, of_route
