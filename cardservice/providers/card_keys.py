"""Which keys of the card's service applications a provider's terminals may have, and what one is given.

Only keys 1 (read) and 2 (debit) can be granted: no type, no command and no row can name another. What a
terminal is given is what its provider was granted and its role needs.
"""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from cardservice.audit.service import record
from cardservice.errors import OrderInvalid
from cardservice.ids import ProviderId
from cardservice.providers.models import card_key_grant
from cardservice.providers.service import require_open
from cardservice.terminals.roles import Duty, has_duty
from cardservice.terminals.service import Terminal
from pki.card_keys import Application, ReleasedMaster, TerminalMaster, TerminalMasters, TerminalRole
from pki.errors import KeyExists

_DUTY_OF = {TerminalRole.READ: Duty.READ_APPLICATIONS, TerminalRole.DEBIT: Duty.DEBIT_APPLICATIONS}


def grant_key(
    connection: Connection,
    masters: TerminalMasters,
    provider_id: ProviderId,
    master: TerminalMaster,
    *,
    actor: str,
    moment: datetime,
) -> None:
    """Let a provider's terminals have a key from now on; its master is made if there is none yet.

    Raises ProviderUnknown, OrderInvalid where they may have it, and what the masters' store raises.
    """
    require_open(connection, provider_id, moment)
    # 000000 is the card itself, which is no provider's.
    if master.application.number == 0:
        raise OrderInvalid("the keys of the card itself never leave the service; name an application")
    if _is_granted(connection, provider_id, master):
        raise OrderInvalid(f"terminals of {provider_id} may have {master.name} already")
    try:
        masters.generate(master)
    except KeyExists:  # another provider's terminals share the application
        masters.release(master)
    values = _key_of(master) | {"provider_id": provider_id, "valid_from": moment, "actor": actor}
    connection.execute(insert(card_key_grant).values(values))
    record(connection, actor, "card_key.grant", provider_id, moment, master=master.name)


def withdraw_key(
    connection: Connection, provider_id: ProviderId, master: TerminalMaster, *, actor: str, moment: datetime
) -> None:
    """Give a provider's terminals a key no longer. Raises OrderInvalid where they may not have it.

    Those that have it keep it: it ends when cards have a new version of it.
    """
    if not _is_granted(connection, provider_id, master):
        raise OrderInvalid(f"terminals of {provider_id} may not have {master.name}; nothing was changed")
    connection.execute(update(card_key_grant).where(_present(provider_id, master)).values(valid_until=moment))
    record(connection, actor, "card_key.withdraw", provider_id, moment, master=master.name)


def granted_keys(
    connection: Connection, provider_id: ProviderId, moment: datetime
) -> Iterator[TerminalMaster]:
    """The keys that a provider's terminals may have at this moment, by application, key and version."""
    stored = card_key_grant.c
    rows = connection.execute(
        select(stored.application, stored.key_number, stored.version)
        .where(
            stored.provider_id == provider_id,
            stored.valid_from <= moment,
            or_(stored.valid_until.is_(None), stored.valid_until > moment),
        )
        .order_by(stored.application, stored.key_number, stored.version)
    )
    for application, key_number, version in rows:
        yield TerminalMaster(Application(application), TerminalRole(key_number), version)


def release_keys(
    connection: Connection, masters: TerminalMasters, terminal: Terminal, moment: datetime
) -> list[ReleasedMaster]:
    """The masters that this terminal may have now, which is written down. Raises what their store raises."""
    given = [
        masters.release(master)
        for master in granted_keys(connection, terminal.provider_id, moment)
        if has_duty(terminal.role, _DUTY_OF[master.role])
    ]
    names = [each.master.name for each in given]
    record(connection, f"terminal:{terminal.id}", "card_key.release", terminal.id, moment, masters=names)
    return given


def _is_granted(connection: Connection, provider_id: ProviderId, master: TerminalMaster) -> bool:
    found = select(card_key_grant.c.version).where(_present(provider_id, master))
    return connection.execute(found).first() is not None


def _present(provider_id: ProviderId, master: TerminalMaster) -> ColumnElement[bool]:
    stored = card_key_grant.c
    key = (stored[name] == value for name, value in _key_of(master).items())
    return and_(stored.provider_id == provider_id, *key, stored.valid_until.is_(None))


def _key_of(master: TerminalMaster) -> dict[str, object]:
    return {
        "application": master.application.number,
        "key_number": master.role.value,
        "version": master.version,
    }
