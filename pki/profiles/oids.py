"""Object identifiers: those of the standards, and ours below the scheme's own arc.

`arc.1.x` are extended key usages, `arc.2.1` is the certificate policy that marks everything of the scheme,
and `arc.3.1` the private extension that holds a card's place in the status list.
"""

import re

from cryptography import x509

# RFC 5612: the private enterprise number set aside for examples. A real scheme has its own.
EXAMPLE_ARC = "1.3.6.1.4.1.32473"
# Ours: more than any enterprise number will have; linters refuse the 128 bits of `2.25`.
MAX_ARC_COMPONENT = 2**28

# FIPS 201-3, appendix B: id-PIV-content-signing and id-PIV-cardAuth
PIV_CONTENT_SIGNING = x509.ObjectIdentifier("2.16.840.1.101.3.6.7")
PIV_CARD_AUTH = x509.ObjectIdentifier("2.16.840.1.101.3.6.8")
# RFC 9336, 3: id-kp-documentSigning
DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")

# Ours, under the arc: extended key usages
TERMINAL_REQUESTS = "1.1"
ANSWERS = "1.2"
HOLDER_SIGN_IN = "1.3"
HOLDER_SIGNATURES = "1.4"
STAFF_SIGN_IN = "1.5"
STATEMENTS = "1.6"
TRUST_LISTS = "1.7"
# The policy, and the extension
POLICY = "2.1"
STATUS_LIST_INDEX = "3.1"

_ARC = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){2,}")


def check_arc(arc: str) -> str:
    """The arc, if our identifiers can hang below it. Raises ValueError with a sentence."""
    if not _ARC.fullmatch(arc):
        raise ValueError(f"{arc!r} is not an object identifier such as {EXAMPLE_ARC}")
    first, second, *rest = (int(component) for component in arc.split("."))
    # ITU-T X.660, 7.6: below 0 and 1 there are 40
    if first < 2 and second >= 40:
        raise ValueError(f"{arc!r} is not an object identifier: after {first} comes 0 to 39")
    if max(second, *rest) > MAX_ARC_COMPONENT:
        raise ValueError(f"{arc!r} has a component above {MAX_ARC_COMPONENT}, which not every reader takes")
    return arc


def under(arc: str, branch: str) -> x509.ObjectIdentifier:
    """One of our identifiers in the scheme of this arc."""
    return x509.ObjectIdentifier(f"{arc}.{branch}")


def scheme_policy(arc: str) -> x509.ObjectIdentifier:
    """The certificate policy (RFC 5280, 4.2.1.4) of a scheme's certificates."""
    return under(arc, POLICY)


def arc_of(policy: x509.ObjectIdentifier) -> str | None:
    """The arc of a scheme's policy; None where it is no such policy."""
    text = policy.dotted_string
    return text.removesuffix(f".{POLICY}") if text.endswith(f".{POLICY}") else None
