"""What a staff card signs to sign its holder in: the service's challenge, for the origin asked for.

Who stands in between under another name gets a signature that is good for nothing at the service.
"""

from hashlib import sha256

_LABEL = b"citizen-card staff sign-in\x00"


def signing_input(origin: str, challenge: bytes) -> bytes:
    """What key 9A signs by ECDSA with SHA-256. Ours: a label, and the hashes of origin and challenge."""
    return _LABEL + sha256(origin.encode()).digest() + sha256(challenge).digest()
