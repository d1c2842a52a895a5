"""What can go wrong with revocation lists, OCSP and status lists. To be imported from `pki.errors`."""

from datetime import datetime

from pki.error_base import PkiError


class ExtraMissing(PkiError):
    """A library is not installed that only this needs."""

    code = "extra_missing"

    def __init__(self, what: str, library: str) -> None:
        super().__init__(f"{what} needs {library}; install citizen-card[pki]")
        self.library = library


class BaseListMissing(PkiError):
    """There is no complete list that a delta list could go with."""

    code = "base_list_missing"

    def __init__(self, issuer: str, shard: int | None) -> None:
        of = issuer if shard is None else f"{issuer}, shard {shard},"
        super().__init__(f"there is no complete revocation list of {of} yet; make one first")
        self.issuer = issuer
        self.shard = shard


class DerMalformed(PkiError):
    """Bytes that are not DER, or not of the kind that was looked for."""

    code = "der_malformed"


class StatusListMalformed(PkiError):
    """Bytes that are not a status list as specified."""

    code = "status_list_malformed"


class StatusListRefused(PkiError):
    """A status list that is not the one wanted, or that its signer has not signed."""

    code = "status_list_refused"


class StatusListStale(PkiError):
    """The list should have been replaced by a newer one by now."""

    code = "status_list_stale"

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(f"the status list held until {expired_at.isoformat()}; fetch a new one")
        self.expired_at = expired_at


class StatusListUnavailable(PkiError):
    """There is no status list to be had."""

    code = "status_list_unavailable"

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"the status list {uri} cannot be had: {reason}")
        self.uri = uri


class StatusIndexUnknown(PkiError):
    """The list does not reach to this index, so nothing is known of the card."""

    code = "status_index_unknown"


class CardMapMalformed(PkiError):
    """Bytes that are not a card map as specified."""

    code = "card_map_malformed"


class CardMapRefused(PkiError):
    """A card map that is not the one wanted, or that its signer has not signed."""

    code = "card_map_refused"


class CardMapStale(PkiError):
    """The map should have been replaced by a newer one by now."""

    code = "card_map_stale"

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(f"the card map held until {expired_at.isoformat()}; fetch a new one")
        self.expired_at = expired_at


class CardUnmapped(PkiError):
    """The map does not have this card, so nothing is known of it."""

    code = "card_unmapped"
