"""A terminal enrols itself: an administrator invites it, and a one-time code lets it have its key certified.

The key is made on the terminal and stays there. The code is told once, kept as a hash, holds for minutes, and
is used up by one key. A certificate is renewed for the same key before it ends, without any code.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, Row, delete, insert, select, update

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.errors import (
    CertificateRequestRefused,
    OrderInvalid,
    TerminalUnknown,
)
from cardservice.ids import ProviderId, TerminalId
from cardservice.providers.service import is_closed, require_open
from cardservice.terminals.errors import EnrolmentRefused, InvitationUnknown
from cardservice.terminals.models import terminal_invitation
from cardservice.terminals.service import (
    AUTHORITY,
    NewTerminal,
    Terminal,
    certify,
    check_new,
    find_terminal,
    register_terminal,
    revocation_of,
)
from pki.authority import Authority
from pki.reading import UNREADABLE

# All ours. No letters or digits that look or sound alike; 69 bits, which nobody finds from a hash in an hour.
ALPHABET = "2345679CFHJKMNPRTWXY"
CODE_CHARACTERS, GROUP = 16, 4
ATTEMPTS = 5
VALIDITY, LONGEST = timedelta(hours=1), timedelta(days=7)
_CONTEXT = b"citizen-card terminal invitation\x00"
# A certificate is renewed in the last third of its time, as the service's own are.
RENEWED_IN_THE_LAST = 3
SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, repr=False)
class Invitation:
    """What is told once: the code, and until when it holds."""

    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Invited:
    """A terminal whose code is out, and has not been used."""

    id: TerminalId
    provider_id: ProviderId
    role: str
    # Whether it is registered already, and is to have another key
    again: bool
    expires_at: datetime
    attempts_left: int
    by: str


def invited(connection: Connection, provider_id: str | None, moment: datetime) -> list[Invited]:
    """Whose codes hold at this moment, the next to end first; of one provider, if it is named."""
    own = terminal_invitation.c
    wanted = select(
        *(own.terminal_id, own.provider_id, own.role, own.again, own.expires_at, own.attempts_left, own.actor)
    ).where(own.used_at.is_(None), own.expires_at > moment, own.attempts_left > 0)
    if provider_id is not None:
        wanted = wanted.where(own.provider_id == provider_id)
    rows = connection.execute(wanted.order_by(own.expires_at, own.terminal_id))
    return [Invited(TerminalId(row[0]), ProviderId(row[1]), *row[2:]) for row in rows]


def invite(
    connection: Connection, new: NewTerminal, validity: timedelta, *, actor: str, moment: datetime
) -> Invitation:
    """Let a terminal enrol itself by a code; one that it had before is void.

    Raises OrderInvalid, AlreadyExists and ProviderUnknown.
    """
    check_new(connection, new, moment)
    return _invite(connection, new, validity, actor, moment, again=False)


def invite_again(
    connection: Connection, terminal_id: str, validity: timedelta, *, actor: str, moment: datetime
) -> Invitation:
    """The same for a terminal that is registered and has lost its key, or whose certificate has ended.

    What it may do stays; its certificates are revoked when it has another. Raises TerminalUnknown, and
    OrderInvalid where it was revoked or its provider is closed.
    """
    known = find_terminal(connection, terminal_id)
    if known is None:
        raise TerminalUnknown(TerminalId(terminal_id))
    if revocation_of(connection, terminal_id) is not None:
        raise OrderInvalid(f"terminal {terminal_id} was revoked; register it under another identifier")
    require_open(connection, known.provider_id, moment)
    new = NewTerminal(known.id, known.provider_id, known.id, known.role, known.offline_limit_minor)
    return _invite(connection, new, validity, actor, moment, again=True)


def withdraw_invitation(connection: Connection, terminal_id: str, *, actor: str, moment: datetime) -> None:
    """Make a code void. Raises InvitationUnknown."""
    own = terminal_invitation.c
    gone = connection.execute(
        delete(terminal_invitation).where(own.terminal_id == terminal_id, own.used_at.is_(None))
    )
    if gone.rowcount == 0:
        raise InvitationUnknown(terminal_id)
    record(connection, actor, "terminal.uninvite", terminal_id, moment)


def _invite(
    connection: Connection,
    new: NewTerminal,
    validity: timedelta,
    actor: str,
    moment: datetime,
    *,
    again: bool,
) -> Invitation:
    if not timedelta(0) < validity <= LONGEST:
        raise OrderInvalid(f"a code holds for some minutes, and for {LONGEST.days} days at most")
    code, own = _new_code(), terminal_invitation.c
    connection.execute(
        delete(terminal_invitation).where((own.terminal_id == new.id) | (own.expires_at <= moment))
    )
    made = Invitation(code, moment + validity)
    connection.execute(
        insert(terminal_invitation).values(
            terminal_id=new.id,
            provider_id=new.provider_id,
            name=new.name,
            role=new.role,
            offline_limit_minor=new.offline_limit_minor,
            again=again,
            code_sha256=_hash(new.id, code),
            expires_at=made.expires_at,
            attempts_left=ATTEMPTS,
            actor=actor,
        )
    )
    record(connection, actor, "terminal.invite", new.id, moment, provider=new.provider_id, role=new.role)
    return made


def enrol(context: Context, terminal_id: str, code: str, csr_der: bytes) -> bytes:
    """The certificate (DER) for the key of the request, of a terminal that was invited; it is registered.

    The same code with the same key again gets the same certificate: an answer may have been lost. Raises
    EnrolmentRefused, which does not say why, and CertificateRequestRefused.
    """
    moment, key = context.now(), _request_key(csr_der)
    with context.database.begin() as connection:
        found = _tried(connection, terminal_id, code, moment)
        if found is not None and found.used_at is None:
            return _certified(context, connection, found, csr_der, key, moment)
        if found is not None and hmac.compare_digest(found.key_sha256, key):
            known = find_terminal(connection, terminal_id)
            if known is not None and not known.is_revoked(moment):
                return known.certificate_der
        if found is None and _is_invited(connection, terminal_id):
            record(connection, f"terminal:{terminal_id}", "terminal.code_refused", terminal_id, moment)
    # Only now, so that the attempt stays counted.
    raise EnrolmentRefused


def renew(
    connection: Connection, authority: Authority, known: Terminal, csr_der: bytes, moment: datetime
) -> bytes:
    """A certificate (DER) for the terminal's present key, once the one that it has is in its last third.

    Until then the one that it has. Raises CertificateRequestRefused, also once that has ended.
    """
    own = known.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if not hmac.compare_digest(_request_key(csr_der), sha256(own).digest()):
        raise CertificateRequestRefused(
            "renewal is for the terminal's present key; have it invited for another (terminal invite --again)"
        )
    present = x509.load_der_x509_certificate(known.certificate_der)
    if moment > present.not_valid_after_utc:
        raise CertificateRequestRefused(
            f"the terminal's certificate ended on {present.not_valid_after_utc:%Y-%m-%d}; have it invited"
            " (terminal invite --again)"
        )
    if moment < renewed_from(present):
        return known.certificate_der
    issued = certify(authority, known.id, csr_der, moment)
    record(connection, f"terminal:{known.id}", "terminal.renew", known.id, moment)
    return issued.public_bytes(Encoding.DER)


def renewed_from(certificate: x509.Certificate) -> datetime:
    """From when on a certificate is renewed."""
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - lifetime / RENEWED_IN_THE_LAST


def _tried(
    connection: Connection, terminal_id: str, code: str, moment: datetime
) -> Row[tuple[object, ...]] | None:
    """The invitation whose code this is; None where there is none, or it is too old or used up."""
    own = terminal_invitation.c
    # Taken first, in a statement that locks the row: two that try at once use up two.
    taken = connection.execute(
        update(terminal_invitation)
        .where(own.terminal_id == terminal_id, own.attempts_left > 0)
        .values(attempts_left=own.attempts_left - 1)
    )
    if taken.rowcount == 0:
        return None
    row = connection.execute(select(terminal_invitation).where(own.terminal_id == terminal_id)).one()
    right = hmac.compare_digest(row.code_sha256, _hash(terminal_id, _plain(code)))
    return row if right and moment < row.expires_at else None


def _certified(
    context: Context,
    connection: Connection,
    found: Row[tuple[object, ...]],
    csr_der: bytes,
    key_sha256: bytes,
    moment: datetime,
) -> bytes:
    """The certificate of a terminal whose code was right, and the code used up by its key."""
    authority, actor = context.authority(AUTHORITY, connection), f"invited:{found.actor}"
    terminal_id = TerminalId(found.terminal_id)
    own = terminal_invitation.c
    connection.execute(
        update(terminal_invitation)
        .where(own.terminal_id == terminal_id)
        .values(used_at=moment, key_sha256=key_sha256)
    )
    if found.again:
        return _replaced(connection, authority, terminal_id, csr_der, actor, moment)
    if find_terminal(connection, terminal_id) is not None or is_closed(connection, found.provider_id, moment):
        raise EnrolmentRefused  # it was registered in another way meanwhile, or its provider was closed
    new = NewTerminal(
        id=terminal_id,
        provider_id=ProviderId(found.provider_id),
        name=found.name,
        role=found.role,
        offline_limit_minor=found.offline_limit_minor,
    )
    pem = x509.load_der_x509_csr(csr_der).public_bytes(Encoding.PEM)
    issued = register_terminal(connection, authority, new, pem, actor=actor, moment=moment)
    return issued.public_bytes(Encoding.DER)


def _replaced(
    connection: Connection,
    authority: Authority,
    terminal_id: TerminalId,
    csr_der: bytes,
    actor: str,
    moment: datetime,
) -> bytes:
    """Another certificate of a registered terminal; those that it had are revoked."""
    known = find_terminal(connection, terminal_id)
    if known is None or known.is_revoked(moment):
        raise EnrolmentRefused
    before = [each.serial for each in authority.store.find_by_identity(AUTHORITY, terminal_id)]
    issued = certify(authority, terminal_id, csr_der, moment)
    for serial in before:
        authority.revoke(serial, moment, SUPERSEDED)
    authority.make_crls(moment)
    record(connection, actor, "terminal.replace_key", terminal_id, moment)
    return issued.public_bytes(Encoding.DER)


def _is_invited(connection: Connection, terminal_id: str) -> bool:
    own = terminal_invitation.c
    found = connection.execute(select(own.terminal_id).where(own.terminal_id == terminal_id))
    return found.first() is not None


def _request_key(csr_der: bytes) -> bytes:
    """SHA-256 of the request's key (SubjectPublicKeyInfo). Raises CertificateRequestRefused."""
    try:
        request = x509.load_der_x509_csr(csr_der)
        key, is_signed = request.public_key(), request.is_signature_valid
    except UNREADABLE as error:
        raise CertificateRequestRefused(f"the terminal's request cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not is_signed:
        raise CertificateRequestRefused("the terminal's request is not signed by a P-256 key of its own")
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _new_code() -> str:
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))
    return "-".join(drawn[first : first + GROUP] for first in range(0, CODE_CHARACTERS, GROUP))


def _plain(code: str) -> str:
    """As it was drawn, however somebody has typed it."""
    return "".join(code.upper().replace("-", " ").split())


def _hash(terminal_id: str, code: str) -> bytes:
    plain = _plain(code).encode("utf-8", "replace")
    return sha256(_CONTEXT + terminal_id.encode() + b"\x00" + plain).digest()
