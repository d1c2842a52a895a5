"""What a running service holds: settings, database, keys, rules and the clock, opened once for a process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography import x509
from sqlalchemy import Connection, make_url, select

from cardservice.authorisation.exchange import DirectExchange, Exchange
from cardservice.authorisation.proofs import CardProofs
from cardservice.config import Settings, keys_secret_of, passphrase_of
from cardservice.database import Database, connect, schema_is_current, truncated
from cardservice.errors import NotInitialised
from cardservice.keys import ServiceKeys, load_service_keys
from cardservice.pki_store.store import DatabaseCertificateStore
from cardservice.providers.models import scheme
from cardservice.recovery.gate import Gate
from cardservice.services import discover, with_keys
from cardservice.services.seam import Service
from cardservice.tariffs.service import PreparedTariffs
from pki.authority import Authority
from pki.clock import Clock, system_clock
from pki.errors import PkiError
from pki.scheme import Scheme, open_scheme


@dataclass(frozen=True, slots=True)
class SchemeRecord:
    """Whose service this is."""

    id: str
    name: str
    currency: str
    timezone: str


@dataclass(frozen=True, slots=True, repr=False)
class Context:
    """A service that is set up and open."""

    settings: Settings
    database: Database
    scheme: SchemeRecord
    pki: Scheme
    # Of the root and every key that the issuing authorities have had, by the issuer's name.
    certificates: Mapping[str, x509.Certificate]
    keys: ServiceKeys
    services: Mapping[str, Service]
    tariffs: PreparedTariffs
    proofs: CardProofs
    exchange: Exchange
    clock: Clock
    # Closed for requests while what a restore has lost is coming back
    gate: Gate = field(default_factory=Gate)

    def now(self) -> datetime:
        """The present moment, in UTC, to the millisecond."""
        return truncated(self.clock())

    @property
    def zone(self) -> ZoneInfo:
        """Where the scheme's days begin and end."""
        return ZoneInfo(self.scheme.timezone)

    def today(self) -> date:
        """The present day there: by it people are of an age, and visits and rights begin and end."""
        return self.now().astimezone(self.zone).date()

    def authority(self, name: str, connection: Connection) -> Authority:
        """An issuing authority whose records are part of the caller's database transaction."""
        return self.pki.authority(name, store=DatabaseCertificateStore(connection))

    def issuer_of(self, certificate: x509.Certificate) -> x509.Certificate:
        """The authority's certificate that has signed this one. Raises LookupError."""
        for issuer in self.certificates.values():
            if issuer.subject == certificate.issuer:
                return issuer
        raise LookupError(f"{certificate.issuer.rfc4514_string()} is no authority of this scheme")

    def close(self) -> None:
        """Close the database's connections."""
        self.exchange.close()
        self.database.dispose()


def open_context(
    settings: Settings,
    clock: Clock | None = None,
    exchange: Callable[[Database], Exchange] = DirectExchange,
) -> Context:
    """Open the service that these settings describe. Raises SettingsInvalid and NotInitialised."""
    passphrase = passphrase_of(settings)
    path = make_url(settings.database_url).database
    if settings.is_sqlite and not Path(path or "").is_file():
        # SQLite would make an empty file in its place.
        raise NotInitialised(f"there is no database {path}; run cardservice init")
    try:
        pki = open_scheme(settings.pki_dir, passphrase, actor="cardservice")
    except (OSError, PkiError) as error:
        raise NotInitialised(f"the scheme in {settings.pki_dir} cannot be opened: {error}") from error
    database = connect(settings.database_url, pool_size=settings.threads + 2)
    try:
        keys = load_service_keys(settings.pki_dir, keys_secret_of(settings))
        services = with_keys(discover(), keys.services_master)
        return Context(
            settings=settings,
            database=database,
            scheme=_scheme(database, pki),
            pki=pki,
            certificates=pki.issuer_certificates,
            keys=keys,
            services=services,
            tariffs=PreparedTariffs(database, services),
            proofs=CardProofs(pki.trust_store(), database),
            exchange=exchange(database),
            clock=clock or system_clock(settings.clock_offset_s),
            gate=Gate(database),
        )
    except BaseException:
        database.dispose()
        raise


def _scheme(database: Database, pki: Scheme) -> SchemeRecord:
    if not schema_is_current(database):
        raise NotInitialised("the database is not at this version's schema; run cardservice init")
    with database.reading() as connection:
        row = connection.execute(select(scheme)).one_or_none()
    if row is None:
        raise NotInitialised("the database holds no scheme; run cardservice init")
    if row.id != pki.id:
        raise NotInitialised(f"the database is the scheme {row.id}'s, the keys are {pki.id}'s")
    return SchemeRecord(row.id, row.name, row.currency, row.timezone)
