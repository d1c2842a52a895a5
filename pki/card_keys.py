"""Keys that are derived for each card from a master. NXP AN10922, revision 2.2."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BLOCK = 16
# AN10922, 2.2: the constant that tells an AES-128 derivation
_AES_128 = b"\x01"
# NIST SP 800-38B, 5.3: R128
_R128 = 0x87


def diversify_aes128(master: bytes, diversification_input: bytes) -> bytes:
    """A card's own AES-128 key. AN10922, 2.2.1.

    The input is 1 to 31 bytes, different for each card and each use of the key. Raises ValueError.
    """
    if len(master) != _BLOCK:
        raise ValueError("an AES-128 master key has 16 bytes")
    if not 1 <= len(diversification_input) <= 31:
        raise ValueError("the diversification input has 1 to 31 bytes")
    message = _AES_128 + diversification_input
    first, second = _cmac_subkeys(master)
    # Always two blocks, also where AES-CMAC would take one: a short input is not a plain CMAC.
    if len(message) == 2 * _BLOCK:
        last_mask = first
    else:
        message = (message + b"\x80").ljust(2 * _BLOCK, b"\x00")
        last_mask = second
    last = bytes(a ^ b for a, b in zip(message[_BLOCK:], last_mask, strict=True))
    encryptor = Cipher(algorithms.AES128(master), modes.CBC(bytes(_BLOCK))).encryptor()
    return (encryptor.update(message[:_BLOCK] + last) + encryptor.finalize())[-_BLOCK:]


def _cmac_subkeys(key: bytes) -> tuple[bytes, bytes]:
    """NIST SP 800-38B, 6.1."""
    # S305: one block of zeros, as the standard says; nothing is kept secret by it
    encryptor = Cipher(algorithms.AES128(key), modes.ECB()).encryptor()  # noqa: S305
    first = _double(encryptor.update(bytes(_BLOCK)) + encryptor.finalize())
    return first, _double(first)


def _double(block: bytes) -> bytes:
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number = (number & ((1 << 128) - 1)) ^ _R128
    return number.to_bytes(_BLOCK, "big")
