"""An authenticator and a browser in software: they make passkeys and sign with them (Web Authentication)."""

import base64
import json
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cardservice.api.fields import to_base64url
from tests.support.council import ORIGIN

# 6.1: user present, user verified, attested credential data included
_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


@dataclass(slots=True)
class Authenticator:
    """One passkey; what it says of the browser's page and of the person can be changed by a test."""

    origin: str = ORIGIN
    rp: str = "cards.ashcombe.example"
    flags: int = _PRESENT | _VERIFIED
    algorithm: int = -7
    count: int = 0
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def made(self, challenge: str) -> dict[str, Any]:
        """The answer to an offer: 6.5.4, attestation `none`."""
        numbers = self.key.public_key().public_numbers()
        key = {1: 2, 3: self.algorithm, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        length = len(self.credential).to_bytes(2)
        data = self._data(_ATTESTED) + bytes(16) + length + self.credential + cbor2.dumps(key)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return {
            "client_data": to_base64url(self._client_data("webauthn.create", challenge)),
            "attestation": to_base64url(attestation),
        }

    def signed(self, challenge: str) -> dict[str, Any]:
        """The answer to a challenge: 6.3.3."""
        client_data, data = self._client_data("webauthn.get", challenge), self._data(0)
        signature = self.key.sign(data + sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return {
            "credential": to_base64url(self.credential),
            "client_data": to_base64url(client_data),
            "authenticator_data": to_base64url(data),
            "signature": to_base64url(signature),
        }

    def _data(self, more: int) -> bytes:
        flags = bytes([self.flags | more])
        return sha256(self.rp.encode()).digest() + flags + self.count.to_bytes(4)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        """5.8.1"""
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()


def typed(secret: str) -> bytes:
    """The bytes of a secret that an app was given as text."""
    return base64.b32decode(secret + "=" * (-len(secret) % 8))
