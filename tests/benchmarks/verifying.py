"""`pki_verify_first`, `pki_verify_cached`, `pki_an10922`: beside raw P-256 verification, on one core.

What is measured and what it is compared with take turns in short slices, so that whatever else the machine
does falls on both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki.authority import Order
from pki.card_keys import Application, ServiceMaster, ServiceMasters, ServiceRole, ServiceSam
from pki.keys import FileKeyStore
from pki.profiles import CARD_AUTHENTICATION
from pki.reading import read_certificate
from pki.scheme import create_scheme
from pki.trust import TrustStore
from pki.verification import Purpose, Verifier
from tests.benchmarks.report import Measurement
from tests.benchmarks.turns import Action, in_turns, on_one_core

RAW = "raw P-256 verification on one core"
_CARDS, _REVOKED = 500, 200
_START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
_ECDSA = ec.ECDSA(hashes.SHA256())
# About as long as the Sig_structure of a transaction statement
_MESSAGE = bytes(250)


@dataclass(frozen=True, slots=True)
class World:
    """Cards of a scheme, with what verifies them and one signature."""

    trust: TrustStore
    moment: datetime
    cards: tuple[bytes, ...]
    key: ec.EllipticCurvePublicKey
    signature: bytes
    sam: ServiceSam


def measure(key: str, seconds: float, say: Callable[[str], None]) -> Measurement:
    """How often a second, with the rate of raw verification that it took turns with."""
    what, make = MEASURED[key]
    say(f"{key}: issuing {_CARDS} cards")
    with TemporaryDirectory(prefix="citizen-card-bench-") as folder, on_one_core():
        world = _world(Path(folder))
        raw, ours = in_turns(_raw(world), make(world), seconds)
    say(f"{key}: {ours:,.0f} a second beside {raw:,.0f} raw verifications")
    return Measurement(
        key=key,
        what=what,
        rate=ours,
        rate_unit="a second",
        baseline=raw,
        detail={f"{RAW}, a second": round(raw), "cards": _CARDS, "revoked certificates": _REVOKED},
    )


def _first(world: World) -> Action:
    """A certificate from bytes, its chain under an authority that was validated before, its status."""
    cards, verifier = cycle(world.cards), Verifier(world.trust)
    return lambda: verifier.verify(read_certificate(next(cards)), Purpose.CARD_AUTHENTICATION, world.moment)


def _cached(world: World) -> Action:
    """A card that was seen before: looked up, and its signature verified."""
    known = [read_certificate(card) for card in world.cards]
    cards, verifier = cycle(known), Verifier(world.trust, remembered=len(known))
    for card in known:
        verifier.verify(card, Purpose.CARD_AUTHENTICATION, world.moment)

    def verify() -> None:
        verifier.verify(next(cards), Purpose.CARD_AUTHENTICATION, world.moment)
        world.key.verify(world.signature, _MESSAGE, _ECDSA)

    return verify


def _an10922(world: World) -> Action:
    """The key of a card, of a master in memory."""
    master = ServiceMaster(Application(0xF5C011), ServiceRole.CREDIT)
    uids = cycle([number.to_bytes(7, "big") for number in range(_CARDS)])
    return lambda: world.sam.card_key(master, next(uids))


MEASURED: Mapping[str, tuple[str, Callable[[World], Action]]] = {
    "pki_verify_first": (
        "a card's certificate for the first time, with its status; its authority was validated before",
        _first,
    ),
    "pki_verify_cached": (
        "a card that was seen before: its certificate from memory, and its signature over a statement",
        _cached,
    ),
    "pki_an10922": ("a card's own key by AN10922, of a master in memory", _an10922),
}


def _raw(world: World) -> Action:
    return partial(world.key.verify, world.signature, _MESSAGE, _ECDSA)


def _world(folder: Path) -> World:
    scheme = create_scheme(folder / "scheme", "bench", "Bench", b"benchmark", None, _START)
    authority = scheme.authority("cards")
    cards = authority.issue_many([_order() for _ in range(_CARDS + _REVOKED)], _START)
    for card in cards[_CARDS:]:
        authority.revoke(card.serial_number, _START, "key_compromise")
    trust = scheme.trust_store().with_crls([authority.make_crl(_START + timedelta(seconds=1))])
    key = ec.generate_private_key(ec.SECP256R1())
    masters = ServiceMasters(FileKeyStore(folder / "card-keys", b"benchmark"))
    masters.generate(ServiceMaster(Application(0xF5C011), ServiceRole.CREDIT))
    return World(
        trust=trust,
        moment=_START + timedelta(hours=1),
        cards=tuple(card.public_bytes(Encoding.DER) for card in cards[:_CARDS]),
        key=key.public_key(),
        signature=key.sign(_MESSAGE, _ECDSA),
        sam=ServiceSam(masters, b"bench-scheme"),
    )


def _order() -> Order:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return Order(csr=csr, profile=CARD_AUTHENTICATION, identity=str(uuid4()))
