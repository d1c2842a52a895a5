"""Certificate revocation lists (RFC 5280, 5) of any length, their DER put together by hand.

`cryptography`'s builder copies the whole list for each entry that is added, which is out of the question for
a million. Here entries pass through once, into a file as soon as there are many; the head of a list says how
long it is, so the signature is made over what lies there before anything is written out.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from pki import der
from pki.errors import ReasonUnknown

# RFC 5280, 5.3.1: what a delta list says of a certificate that is good again
REMOVE_FROM_CRL = x509.ReasonFlags.remove_from_crl.name

# The extension of an entry that says why; `unspecified` is left out. RFC 5280, 5.3.1.
_REASONS = {
    reason.name: b""
    if reason is x509.ReasonFlags.unspecified
    else der.tlv(
        der.SEQUENCE,
        der.extension(x509.CRLReason.oid, x509.CRLReason(reason).public_bytes()),
    )
    for reason in x509.ReasonFlags
    # RFC 5280, 5.3.1: 7 is not used; these are AA's own and stand in no list of ours
    if reason is not x509.ReasonFlags.aa_compromise
}
# RFC 5280, 5.1.2.1: version 2, written as 1
_VERSION_2 = der.integer(1)

_CHUNK_ENTRIES = 4_096
_SPOOL_BYTES = 8 * 1024 * 1024
_COPY_BYTES = 256 * 1024


class RevokedEntry(NamedTuple):
    """What a list says of a certificate. A tuple, since there may be a million of them."""

    serial: int
    revoked_at: datetime
    # The name of an x509.ReasonFlags
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlHead:
    """All that a list says but its entries."""

    issuer: x509.Name
    authority_key: x509.AuthorityKeyIdentifier
    number: int
    this_update: datetime
    next_update: datetime
    # Of a delta list: the complete list that it goes with. RFC 5280, 5.2.4
    base_number: int | None = None
    # Of a shard: where its certificates say that they are listed. RFC 5280, 5.2.5
    distribution_point: str | None = None
    # Where the delta lists to this one are. RFC 5280, 5.2.6
    freshest_at: str | None = None

    def extensions(self) -> list[tuple[x509.ExtensionType, bool]]:
        """Each with whether it is critical."""
        found: list[tuple[x509.ExtensionType, bool]] = [
            (x509.CRLNumber(self.number), False),
            (self.authority_key, False),
        ]
        if self.base_number is not None:
            found.append((x509.DeltaCRLIndicator(self.base_number), True))
        if self.distribution_point is not None:
            found.append((issuing_distribution_point(self.distribution_point), True))
        if self.freshest_at is not None:
            found.append((x509.FreshestCRL([_distribution_point(self.freshest_at)]), False))
        return found


def issuing_distribution_point(url: str) -> x509.IssuingDistributionPoint:
    """The scope of a shard: the certificates whose distribution point this is. RFC 5280, 5.2.5."""
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(url)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def write_crl(
    out: IO[bytes], head: CrlHead, entries: Iterable[RevokedEntry], key: ec.EllipticCurvePrivateKey
) -> None:
    """Write a list that `key` signs with SHA-256, its entries in the order in which they come.

    Memory does not grow with the list. Nothing is written before all of it is known. Raises ReasonUnknown.
    """
    with SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
        size = 0
        for chunk in _chunks(entries):
            size += spool.write(chunk)
        before, after = _around(head, size)
        digest = hashlib.sha256(before)
        for part in _parts(spool):
            digest.update(part)
        digest.update(after)
        signature = key.sign(digest.digest(), ec.ECDSA(Prehashed(hashes.SHA256())))
        signed = der.ECDSA_WITH_SHA256 + der.tlv(der.BIT_STRING, b"\x00", signature)
        whole = len(before) + size + len(after) + len(signed)
        out.write(bytes((der.SEQUENCE,)) + der.length(whole) + before)
        for part in _parts(spool):
            out.write(part)
        out.write(after + signed)


def build_crl(head: CrlHead, entries: Iterable[RevokedEntry], key: ec.EllipticCurvePrivateKey) -> bytes:
    """The DER of a list, as `write_crl` writes it."""
    out = BytesIO()
    write_crl(out, head, entries, key)
    return out.getvalue()


def _around(head: CrlHead, size: int) -> tuple[bytes, bytes]:
    """What stands before and after the `size` bytes of entries in the TBSCertList. RFC 5280, 5.1."""
    fields = b"".join(
        (
            _VERSION_2,
            der.ECDSA_WITH_SHA256,
            head.issuer.public_bytes(),
            der.time(head.this_update),
            der.time(head.next_update),
        )
    )
    if size:  # RFC 5280, 5.1.2.6: absent where nothing is revoked
        fields += bytes((der.SEQUENCE,)) + der.length(size)
    extensions = der.tlv(
        der.context(0),
        der.tlv(
            der.SEQUENCE,
            *(
                der.extension(value.oid, value.public_bytes(), critical=critical)
                for value, critical in head.extensions()
            ),
        ),
    )
    total = len(fields) + size + len(extensions)
    return bytes((der.SEQUENCE,)) + der.length(total) + fields, extensions


def _chunks(entries: Iterable[RevokedEntry]) -> Iterator[bytes]:
    encoded = _encoded(entries)
    while chunk := b"".join(islice(encoded, _CHUNK_ENTRIES)):
        yield chunk


def _encoded(entries: Iterable[RevokedEntry]) -> Iterator[bytes]:
    """RFC 5280, 5.1.2.6. Written out flat: this loop is what a long list costs.

    A serial number has at most 20 octets (4.1.2.2), so that no length here needs more than one.
    """
    for serial, revoked_at, reason in entries:
        octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
        why = _REASONS.get(reason)
        if why is None:
            raise ReasonUnknown(f"{reason!r} is no reason that a revocation list can give")
        body = b"\x02%c%b%b%b" % (len(octets), octets, _time(revoked_at), why)
        yield b"\x30%c%b" % (len(body), body)


# Whole batches are revoked in the same second.
_time = lru_cache(maxsize=4_096)(der.time)


def _parts(spool: IO[bytes]) -> Iterator[bytes]:
    spool.seek(0)
    while part := spool.read(_COPY_BYTES):
        yield part


def _distribution_point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
