"""`pki serve` as it is run, asked by `openssl` alone; and publishers that are killed."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.auditing import audit
from pki.profiles import CARD_AUTHENTICATION
from pki.scheme import create_scheme, open_scheme
from tests.pki.conftest import PASSPHRASE, csr_for, new_key

PKI = Path(sys.executable).parent / "pki"
CARDS = [f"0192f0a1-7b3c-4d5e-8f90-a1b2c3d4e5{number:02x}" for number in range(3)]
GENEROUS_S = 60


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Served:
    """A scheme that is served, with three cards."""

    directory: Path
    url: str

    def pki(self, *arguments: object) -> None:
        done = run("pki", *arguments)
        assert done.returncode == 0, done.stderr

    def certificate(self, card: str) -> Path:
        return self.directory / f"{card}.crt"

    def fetched(self, url: str) -> Path:
        """What is at an address, as PEM in a file."""
        answer = requests.get(url, timeout=GENEROUS_S)
        assert answer.status_code == 200, url
        path = self.directory / re.sub(r"\W+", "-", url)
        path.write_bytes(x509.load_der_x509_crl(answer.content).public_bytes(Encoding.PEM))
        return path


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = str(PKI) if program == "pki" else program
    return subprocess.run(
        [command, *map(str, arguments)],
        env={**os.environ, "PKI_PASSPHRASE": PASSPHRASE.decode()},
        capture_output=True,
        text=True,
        timeout=GENEROUS_S,
        check=False,
    )


@contextmanager
def serving(directory: Path, port: int) -> Iterator[None]:
    command = [str(PKI), "serve", str(directory), "--bind", f"127.0.0.1:{port}", "--workers", "2"]
    environment = {**os.environ, "PKI_PASSPHRASE": PASSPHRASE.decode()}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            _wait_for(port)
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(GENEROUS_S) == 0
            assert server.stdout is not None
            assert server.stdout.read().startswith("Serving Ashcombe Card at http://127.0.0.1:")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory, port = tmp_path_factory.mktemp("served") / "scheme", free_port()
    url = f"http://127.0.0.1:{port}/pki"
    now = datetime.now(UTC)
    scheme = create_scheme(directory, "ashcombe", "Ashcombe Card", PASSPHRASE, None, now, public_url=url)
    for card in CARDS:
        made = scheme.authority("cards").issue(csr_for(new_key()), CARD_AUTHENTICATION, card, now)
        (directory / f"{card}.crt").write_bytes(made.public_bytes(Encoding.PEM))
    with serving(directory, port):
        yield Served(directory, url)


def distribution_point(path: Path) -> str:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    (point,) = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name is not None
    return str(point.full_name[0].value)


def verified(served: Served, card: str, *lists: Path, options: tuple[str, ...] = ()) -> str:
    """What `openssl verify -crl_check_all` says, in a word."""
    public = served.directory / "public"
    done = run(
        *("openssl", "verify", "-x509_strict", "-crl_check_all", *options),
        *(argument for path in (public / "root.crl", *lists) for argument in ("-CRLfile", path)),
        *("-CAfile", public / "root.crt", "-untrusted", public / "cards.crt", served.certificate(card)),
    )
    return "OK" if done.returncode == 0 else done.stderr


def asked(served: Served, card: str, *options: object) -> str:
    """What `openssl ocsp` says of a card; the answer verifies with the root alone."""
    public = served.directory / "public"
    done = run(
        *("openssl", "ocsp", "-issuer", public / "cards.crt", "-cert", served.certificate(card)),
        *("-CAfile", public / "root.crt", *options),
    )
    assert "Response verify OK" in done.stderr, done.stderr
    return done.stdout.splitlines()[0].partition(": ")[2]


def test_suspended_released_revoked(served: Served) -> None:
    """By the shard that the certificate names, by the complete list, and by OCSP: all say the same."""
    card, other = CARDS[0], CARDS[1]
    shard = distribution_point(served.certificate(card))
    identity = ("--authority", "cards", "--identity", card)

    def said() -> list[str]:
        complete = served.fetched(f"{served.url}/cards.crl")
        answers = [verified(served, card, complete), verified(served, card, served.fetched(shard))]
        responder = ("-url", f"{served.url}/ocsp")
        answers += [asked(served, card, *responder, nonce) for nonce in ("-nonce", "-no_nonce")]
        return [re.sub("(?s).*certificate revoked.*", "revoked", answer) for answer in answers]

    assert said() == ["OK", "OK", "good", "good"]
    served.pki("suspend", served.directory, *identity)
    assert said() == ["revoked"] * 4
    served.pki("release", served.directory, *identity)
    assert said() == ["OK", "OK", "good", "good"]
    served.pki("revoke", served.directory, *identity, "--reason", "key_compromise")
    assert said() == ["revoked"] * 4
    assert verified(served, other, served.fetched(distribution_point(served.certificate(other)))) == "OK"


def test_a_list_of_another_shard_says_nothing(served: Served) -> None:
    """RFC 5280, 6.3.3 (b)(2): its scope is not this certificate's."""
    cards = open_scheme(served.directory, PASSPHRASE).authority("cards")
    mine = others = distribution_point(served.certificate(CARDS[0]))
    while others == mine:  # chance decides
        identity = str(uuid4())
        made = cards.issue(csr_for(new_key()), CARD_AUTHENTICATION, identity, datetime.now(UTC))
        served.certificate(identity).write_bytes(made.public_bytes(Encoding.PEM))
        others = distribution_point(served.certificate(identity))
    assert "different CRL scope" in verified(served, identity, served.fetched(mine))
    assert verified(served, identity, served.fetched(others)) == "OK"


def test_openssl_applies_delta_lists(served: Served) -> None:
    """A list from before, and the changes since."""
    card = CARDS[2]
    deltas = ("-use_deltas", "-extended_crl")
    base = served.fetched(f"{served.url}/cards.crl")
    base = base.rename(base.with_suffix(".before"))
    number = run("openssl", "crl", "-in", base, "-noout", "-crlnumber").stdout
    scheme = open_scheme(served.directory, PASSPHRASE)
    authority = scheme.authority("cards")
    (issued,) = authority.store.find_by_identity("cards", card)
    authority.suspend(issued.serial, datetime.now(UTC))  # in the records alone: the complete list stays
    now_served = served.fetched(f"{served.url}/cards.crl")
    assert run("openssl", "crl", "-in", now_served, "-noout", "-crlnumber").stdout == number

    delta = served.fetched(f"{served.url}/cards/delta.crl")
    assert verified(served, card, base) == "OK"
    assert "certificate revoked" in verified(served, card, base, delta, options=deltas)

    authority.release(issued.serial, datetime.now(UTC))
    delta = served.fetched(f"{served.url}/cards/delta.crl")
    assert verified(served, card, base, delta, options=deltas) == "OK"
    served.pki("crl", served.directory, "--authority", "cards", "--all-shards")


def test_openssl_by_get(served: Served, tmp_path: Path) -> None:
    """RFC 6960, A.1: the request in the address."""
    public = served.directory / "public"
    request = tmp_path / "request"
    card = CARDS[1]
    named = ("-issuer", public / "cards.crt", "-cert", served.certificate(card))
    run("openssl", "ocsp", *named, "-no_nonce", "-reqout", request)
    encoded = quote(b64encode(request.read_bytes()).decode(), safe="")
    answer = requests.get(f"{served.url}/ocsp/{encoded}", timeout=GENEROUS_S)
    assert answer.headers["Content-Type"] == "application/ocsp-response"
    (tmp_path / "response").write_bytes(answer.content)
    assert asked(served, card, "-no_nonce", "-respin", tmp_path / "response") == "good"
    assert "max-age" in answer.headers["Cache-Control"]


def test_what_was_never_issued_is_unknown(served: Served) -> None:
    public = served.directory / "public"
    done = run(
        *("openssl", "ocsp", "-issuer", public / "cards.crt", "-serial", "0x1234"),
        *("-CAfile", public / "root.crt", "-url", f"{served.url}/ocsp"),
    )
    assert "Response verify OK" in done.stderr
    assert done.stdout.startswith("0x1234: unknown")


def test_hostile_requests_are_refused_clearly(served: Served) -> None:
    host, _, port = served.url.removeprefix("http://").partition("/")[0].partition(":")
    too_long = b"Content-Length: 99999999\r\n\r\n"
    for raw in (
        b"GET /pki/ocsp/" + b"A" * 5_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /pki/cards.crl HTTP/1.1\r\nHost: x\r\nX: " + b"A" * 10_000 + b"\r\n\r\n",
        b"POST /pki/ocsp HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\n" + too_long,
        b"\x16\x03\x01\x02\x00\x01\x00",
    ):
        with socket.create_connection((host, int(port)), timeout=GENEROUS_S) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            assert re.match(rb"HTTP/1\.[01] 4\d\d |$", connection.recv(64))
    assert requests.get(f"{served.url}/cards.crl", timeout=GENEROUS_S).status_code == 200


def test_a_publisher_that_is_killed_leaves_the_list_before(tmp_path: Path) -> None:
    """At whatever moment: the list in the folder is whole and verifies, and records and trail agree."""
    directory = tmp_path / "scheme"
    now = datetime.now(UTC)
    scheme = create_scheme(
        *(directory, "ashcombe", "Ashcombe Card", PASSPHRASE, None, now),
        public_url="https://cards.example/pki",
    )
    cards = scheme.authority("cards")
    for card in CARDS:
        cards.issue(csr_for(new_key()), CARD_AUTHENTICATION, card, now)
    key = scheme.certificates["cards"].public_key()
    lists = scheme.public_dir / "cards.crl"
    turns = random.Random(1)  # noqa: S311 -- the same moments each time
    numbers = []
    killed = 0
    for turn in range(16):
        command = ["suspend", "release"][turn % 2]
        arguments = [str(directory), "--authority", "cards", "--identity", CARDS[0]]
        process = subprocess.Popen(
            [PKI, command, *arguments],
            env={**os.environ, "PKI_PASSPHRASE": PASSPHRASE.decode()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(turns.uniform(0.2, 1.2))
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
        process.wait()
        crl = x509.load_pem_x509_crl(lists.read_bytes())
        assert crl.is_signature_valid(key)  # type: ignore[arg-type]  # a P-256 key
        numbers.append(crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
        audit(scheme.records("cards"), "cards", {"cards": scheme.certificates["cards"]})
    assert numbers == sorted(numbers)
    assert killed
    # What was left over by whoever was killed harms nobody who comes after.
    done = run("pki", "crl", directory, "--authority", "cards", "--all-shards")
    assert done.returncode == 0, done.stderr
    crl = x509.load_pem_x509_crl(lists.read_bytes())
    held = {each.serial for each in cards.store.listed("cards", "cards")}
    assert {entry.serial_number for entry in crl} == held


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + GENEROUS_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.05)  # between two tries
        else:
            return
