"""Encrypted PKCS#8 with a memory-hard derivation: what `openssl pkcs8 -topk8 -scrypt` writes.

`cryptography` reads this but cannot write it: its own PKCS#8 encryption is PBKDF2 with 2,048 rounds, which a
stolen file's passphrase does not withstand.
"""

import os
from base64 import b64encode
from hashlib import scrypt
from textwrap import wrap

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pki import der

# RFC 7914, 2. 16 MiB: the most that `openssl` 3 reads without being told to.
FULL_COST = 16_384
_BLOCK_SIZE, _PARALLEL = 8, 1
_MEMORY_LIMIT_BYTES = 64 * 2**20
SCRYPT_SALT_BYTES = 16
_KEY_BYTES = 32

# Object identifiers as DER
_PBES2 = bytes.fromhex("06092a864886f70d01050d")  # 1.2.840.113549.1.5.13, RFC 8018, A.4
_SCRYPT = bytes.fromhex("06092b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11, RFC 7914, 7
_AES_256_CBC = bytes.fromhex("060960864801650304012a")  # 2.16.840.1.101.3.4.1.42, RFC 8018, B.2.5


def current_cost() -> int:
    """What opening a file that is written now costs: scrypt's N. Each file says its own."""
    return FULL_COST


def checked_cost(stated: object) -> int:
    """The cost that a file says it was written with; those of before files said one have the full one.

    Raises ValueError for what is no cost, or so high that opening the file would exhaust the machine.
    """
    if stated is None:
        return FULL_COST
    if type(stated) is not int or not 2 <= stated <= FULL_COST or stated & (stated - 1):  # RFC 7914, 2
        raise ValueError("not a cost of scrypt")
    return stated


def derive_key(passphrase: bytes, salt: bytes, cost: int) -> bytes:
    """The AES-256 key of a passphrase. RFC 7914, 6."""
    return scrypt(
        passphrase,
        salt=salt,
        n=cost,
        r=_BLOCK_SIZE,
        p=_PARALLEL,
        maxmem=_MEMORY_LIMIT_BYTES,
        dklen=_KEY_BYTES,
    )


def encrypted_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes) -> bytes:
    """The key as EncryptedPrivateKeyInfo in PEM. RFC 5958, 3, with PBES2 (RFC 8018, 6.2)."""
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, iv, cost = os.urandom(SCRYPT_SALT_BYTES), os.urandom(16), current_cost()
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(derive_key(passphrase, salt, cost)), modes.CBC(iv)).encryptor()
    encrypted = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    derivation = (
        der.tlv(der.OCTET_STRING, salt),
        *(der.integer(number) for number in (cost, _BLOCK_SIZE, _PARALLEL)),
    )
    algorithm = _sequence(
        _PBES2,
        _sequence(
            _sequence(_SCRYPT, _sequence(*derivation)),
            _sequence(_AES_256_CBC, der.tlv(der.OCTET_STRING, iv)),
        ),
    )
    return _pem(_sequence(algorithm, der.tlv(der.OCTET_STRING, encrypted)))


def _sequence(*items: bytes) -> bytes:
    return der.tlv(der.SEQUENCE, *items)


def _pem(data: bytes) -> bytes:
    """RFC 7468, 11."""
    lines = wrap(b64encode(data).decode(), 64)
    label = "ENCRYPTED PRIVATE KEY"
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()
