"""Which provider sells which service, from a moment on: a service that is somebody's is nobody else's.

A service of which no seller is on record may be sold by whoever has a terminal of the right role.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from cardservice.audit.service import record
from cardservice.errors import OrderInvalid
from cardservice.ids import ProviderId
from cardservice.providers.models import service_seller
from cardservice.providers.service import require_open


@dataclass(frozen=True, slots=True)
class Seller:
    """A provider that sells a service from one moment up to another; None: until further notice."""

    service: str
    provider_id: ProviderId
    valid_from: datetime
    valid_until: datetime | None

    def sells_at(self, moment: datetime) -> bool:
        """Whether it does so at this moment."""
        return self.valid_from <= moment and (self.valid_until is None or moment < self.valid_until)


def may_sell(sellers: Sequence[Seller], provider_id: ProviderId, service: str, moment: datetime) -> bool:
    """Whether a provider may sell a service at this moment, by all of the service's sellers."""
    theirs = [each.provider_id for each in sellers if each.service == service and each.sells_at(moment)]
    return not theirs or provider_id in theirs


def read_sellers(connection: Connection) -> tuple[Seller, ...]:
    """Everybody who sells or has sold a service."""
    stored = service_seller.c
    rows = connection.execute(
        select(stored.service, stored.provider_id, stored.valid_from, stored.valid_until).order_by(
            stored.service, stored.provider_id, stored.valid_from
        )
    )
    return tuple(Seller(*row) for row in rows)


def begin_selling(
    connection: Connection, provider_id: ProviderId, service: str, *, actor: str, moment: datetime
) -> None:
    """Let a provider sell a service from now on.

    Raises ProviderUnknown, and OrderInvalid where it does already or is closed.
    """
    require_open(connection, provider_id, moment)
    if _is_selling(connection, provider_id, service):
        raise OrderInvalid(f"{provider_id} sells {service} already")
    connection.execute(
        insert(service_seller).values(
            service=service, provider_id=provider_id, valid_from=moment, actor=actor
        )
    )
    record(connection, actor, "provider.sell", provider_id, moment, service=service)


def end_selling(
    connection: Connection, provider_id: ProviderId, service: str, *, actor: str, moment: datetime
) -> None:
    """Let a provider sell a service no longer. Raises OrderInvalid where it does not."""
    if not _is_selling(connection, provider_id, service):
        raise OrderInvalid(f"{provider_id} does not sell {service}; nothing was changed")
    stored = service_seller.c
    connection.execute(
        update(service_seller)
        .where(stored.service == service, stored.provider_id == provider_id, stored.valid_until.is_(None))
        .values(valid_until=moment)
    )
    record(connection, actor, "provider.sell_no_longer", provider_id, moment, service=service)


def _is_selling(connection: Connection, provider_id: ProviderId, service: str) -> bool:
    stored = service_seller.c
    found = select(stored.service).where(
        stored.service == service, stored.provider_id == provider_id, stored.valid_until.is_(None)
    )
    return connection.execute(found).first() is not None
