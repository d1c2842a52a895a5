"""What a token status list says: two bits of every card, signed, for terminals that are offline.

The list is of one scheme and its cards; a card's certificates name their place in it.
"""

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509

from pki.errors import ExtensionMalformed, StatusIndexUnknown
from pki.extensions import status_index_of
from pki.status_list import CardStatus, StatusListToken
from pki.verification.purposes import scheme_arc
from pki.verification.status import HOLD, EvidenceKind, Finding, Revocation

_UNSPECIFIED = x509.ReasonFlags.unspecified.name


class StatusListEvidence:
    """A list whose signature was verified, with its bytes, of the cards of this authority."""

    def __init__(self, token: StatusListToken, raw: bytes, issuer: x509.Certificate) -> None:
        self._token = token
        self._raw = raw
        self._issuer = issuer

    @property
    def issued_at(self) -> datetime:
        """When the list was made."""
        return self._token.issued_at

    @property
    def expires_at(self) -> datetime:
        """Until when it may be relied on."""
        return self._token.expires_at

    def about(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Iterator[Finding]:
        """One finding, if the certificate has a place in the list.

        The list does not say since when a card is revoked: since the list was made, as far as is known here.
        """
        if issuer.subject != self._issuer.subject:
            return
        try:
            index = status_index_of(certificate, scheme_arc(certificate) or "")
            status = None if index is None else self._token.status_of(index)
        except (ExtensionMalformed, StatusIndexUnknown, ValueError):
            return
        if status is None:
            return
        since, until = self._token.issued_at, self._token.expires_at
        yield Finding(EvidenceKind.STATUS_LIST, since, until, self._revocation(status), (self._raw,))

    def _revocation(self, status: CardStatus) -> Revocation | None:
        match status:
            case CardStatus.VALID:
                return None
            case CardStatus.SUSPENDED:
                return Revocation(self._token.issued_at, HOLD)
            case CardStatus.INVALID:
                return Revocation(self._token.issued_at, _UNSPECIFIED)
