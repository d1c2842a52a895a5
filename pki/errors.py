"""What can go wrong in `pki`. Each error has a stable `code`, and carries its data as attributes."""

from datetime import datetime
from pathlib import Path

from pki import error_base, status_errors

PkiError = error_base.PkiError

# --- revocation lists, OCSP, status lists: see `pki.status_errors` ---

BaseListMissing = status_errors.BaseListMissing
CardMapMalformed = status_errors.CardMapMalformed
CardMapRefused = status_errors.CardMapRefused
CardMapStale = status_errors.CardMapStale
CardMapUnavailable = status_errors.CardMapUnavailable
CardUnmapped = status_errors.CardUnmapped
DerMalformed = status_errors.DerMalformed
ExtraMissing = status_errors.ExtraMissing
StatusIndexUnknown = status_errors.StatusIndexUnknown
StatusListMalformed = status_errors.StatusListMalformed
StatusListRefused = status_errors.StatusListRefused
StatusListStale = status_errors.StatusListStale
StatusListUnavailable = status_errors.StatusListUnavailable


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


class CertificateStands(PkiError):
    """A certificate that is to be forgotten has not been revoked."""

    code = "certificate_stands"


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


class VerificationError(PkiError):
    """Base of what makes a certificate unacceptable; `subject` says which one of the chain."""

    code = "certificate_refused"

    def __init__(self, subject: str, sentence: str) -> None:
        super().__init__(f"{subject}: {sentence}")
        self.subject = subject


class EncodingInvalid(VerificationError):
    """Bytes that are no certificate or revocation list, or hold something that cannot be read."""

    code = "encoding_invalid"


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
    _verb = "was revoked on"

    def __init__(self, subject: str, revoked_at: datetime, reason: str) -> None:
        super().__init__(subject, f"{self._verb} {revoked_at.isoformat()} ({reason})")
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


# --- CMS ---


class ContentSignatureInvalid(PkiError):
    """What a content signer is said to have signed was not signed by it, or is something else."""

    code = "content_signature_invalid"


# --- signed statements ---


class StatementMalformed(PkiError):
    """Bytes or values that are not a statement as specified."""

    code = "statement_malformed"


class StatementSignatureInvalid(PkiError):
    """The signature is not this key's over this statement in this scheme."""

    code = "statement_signature_invalid"


class TrustListRefused(PkiError):
    """The list of recognised schemes cannot be made, or cannot be relied on."""

    code = "trust_list_refused"


# --- signed requests ---


class RequestSignatureError(PkiError):
    """Base of what makes a signed HTTP request unacceptable."""

    code = "request_signature_refused"


class RequestSignatureMissing(RequestSignatureError):
    """The request has no signature."""

    code = "request_signature_missing"


class RequestSignatureInvalid(RequestSignatureError):
    """The signature does not verify; or, by a class below, it cannot: it does not follow the profile."""

    code = "request_signature_invalid"


class RequestSignatureMalformed(RequestSignatureInvalid):
    """The two fields are not written as the profile has them: one signature, by one algorithm."""

    code = "request_signature_malformed"


class RequestSignatureKeyIdMalformed(RequestSignatureInvalid):
    """The key identifier is none that a terminal can have."""

    code = "request_signature_keyid_malformed"


class RequestSignatureComponents(RequestSignatureInvalid):
    """The signature covers other components than those of the profile."""

    code = "request_signature_components"


class RequestDigestMismatch(RequestSignatureInvalid):
    """The body is not the one whose digest was signed."""

    code = "request_digest_mismatch"


class RequestSignatureKeyUnknown(RequestSignatureError):
    """Nobody is known by the key identifier."""

    code = "request_signature_key_unknown"

    def __init__(self, keyid: str) -> None:
        super().__init__(f"no key is known for {keyid!r}")
        self.keyid = keyid


class RequestSignatureStale(RequestSignatureError):
    """The signature was made too long ago, or in the future."""

    code = "request_signature_stale"

    def __init__(self, created: datetime, moment: datetime) -> None:
        super().__init__(
            f"it was signed at {created.isoformat()}, and here it is {moment.isoformat()}; set the clock"
        )
        self.created = created
        self.moment = moment
