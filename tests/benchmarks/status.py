"""OCSP and the status list beside raw P-256 signing on one core; how long lists take, and how much memory."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import OCSPExtensionOID

from pki import der
from pki.authority import Order
from pki.ocsp import ResponseStatus, cert_id
from pki.profiles import CARD_AUTHENTICATION
from pki.published import PublishedScheme, publish
from pki.scheme import Scheme, create_scheme, open_scheme
from pki.status_list import CardStatus, StatusList, StatusListBuilder
from pki.store import IssuedCertificate
from tests.benchmarks.memory import peak_mib
from tests.benchmarks.report import ROOT, Measurement
from tests.benchmarks.server import BenchmarkFailed
from tests.benchmarks.turns import Action, in_turns, on_one_core

RAW = "raw P-256 signing on one core"
LISTS: Mapping[str, int] = {"pki_crl_100k": 100_000, "pki_crl_1m": 1_000_000}

_CARDS, _REVOKED = 500, 10
_INDEXES, _ENDED = 1_000_000, 20_000
_START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
_PASSPHRASE = b"benchmark"
_ECDSA = ec.ECDSA(hashes.SHA256())
# About as long as what is signed of a response
_MESSAGE = bytes(300)


@dataclass(frozen=True, slots=True)
class World:
    """A scheme with cards, of which a few are revoked, and requests for each by its serial number."""

    published: PublishedScheme
    issuer: x509.Certificate
    serials: tuple[int, ...]

    def request(self, serial: int, nonce: bytes | None) -> bytes:
        """As a client writes it. RFC 6960, 4.1.1."""
        wanted = der.tlv(der.SEQUENCE, der.tlv(der.SEQUENCE, cert_id(self.issuer, serial).raw))
        extensions = b""
        if nonce is not None:
            value = der.extension(OCSPExtensionOID.NONCE, der.tlv(der.OCTET_STRING, nonce))
            extensions = der.tlv(der.context(2), der.tlv(der.SEQUENCE, value))
        return der.tlv(der.SEQUENCE, der.tlv(der.SEQUENCE, wanted, extensions))

    def respond(self, request: bytes) -> None:
        """Ask, and have an answer."""
        if self.published.respond(request).status is not ResponseStatus.SUCCESSFUL:
            raise BenchmarkFailed("a request got no answer")


def measure(key: str, seconds: float, say: Callable[[str], None]) -> Measurement:
    """How often a second, with the rate of raw signing that it took turns with."""
    what, make = MEASURED[key]
    signing = ec.generate_private_key(ec.SECP256R1())
    with TemporaryDirectory(prefix="citizen-card-bench-", dir=ROOT) as folder, on_one_core():
        action = make(_world(Path(folder)))
        raw, ours = in_turns(lambda: signing.sign(_MESSAGE, _ECDSA), action, seconds)
    say(f"{key}: {ours:,.0f} a second beside {raw:,.0f} raw signatures")
    return Measurement(
        key=key,
        what=what,
        rate=ours,
        rate_unit="a second",
        baseline=raw,
        detail={f"{RAW}, a second": round(raw)},
    )


def _on_demand(world: World) -> Action:
    requests = cycle([world.request(serial, os.urandom(32)) for serial in world.serials])
    return lambda: world.respond(next(requests))


def _presigned(world: World) -> Action:
    requests = [world.request(serial, None) for serial in world.serials]
    for request in requests:
        world.respond(request)
    turns = cycle(requests)
    return lambda: world.respond(next(turns))


def _look_up(_: World) -> Action:
    drawn = random.Random(1)  # noqa: S311 -- the same each time
    builder = StatusListBuilder(_INDEXES)
    builder.set_all(drawn.sample(range(_INDEXES), _ENDED), CardStatus.INVALID)
    statuses = StatusList.from_compressed(builder.build().compressed())
    indexes = cycle(drawn.sample(range(_INDEXES), 1_000))
    return lambda: statuses.status(next(indexes))


MEASURED: Mapping[str, tuple[str, Callable[[World], Action]]] = {
    "pki_ocsp": (
        "an OCSP request with a nonce answered as a call: read, looked up in the records on the disk, signed",
        _on_demand,
    ),
    "pki_ocsp_presigned": (
        "the same without a nonce, signed before: read and looked up, as a revocation is told at once",
        _presigned,
    ),
    "pki_status_lookup": ("a card's status in a list of a million, in memory", _look_up),
}


def measure_list(key: str, say: Callable[[str], None]) -> Measurement:
    """How long a list of so many entries takes from the records to the records, in a process of its own."""
    count = LISTS[key]
    say(f"{key}: recording {count:,} revoked certificates")
    with TemporaryDirectory(prefix="citizen-card-bench-", dir=ROOT) as folder:
        scheme = create_scheme(Path(folder) / "scheme", "bench", "Bench", _PASSPHRASE, None, _START)
        scheme.records("cards").record(_revoked(count))
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(scheme.directory)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BenchmarkFailed(done.stderr)
    found = json.loads(done.stdout)
    if found["entries"] != count:
        raise BenchmarkFailed(f"the list has {found['entries']} entries, not {count}")
    say(f"{key}: {found['seconds']:.2f} s, {found['peak_mib']:.0f} MiB at most")
    return Measurement(
        key=key,
        what=f"a revocation list of {count:,} entries: read from the records, signed, and recorded",
        value=found["seconds"],
        unit="s",
        detail={
            "of which the processor's, s": round(found["processor_s"], 2),
            "peak memory of the whole process, MiB": round(found["peak_mib"]),
            "of which before the list was made": round(found["before_mib"]),
            "bytes": found["bytes"],
            "goal": "a million entries in 5 s and 400 MiB",
        },
    )


def _make_list(scheme: Scheme) -> dict[str, float]:
    authority = scheme.authority("cards")
    before, begun, worked = peak_mib(), time.perf_counter(), time.process_time()
    made = authority.make_list(_START + timedelta(days=1))
    seconds, peak = time.perf_counter() - begun, peak_mib()
    processor_s = time.process_time() - worked
    entries = len(x509.load_der_x509_crl(made.der))
    return {
        "seconds": seconds,
        "processor_s": processor_s,
        "before_mib": before,
        "peak_mib": peak,
        "bytes": len(made.der),
        "entries": entries,
    }


def _revoked(count: int) -> Iterator[IssuedCertificate]:
    drawn = random.Random(1)  # noqa: S311 -- the same each time
    for number in range(count):
        at = _START + timedelta(seconds=drawn.randrange(86_400))
        yield IssuedCertificate(
            authority="cards",
            issuer="cards",
            serial=drawn.getrandbits(128),
            profile=CARD_AUTHENTICATION.name,
            identity=str(number),
            der=b"",
            not_before=_START,
            not_after=_START,
            issued_at=_START,
            revoked_at=at,
            reason="key_compromise" if number % 2 else "unspecified",
            status_changed_at=at,
        )


def _world(folder: Path) -> World:
    scheme = create_scheme(
        *(folder / "scheme", "bench", "Bench", _PASSPHRASE, None, _START),
        public_url="https://cards.example/pki",
    )
    authority = scheme.authority("cards")
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    cards = authority.issue_many(
        [
            Order(csr=csr, profile=CARD_AUTHENTICATION, identity=f"00000000-0000-4000-8000-{number:012x}")
            for number in range(_CARDS)
        ],
        _START,
    )
    for card in cards[:_REVOKED]:
        authority.revoke(card.serial_number, _START, "key_compromise")
    published = publish(scheme, lambda: _START + timedelta(hours=1))
    return World(published, authority.certificate, tuple(card.serial_number for card in cards))


if __name__ == "__main__":
    print(json.dumps(_make_list(open_scheme(Path(sys.argv[1]), _PASSPHRASE))))
