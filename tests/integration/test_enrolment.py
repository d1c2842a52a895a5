"""A terminal from nothing by a one-time code, renewed, its key replaced, revoked: typed, and asked over HTTP.

On the whole stack with either database; of the certificates `openssl` judges, by the list and by OCSP.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki.request_signatures import sign_request
from pki.trust import load_certificate
from tests.cardservice.staff.people import request_of
from tests.support.databases import DatabaseUrls
from tests.support.stack import BIN, Done, Stack

BUS = "bus-12"


@pytest.fixture
def stack(empty_database_urls: DatabaseUrls, tmp_path: Path) -> Iterator[Stack]:
    """A service that runs, with one provider and no terminal."""
    urls = empty_database_urls
    made = Stack(tmp_path, urls.service, urls.owner, "GBP", "Europe/London")
    try:
        made.install("vale")
        made.run("cardservice", "provider", "add", "vale-buses", "--name", "Vale Buses")
        made.start_service()
        yield made
    finally:
        made.close()


def fresh(stack: Stack, name: str) -> Path:
    """A folder with a new key, for the terminal."""
    folder = stack.root / name
    stack.run(
        *("reader-agent", "init", str(folder), "--service-url", stack.origin, "--terminal", BUS),
        *("--scheme-root", str(stack.root / "scheme" / "public" / "root.crt")),
    )
    return folder


def invited(stack: Stack, *more: str) -> str:
    return str(stack.run("cardservice", "terminal", "invite", BUS, *more, "--json").json["code"])


def by_code(stack: Stack, folder: Path, code: str) -> Done:
    """Enrol with the code on standard input."""
    done = subprocess.run(
        [str(BIN / "reader-agent"), "enrol", str(folder), "--code", "--json"],
        input=f"{code}\n",
        env=stack.programs(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def judged(stack: Stack, certificate: Path) -> str:
    """What openssl says of a terminal's certificate, by what the service publishes now."""
    chain = stack.root / "chain.pem"
    public = stack.root / "scheme" / "public"
    parts = [(public / f"{name}.crt").read_bytes() for name in ("root", "terminals")]
    for name in ("root", "terminals"):
        der = requests.get(f"{stack.origin}/pki/{name}.crl", timeout=10).content
        parts.append(x509.load_der_x509_crl(der).public_bytes(Encoding.PEM))
    chain.write_bytes(b"".join(parts))
    command = ["openssl", "verify", "-crl_check_all", "-CAfile", str(chain), str(certificate)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "database_kind", ["postgresql", pytest.param("sqlite", marks=pytest.mark.long)], indirect=True
)
def test_a_terminals_life(stack: Stack) -> None:
    folder, where = fresh(stack, "first"), {"READER_AGENT_DIR": str(stack.root / "first")}
    code = invited(stack, "--provider", "vale-buses", "--role", "validator")

    wrong = by_code(stack, folder, "2345-2345-2345-2345")
    assert (wrong.status, "[enrolment_refused]" in wrong.err) == (1, True)
    assert not (folder / "terminal.crt").exists()
    done = by_code(stack, folder, code)
    assert (done.status, done.json) == (0, {"terminal": BUS, "verified": True}), done.err
    assert judged(stack, folder / "terminal.crt").endswith(": OK\n")
    # Its answer was lost, or somebody has seen the code: the same key gets the same, another none.
    before = (folder / "terminal.crt").read_bytes()
    again = by_code(stack, folder, code)
    assert (again.status, (folder / "terminal.crt").read_bytes()) == (0, before)
    thief = by_code(stack, fresh(stack, "thief"), code)
    assert (thief.status, "[enrolment_refused]" in thief.err) == (1, True)

    # It is heard of with its sync; no renewal is due yet.
    assert stack.run("reader-agent", "sync", environment=where).status == 0
    [listed] = stack.run("cardservice", "terminal", "list", "--json").json["terminals"]
    assert (listed["terminal"], listed["role"], listed["state"]) == (BUS, "validator", "active")
    assert listed["seen_at"] is not None
    assert stack.run("reader-agent", "renew", str(folder), "--json").json["renewed"] is False
    assert (folder / "terminal.crt").read_bytes() == before

    # Its key is lost: a new folder becomes the same terminal, the old one nothing.
    replaced = fresh(stack, "second")
    anew = invited(stack, "--again")
    assert by_code(stack, replaced, anew).status == 0
    assert "certificate revoked" in judged(stack, folder / "terminal.crt")
    assert judged(stack, replaced / "terminal.crt").endswith(": OK\n")
    assert stack.attempt("reader-agent", "renew", str(folder)).status == 1

    # Stolen: the next request is refused, and the list says it of the certificate.
    stack.run("cardservice", "terminal", "revoke", BUS, "--reason", "stolen")
    refused = stack.attempt("reader-agent", "renew", str(replaced))
    assert (refused.status, "[terminal_revoked]" in refused.err) == (1, True)
    assert "certificate revoked" in judged(stack, replaced / "terminal.crt")
    log = (stack.root / "service.log").read_text()
    assert all(each not in log for each in (code, anew, code.replace("-", "")))


@pytest.mark.long
def test_a_certificate_is_renewed_with_the_sync(stack: Stack) -> None:
    """Its clocks two thirds of two years on: by the sync, without anybody; doctor had complained."""
    folder = fresh(stack, "bus")
    code = invited(stack, "--provider", "vale-buses", "--role", "validator")
    assert by_code(stack, folder, code).status == 0
    before = load_certificate(folder / "terminal.crt")
    stack.stop_service()
    stack.clock_offset_s = 500 * 86_400.0
    later = {"CITIZEN_CARD_CLOCK_OFFSET_S": str(stack.clock_offset_s), "READER_AGENT_DIR": str(folder)}
    stack.environment["CITIZEN_CARD_CLOCK_OFFSET_S"] = str(stack.clock_offset_s)
    # The root's list holds for 400 days: somebody has renewed it.
    passphrase = ("--passphrase-file", str(stack.root / "passphrase"))
    stack.run("pki", "crl", str(stack.root / "scheme"), "--authority", "root", *passphrase)
    stack.start_service()
    looked = stack.attempt("reader-agent", "doctor", "--json", environment=later).json["findings"]
    found = next(each for each in looked if each["what"] == "certificate")
    assert (found["well"], "run reader-agent renew" in found["detail"]) == (False, True), looked

    stack.run("reader-agent", "sync", environment=later)

    after = load_certificate(folder / "terminal.crt")
    assert after.public_key() == before.public_key()
    assert after.not_valid_after_utc > before.not_valid_after_utc
    assert (
        stack.run("reader-agent", "renew", str(folder), "--json", environment=later).json["renewed"] is False
    )


@dataclass(frozen=True, slots=True)
class Administrator:
    """Ann, who asks the running service with the key of her certificate."""

    stack: Stack
    key: ec.EllipticCurvePrivateKey

    def get(self, path: str) -> dict[str, Any]:
        """What a GET is answered."""
        return self._said("GET", path, None)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """What an order is answered."""
        return self._said("POST", path, json.dumps(body).encode())

    def _said(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        uri = self.stack.origin + path
        content = {} if body is None else {"Content-Type": "application/json"}
        headers = sign_request(method, uri, content, body, self.key, "staff:ann", datetime.now(UTC))
        answer = requests.request(method, uri, data=body, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said


@pytest.fixture
def ann(stack: Stack) -> Administrator:
    """The scheme's first account, with a certificate."""
    me = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    named = ("--name", "Ann Field", "--role", "administrator", "--user", me)
    stack.run("cardservice", "staff", "add", "ann", *named)
    key = ec.generate_private_key(ec.SECP256R1())
    request = stack.root / "ann.csr"
    request.write_bytes(request_of(key, "ann").public_bytes(Encoding.PEM))
    stack.run(
        *("cardservice", "staff", "enrol", "ann", "--csr", str(request)),
        *("--out", str(stack.root / "ann.crt")),
    )
    return Administrator(stack, key)


def by_ocsp(stack: Stack, certificate: Path) -> str:
    """What openssl is told of a terminal's certificate: `good` or `revoked`; whose word it is, it checks."""
    public = stack.root / "scheme" / "public"
    asked = ("-issuer", str(public / "terminals.crt"), "-cert", str(certificate))
    trusted = ("-CAfile", str(public / "root.crt"), "-url", f"{stack.origin}/pki/ocsp")
    command = ["openssl", "ocsp", *asked, *trusted]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "Response verify OK" in done.stderr, done.stdout + done.stderr
    return done.stdout.splitlines()[0].removeprefix(f"{certificate}: ")


@pytest.mark.parametrize(
    "database_kind", ["postgresql", pytest.param("sqlite", marks=pytest.mark.long)], indirect=True
)
def test_a_terminals_life_as_an_administrator_asks_it(stack: Stack, ann: Administrator) -> None:
    """A provider is made, its terminal invited, enrolled by the agent, seen; revoked, it is refused at once.

    What openssl is told by OCSP, and by the list, changes with that.
    """
    ann.post("/v1/providers", provider="town-buses", name="Town Buses")
    ann.post("/v1/providers/town-buses/services", service="transport", sells=True)
    new = {"provider": "town-buses", "role": "validator", "offline_limit_minor": 500}
    code = ann.post("/v1/terminal-invitations", terminal=BUS, **new)["code"]
    folder, where = fresh(stack, "bus"), {"READER_AGENT_DIR": str(stack.root / "bus")}
    done = by_code(stack, folder, code)
    assert (done.status, done.json) == (0, {"terminal": BUS, "verified": True}), done.err
    certificate = folder / "terminal.crt"
    assert (judged(stack, certificate)[-5:], by_ocsp(stack, certificate)) == (": OK\n", "good")
    assert stack.run("reader-agent", "sync", environment=where).status == 0
    seen = ann.get(f"/v1/terminals/{BUS}")
    assert (seen["provider"], seen["state"], seen["seen_at"] is None) == ("town-buses", "active", False)

    revoked = ann.post(f"/v1/terminals/{BUS}/revocation", reason="stolen")
    assert revoked["state"] == "revoked"
    refused = stack.attempt("reader-agent", "renew", str(folder))
    assert (refused.status, "[terminal_revoked]" in refused.err) == (1, True)
    assert by_ocsp(stack, certificate) == "revoked"
    assert "certificate revoked" in judged(stack, certificate)
    assert code not in (stack.root / "service.log").read_text()
