"""Answers OCSP requests for the authorities of a scheme, each through the responder that it has appointed."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki.clock import require_aware
from pki.errors import DerMalformed
from pki.ocsp.cert_id import HASHES, SHA1, SHA256, CertId, cert_id, issuer_hashes, key_octets
from pki.ocsp.request import parse_request
from pki.ocsp.response import (
    GOOD,
    UNKNOWN,
    ResponseStatus,
    Validity,
    refusal,
    response,
    response_data,
    revoked,
    single_response,
)

# Ours. Whoever keeps an answer longer than this asks again; a revocation is answered at once to who asks.
VALIDITY = timedelta(hours=8)
# Ours: some 1,200 bytes each
KEPT_RESPONSES = 20_000

_ECDSA_SHA256 = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """What is recorded of a certificate: good where `revoked_at` is None; on hold, it is revoked, too."""

    revoked_at: datetime | None = None
    # The name of an x509.ReasonFlags
    reason: str = "unspecified"


class StatusSource(Protocol):
    """Knows what was issued and revoked, as of now."""

    def status(self, issuer: str, serial: int) -> CertificateStatus | None:
        """The status of a certificate of this issuer; None for one that it never issued."""
        ...


@dataclass(frozen=True, slots=True)
class OcspSigner:
    """Who answers for an authority: a responder that it has certified (RFC 6960, 4.2.2.2), or itself."""

    # What the issuer is called in the records: `cards`, with its next key `cards-2`
    name: str
    issuer: x509.Certificate
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """The DER of a response. It may be kept until `next_update`; never, where that is None."""

    der: bytes
    status: ResponseStatus
    this_update: datetime | None = None
    next_update: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignedBefore:
    """The answer for whoever asks about this certificate by this hash of its issuer (`hashlib`'s name)."""

    serial: int
    hash_name: str
    answer: OcspAnswer


class OcspResponder:
    """Signs on demand what has a nonce or was not asked for lately; else gives what it has signed before.

    What is kept is only given while the records still say the same. May be called by several threads.
    """

    def __init__(
        self,
        signers: Iterable[OcspSigner],
        source: StatusSource,
        *,
        validity: timedelta = VALIDITY,
        kept: int = KEPT_RESPONSES,
    ) -> None:
        self._source = source
        self._validity = validity
        self._by_issuer: dict[tuple[bytes, bytes], _Signing] = {}
        self._by_name: dict[str, _Signing] = {}
        for signer in signers:
            signing = self._by_name[signer.name] = _Signing(signer)
            for algorithm in HASHES:
                self._by_issuer[issuer_hashes(signer.issuer, algorithm)] = signing
        self._kept = _Kept(kept)

    def respond(self, request: bytes, moment: datetime) -> OcspAnswer:
        """The answer to a request, whatever its bytes are. RFC 6960, 2.3 says when it is a refusal.

        An answer about several certificates is signed by the responder of the first known issuer; those of
        another issuer are `unknown` to it, as is what was never issued. Raises what the source raises.
        """
        try:
            asked = parse_request(request)
        except DerMalformed:
            return _refused(ResponseStatus.MALFORMED_REQUEST)
        signing = next(filter(None, map(self._signing_of, asked.certificates)), None)
        if signing is None:  # RFC 5019, 2.2.3: not authoritative for this certificate
            return _refused(ResponseStatus.UNAUTHORIZED)
        if asked.nonce is None and len(asked.certificates) == 1:
            return self._answer_kept(signing, asked.certificates[0], moment)
        statuses = [(each, self._status(signing, each)) for each in asked.certificates]
        return signing.answer(statuses, _validity(moment, self._validity), asked.nonce)

    def presign(self, issuer: str, serials: Iterable[int], moment: datetime) -> int:
        """Sign the answers for these certificates before anybody asks, for requests with SHA-1 and SHA-256.

        Returns how many there are. Keep `kept` at twice the number of certificates.
        """
        return sum(1 for _ in self.signed_before(issuer, serials, moment))

    def signed_before(
        self, issuer: str, serials: Iterable[int], moment: datetime
    ) -> Iterator["SignedBefore"]:
        """The same answers, one by one, to be stored elsewhere: of each for SHA-1, then SHA-256."""
        signing = self._by_name[issuer]
        for serial in serials:
            for algorithm in (SHA1, SHA256):
                asked = cert_id(signing.issuer, serial, algorithm)
                yield SignedBefore(serial, HASHES[algorithm], self._answer_kept(signing, asked, moment))

    def _answer_kept(self, signing: "_Signing", asked: CertId, moment: datetime) -> OcspAnswer:
        status = self._status(signing, asked)
        kept = self._kept.find(asked.raw, status, moment)
        if kept is not None:
            return kept
        answer = signing.answer([(asked, status)], _validity(moment, self._validity), None)
        # What was never issued is not kept: anybody could fill the memory with it.
        if status is not None and answer.status is ResponseStatus.SUCCESSFUL:
            self._kept.add(asked.raw, status, answer)
        return answer

    def _status(self, signing: "_Signing", asked: CertId) -> CertificateStatus | None:
        if self._signing_of(asked) is not signing or asked.serial < 0:
            return None
        return self._source.status(signing.name, asked.serial)

    def _signing_of(self, asked: CertId) -> "_Signing | None":
        return self._by_issuer.get((asked.issuer_name_hash, asked.issuer_key_hash))


class _Signing:
    """A signer, with what is the same in each of its answers."""

    def __init__(self, signer: OcspSigner) -> None:
        self.name = signer.name
        self.issuer = signer.issuer
        self._key = signer.key
        self._not_before = signer.certificate.not_valid_before_utc
        self._not_after = signer.certificate.not_valid_after_utc
        # RFC 6960, 4.2.1: KeyHash is SHA-1 by definition
        self._key_hash = hashlib.sha1(key_octets(signer.certificate), usedforsecurity=False).digest()
        delegated = signer.certificate != signer.issuer
        self._certificates = signer.certificate.public_bytes(Encoding.DER) if delegated else b""

    def answer(
        self,
        statuses: Sequence[tuple[CertId, CertificateStatus | None]],
        validity: Validity,
        nonce: bytes | None,
    ) -> OcspAnswer:
        """Signed for the certificates in this order; never beyond the responder's own certificate."""
        if not self._not_before <= validity.this_update < self._not_after:
            return _refused(ResponseStatus.INTERNAL_ERROR)
        validity = Validity(validity.this_update, min(validity.next_update, self._not_after))
        singles = [single_response(each.raw, _encoded(status), validity) for each, status in statuses]
        data = response_data(self._key_hash, validity.this_update, singles, nonce)
        der = response(data, self._key.sign(data, _ECDSA_SHA256), self._certificates)
        may_be_kept = nonce is None
        return OcspAnswer(
            der,
            ResponseStatus.SUCCESSFUL,
            validity.this_update,
            validity.next_update if may_be_kept else None,
        )


class _Kept:
    """Signed answers by the certificate's name; the one that was not asked for longest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[bytes, tuple[CertificateStatus, OcspAnswer]] = OrderedDict()
        self._lock = Lock()

    def find(self, name: bytes, status: CertificateStatus | None, moment: datetime) -> OcspAnswer | None:
        """An answer that says the same and has more than half of its time before it."""
        with self._lock:
            kept_status, answer = self._answers.get(name, (None, None))
            if answer is None or answer.this_update is None or answer.next_update is None:
                return None
            middle = answer.this_update + (answer.next_update - answer.this_update) / 2
            if kept_status != status or not answer.this_update <= moment < middle:
                return None
            self._answers.move_to_end(name)
            return answer

    def add(self, name: bytes, status: CertificateStatus, answer: OcspAnswer) -> None:
        """Keep it in the place of an older one."""
        with self._lock:
            self._answers[name] = (status, answer)
            self._answers.move_to_end(name)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)


def _validity(moment: datetime, length: timedelta) -> Validity:
    this_update = require_aware(moment).astimezone(UTC).replace(microsecond=0)
    return Validity(this_update, this_update + length)


def _encoded(status: CertificateStatus | None) -> bytes:
    if status is None:
        return UNKNOWN
    return GOOD if status.revoked_at is None else revoked(status.revoked_at, status.reason)


def _refused(status: ResponseStatus) -> OcspAnswer:
    return OcspAnswer(refusal(status), status)
