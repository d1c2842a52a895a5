"""Where keys lie: a seam, so that a PKCS#11 token can hold them, and a store of encrypted files behind it."""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pki import pkcs8
from pki.cmac import CmacKey, SoftwareCmacKey
from pki.errors import KeyExists, KeyNotFound, KeyUnreadable, PassphraseMissing, WrongPassphrase
from pki.files import make_private_directory, write_new
from pki.key_names import checked_name
from pki.pkcs8 import SCRYPT_SALT_BYTES, checked_cost, derive_key, encrypted_pem

# Ours: the format of a secret's file, authenticated with the secret's name
_SECRET_FORMAT = "citizen-card-secret/1"  # noqa: S105 -- the name of a format
# NIST SP 800-38D, 8.2: 96 bits, random; one message per key here, since each file has its own salt
_GCM_NONCE_BYTES = 12
_CMAC_KEY_BYTES = 16


class KeyStore(Protocol):
    """Holds named keys. On a token a P-256 key signs and a CMAC key makes CMACs; neither can be read.

    What is on a token raises TokenUnavailable and PinRefused, too, and KeyNotExtractable for what is never
    given away.
    """

    def generate(self, name: str) -> ec.EllipticCurvePrivateKey:
        """Make and keep a P-256 key. Raises KeyExists."""
        ...

    def private_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        """The key of that name. Raises KeyNotFound, WrongPassphrase, KeyUnreadable."""
        ...

    def generate_secret(self, name: str, length: int = 32) -> bytes:
        """Make and keep a symmetric key of `length` bytes. Raises KeyExists."""
        ...

    def secret(self, name: str) -> bytes:
        """The symmetric key of that name. Raises KeyNotFound, WrongPassphrase, KeyUnreadable."""
        ...

    def generate_working_secret(self, name: str, length: int = 32) -> bytes:
        """Make what `working_secret` returns. Raises KeyExists."""
        ...

    def working_secret(self, name: str, length: int = 32) -> bytes:
        """A symmetric key of `length` bytes for this process's memory, for what tokens cannot do themselves.

        From a file it is the secret; from a token it is derived from a key that stays there. Raises
        KeyNotFound, WrongPassphrase, KeyUnreadable.
        """
        ...

    def generate_cmac_key(self, name: str) -> CmacKey:
        """Make and keep an AES-128 key for CMACs, such as a master of diversification. Raises KeyExists."""
        ...

    def cmac_key(self, name: str) -> CmacKey:
        """The CMAC key of that name. Raises KeyNotFound, WrongPassphrase, KeyUnreadable."""
        ...


class FileKeyStore:
    """A folder that only its owner can read: `NAME.key` is encrypted PKCS#8, `NAME.secret` AES-256-GCM."""

    def __init__(self, directory: Path, passphrase: bytes) -> None:
        if not passphrase:
            raise PassphraseMissing("keys are kept under a passphrase, and an empty one protects nothing")
        self._directory = directory
        self._passphrase = passphrase

    def generate(self, name: str) -> ec.EllipticCurvePrivateKey:
        """Make and keep a P-256 key. Raises KeyExists."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._write(name, self._key_path(name), encrypted_pem(key, self._passphrase))
        return key

    def private_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        """The key of that name. Raises KeyNotFound, WrongPassphrase, KeyUnreadable."""
        path = self._key_path(name)
        pem = _read(name, path)
        if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" not in pem:
            raise KeyUnreadable(path, "is not an encrypted private key in PEM")
        try:
            key = load_pem_private_key(pem, self._passphrase)
        except ValueError as error:
            raise WrongPassphrase(path) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise KeyUnreadable(path, "is not a P-256 key")
        return key

    def generate_secret(self, name: str, length: int = 32) -> bytes:
        """Make and keep a symmetric key of `length` bytes. Raises KeyExists."""
        secret = os.urandom(length)
        self.keep_secret(name, secret)
        return secret

    def keep_secret(self, name: str, secret: bytes) -> None:
        """Keep a symmetric key that was made elsewhere. Raises KeyExists."""
        salt, nonce = os.urandom(SCRYPT_SALT_BYTES), os.urandom(_GCM_NONCE_BYTES)
        cost = pkcs8.current_cost()
        sealed = AESGCM(derive_key(self._passphrase, salt, cost)).encrypt(nonce, secret, _associated(name))
        parts = {"salt": salt, "nonce": nonce, "ciphertext": sealed}
        content: dict[str, object] = {"format": _SECRET_FORMAT, "cost": cost}
        content |= {key: b64encode(part).decode() for key, part in parts.items()}
        self._write(name, self._secret_path(name), json.dumps(content, indent=1).encode() + b"\n")

    def secret(self, name: str) -> bytes:
        """The symmetric key of that name. Raises KeyNotFound, WrongPassphrase, KeyUnreadable."""
        path = self._secret_path(name)
        try:
            content = json.loads(_read(name, path))
            if content["format"] != _SECRET_FORMAT:
                raise KeyUnreadable(path, "is not in a format known here")
            salt, nonce, sealed = (b64decode(content[key]) for key in ("salt", "nonce", "ciphertext"))
            key = derive_key(self._passphrase, salt, checked_cost(content.get("cost")))
            return AESGCM(key).decrypt(nonce, sealed, _associated(name))
        except InvalidTag as error:
            raise WrongPassphrase(path) from error
        except (ValueError, KeyError, TypeError) as error:
            raise KeyUnreadable(path, "is damaged") from error

    def generate_working_secret(self, name: str, length: int = 32) -> bytes:
        """Make and keep a symmetric key of `length` bytes. Raises KeyExists."""
        return self.generate_secret(name, length)

    def working_secret(self, name: str, length: int = 32) -> bytes:
        """The symmetric key of that name. Raises KeyNotFound, WrongPassphrase, KeyUnreadable."""
        found = self.secret(name)
        if len(found) != length:
            raise KeyUnreadable(self._secret_path(name), f"holds {len(found)} bytes, not {length}")
        return found

    def generate_cmac_key(self, name: str) -> CmacKey:
        """Make and keep an AES-128 key for CMACs. Raises KeyExists."""
        return SoftwareCmacKey(self.generate_secret(name, _CMAC_KEY_BYTES))

    def cmac_key(self, name: str) -> CmacKey:
        """The CMAC key of that name. Raises KeyNotFound, WrongPassphrase, KeyUnreadable."""
        return SoftwareCmacKey(self.secret(name))

    def _write(self, name: str, path: Path, data: bytes) -> None:
        make_private_directory(self._directory)
        try:
            write_new(path, data, mode=0o600)
        except FileExistsError as error:
            raise KeyExists(name, path) from error

    def _key_path(self, name: str) -> Path:
        return self._directory / f"{checked_name(name)}.key"

    def _secret_path(self, name: str) -> Path:
        return self._directory / f"{checked_name(name)}.secret"


def passphrase_from(file: Path | None, env: str, prompt: Callable[[], str] | None = None) -> bytes:
    """The passphrase from a file, else from the environment variable `env`, else by asking.

    One line end is cut off. Raises PassphraseMissing where there is none, or an empty one.
    """
    if file is not None:
        try:
            found = file.read_bytes()
        except OSError as error:
            raise PassphraseMissing(f"the passphrase file {file} cannot be read: {error.strerror}") from error
        found = found.removesuffix(b"\n").removesuffix(b"\r")
    elif env in os.environ:
        found = os.environb[env.encode()]
    elif prompt is not None:
        found = prompt().encode()
    else:
        raise PassphraseMissing(f"no passphrase: give --passphrase-file or set {env}")
    if not found:
        raise PassphraseMissing("the passphrase is empty")
    return found


def optional_passphrase(file: Path | None, env: str) -> bytes | None:
    """The passphrase from a file or the environment; None where neither is given.

    Raises PassphraseMissing for a file that cannot be read, and for an empty one.
    """
    if file is None and env not in os.environ:
        return None
    return passphrase_from(file, env)


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise KeyNotFound(name, path) from error
    except OSError as error:
        raise KeyUnreadable(path, f"cannot be read: {error.strerror}") from error


def _associated(name: str) -> bytes:
    return f"{_SECRET_FORMAT} {name}".encode()
