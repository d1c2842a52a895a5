"""What the scheme publishes: its authorities' certificates and revocation lists that are in date.

The issuing authorities' records are in the service's database, which signs fresh lists in good time; that of
the root, which is offline, is made by `pki crl` and read from the scheme's directory.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from cardservice.context import Context
from cardservice.pki_store.models import crl
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.store import StoredCrl
from pki.trust import load_crl

OURS = ("cards", "terminals", "service")
# A list is valid for a week; a terminal that was away for six days still gets one that is in date.
RENEWED_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Published:
    """By the name of the issuer: each key that an authority has had; the root first."""

    certificates: Mapping[str, x509.Certificate]
    crls: Mapping[str, bytes]


def published(context: Context, without: Collection[str] = ()) -> Published:
    """What the scheme publishes now, with revocation lists that are in date; not those of `without`."""
    ours = {issuer: name for name in OURS for issuer in context.pki.issuers(name)}
    crls = {
        name: load_crl(context.pki.public_dir / f"{name}.crl").public_bytes(Encoding.DER)
        for name in context.certificates
        if name not in ours
    }
    moment = context.now()
    return Published(
        certificates=context.certificates,
        crls=crls
        | {
            issuer: _in_date(context, name, issuer, moment).der
            for issuer, name in ours.items()
            if issuer not in without
        },
    )


def crl_in_force(context: Context, authority: str, issuer: str, moment: datetime) -> bytes:
    """SHA-256 of the list of one of our keys at `moment`; a list of a day ago is renewed first."""
    with context.database.reading() as connection:
        row = connection.execute(
            select(crl.c.sha256, crl.c.this_update)
            .where(crl.c.authority == authority, crl.c.issuer == issuer)
            .where(crl.c.shard.is_(None), crl.c.base_number.is_(None))
            .order_by(crl.c.number.desc())
            .limit(1)
        ).one_or_none()
    if row is not None and moment - row.this_update < RENEWED_AFTER:
        return bytes(row.sha256)
    return sha256(_in_date(context, authority, issuer, moment).der).digest()


def _in_date(context: Context, authority: str, issuer: str, moment: datetime) -> StoredCrl:
    latest = _latest(context, authority, issuer)
    if latest is not None and (moment - latest.this_update < RENEWED_AFTER or _is_last(context, latest)):
        return latest
    with context.database.begin() as connection:
        context.authority(authority, connection).make_crls(moment)
    renewed = _latest(context, authority, issuer)
    if renewed is None:
        raise LookupError(f"no revocation list of {issuer}")
    return renewed


def _is_last(context: Context, latest: StoredCrl) -> bool:
    """Whether it reaches to the end of its issuer's certificate: a former key makes none after that."""
    return latest.next_update >= context.certificates[latest.issuer].not_valid_after_utc


def _latest(context: Context, authority: str, issuer: str) -> StoredCrl | None:
    with context.database.reading() as connection:
        return DatabaseCertificateStore(connection).latest_crl(authority, issuer)
