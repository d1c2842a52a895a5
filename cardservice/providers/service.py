"""Providers: who gives the goods, and to whom the scheme owes what cards paid."""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from cardservice.audit.service import record
from cardservice.errors import AlreadyExists, OrderInvalid, ProviderUnknown
from cardservice.ids import ProviderId
from cardservice.providers.models import provider

# Part of an account's name, where : and / separate.
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
# Ours: it stands in a line of a statement.
MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider; `closed_from` is None until further notice."""

    id: ProviderId
    name: str
    closed_from: datetime | None

    def is_closed(self, moment: datetime) -> bool:
        """Whether it is closed at `moment`."""
        return self.closed_from is not None and moment >= self.closed_from


def add_provider(
    connection: Connection, provider_id: ProviderId, name: str, *, actor: str, moment: datetime
) -> None:
    """Register a provider. Raises OrderInvalid and AlreadyExists."""
    if not _IDENTIFIER.fullmatch(provider_id):
        raise OrderInvalid(f"{provider_id!r} is no identifier: up to 64 of a-z, 0-9 and -")
    require_name(name)
    if _is_known(connection, provider_id):
        raise AlreadyExists("provider", provider_id)
    connection.execute(insert(provider).values(id=provider_id, name=name))
    record(connection, actor, "provider.add", provider_id, moment)


def rename_provider(
    connection: Connection, provider_id: ProviderId, name: str, *, actor: str, moment: datetime
) -> None:
    """Call a provider otherwise from now on, wherever it is named; the trail keeps what it was called.

    Raises ProviderUnknown and OrderInvalid.
    """
    require_name(name)
    known = lock_provider(connection, provider_id)
    if known.name == name:
        raise OrderInvalid(f"{provider_id} is called {name!r} already; nothing was changed")
    connection.execute(update(provider).where(provider.c.id == provider_id).values(name=name))
    record(connection, actor, "provider.rename", provider_id, moment, name=name, former=known.name)


def list_providers(connection: Connection, only: str | None = None) -> list[Provider]:
    """Providers by identifier; a scheme has few. `only` one of them."""
    wanted = select(provider.c.id, provider.c.name, provider.c.closed_from).order_by(provider.c.id)
    if only is not None:
        wanted = wanted.where(provider.c.id == only)
    return [Provider(ProviderId(row.id), row.name, row.closed_from) for row in connection.execute(wanted)]


def find_provider(connection: Connection, provider_id: str) -> Provider:
    """The provider of this identifier. Raises ProviderUnknown."""
    found = list_providers(connection, provider_id)
    if not found:
        raise ProviderUnknown(provider_id)
    return found[0]


def lock_provider(connection: Connection, provider_id: str) -> Provider:
    """The same, held to the end of the transaction. Raises ProviderUnknown."""
    connection.execute(select(provider.c.id).where(provider.c.id == provider_id).with_for_update()).all()
    return find_provider(connection, provider_id)


def require_provider(connection: Connection, provider_id: ProviderId) -> None:
    """Return if the provider is registered. Raises ProviderUnknown."""
    if not _is_known(connection, provider_id):
        raise ProviderUnknown(provider_id)


def require_open(connection: Connection, provider_id: str, moment: datetime) -> datetime | None:
    """From when on the provider will be closed; nobody closes it before the transaction is over.

    Raises ProviderUnknown, and OrderInvalid where it is closed at `moment`.
    """
    held = select(provider.c.id).where(provider.c.id == provider_id)
    connection.execute(held.with_for_update(read=True)).all()
    known = find_provider(connection, provider_id)
    if known.is_closed(moment):
        raise OrderInvalid(
            f"the provider {provider_id} is closed; open it again first (cardservice provider reopen)"
        )
    return known.closed_from


def is_closed(connection: Connection, provider_id: str, moment: datetime) -> bool:
    """Whether a provider is closed at `moment`. Raises ProviderUnknown."""
    return find_provider(connection, provider_id).is_closed(moment)


def require_name(name: str) -> None:
    """Raises OrderInvalid for what no provider or terminal is called."""
    if not (0 < len(name) <= MAX_NAME and name.isprintable() and name.strip() == name):
        raise OrderInvalid(f"a name has up to {MAX_NAME} characters on one line, and no space at its ends")


def _is_known(connection: Connection, provider_id: ProviderId) -> bool:
    return connection.execute(select(provider.c.id).where(provider.c.id == provider_id)).first() is not None
