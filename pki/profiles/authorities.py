"""The kinds of authorities: the root, and those below it that issue."""

from cryptography import x509

from pki.profiles.leaves import LEAVES
from pki.profiles.model import CRL_SIGN, KEY_CERT_SIGN, ROOT, AuthorityProfile, Stated

_SIGNS = Stated((KEY_CERT_SIGN, CRL_SIGN), "RFC 5280, 4.2.1.3")
_YEAR_DAYS = 365

ROOT_AUTHORITY = AuthorityProfile(
    name=ROOT,
    purpose="signs the issuing authorities; its key is in a safe",
    path_length=Stated(1, "RFC 5280, 4.2.1.9"),
    key_usage=_SIGNS,
    validity=Stated(20 * _YEAR_DAYS, "ours: it outlives two generations of what it signs"),
)
ISSUING_AUTHORITY = AuthorityProfile(
    name="authority",
    purpose="issues for cards, terminals or the service; none can stand below it",
    path_length=Stated(0, "RFC 5280, 4.2.1.9"),
    key_usage=_SIGNS,
    validity=Stated(10 * _YEAR_DAYS, "ours"),
)

# The issuing authorities of a scheme, each below the root
ISSUING = tuple(sorted({name for profile in LEAVES for name in profile.authorities} - {ROOT}))


def usages_of_authority(authority: str, arc: str) -> tuple[x509.ObjectIdentifier, ...]:
    """What an authority may issue for: stands in its own certificate, so that no other use verifies."""
    usages = [
        usage for profile in LEAVES if authority in profile.authorities for usage in profile.usages(arc)
    ]
    return tuple(dict.fromkeys(usages))
