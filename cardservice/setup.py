"""Setting the service up: tables, rights, the scheme's record, the authorities taken over, keys, first lists.

Every step looks first whether it has been done: what broke off is taken up by running it again.
"""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import insert, make_url, select

from cardservice.audit.service import record
from cardservice.config import Settings, keys_secret_of, passphrase_of
from cardservice.database import Database, connect, grant_erasure_role, grant_service_role, migrate, truncated
from cardservice.errors import NotInitialised, OrderInvalid
from cardservice.key_place import KeyToken, choose_place
from cardservice.keys import AUTHORITY, create_service_keys, find_kek
from cardservice.ledger.key_ring import KeyRing
from cardservice.pki_store.publication import OURS
from cardservice.pki_store.store import DatabaseCertificateStore
from cardservice.providers.models import scheme
from pki.clock import Clock, system_clock
from pki.errors import PkiError
from pki.scheme import Scheme, open_scheme

NAME = "cardservice"


def initialise(
    settings: Settings,
    *,
    currency: str,
    timezone: str,
    actor: str,
    clock: Clock | None = None,
    token: KeyToken | None = None,
) -> None:
    """Set the service up over a scheme that `pki init` made.

    Its own keys are made on `token`, else on the scheme's token where it has one, else in files. Raises
    NotInitialised and OrderInvalid, and what a `KeyStore` does.
    """
    _check(currency, timezone)
    passphrase, keys_secret = passphrase_of(settings), keys_secret_of(settings)
    try:
        pki = open_scheme(settings.pki_dir, passphrase, actor="cardservice")
    except (OSError, PkiError) as error:
        raise NotInitialised(f"the scheme in {settings.pki_dir} cannot be opened: {error}") from error
    choose_place(settings.pki_dir, token, pki.token)
    moment = truncated((clock or system_clock(settings.clock_offset_s))())
    upgrade(settings, find_kek(settings.pki_dir, keys_secret))
    database = connect(settings.database_url)
    try:
        record_scheme(database, pki, currency, timezone, actor, moment)
        take_over(database, pki)
        with database.begin() as connection:
            authority = pki.authority(AUTHORITY, store=DatabaseCertificateStore(connection))
            create_service_keys(authority, settings.pki_dir, keys_secret, moment)
    finally:
        database.dispose()


def upgrade(settings: Settings, kek: KeyRing | None = None) -> None:
    """Bring the tables to this version, as their owner, and give the service's role its rights."""
    if settings.is_sqlite:
        # It holds names: nobody else reads it, nor the files that SQLite makes beside it in its likeness.
        Path(make_url(settings.database_url).database or "").touch(mode=0o600)
    migrate(settings.owner_database_url, kek=kek)
    role = make_url(settings.database_url).username
    if settings.is_sqlite or settings.owner_database_url == settings.database_url or role is None:
        return
    eraser = make_url(settings.erasure_database_url).username
    owner = connect(settings.owner_database_url)
    try:
        with owner.begin() as connection:
            grant_service_role(connection, role)
            if eraser not in {None, role, make_url(settings.owner_database_url).username}:
                grant_erasure_role(connection, str(eraser))
    finally:
        owner.dispose()


def _check(currency: str, timezone: str) -> None:
    if len(currency) != 3 or not currency.isascii() or not currency.isupper():
        raise OrderInvalid(f"{currency!r} is no currency; give its code of ISO 4217, such as GBP")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise OrderInvalid(f"{timezone!r} is no time zone; give a name such as Europe/London") from None


def record_scheme(
    database: Database, pki: Scheme, currency: str, timezone: str, actor: str, moment: datetime
) -> None:
    with database.begin() as connection:
        known = connection.execute(select(scheme)).one_or_none()
        if known is None:
            connection.execute(
                insert(scheme).values(
                    id=pki.id, name=pki.name, currency=currency, timezone=timezone, created_at=moment
                )
            )
            record(connection, actor, "scheme.init", pki.id, moment, currency=currency, timezone=timezone)
        elif (known.id, known.currency, known.timezone) != (pki.id, currency, timezone):
            raise OrderInvalid(
                f"the database is already that of {known.id} in {known.currency}, {known.timezone}; "
                "a scheme keeps its currency and time zone"
            )


def take_over(database: Database, pki: Scheme) -> None:
    """Keep the issuing authorities' records from now on; `pki` refuses to issue for them afterwards."""
    for name, records in pki.hand_over(OURS, to=NAME).items():
        with database.begin() as connection:
            store = DatabaseCertificateStore(connection)
            if store.trail_head(name) is not None:
                continue  # it was taken over before
            store.record(records.certificates)
            store.keep_status_indexes(records.certificates)
            store.append_trail(records.trail)
            for crl in records.crls:  # the numbers of the lists go on from there
                store.record_crl(crl)
