"""What the full validation tells apart beyond the errors of `pki.errors`."""

from pki.errors import CertificateRevoked, ChainInvalid


class IssuerUnknown(ChainInvalid):
    """No authority that is trusted here has issued the certificate."""

    code = "issuer_unknown"


class CertificateSignatureInvalid(ChainInvalid):
    """The issuer's key has not signed the certificate."""

    code = "certificate_signature_invalid"


class NameRefused(ChainInvalid):
    """An authority above may not issue for the certificate's names. RFC 5280, 4.2.1.10."""

    code = "certificate_name_refused"


class PolicyRefused(ChainInvalid):
    """The policies that are wanted do not hold for the whole path. RFC 5280, 4.2.1.11."""

    code = "certificate_policy_refused"


class CertificateSuspended(CertificateRevoked):
    """The certificate is on hold, and may be released. RFC 5280, 5.3.1."""

    code = "certificate_suspended"
    _verb = "has been suspended since"
