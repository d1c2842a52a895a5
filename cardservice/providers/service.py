"""Providers: who gives the goods, and to whom the scheme owes what cards paid."""

import re
from datetime import datetime

from sqlalchemy import Connection, insert, select

from cardservice.audit.service import record
from cardservice.errors import AlreadyExists, OrderInvalid, ProviderUnknown
from cardservice.ids import ProviderId
from cardservice.providers.models import provider

# Part of an account's name, where : and / separate.
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def add_provider(
    connection: Connection, provider_id: ProviderId, name: str, *, actor: str, moment: datetime
) -> None:
    """Register a provider. Raises OrderInvalid and AlreadyExists."""
    if not _IDENTIFIER.fullmatch(provider_id):
        raise OrderInvalid(f"{provider_id!r} is no identifier: up to 64 of a-z, 0-9 and -")
    if _is_known(connection, provider_id):
        raise AlreadyExists("provider", provider_id)
    connection.execute(insert(provider).values(id=provider_id, name=name))
    record(connection, actor, "provider.add", provider_id, moment)


def list_providers(connection: Connection) -> list[tuple[ProviderId, str]]:
    """Providers with their names, by identifier; a scheme has few."""
    rows = connection.execute(select(provider.c.id, provider.c.name).order_by(provider.c.id))
    return [(ProviderId(row.id), row.name) for row in rows]


def require_provider(connection: Connection, provider_id: ProviderId) -> None:
    """Return if the provider is registered. Raises ProviderUnknown."""
    if not _is_known(connection, provider_id):
        raise ProviderUnknown(provider_id)


def _is_known(connection: Connection, provider_id: ProviderId) -> bool:
    return connection.execute(select(provider.c.id).where(provider.c.id == provider_id)).first() is not None
