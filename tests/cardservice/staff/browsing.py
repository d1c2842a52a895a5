"""Staff over HTTP in tests: requests with a session's token or cookie, and ways to sign in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from flask.testing import FlaskClient

from cardservice.api.fields import to_base64url
from cardservice.staff import service, totp
from pki.staff_sign_in import signing_input
from tests.cardservice.staff.authenticator import Authenticator, typed
from tests.cardservice.staff.people import request_of
from tests.support.council import ORIGIN, Council, Reply, from_base64url, reply

PASSWORD = "seven larks over Ashcombe"


@dataclass(slots=True)
class Browsing:
    """Somebody at a program or browser."""

    council: Council
    token: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Reply:
        """A GET."""
        return reply(self._client().get(path, headers=self._headers(headers)))

    def post(self, path: str, body: Mapping[str, Any], **headers: str) -> Reply:
        """A POST."""
        sent = {"Content-Type": "application/json", **self._headers(headers)}
        return reply(self._client().post(path, data=json.dumps(body).encode(), headers=sent))

    def challenge(self) -> str:
        """A fresh challenge."""
        return str(self.post("/v1/staff/challenges", {}).json["challenge"])

    def came_in(self, answer: Reply) -> "Browsing":
        """The same, signed in."""
        assert answer.status == 200, answer
        return Browsing(self.council, str(answer.json["token"]))

    def _client(self) -> FlaskClient:
        """One that keeps no cookies: what is sent is what a test says."""
        return self.council.client.application.test_client(use_cookies=False)

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        bearer = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return {**self.headers, **bearer, **{name.replace("_", "-"): value for name, value in more.items()}}


def enrolled_card(council: Council, name: str) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """A key with a certificate in DER, as a staff card has them."""
    key, context = ec.generate_private_key(ec.SECP256R1()), council.context
    with context.database.begin() as connection:
        authority = context.authority(service.AUTHORITY, connection)
        request = request_of(key, name)
        issued = service.enrol(connection, authority, name, request, actor="test", moment=council.clock())
    return key, issued.public_bytes(Encoding.DER)


def by_certificate(key: ec.EllipticCurvePrivateKey, certificate: bytes, challenge: str) -> dict[str, Any]:
    """The body of a sign-in."""
    signed = key.sign(signing_input(ORIGIN, from_base64url(challenge)), ec.ECDSA(hashes.SHA256()))
    return {
        "challenge": challenge,
        "certificate": to_base64url(certificate),
        "signature": to_base64url(signed),
    }


def signed_in(council: Council, name: str) -> Browsing:
    """Somebody who has signed in with a card."""
    browsing = Browsing(council)
    key, certificate = enrolled_card(council, name)
    body = by_certificate(key, certificate, browsing.challenge())
    return browsing.came_in(browsing.post("/v1/staff/sessions/certificate", body))


def with_passkey(somebody: Browsing, authenticator: Authenticator) -> Reply:
    """Make a passkey."""
    options = somebody.post("/v1/staff/passkeys/offer", {}).json["options"]
    made = authenticator.made(options["challenge"])
    return somebody.post("/v1/staff/passkeys", {"name": "my key", **made})


def with_password(somebody: Browsing, password: str = PASSWORD) -> bytes:
    """Choose a password and set up the app; its secret."""
    begun = somebody.post("/v1/staff/password", {"password": password})
    assert begun.status == 200, begun
    secret = typed(begun.json["secret"])
    done = somebody.post("/v1/staff/password/confirmation", {"code": code_of(secret, somebody.council)})
    assert done.status == 200, done
    return secret


def code_of(secret: bytes, council: Council, steps: int = 0) -> str:
    """What the app shows now, or some steps later."""
    return totp.code_at(secret, int(council.clock().timestamp()) // totp.STEP_S + steps)
