"""What a provider may call a cardholder: a pseudonym of its own, which no other provider has.

It is the same with each visit, so that a provider can tell its customers apart, and says nothing of who they
are: two providers that lay their reports side by side find nobody in both. Ours: HMAC-SHA-256 cut to
16 bytes, under a key for each provider that follows from the services' master.
"""

import hmac
from collections.abc import Callable

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cardservice.ids import CardholderId, ProviderId

_CONTEXT = b"citizen-card provider pseudonym\x00"
_KEY_BYTES, _PSEUDONYM_BYTES = 32, 16


def pseudonyms_for(master: bytes, provider_id: ProviderId) -> Callable[[CardholderId], str]:
    """What calls cardholders as this provider knows them, in 32 hexadecimal digits."""
    info = _CONTEXT + provider_id.encode()
    key = HKDF(SHA256(), _KEY_BYTES, salt=None, info=info).derive(master)

    def pseudonym(holder: CardholderId) -> str:
        return hmac.digest(key, holder.bytes, "sha256")[:_PSEUDONYM_BYTES].hex()

    return pseudonym
