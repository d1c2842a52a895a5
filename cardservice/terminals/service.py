"""Terminals: registered from a certificate signing request, revoked from a moment on, never deleted."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, insert, select, update

from cardservice.audit.service import record
from cardservice.errors import AlreadyExists, CertificateRequestRefused, OrderInvalid, TerminalUnknown
from cardservice.ids import ProviderId, TerminalId
from cardservice.pki_store.models import certificate
from cardservice.providers.selling import Seller, may_sell, read_sellers
from cardservice.providers.service import require_name, require_open
from cardservice.terminals.models import terminal, terminal_state, terminal_terms
from pki.authority import Authority
from pki.errors import PkiError
from pki.profiles import TERMINAL

AUTHORITY = "terminals"
# As statements and certificates can carry it.
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
# Of whoever signs requests, these are staff (`staff.service`).
_OF_STAFF = "staff:"
ACTIVE, REVOKED = "active", "revoked"
# One terminal's key is used for every request of it; this many keys stay parsed.
KEYS_IN_MEMORY = 10_000


@dataclass(frozen=True, slots=True)
class NewTerminal:
    """What is known of a terminal before it has a certificate."""

    id: TerminalId
    provider_id: ProviderId
    name: str
    role: str
    # What it may give away offline, in minor units for one transaction; None: nothing.
    offline_limit_minor: int | None


@dataclass(frozen=True, slots=True)
class Terminal:
    """A registered terminal, as of now."""

    id: TerminalId
    provider_id: ProviderId
    role: str
    offline_limit_minor: int | None
    certificate_der: bytes
    # From when on it is answered no more: it was revoked, or its provider is closed from then on.
    revoked_at: datetime | None
    # Of the service that it asks for, or of every one, whichever was read.
    sellers: tuple[Seller, ...] = ()

    def may_sell(self, service: str, moment: datetime) -> bool:
        """Whether its provider sells this service at `moment`, or nobody in particular does."""
        return may_sell(self.sellers, self.provider_id, service, moment)

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The key that its requests are signed with."""
        return _public_key(self.certificate_der)

    def is_revoked(self, moment: datetime) -> bool:
        """Whether it was revoked, or its provider closed, at `moment`."""
        return self.revoked_at is not None and moment >= self.revoked_at


@dataclass(frozen=True, slots=True)
class Terms:
    """What a terminal may do from a moment on: its role, and what it may give away offline."""

    valid_from: datetime
    role: str
    offline_limit_minor: int | None


@dataclass(frozen=True, slots=True)
class TermsHistory:
    """All terms that a terminal has had, the earliest first."""

    terms: tuple[Terms, ...]

    def at(self, known: Terminal, moment: datetime) -> Terminal:
        """The terminal as it was at `moment`; before its first terms, as it was by those."""
        held = [terms for terms in self.terms if terms.valid_from <= moment] or list(self.terms[:1])
        if not held:
            return known
        return replace(known, role=held[-1].role, offline_limit_minor=held[-1].offline_limit_minor)


def find_terminal(connection: Connection, terminal_id: str) -> Terminal | None:
    """The terminal of this identifier, or None."""
    row = connection.execute(
        select(terminal, certificate.c.der)
        .join(certificate, (certificate.c.authority == AUTHORITY) & (certificate.c.identity == terminal.c.id))
        .where(terminal.c.id == terminal_id)
        .order_by(certificate.c.issued_at.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return Terminal(
        id=TerminalId(row.id),
        provider_id=ProviderId(row.provider_id),
        role=row.role,
        offline_limit_minor=row.offline_limit_minor,
        certificate_der=row.der,
        revoked_at=_earliest(revocation_of(connection, terminal_id), row.closed_from),
        sellers=read_sellers(connection),
    )


def terminals_of(connection: Connection, provider_id: str) -> frozenset[TerminalId]:
    """The identifiers of a provider's terminals."""
    found = connection.scalars(select(terminal.c.id).where(terminal.c.provider_id == provider_id))
    return frozenset(map(TerminalId, found))


def register_terminal(
    connection: Connection,
    authority: Authority,
    new: NewTerminal,
    csr_pem: bytes,
    *,
    actor: str,
    moment: datetime,
) -> x509.Certificate:
    """Register a terminal and certify its key.

    Raises OrderInvalid, AlreadyExists, ProviderUnknown and CertificateRequestRefused.
    """
    closed_from = check_new(connection, new, moment)
    connection.execute(
        insert(terminal).values(
            id=new.id,
            provider_id=new.provider_id,
            name=new.name,
            role=new.role,
            offline_limit_minor=new.offline_limit_minor,
            created_at=moment,
            closed_from=closed_from,
        )
    )
    _state(connection, new.id, ACTIVE, "registered", actor, moment)
    _terms(connection, new.id, new.role, new.offline_limit_minor, actor, moment)
    try:
        csr_der = x509.load_pem_x509_csr(csr_pem).public_bytes(Encoding.DER)
    except ValueError as error:
        raise CertificateRequestRefused(f"the terminal's request is refused: {error}") from error
    issued = certify(authority, new.id, csr_der, moment)
    record(connection, actor, "terminal.add", new.id, moment, provider=new.provider_id, role=new.role)
    return issued


def check_new(connection: Connection, new: NewTerminal, moment: datetime) -> datetime | None:
    """From when on its provider will be closed. The provider's record is held to the transaction's end.

    Raises OrderInvalid, AlreadyExists or ProviderUnknown where there can be no such terminal.
    """
    if not _IDENTIFIER.fullmatch(new.id) or new.id.startswith(_OF_STAFF):
        raise OrderInvalid(
            f"{new.id!r} is no identifier: up to 64 letters, digits and . _ : -, and not {_OF_STAFF}…"
        )
    closed_from = require_open(connection, new.provider_id, moment)
    if connection.execute(select(terminal.c.id).where(terminal.c.id == new.id)).first():
        raise AlreadyExists("terminal", new.id)
    return closed_from


def certify(
    authority: Authority, terminal_id: TerminalId, csr_der: bytes, moment: datetime
) -> x509.Certificate:
    """A terminal's certificate for the key of its request. Raises CertificateRequestRefused."""
    try:
        return authority.issue(x509.load_der_x509_csr(csr_der), TERMINAL, terminal_id, moment)
    except (ValueError, PkiError) as error:
        raise CertificateRequestRefused(f"the terminal's request is refused: {error}") from error


def terms_of(connection: Connection, terminal_id: str) -> TermsHistory:
    """What the terminal may do and might do before: an advice is judged by what held at its moment."""
    stored = terminal_terms.c
    rows = connection.execute(
        select(stored.valid_from, stored.role, stored.offline_limit_minor)
        .where(stored.terminal_id == terminal_id)
        .order_by(stored.valid_from, stored.id)
    )
    return TermsHistory(tuple(Terms(*row) for row in rows))


def lock_terminal(connection: Connection, terminal_id: str) -> None:
    """Hold a terminal's record to the end of the transaction; of one that is not there, nothing."""
    connection.execute(select(terminal.c.id).where(terminal.c.id == terminal_id).with_for_update()).all()


def set_terms(
    connection: Connection,
    terminal_id: TerminalId,
    *,
    role: str,
    offline_limit_minor: int | None,
    actor: str,
    moment: datetime,
) -> None:
    """Let a terminal do something else from `moment` on. Raises TerminalUnknown."""
    row = update(terminal).where(terminal.c.id == terminal_id)
    if connection.execute(row.values(role=role, offline_limit_minor=offline_limit_minor)).rowcount == 0:
        raise TerminalUnknown(terminal_id)
    _terms(connection, terminal_id, role, offline_limit_minor, actor, moment)
    record(
        *(connection, actor, "terminal.set", terminal_id, moment),
        role=role,
        offline_limit_minor=offline_limit_minor,
    )


def name_of(connection: Connection, terminal_id: str) -> str:
    """What a terminal is called, such as where it stands. Raises TerminalUnknown."""
    found = connection.scalar(select(terminal.c.name).where(terminal.c.id == terminal_id))
    if found is None:
        raise TerminalUnknown(terminal_id)
    return str(found)


def rename_terminal(
    connection: Connection, terminal_id: TerminalId, name: str, *, actor: str, moment: datetime
) -> None:
    """Call a terminal otherwise, as when it stands elsewhere. Raises TerminalUnknown, OrderInvalid."""
    require_name(name)
    lock_terminal(connection, terminal_id)
    former = name_of(connection, terminal_id)
    if former == name:
        raise OrderInvalid(f"terminal {terminal_id} is called {name!r} already; nothing was changed")
    connection.execute(update(terminal).where(terminal.c.id == terminal_id).values(name=name))
    record(connection, actor, "terminal.rename", terminal_id, moment, name=name, former=former)


def revoke_terminal(
    connection: Connection,
    authority: Authority,
    terminal_id: TerminalId,
    *,
    reason: str,
    actor: str,
    moment: datetime,
) -> None:
    """Revoke a terminal and its certificates from `moment` on, with a fresh revocation list."""
    known = find_terminal(connection, terminal_id)
    if known is None:
        raise TerminalUnknown(terminal_id)
    before = revocation_of(connection, terminal_id)
    if before is not None:
        raise OrderInvalid(f"terminal {terminal_id} was revoked at {before.isoformat()} already")
    _state(connection, terminal_id, REVOKED, reason, actor, moment)
    for issued in authority.store.find_by_identity(AUTHORITY, terminal_id):
        authority.revoke(issued.serial, moment, "cessation_of_operation")
    authority.make_crls(moment)
    record(connection, actor, "terminal.revoke", terminal_id, moment, reason=reason)


def _state(
    connection: Connection, terminal_id: str, state: str, reason: str, actor: str, moment: datetime
) -> None:
    connection.execute(
        insert(terminal_state).values(
            terminal_id=terminal_id,
            valid_from=moment,
            recorded_at=moment,
            state=state,
            reason=reason,
            actor=actor,
        )
    )


def _terms(
    connection: Connection, terminal_id: str, role: str, limit_minor: int | None, actor: str, moment: datetime
) -> None:
    connection.execute(
        insert(terminal_terms).values(
            terminal_id=terminal_id,
            valid_from=moment,
            recorded_at=moment,
            role=role,
            offline_limit_minor=limit_minor,
            actor=actor,
        )
    )


def revocation_of(connection: Connection, terminal_id: str) -> datetime | None:
    """When this very terminal was revoked; None where it was not, whatever became of its provider."""
    moment: datetime | None = connection.scalar(
        select(terminal_state.c.valid_from)
        .where(terminal_state.c.terminal_id == terminal_id, terminal_state.c.state == REVOKED)
        .order_by(terminal_state.c.valid_from, terminal_state.c.id)
        .limit(1)
    )
    return moment


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((each for each in moments if each is not None), default=None)


@lru_cache(maxsize=KEYS_IN_MEMORY)
def _public_key(certificate_der: bytes) -> ec.EllipticCurvePublicKey:
    key = x509.load_der_x509_certificate(certificate_der).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("a terminal's key is P-256 by its profile")
    return key
