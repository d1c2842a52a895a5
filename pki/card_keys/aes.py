"""AES-128 as cards use it: CMAC and its truncation, CBC, padding, and the checksum of a new key."""

import zlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from pki.cmac import SoftwareCmacKey

BLOCK = 16
KEY_BYTES = 16
# NIST SP 800-38B, 5.3: R128
_R128 = 0x87


def cmac(key: bytes, data: bytes) -> bytes:
    """AES-CMAC, 16 bytes. NIST SP 800-38B, 6.2; RFC 4493."""
    return SoftwareCmacKey(key).cmac(data)


def cmac_subkeys(key: bytes) -> tuple[bytes, bytes]:
    """K1 and K2. NIST SP 800-38B, 6.1."""
    first = _double(encrypt_block(key, bytes(BLOCK)))
    return first, _double(first)


def truncated(mac: bytes) -> bytes:
    """MACt, 8 bytes: every second byte of a CMAC, beginning with its second. NXP AN12343, 6.5."""
    return mac[1::2]


def encrypt_block(key: bytes, block: bytes) -> bytes:
    """One block. NIST SP 800-38A, 6.1; for initialisation vectors and subkeys, which are no secret texts."""
    # S305: a single block each, as the standards say; no text is encrypted with it
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 -- one block
    return encryptor.update(block) + encryptor.finalize()


def encrypt_cbc(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Whole blocks. NIST SP 800-38A, 6.2."""
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def decrypt_cbc(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Whole blocks. NIST SP 800-38A, 6.2. Raises ValueError for parts of a block."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def padded(data: bytes) -> bytes:
    """80 and zeros up to a whole block, at least the 80. ISO/IEC 9797-1, padding method 2."""
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)


def unpadded(data: bytes) -> bytes:
    """The data before the padding. Raises ValueError where there is none."""
    text, mark, zeros = data.rpartition(b"\x80")
    if not mark or any(zeros) or len(zeros) >= BLOCK:
        raise ValueError("the padding is not 80 and zeros")
    return text


def zero_padded(data: bytes) -> bytes:
    """Zeros up to a whole block; none where there is one."""
    return data + bytes(-len(data) % BLOCK)


def crc32_jam(data: bytes) -> bytes:
    """CRC-32 without the final inversion, least significant byte first: of a new key in ChangeKey."""
    return (zlib.crc32(data) ^ 0xFFFF_FFFF).to_bytes(4, "little")


def _double(block: bytes) -> bytes:
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number = (number & ((1 << 128) - 1)) ^ _R128
    return number.to_bytes(BLOCK, "big")
