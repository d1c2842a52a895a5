"""What a draft would change, in plain words: its lines beside those of the tariff that holds without it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from cardservice.services.price_lists import PriceListed
from cardservice.services.seam import LoadedTariff, Service
from cardservice.tariffs.service import TariffVersion, content_of, superseded_at, tariff_in_force

# Ours: what is said of a tariff alone, and differs in every other.
_FRAME = frozenset({"version", "format"})
ADDED, REMOVED, CHANGED = "added", "removed", "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a price list that a draft adds, takes away or changes."""

    kind: str
    what: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        match self.kind:
            case "added":
                return f"new: {self.what}: {self.after}"
            case "removed":
                return f"gone: {self.what}: {self.before}"
        return f"{self.what}: {self.before} becomes {self.after}"


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be different from `begins` on, until `ends` where another tariff is there already.

    `before` is the version that would hold at `begins` otherwise. `at_once`: its own moment has passed, so it
    would count from its approval on. `hidden`: one that begins later is in force already, so it would not
    count at all.
    """

    before: str | None
    begins: datetime
    ends: datetime | None
    at_once: bool
    hidden: bool
    changes: tuple[Change, ...]


def preview(connection: Connection, service: Service, loaded: LoadedTariff, moment: datetime) -> Preview:
    """What this tariff would change if it were approved at `moment`."""
    draft = TariffVersion(service.name, loaded.version, loaded.valid_from)
    begins, ends = max(loaded.valid_from, moment), superseded_at(connection, draft)
    current = tariff_in_force(connection, service.name, begins)
    before: Mapping[str, str] = {}
    if current is not None:
        before = lines_of(service, content_of(connection, service.name, current.version) or {})
    hidden = ends is not None and ends <= moment
    return Preview(
        before=None if current is None else current.version,
        begins=begins,
        ends=ends,
        at_once=loaded.valid_from <= moment,
        hidden=hidden,
        changes=() if hidden else tuple(_changes(before, lines_of(service, loaded.content))),
    )


def lines_of(service: Service, content: Mapping[str, object]) -> Mapping[str, str]:
    """A tariff as lines that can be compared: its price list, or else each field of it by its place."""
    if isinstance(service, PriceListed):
        return {line.what: line.says for line in service.price_list(service.prepare(content))}
    frame = {name: value for name, value in content.items() if name not in _FRAME}
    return dict(_fields("", frame))


def _fields(place: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _fields(f"{place}.{name}" if place else str(name), each)
    elif isinstance(value, list | tuple):
        for name, each in zip(_names(value), value, strict=True):
            yield from _fields(f"{place}[{name}]", each)
    else:
        yield place, str(value)


def _names(values: Sequence[object]) -> Sequence[object]:
    """What the members of a list are told apart by: their keys, so that one more changes no other."""
    keys = [each.get("key") for each in values if isinstance(each, Mapping)]
    unique = len(keys) == len(values) == len(set(keys)) and None not in keys
    return keys if unique else range(len(values))


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for what in sorted(before.keys() | after.keys()):
        match before.get(what), after.get(what):
            case None, new:
                yield Change(ADDED, what, None, new)
            case old, None:
                yield Change(REMOVED, what, old, None)
            case old, new if old != new:
                yield Change(CHANGED, what, old, new)
