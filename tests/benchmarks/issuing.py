"""`pki_issue`, `pki_issue_batch64`: beside raw P-256 signing, on one core.

From a signing request in DER to a certificate that is recorded, with its entry in the trail, flushed to disk:
by itself, or 64 in one commit. Requests are made beforehand: that is the cards' work.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki.auditing import audit
from pki.authority import Authority, Order
from pki.profiles import CARD_AUTHENTICATION
from pki.scheme import create_scheme
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import BenchmarkFailed

RAW = "raw P-256 signing on one core"
MEASURED: Mapping[str, int] = {"pki_issue": 1, "pki_issue_batch64": 64}

_TURNS = 15
_REQUESTS = 256
_START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
_ECDSA = ec.ECDSA(hashes.SHA256())
# About as long as what is signed of a card's certificate
_MESSAGE = bytes(700)


def measure(key: str, seconds: float, say: Callable[[str], None]) -> Measurement:
    """How many certificates a second, with the rate of raw signing that it took turns with."""
    batch = MEASURED[key]
    with TemporaryDirectory(prefix="citizen-card-bench-", dir=Path.cwd()) as folder, _on_one_core():
        scheme = create_scheme(
            *(Path(folder) / "scheme", "bench", "Bench", b"benchmark", None, _START),
            public_url="https://cards.example/pki",
        )
        signing = ec.generate_private_key(ec.SECP256R1())
        with scheme.records("cards").kept_open() as store:
            cards = scheme.authority("cards", store=store)
            requests = cycle([_request() for _ in range(_REQUESTS)])
            raw, ours = _in_turns(
                lambda: signing.sign(_MESSAGE, _ECDSA),
                lambda: _issue(cards, islice(requests, batch)),
                seconds / _TURNS,
            )
            issued = _found(cards)
    say(f"{key}: {ours * batch:,.0f} certificates a second beside {raw:,.0f} raw signatures")
    return Measurement(
        key=key,
        what=f"a card's certificate from its request to the disk, {batch} in one commit",
        rate=ours * batch,
        rate_unit="a second",
        baseline=raw,
        detail={f"{RAW}, a second": round(raw), "issued, and found by the audit": issued},
    )


def _issue(cards: Authority, requests: Iterator[bytes]) -> None:
    orders = [
        Order(csr=x509.load_der_x509_csr(der), profile=CARD_AUTHENTICATION, identity=str(uuid4()))
        for der in requests
    ]
    cards.issue_many(orders, _START)


def _found(cards: Authority) -> int:
    """A certificate that is not on record would make the figure worthless."""
    found = audit(cards.store, "cards", {"cards": cards.certificate})
    if found.certificates == 0:
        raise BenchmarkFailed("nothing was issued")
    return found.certificates


def _request() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "card")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.DER)


def _in_turns(one: Callable[[], object], other: Callable[[], object], seconds: float) -> tuple[float, float]:
    """The median rates of both, a second each: whatever else the machine does falls on both."""
    one(), other()
    rates = [(_rate(one, seconds / 2), _rate(other, seconds / 2)) for _ in range(_TURNS)]
    return median(first for first, _ in rates), median(second for _, second in rates)


def _rate(action: Callable[[], object], seconds: float) -> float:
    done, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        action()
        done += 1
    return done / passed


@contextmanager
def _on_one_core() -> Iterator[None]:
    """Neither moved about nor helped by another core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
