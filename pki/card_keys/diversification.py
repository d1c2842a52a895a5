"""Keys that are derived for each card from a master. NXP AN10922, revision 2.2."""

from pki.card_keys.aes import BLOCK, KEY_BYTES, cmac_subkeys, encrypt_cbc
from pki.cmac import CmacKey

# AN10922, 2.2 and 2.3: the constants that tell the derivations apart
_AES_128 = b"\x01"
_AES_192_FIRST, _AES_192_SECOND = b"\x11", b"\x12"
_AES_192_KEY_BYTES = 24

# NXP AN10922, 2.2: UID, application and system identifier
UID_BYTES = 7
APPLICATION_BYTES = 3
# Ours: from 6 bytes on the message is longer than a block, and AN10922 is a plain AES-CMAC, as tokens do it.
SYSTEM_IDENTIFIER_BYTES = (6, 20)


def diversify_aes128(master: bytes, diversification_input: bytes) -> bytes:
    """A card's own AES-128 key. AN10922, 2.2.1.

    The input is 1 to 31 bytes, different for each card and each use of the key. Raises ValueError.
    """
    if len(master) != KEY_BYTES:
        raise ValueError("an AES-128 master key has 16 bytes")
    return _derived(master, _AES_128, diversification_input)


def diversify_under(master: CmacKey, diversification_input: bytes) -> bytes:
    """A card's own AES-128 key, from a master that may be on a token. AN10922, 2.2.1.

    The input is 16 to 31 bytes: with the constant it is longer than a block, and the derivation is a plain
    AES-CMAC. Raises ValueError, and TokenUnavailable.
    """
    if not BLOCK <= len(diversification_input) < 2 * BLOCK:
        raise ValueError("for a master on a token the diversification input has 16 to 31 bytes")
    return master.cmac(_AES_128 + diversification_input)


def diversify_aes192(master: bytes, diversification_input: bytes) -> bytes:
    """A card's own AES-192 key. AN10922, 2.3.1. The input is as above. Raises ValueError."""
    if len(master) != _AES_192_KEY_BYTES:
        raise ValueError("an AES-192 master key has 24 bytes")
    first = _derived(master, _AES_192_FIRST, diversification_input)
    second = _derived(master, _AES_192_SECOND, diversification_input)
    middle = bytes(a ^ b for a, b in zip(first[8:], second[:8], strict=True))
    return first[:8] + middle + second[8:]


def diversification_message(uid: bytes, application: bytes, system_identifier: bytes) -> bytes:
    """What a master's plain AES-CMAC makes an application's key of a card from. AN10922, 2.2.

    The UID has 7 bytes, the application's identifier 3 as they are sent, least significant first, and the
    system identifier 6 to 20. Raises ValueError.
    """
    if len(uid) != UID_BYTES:
        raise ValueError("a card's UID has 7 bytes")
    if len(application) != APPLICATION_BYTES:
        raise ValueError("an application's identifier has 3 bytes")
    shortest, longest = SYSTEM_IDENTIFIER_BYTES
    if not shortest <= len(system_identifier) <= longest:
        raise ValueError(f"a system identifier has {shortest} to {longest} bytes")
    return _AES_128 + uid + application + system_identifier


def _derived(master: bytes, constant: bytes, diversification_input: bytes) -> bytes:
    if not 1 <= len(diversification_input) <= 31:
        raise ValueError("the diversification input has 1 to 31 bytes")
    message = constant + diversification_input
    first, second = cmac_subkeys(master)
    # Always two blocks, also where AES-CMAC would take one: a short input is not a plain CMAC.
    if len(message) == 2 * BLOCK:
        last_mask = first
    else:
        message = (message + b"\x80").ljust(2 * BLOCK, b"\x00")
        last_mask = second
    last = bytes(a ^ b for a, b in zip(message[BLOCK:], last_mask, strict=True))
    return encrypt_cbc(master, bytes(BLOCK), message[:BLOCK] + last)[-BLOCK:]
