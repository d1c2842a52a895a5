"""Providers that close, from a moment on: their terminals ask nothing then, and all that was stays readable.

What their terminals gave away before is still taken, whenever it comes. Nothing is revoked by it, so that
a provider that opens again goes on where it was.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select, update

from cardservice.audit.service import record
from cardservice.errors import OrderInvalid
from cardservice.ids import ProviderId, TerminalId
from cardservice.providers.models import provider, service_seller
from cardservice.providers.service import find_provider, lock_provider
from cardservice.providers.statements import owed_in_all
from cardservice.quarantine.models import quarantine
from cardservice.terminals.models import terminal, terminal_health, terminal_invitation, terminal_state

# Ours: beyond that somebody has mistyped the year.
LONGEST_AHEAD = timedelta(days=10 * 366)


@dataclass(frozen=True, slots=True)
class Left:
    """What an administrator has to see to before, or after, a provider is closed.

    `terminals` were not revoked; `unsaid` of them have never said how they are. `waiting` is how many entries
    lie in outboxes, by what was said last. `owed_minor` has settled, `unsettled_minor` has not.
    """

    terminals: tuple[TerminalId, ...]
    unsaid: tuple[TerminalId, ...]
    waiting: int
    held: int
    services: tuple[str, ...]
    owed_minor: int
    unsettled_minor: int


def close_provider(
    connection: Connection,
    provider_id: ProviderId,
    since: datetime,
    *,
    reason: str,
    actor: str,
    moment: datetime,
) -> None:
    """Close a provider from `since` on, which is now or later; if now, its terminals' codes are void.

    Raises ProviderUnknown and OrderInvalid.
    """
    known = lock_provider(connection, provider_id)
    if known.closed_from is not None:
        raise OrderInvalid(
            f"{provider_id} is closed from {known.closed_from.isoformat()} on; open it again first"
        )
    if since < moment:
        raise OrderInvalid("a provider is closed from now on or later: what was sold before was sold")
    if since > moment + LONGEST_AHEAD:
        raise OrderInvalid(
            f"a provider is closed at most {LONGEST_AHEAD.days} days ahead; is the year right?"
        )
    _stamp(connection, provider_id, since)
    if since == moment:
        own = terminal_invitation.c
        connection.execute(
            delete(terminal_invitation).where(own.provider_id == provider_id, own.used_at.is_(None))
        )
    told = {"since": since.isoformat(), "reason": reason}
    record(connection, actor, "provider.close", provider_id, moment, **told)


def reopen_provider(
    connection: Connection, provider_id: ProviderId, *, reason: str, actor: str, moment: datetime
) -> None:
    """Open a provider again, or let it be that was to be closed; its terminals go on as they were.

    Raises ProviderUnknown, and OrderInvalid where it is not closed.
    """
    known = lock_provider(connection, provider_id)
    if known.closed_from is None:
        raise OrderInvalid(f"{provider_id} is not closed; nothing was changed")
    _stamp(connection, provider_id, None)
    told = {"closed_from": known.closed_from.isoformat(), "reason": reason}
    record(connection, actor, "provider.reopen", provider_id, moment, **told)


def what_is_left(connection: Connection, provider_id: ProviderId, unit: str) -> Left:
    """What there is still of a provider, as of now. Raises ProviderUnknown."""
    find_provider(connection, provider_id)
    owed_minor, unsettled_minor = owed_in_all(connection, provider_id, unit)
    in_use = _in_use(connection, provider_id)
    said = {
        row.terminal_id: row.waiting
        for row in connection.execute(
            select(terminal_health.c.terminal_id, terminal_health.c.waiting).where(
                terminal_health.c.terminal_id.in_(_terminals(provider_id))
            )
        )
    }
    held = connection.scalar(
        select(func.count()).where(
            quarantine.c.terminal_id.in_(_terminals(provider_id)), quarantine.c.state == "held"
        )
    )
    sold = service_seller.c
    services = connection.scalars(
        select(sold.service)
        .where(sold.provider_id == provider_id, sold.valid_until.is_(None))
        .order_by(sold.service)
    )
    return Left(
        terminals=in_use,
        unsaid=tuple(each for each in in_use if each not in said),
        waiting=sum(said.values()),
        held=held or 0,
        services=tuple(services),
        owed_minor=owed_minor,
        unsettled_minor=unsettled_minor,
    )


def _terminals(provider_id: ProviderId) -> Select[Any]:
    return select(terminal.c.id).where(terminal.c.provider_id == provider_id)


def _in_use(connection: Connection, provider_id: ProviderId) -> tuple[TerminalId, ...]:
    """The provider's terminals that were not revoked."""
    state = terminal_state.c
    revoked = select(state.terminal_id).where(state.state == "revoked", state.terminal_id == terminal.c.id)
    found = connection.scalars(_terminals(provider_id).where(~revoked.exists()).order_by(terminal.c.id))
    return tuple(map(TerminalId, found))


def _stamp(connection: Connection, provider_id: ProviderId, closed_from: datetime | None) -> None:
    """With the provider, and with each of its terminals, where a request finds it without another look-up."""
    for table, owner in ((provider, provider.c.id), (terminal, terminal.c.provider_id)):
        connection.execute(update(table).where(owner == provider_id).values(closed_from=closed_from))
