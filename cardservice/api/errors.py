"""What of a request signature is not of the profile: a program can be told which part, without any key."""

from cardservice.errors import RequestSignatureInvalid


class RequestSignatureMalformed(RequestSignatureInvalid):
    """The fields of the signature are not written as the profile has them."""

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
