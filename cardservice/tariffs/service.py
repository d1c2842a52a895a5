"""Tariffs: dated versions of a service's data, never changed, chosen by moment or by name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    and_,
    insert,
    or_,
    select,
)

from cardservice.audit.service import record
from cardservice.database import Database
from cardservice.errors import Malformed, TariffExists
from cardservice.ledger.resources import set_capacity
from cardservice.services.seam import LoadedTariff, Service
from cardservice.tariffs.models import tariff

PREPARED_IN_MEMORY = 64


@dataclass(frozen=True, slots=True)
class TariffVersion:
    """A stored tariff, without its content."""

    service: str
    version: str
    valid_from: datetime


@dataclass(frozen=True, slots=True)
class DatedTariff:
    """A stored tariff, and since when it is on record."""

    version: TariffVersion
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class TariffRecord:
    """A stored tariff, and who answers for it."""

    version: TariffVersion
    recorded_at: datetime
    source: str
    author: str
    # None: one person was enough.
    approved_by: str | None


def is_stored(connection: Connection, service: str, loaded: LoadedTariff) -> bool:
    """Whether this version is in the table of tariffs. Raises TariffExists: another content has its name."""
    known = connection.scalar(
        select(tariff.c.content).where(tariff.c.service == service, tariff.c.version == loaded.version)
    )
    if known is not None and known != canonical(loaded.content):
        raise TariffExists(service, loaded.version)
    return known is not None


def store_tariff(
    connection: Connection,
    service: str,
    loaded: LoadedTariff,
    *,
    source: str,
    actor: str,
    moment: datetime,
    approved_by: str | None = None,
) -> bool:
    """Store a version of a tariff, with the resources that it names; False where the same one is there.

    From now on it counts. Without `approved_by` one person was enough, and the row says so; the table refuses
    an approval by `actor`. Raises TariffExists where another content has its name, and ResourceInvalid where
    more of a resource is taken than there would be: roll back then.
    """
    if is_stored(connection, service, loaded):
        return False
    connection.execute(
        insert(tariff).values(
            service=service,
            version=loaded.version,
            valid_from=loaded.valid_from,
            recorded_at=moment,
            content=canonical(loaded.content),
            source=source,
            actor=actor,
            approved_by=approved_by,
            one_person=approved_by is None,
        )
    )
    for key, capacity in sorted(loaded.capacities.items()):
        set_capacity(connection, service, key, capacity)
    record(connection, actor, "tariff.load", f"{service} {loaded.version}", moment, source=source)
    return True


def tariff_in_force(
    connection: Connection, service: str, moment: datetime, known_at: datetime | None = None
) -> TariffVersion | None:
    """The version that applies at `moment`: the latest valid one, and of those the latest recorded.

    `known_at`: only of those that were on record by then, as a terminal may have had them.
    """
    wanted = (
        select(tariff.c.service, tariff.c.version, tariff.c.valid_from)
        .where(tariff.c.service == service, tariff.c.valid_from <= moment)
        .order_by(tariff.c.valid_from.desc(), tariff.c.recorded_at.desc())
        .limit(1)
    )
    if known_at is not None:
        wanted = wanted.where(tariff.c.recorded_at <= known_at)
    row = connection.execute(wanted).one_or_none()
    return None if row is None else _version(row)


def version_in_force(service: BindParameter[str], moment: BindParameter[datetime]) -> ScalarSelect[str]:
    """The name of the version that applies at a moment, as a part of another question."""
    own = tariff.c
    latest = select(own.version).where(own.service == service, own.valid_from <= moment)
    return latest.order_by(own.valid_from.desc(), own.recorded_at.desc()).limit(1).scalar_subquery()


def tariffs_of(connection: Connection, service: str) -> tuple[DatedTariff, ...]:
    """All tariffs of a service; of those in force at a moment the last is the one that applies."""
    rows = connection.execute(
        select(tariff.c.service, tariff.c.version, tariff.c.valid_from, tariff.c.recorded_at)
        .where(tariff.c.service == service)
        .order_by(tariff.c.valid_from, tariff.c.recorded_at)
    )
    return tuple(
        DatedTariff(TariffVersion(name, version, valid_from), recorded_at)
        for name, version, valid_from, recorded_at in rows
    )


def tariff_records(
    connection: Connection, service: str, *, after: str | None = None, limit: int | None = None
) -> tuple[TariffRecord, ...]:
    """The tariffs of a service in the same order, with who answers for each; from behind a version on.

    Raises Malformed where there is no version `after`.
    """
    stored = tariff.c
    columns = (stored.valid_from, stored.version, stored.recorded_at, stored.source, stored.actor)
    wanted = select(*columns, stored.approved_by).where(stored.service == service)
    if after is not None:
        wanted = wanted.where(_is_behind(connection, service, after))
    rows = connection.execute(
        wanted.order_by(stored.valid_from, stored.recorded_at, stored.version).limit(limit)
    )
    return tuple(
        TariffRecord(TariffVersion(service, version, valid_from), *more)
        for valid_from, version, *more in rows
    )


def _is_behind(connection: Connection, service: str, version: str) -> ColumnElement[bool]:
    """What stands behind a version in the list. Raises Malformed."""
    stored = tariff.c
    order = (stored.valid_from, stored.recorded_at, stored.version)
    row = connection.execute(
        select(*order).where(stored.service == service, stored.version == version)
    ).one_or_none()
    if row is None:
        raise Malformed("`after` is no version of this service; take `next` of the page before as it is")
    begins, recorded, name = row
    return or_(
        stored.valid_from > begins,
        and_(stored.valid_from == begins, stored.recorded_at > recorded),
        and_(stored.valid_from == begins, stored.recorded_at == recorded, stored.version > name),
    )


def content_of(connection: Connection, service: str, version: str) -> dict[str, Any] | None:
    """A stored tariff's content, or None."""
    text = connection.scalar(
        select(tariff.c.content).where(tariff.c.service == service, tariff.c.version == version)
    )
    return None if text is None else dict(json.loads(text))


def superseded_at(connection: Connection, current: TariffVersion) -> datetime | None:
    """When a version that is loaded already takes the place of the current one; None: none will."""
    moment: datetime | None = connection.scalar(
        select(tariff.c.valid_from)
        .where(tariff.c.service == current.service, tariff.c.valid_from > current.valid_from)
        .order_by(tariff.c.valid_from)
        .limit(1)
    )
    return moment


def tariff_of_version(connection: Connection, service: str, version: str) -> TariffVersion | None:
    """The version of this name, or None."""
    row = connection.execute(
        select(tariff.c.service, tariff.c.version, tariff.c.valid_from).where(
            tariff.c.service == service, tariff.c.version == version
        )
    ).one_or_none()
    return None if row is None else _version(row)


class PreparedTariffs:
    """Compiled tariffs, a bounded number of them in memory; a stored version never changes."""

    def __init__(self, database: Database, services: Mapping[str, Service]) -> None:
        self._database, self._services = database, services
        self._prepared = lru_cache(PREPARED_IN_MEMORY)(self._prepare)

    def get(self, version: TariffVersion) -> object:
        """What the service's rules made of this version."""
        return self.named(version.service, version.version)

    def named(self, service: str, version: str) -> object:
        """The same of a version by its name, which is stored."""
        return self._prepared(service, version)

    def _prepare(self, service: str, version: str) -> object:
        with self._database.reading() as connection:
            content = content_of(connection, service, version)
        if content is None:
            raise LookupError(f"{service} {version} is not stored")
        return self._services[service].prepare(content)


def canonical(content: Mapping[str, object]) -> str:
    """A tariff's content as it is stored: one text for one content."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _version(row: Row[str, str, datetime]) -> TariffVersion:
    return TariffVersion(service=row.service, version=row.version, valid_from=row.valid_from)
