"""Providers: who gives the goods, and to whom the scheme owes what cards paid."""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from cardservice.audit.service import record
from cardservice.errors import AlreadyExists, ProviderUnknown
from cardservice.ids import ProviderId
from cardservice.providers.models import provider


def add_provider(
    connection: Connection, provider_id: ProviderId, name: str, *, actor: str, moment: datetime
) -> None:
    """Register a provider. Raises AlreadyExists."""
    if _is_known(connection, provider_id):
        raise AlreadyExists("provider", provider_id)
    connection.execute(insert(provider).values(id=provider_id, name=name))
    record(connection, actor, "provider.add", provider_id, moment)


def require_provider(connection: Connection, provider_id: ProviderId) -> None:
    """Return if the provider is registered. Raises ProviderUnknown."""
    if not _is_known(connection, provider_id):
        raise ProviderUnknown(provider_id)


def _is_known(connection: Connection, provider_id: ProviderId) -> bool:
    return connection.execute(select(provider.c.id).where(provider.c.id == provider_id)).first() is not None
