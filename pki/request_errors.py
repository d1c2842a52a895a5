"""What makes a signed HTTP request unacceptable."""

from datetime import datetime

from pki.errors import PkiError


class RequestSignatureError(PkiError):
    """Base of what makes a signed HTTP request unacceptable."""

    code = "request_signature_refused"


class RequestSignatureMissing(RequestSignatureError):
    """The request has no signature."""

    code = "request_signature_missing"


class RequestSignatureInvalid(RequestSignatureError):
    """The signature does not follow the profile, or does not verify."""

    code = "request_signature_invalid"


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
