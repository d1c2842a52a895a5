"""What can go wrong in `pki`. Each error has a stable `code`, and carries its data as attributes."""

from datetime import datetime
from pathlib import Path
from typing import ClassVar


class PkiError(Exception):
    """Base of every error that this package raises on purpose; its text is a sentence for a person."""

    code: ClassVar[str] = "pki_error"


# --- keys ---


class KeyNotFound(PkiError):
    """The store holds no key of that name."""

    code = "key_not_found"

    def __init__(self, name: str, where: object) -> None:
        missing = f"{where} does not exist" if isinstance(where, Path) else f"on {where}"
        super().__init__(f"there is no key {name!r} ({missing})")
        self.name = name
        self.where = where


class KeyExists(PkiError):
    """A key is never replaced in place."""

    code = "key_exists"

    def __init__(self, name: str, where: object) -> None:
        super().__init__(f"the key {name!r} exists already ({where}); move it away if you want another")
        self.name = name
        self.where = where


class WrongPassphrase(PkiError):
    """The passphrase does not open the key."""

    code = "wrong_passphrase"

    def __init__(self, path: Path) -> None:
        super().__init__(f"the passphrase does not open {path}; give the one that the key was made with")
        self.path = path


class KeyUnreadable(PkiError):
    """The file holds no key that can be used here."""

    code = "key_unreadable"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason


class PassphraseMissing(PkiError):
    """No passphrase was given, or an empty one."""

    code = "passphrase_missing"


class KeyNotExtractable(PkiError):
    """The key is on a token and never leaves it."""

    code = "key_not_extractable"

    def __init__(self, name: str) -> None:
        super().__init__(f"the key {name!r} is on a token and cannot be read; it can only be used there")
        self.name = name


class TokenUnavailable(PkiError):
    """The token that holds the keys is not there, or does not answer."""

    code = "token_unavailable"

    def __init__(self, label: str, reason: str) -> None:
        super().__init__(f"the token {label!r} cannot be used: {reason}")
        self.label = label
        self.reason = reason


class CustodyRefused(PkiError):
    """The passphrases given do not open what several people keep together."""

    code = "custody_refused"


class PinRefused(PkiError):
    """The token does not take the PIN."""

    code = "pin_refused"

    def __init__(self, label: str, reason: str) -> None:
        super().__init__(f"the token {label!r} does not take the PIN: {reason}")
        self.label = label
        self.reason = reason


# --- issuing ---


class RequestRefused(PkiError):
    """A certificate cannot be issued for this request."""

    code = "request_refused"


class CertificateUnknown(PkiError):
    """The authority has issued no such certificate."""

    code = "certificate_unknown"


class NotHeld(PkiError):
    """Only a certificate that is suspended can be released."""

    code = "not_held"


class SerialTaken(PkiError):
    """The serial number is another certificate's."""

    code = "serial_taken"


class ExtensionMalformed(PkiError):
    """An extension of ours does not hold what we write in it."""

    code = "extension_malformed"

    def __init__(self, oid: str) -> None:
        super().__init__(f"the extension {oid} is malformed")
        self.oid = oid


class ReasonUnknown(PkiError):
    """Not a reason for which a certificate can be revoked."""

    code = "reason_unknown"


class SchemeInvalid(PkiError):
    """The scheme's directory cannot be made, or is not one."""

    code = "scheme_invalid"


class AuthorityHandedOver(PkiError):
    """Another program keeps this authority's records, and it alone may issue and revoke."""

    code = "authority_handed_over"

    def __init__(self, authority: str, to: str) -> None:
        super().__init__(
            f"the records of the authority {authority!r} are kept by {to}; issue, revoke and publish its "
            f"lists with `{to}`"
        )
        self.authority = authority
        self.to = to


# --- the trail ---


class TrailBroken(PkiError):
    """An authority's trail is not what was written; `sequence` names the entry."""

    code = "trail_broken"

    def __init__(self, authority: str, sequence: int, sentence: str) -> None:
        super().__init__(f"the trail of {authority!r} breaks at entry {sequence}: it {sentence}")
        self.authority = authority
        self.sequence = sequence


class AuditFailed(PkiError):
    """An authority's records are not what its trail says."""

    code = "audit_failed"

    def __init__(self, authority: str, sentence: str) -> None:
        super().__init__(f"the records of {authority!r} and their trail disagree: {sentence}")
        self.authority = authority


# --- verifying ---


class EncodingInvalid(PkiError):
    """Bytes that are no certificate or revocation list, or hold something that cannot be read."""

    code = "encoding_invalid"


class VerificationError(PkiError):
    """Base of what makes a certificate unacceptable; `subject` says which one of the chain."""

    code = "certificate_refused"

    def __init__(self, subject: str, sentence: str) -> None:
        super().__init__(f"{subject}: {sentence}")
        self.subject = subject


class ChainInvalid(VerificationError):
    """The certificates do not lead to a trusted root by the rules of RFC 5280."""

    code = "chain_invalid"


class CertificateExpired(VerificationError):
    """The moment lies after the certificate's validity."""

    code = "certificate_expired"

    def __init__(self, subject: str, not_after: datetime) -> None:
        super().__init__(subject, f"expired on {not_after.isoformat()}")
        self.not_after = not_after


class CertificateNotYetValid(VerificationError):
    """The moment lies before the certificate's validity."""

    code = "certificate_not_yet_valid"

    def __init__(self, subject: str, not_before: datetime) -> None:
        super().__init__(subject, f"is not valid before {not_before.isoformat()}")
        self.not_before = not_before


class CertificateRevoked(VerificationError):
    """The certificate was revoked at or before the moment."""

    code = "certificate_revoked"

    def __init__(self, subject: str, revoked_at: datetime, reason: str) -> None:
        super().__init__(subject, f"was revoked on {revoked_at.isoformat()} ({reason})")
        self.revoked_at = revoked_at
        self.reason = reason


class StatusStale(VerificationError):
    """The newest revocation list does not reach to the moment."""

    code = "status_stale"

    def __init__(self, subject: str, next_update: datetime) -> None:
        super().__init__(
            subject, f"its revocation list was to be renewed by {next_update.isoformat()}; fetch a new one"
        )
        self.next_update = next_update


class StatusUnknown(VerificationError):
    """There is no authentic revocation list of the issuer."""

    code = "status_unknown"


class PurposeRefused(VerificationError):
    """The certificate is sound, but for something else."""

    code = "purpose_refused"

    def __init__(self, subject: str, purpose: str) -> None:
        super().__init__(subject, f"is not a certificate for {purpose}")
        self.purpose = purpose


# --- signed statements ---


class StatementMalformed(PkiError):
    """Bytes or values that are not a statement as specified."""

    code = "statement_malformed"


class StatementSignatureInvalid(PkiError):
    """The signature is not this key's over this statement in this scheme."""

    code = "statement_signature_invalid"


# --- lists of what is revoked, OCSP ---


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
