"""Where status is asked for: revocation lists that are in date, OCSP answers and status lists of a scheme.

Over records of whatever kind: the scheme's own file, or the tables of the service that keeps them.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.authority import CRL_VALIDITY, Authority
from pki.clock import require_aware
from pki.errors import BaseListMissing
from pki.extensions import MAX_STATUS_INDEX, shard_of
from pki.keys import KeyStore
from pki.ocsp import CertificateStatus, OcspAnswer, OcspResponder, OcspSigner
from pki.profiles import CARD_AUTHENTICATION, STATEMENT_SIGNER
from pki.revocation import BACKDATING
from pki.signers import StatusSigner, ocsp_signer, status_list_signer
from pki.status_list import CardStatus, StatusList, StatusListBuilder, StatusListToken, sign_token
from pki.status_list.allocation import LIST_SIZE
from pki.store import CERTIFICATE_HOLD, CertificateStore, StoredCrl

# A list is valid for a week; who was away for six days still gets one that is in date.
RENEWED_AFTER = timedelta(days=1)
# Ours: a responder's certificate is looked at so often; it is renewed ten days before it ends.
_SIGNERS_LOOKED_AT = timedelta(hours=6)
# Ours, as for the revocation lists; and how often a terminal that is online should ask.
_STATUS_LIST_VALIDITY = CRL_VALIDITY
_STATUS_LIST_TTL = timedelta(minutes=5)
# A status list without changes is signed anew so often.
_STATUS_LIST_PERIOD = timedelta(hours=1)

_SETTLING, _PAUSE = timedelta(seconds=5), timedelta(seconds=1)

CARDS, STATEMENTS = CARD_AUTHENTICATION.authorities[0], STATEMENT_SIGNER.authorities[0]


@dataclass(frozen=True, slots=True)
class SignedStatusList:
    """A status list as it is given out."""

    raw: bytes
    token: StatusListToken
    # Of what it says, without the signature: the same from each process that signs it
    content_sha256: bytes
    # Whose key has signed it
    signer: x509.Certificate


@dataclass(frozen=True, slots=True)
class _KeptList:
    made_at: datetime
    signed: SignedStatusList

    def is_current(self, issued_at: datetime, changed: datetime | None, moment: datetime) -> bool:
        return self.signed.token.issued_at == issued_at and _holds_all(changed, self.made_at, moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """How an authority's records are reached; what is changed is kept if the block ends without error."""

    read: Callable[[str], AbstractContextManager[CertificateStore]]
    # With the authority's key
    change: Callable[[str], AbstractContextManager[Authority]]


class StatusDesk:
    """Answers for the authorities whose keys are at hand. May be used by several threads."""

    def __init__(
        self,
        issuers: Mapping[str, str],
        records: Records,
        keys: KeyStore,
        public_url: str | None,
        clock: Callable[[], datetime],
    ) -> None:
        """`issuers` are the names of the keys that sign, each with its authority: `cards-2` of `cards`."""
        self._issuers = dict(issuers)
        self._records = records
        self._keys = keys
        self._public_url = public_url
        self._clock = clock
        self._lock, self._list_lock = Lock(), Lock()
        self._responder: tuple[datetime, OcspResponder] | None = None
        self._lists: dict[int, _KeptList] = {}

    def crl(self, issuer: str, shard: int | None = None, *, delta: bool = False) -> StoredCrl | None:
        """A revocation list that is in date, made where there is none; None for what there is none of.

        A shard or a delta list is made anew with each change of status; that of everything with each
        revocation by whoever revokes.
        """
        authority = self._issuers.get(issuer)
        if authority is None or not 0 <= (shard or 0) <= shard_of(MAX_STATUS_INDEX):
            return None
        moment = require_aware(self._clock())
        with self._records.read(authority) as store:
            latest = store.latest_crl(authority, issuer, shard=shard, delta=delta)
            if latest is not None and self._is_current(store, latest, moment):
                return latest
            if shard is not None and shard not in store.shards(authority, issuer):
                return None
        try:
            with self._records.change(authority) as opened:
                signing = opened.of_issuer(issuer)
                if not signing.is_valid(moment):  # a former key's last list stands
                    return latest
                return signing.make_list(moment, shard=shard, delta=delta)
        except BaseListMissing:
            return None

    def respond(self, request: bytes) -> OcspAnswer:
        """The answer to an OCSP request."""
        moment = require_aware(self._clock())
        return self._current_responder(moment).respond(request, moment)

    def status(self, issuer: str, serial: int) -> CertificateStatus | None:
        """As `pki.ocsp.StatusSource`, from the records as they are now."""
        authority = self._issuers[issuer]
        with self._records.read(authority) as store:
            found = store.status(authority, serial)
        if found is None or found.issuer != issuer:
            return None
        return CertificateStatus(found.revoked_at, found.reason or "unspecified")

    def status_list(self, number: int) -> SignedStatusList | None:
        """The status list of this number, as of now; None where there is none, or no URL to name it."""
        if self._public_url is None:
            return None
        moment = require_aware(self._clock())
        # One at a time: who comes while it is made gets the same.
        with self._list_lock, self._records.read(CARDS) as store:
            if not 0 <= number <= (store.highest_status_index(CARDS) or 0) // LIST_SIZE:
                return None
            # What is signed at the same time from the same records says the same, whoever signs it.
            period, changed = _floor(moment, _STATUS_LIST_PERIOD), store.last_change(CARDS)
            issued_at = max(period, changed or period).replace(microsecond=0)
            kept = self._lists.get(number)
            if kept is not None and kept.is_current(issued_at, changed, moment):
                return kept.signed
            token = StatusListToken(
                uri=f"{self._public_url}/status/{number}",
                issued_at=issued_at,
                expires_at=issued_at + _STATUS_LIST_VALIDITY,
                ttl=_STATUS_LIST_TTL,
                statuses=_statuses(store, number),
            )
            signed = self._signed(token, moment)
            self._lists[number] = _KeptList(moment, signed)
        return signed

    def status_lists(self) -> tuple[SignedStatusList, ...]:
        """All of them, as of now; none where no URL could name them."""
        found: list[SignedStatusList] = []
        while (signed := self.status_list(len(found))) is not None:
            found.append(signed)
        return tuple(found)

    def statement_signer(self, moment: datetime) -> StatusSigner:
        """Who signs status lists, and what else terminals are told of all cards; certified when it is due."""
        with self._records.change(STATEMENTS) as authority:
            return status_list_signer(authority, self._keys, moment)

    def _signed(self, token: StatusListToken, moment: datetime) -> SignedStatusList:
        signer = self.statement_signer(moment)
        thumbprint = sha256(signer.certificate.public_bytes(Encoding.DER)).digest()
        content = sha256(f"{token.uri} {token.issued_at} {token.expires_at}".encode() + token.statuses.octets)
        signed = sign_token(token, signer.key, thumbprint)
        return SignedStatusList(signed, token, content.digest(), signer.certificate)

    def _is_current(self, store: CertificateStore, latest: StoredCrl, moment: datetime) -> bool:
        if moment - latest.this_update >= RENEWED_AFTER or moment >= latest.next_update:
            return False
        if latest.shard is None and latest.base_number is None:
            return True
        if latest.base_number is not None:
            base = store.latest_crl(latest.authority, latest.issuer, shard=latest.shard)
            if base is None or base.number != latest.base_number:
                return False
        changed = store.last_change(latest.authority, latest.issuer, latest.shard)
        return _holds_all(changed, latest.this_update + BACKDATING, moment)

    def _current_responder(self, moment: datetime) -> OcspResponder:
        with self._lock:
            if self._responder is None or moment >= self._responder[0]:
                found = (self._ocsp_signer(issuer, moment) for issuer in self._issuers)
                signers = [signer for signer in found if signer is not None]
                self._responder = (moment + _SIGNERS_LOOKED_AT, OcspResponder(signers, self))
            return self._responder[1]

    def _ocsp_signer(self, issuer: str, moment: datetime) -> OcspSigner | None:
        with self._records.change(self._issuers[issuer]) as opened:
            authority = opened.of_issuer(issuer)
            if not authority.is_valid(moment):
                return None
            signer = ocsp_signer(authority, self._keys, moment)
        return OcspSigner(issuer, authority.certificate, signer.certificate, signer.key)


def _statuses(store: CertificateStore, number: int) -> StatusList:
    builder, start = StatusListBuilder(LIST_SIZE), number * LIST_SIZE
    for index, reason in store.ended_cards(CARDS, start, start + LIST_SIZE):
        held = reason == CERTIFICATE_HOLD
        builder.set(index - start, CardStatus.SUSPENDED if held else CardStatus.INVALID)
    return builder.build()


def _holds_all(changed: datetime | None, made_at: datetime, moment: datetime) -> bool:
    """Whether what was made at `made_at` has the change.

    A change is kept a little later than the time that it bears. So for a few seconds after one, what was made
    is made once more; but not more than once a second, however often it is asked for.
    """
    if changed is None or changed < made_at - _SETTLING:
        return True
    return changed < made_at and moment - made_at < _PAUSE


def _floor(moment: datetime, period: timedelta) -> datetime:
    """The beginning of the period that the moment is in."""
    return moment - (moment - datetime.min.replace(tzinfo=moment.tzinfo)) % period
