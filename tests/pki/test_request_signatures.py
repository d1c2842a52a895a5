"""The terminals' profile of RFC 9421, with `http-message-signatures` as the witness on the other side."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, MappingKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256

from pki import request_signatures as profile
from pki.errors import (
    RequestDigestMismatch,
    RequestSignatureComponents,
    RequestSignatureError,
    RequestSignatureInvalid,
    RequestSignatureKeyIdMalformed,
    RequestSignatureKeyUnknown,
    RequestSignatureMalformed,
    RequestSignatureMissing,
    RequestSignatureStale,
)

MOMENT = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)
URI = "https://cards.example/v1/authorisations"
BODY = b'{"hello": "world"}'
JSON = {"Content-Type": "application/json"}
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = {"bus-12": KEY.public_key(), "till-3": OTHER_KEY.public_key()}
VECTORS = Path(__file__).parents[1] / "vectors"


def signed(body: bytes | None = BODY, moment: datetime = MOMENT) -> dict[str, str]:
    return profile.sign_request("POST", URI, JSON, body, KEY, "bus-12", moment)


def verify(
    headers: dict[str, str],
    *,
    body: bytes = BODY,
    method: str = "POST",
    uri: str = URI,
    moment: datetime = MOMENT,
) -> str:
    return profile.verify_request(method, uri, headers, body, KEYS.get, moment)


@dataclass
class Message:
    """A request as http-message-signatures wants it."""

    method: str = "POST"
    url: str = URI
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))


def witness_signed(message: Message, body: bytes | None = BODY, **options: Any) -> dict[str, str]:
    """What the library makes, without any code of ours; options change it from our profile."""
    resolver = MappingKeyResolver(public_keys={}, private_keys={"bus-12": KEY})
    arguments: dict[str, Any] = {
        "key_id": "bus-12",
        "created": MOMENT,
        "label": "sig1",
        "tag": "citizen-card-terminal",
        "covered_component_ids": ("@method", "@target-uri", "content-type", "content-digest")
        if body
        else ("@method", "@target-uri"),
        "body": body,
        **options,
    }
    HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=resolver).sign(message, **arguments)
    return message.headers


def test_what_the_library_signs_is_verified_here() -> None:
    assert verify(witness_signed(Message())) == "bus-12"
    headers = witness_signed(Message(method="GET", url=URI + "?a=b"), body=None)
    assert verify(headers, body=b"", method="GET", uri=URI + "?a=b") == "bus-12"


@pytest.mark.parametrize("body", [BODY, None])
def test_what_is_signed_here_the_library_verifies(body: bytes | None) -> None:
    now = datetime.now(UTC)
    message = Message(headers=signed(body, now))
    resolver = MappingKeyResolver(public_keys={"bus-12": KEY.public_key()}, private_keys={})
    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=resolver)
    (result,) = verifier.verify(
        message,
        body=body,
        require_components=("@method", "@target-uri"),
        expect_tag="citizen-card-terminal",
        max_age=profile.MAX_AGE,
    )
    assert result.parameters["keyid"] == "bus-12"
    assert result.body == body


def test_the_header_names_may_be_in_any_case() -> None:
    assert verify({name.upper(): value for name, value in signed().items()}) == "bus-12"


def test_the_headers_given_are_kept_and_old_signatures_are_not() -> None:
    headers = profile.sign_request(
        "POST", URI, {**JSON, "Accept": "x", "signature": "old"}, BODY, KEY, "bus-12", MOMENT
    )
    assert headers["Accept"] == "x"
    assert verify(headers) == "bus-12"


def test_a_body_needs_a_content_type() -> None:
    with pytest.raises(RequestSignatureInvalid, match="Content-Type"):
        profile.sign_request("POST", URI, {}, BODY, KEY, "bus-12", MOMENT)


@pytest.mark.parametrize("missing", ["Signature", "Signature-Input"])
def test_a_request_without_a_signature_is_refused(missing: str) -> None:
    headers = signed()
    del headers[missing]
    with pytest.raises(RequestSignatureMissing):
        verify(headers)


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"uri": "https://cards.example/v1/quotes"},
        {"uri": "https://other.example/v1/authorisations"},
        {"uri": "http://cards.example/v1/authorisations"},
        {"uri": URI + "?x=1"},
        {"body": BODY + b" "},
        {"body": b""},
    ],
    ids=str,
)
def test_what_is_signed_cannot_be_changed(changed: dict[str, Any]) -> None:
    with pytest.raises(RequestSignatureInvalid):
        verify(signed(), **changed)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Content-Type", "text/plain"),
        ("Content-Digest", profile.content_digest(b"other")),
        ("Content-Type", ""),
    ],
)
def test_a_signed_header_cannot_be_changed(header: str, value: str) -> None:
    with pytest.raises(RequestSignatureInvalid):
        verify(signed() | {header: value})


@pytest.mark.parametrize("value", ['application/json\n"content-digest": x', "application/js\u00f6n", "a\tb"])
def test_nothing_is_signed_but_printable_ascii(value: str) -> None:
    """RFC 9421, 2.5: a line of the base cannot be made to look like two."""
    with pytest.raises(RequestSignatureInvalid, match="printable ASCII"):
        verify(signed() | {"Content-Type": value})


def test_another_terminal_cannot_be_named() -> None:
    headers = signed()
    headers["Signature-Input"] = headers["Signature-Input"].replace("bus-12", "till-3")
    with pytest.raises(RequestSignatureInvalid, match="does not verify"):
        verify(headers)


def test_another_body_is_told_from_a_wrong_signature() -> None:
    with pytest.raises(RequestDigestMismatch):
        verify(signed(), body=BODY + b" ")


@pytest.mark.parametrize("keyid", ["", "x' OR '1'='1", "bus 12", "-bus", "b" * 65])
def test_a_key_identifier_that_is_no_terminals_is_told_from_an_unknown_one(keyid: str) -> None:
    headers = signed()
    headers["Signature-Input"] = headers["Signature-Input"].replace("bus-12", keyid)
    with pytest.raises(RequestSignatureKeyIdMalformed):
        verify(headers)
    with pytest.raises(RequestSignatureInvalid, match="key identifier"):
        profile.sign_request("POST", URI, JSON, BODY, KEY, keyid, MOMENT)


def test_an_unknown_terminal_is_refused() -> None:
    headers = signed()
    headers["Signature-Input"] = headers["Signature-Input"].replace("bus-12", "bus-13")
    with pytest.raises(RequestSignatureKeyUnknown) as caught:
        verify(headers)
    assert caught.value.keyid == "bus-13"


@pytest.mark.parametrize(("age_s", "fresh"), [(300, True), (301, False), (-300, True), (-301, False)])
def test_a_signature_is_fresh_for_five_minutes_both_ways(age_s: int, fresh: bool) -> None:
    headers = signed(moment=MOMENT - timedelta(seconds=age_s))
    if fresh:
        assert verify(headers) == "bus-12"
        return
    with pytest.raises(RequestSignatureStale):
        verify(headers)


@pytest.mark.parametrize(
    "options",
    [
        {"label": "pyhms"},
        {"tag": "something-else"},
        {"tag": None},
        {"include_alg": False},
        {"nonce": "abc"},
        {"expires": MOMENT + timedelta(seconds=60)},
    ],
    ids=str,
)
def test_valid_signatures_with_other_parameters_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(RequestSignatureMalformed, match="does not follow the profile"):
        verify(witness_signed(Message(), **options))


@pytest.mark.parametrize(
    "options",
    [
        {"covered_component_ids": ("@method", "content-type", "content-digest")},
        {"covered_component_ids": ("@target-uri", "@method", "content-type", "content-digest")},
        {"covered_component_ids": ("@method", "@target-uri", "content-digest")},
        {
            "covered_component_ids": (
                "@method",
                "@target-uri",
                "content-type",
                "content-digest",
                "@authority",
            )
        },
        {"covered_component_ids": ("@method",), "body": None},
    ],
    ids=str,
)
def test_valid_signatures_over_other_components_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(RequestSignatureComponents, match="must cover exactly"):
        verify(witness_signed(Message(), **options))


Change = Callable[[str], str]


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda value: value + ", " + value.replace("sig1", "sig2"),
        lambda value: value.replace(";created=", "; created="),
        lambda value: value.replace(";tag", ';tag="x";tag'),
        lambda value: value + "\n",
        lambda value: value.replace("created=1", "created=-1"),
        lambda value: value.replace("created=1", "created=99999"),
    ],
)
def test_another_spelling_of_the_parameters_is_refused(change: Change) -> None:
    headers = signed()
    headers["Signature-Input"] = change(headers["Signature-Input"])
    with pytest.raises(RequestSignatureError):
        verify(headers)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda value: value + ",",
        lambda value: value[:-6] + "AA==:",
        lambda _: "sig1=:" + "A" * 86 + "==:",
        lambda value: value.replace("sig1", "sig2"),
        lambda _: "sig1=:" + base64.b64encode(b"\xff" * 64).decode() + ":",
    ],
)
def test_another_signature_is_refused(change: Change) -> None:
    headers = signed()
    headers["Signature"] = change(headers["Signature"])
    with pytest.raises(RequestSignatureInvalid):
        verify(headers)


def test_rfc_9421_b_2_4_verifies_with_our_primitive() -> None:
    """RFC 9421, B.2.4 signs a response with ECDSA P-256: not our profile, but the same base and bytes."""
    vector = json.loads((VECTORS / "rfc9421-b2-4.json").read_text())
    key = load_pem_public_key(vector["public_key_pem"].encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    base = vector["signature_base"].encode()
    profile._verify(key, vector["signature"], base)
    with pytest.raises(RequestSignatureInvalid):
        profile._verify(key, vector["signature"], base + b" ")


def test_rfc_9530_digest() -> None:
    """RFC 9530, B.1: Content-Digest of the representation there, a JSON text with a line feed."""
    assert (
        profile.content_digest(b'{"hello": "world"}\n')
        == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    )
