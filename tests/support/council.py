"""A council's service in this process: a real scheme and database, terminals that sign, cards with keys.

Everything is what it is in production but for the card's chip, the network and the clock, which stands still
until a test moves it.
"""

import base64
import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import uuid_utils
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from flask.testing import FlaskClient

from cardservice.api.app import create_app
from cardservice.api.fields import to_base64url, to_rfc3339
from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.cards import personalisation
from cardservice.cards import service as cards
from cardservice.context import Context
from cardservice.ids import CardholderId, CardId, PayerId, ProviderId, TerminalId
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.payers import assign_payer, create_payer
from cardservice.ledger.reading import read
from cardservice.ledger.values import PayerView, ReadQuery
from cardservice.payments.service import TopUp, top_up
from cardservice.providers.service import add_provider
from cardservice.services import discover
from cardservice.services.seam import LoadedTariff
from cardservice.tariffs.service import store_tariff
from cardservice.terminals import service as terminals
from pki.request_signatures import sign_request
from pki.statements import StatementKind, TransactionStatement, details_hmac, seal, signature_input

START = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
ORIGIN = "https://cards.ashcombe.example"
DEMO_DATA = Path(__file__).parents[2] / "kiosk" / "demo_data"
ACTOR = "test"
# From the town to the Vale: 2.40 for an adult by the demonstration's fare table.
TRIP = {"from_stop": "market-place", "to_stop": "upper-vale"}
FARE_MINOR = 240


@dataclass(slots=True)
class StandingClock:
    """A clock that a test moves."""

    moment: datetime = START

    def __call__(self) -> datetime:
        """Now."""
        return self.moment

    def advance(self, **by: float) -> None:
        """Let time pass: `minutes=3`."""
        self.moment += timedelta(**by)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service answered."""

    status: int
    json: dict[str, Any]

    @property
    def outcome(self) -> tuple[int, str]:
        """Status and code: of the problem, or the decision's reason."""
        return self.status, str(self.json.get("code") or self.json.get("reason"))


@dataclass(slots=True)
class Terminal:
    """A registered terminal with its key."""

    id: str
    key: ec.EllipticCurvePrivateKey
    client: FlaskClient
    clock: StandingClock
    _sequence: Iterator[int] = field(default_factory=lambda: count(1))

    def next_sequence(self) -> int:
        """The terminal's own count."""
        return next(self._sequence)

    def get(self, path: str) -> Reply:
        """A signed GET."""
        headers = sign_request("GET", ORIGIN + path, {}, None, self.key, self.id, self.clock())
        return reply(self.client.get(path, headers=headers))

    def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        """A signed POST."""
        data = json.dumps(body).encode()
        content = {"Content-Type": "application/json"}
        headers = sign_request("POST", ORIGIN + path, content, data, self.key, self.id, self.clock())
        return reply(self.client.post(path, data=data, headers=headers))

    def nonce(self) -> str:
        """A fresh nonce, as the service gave it."""
        return str(self.get("/v1/nonce").json["nonce"])


@dataclass(frozen=True, slots=True)
class Card:
    """A card in the hand: its key, which the service never sees, and its certificate."""

    id: CardId
    holder: CardholderId
    payer: PayerId
    key: ec.EllipticCurvePrivateKey
    certificate: bytes

    @property
    def thumbprint(self) -> bytes:
        """What its statements name the certificate by."""
        return x509.load_der_x509_certificate(self.certificate).fingerprint(hashes.SHA256())


@dataclass(slots=True)
class Council:
    """The service, and what a council has with it."""

    context: Context
    client: FlaskClient
    clock: StandingClock

    @property
    def kek(self) -> KeyRing:
        """The key that wraps cardholders' keys."""
        return self.context.keys.cardholder_kek

    @property
    def zone(self) -> ZoneInfo:
        """Where the scheme's days begin and end."""
        return self.context.zone

    def provider(self, provider_id: str = "vale-buses") -> ProviderId:
        """A registered provider."""
        with self.context.database.begin() as connection:
            add_provider(connection, ProviderId(provider_id), provider_id, actor=ACTOR, moment=self.clock())
        return ProviderId(provider_id)

    def load_fares(self, feed: Path = DEMO_DATA / "feed") -> None:
        """The demonstration's fare table, or another of that shape."""
        loaded = _fares(feed)
        with self.context.database.begin() as connection:
            store_tariff(connection, "transport", loaded, source="feed", actor=ACTOR, moment=self.clock())

    def terminal(
        self,
        terminal_id: str,
        role: str = "validator",
        *,
        provider: str = "vale-buses",
        offline_limit_minor: int | None = 500,
    ) -> Terminal:
        """A terminal that was registered with a signing request of its own."""
        key = ec.generate_private_key(ec.SECP256R1())
        new = terminals.NewTerminal(
            TerminalId(terminal_id), ProviderId(provider), terminal_id, role, offline_limit_minor
        )
        with self.context.database.begin() as connection:
            terminals.register_terminal(
                connection,
                self.context.authority(terminals.AUTHORITY, connection),
                new,
                csr(key, terminal_id).public_bytes(Encoding.PEM),
                actor=ACTOR,
                moment=self.clock(),
            )
        return Terminal(terminal_id, key, self.client, self.clock)

    def card(
        self,
        category: str = "adult",
        *,
        top_up_minor: int = 0,
        form: str | None = None,
        allergens: Collection[str] = (),
    ) -> Card:
        """An active card of a new cardholder, with money to spend."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = self.clock()
        with self.context.database.begin() as connection:
            new = NewCardholder("Morgan Reed", category, form, allergens)
            kek = self.kek
            holder, payer = add_cardholder(
                connection, new, self.context.scheme.currency, kek, actor=ACTOR, moment=now
            )
            order = personalisation.order_card(connection, holder, "visitor", actor=ACTOR, moment=now)
            authority = self.context.authority(cards.AUTHORITY, connection)
            request = csr(key, "card").public_bytes(Encoding.DER)
            certificate = personalisation.certify(
                connection, authority, order.id, request, actor=ACTOR, moment=now
            )
            personalisation.report(connection, authority, order.id, done=True, actor=ACTOR, moment=now)
        made = Card(order.card_id, holder, payer, key, certificate)
        if top_up_minor:
            self.top_up(made, top_up_minor)
        return made

    def top_up(self, card: Card, amount_minor: int) -> None:
        """Pay money in for a card's holder."""
        top_up(self.context, TopUp(card.holder, amount_minor, "cash"), actor="test")

    def family(self, card: Card, *, top_up_minor: int = 0) -> PayerId:
        """A family that pays for the card's holder from now on."""
        now = self.clock()
        with self.context.database.begin() as connection:
            family = create_payer(connection, "family", self.context.scheme.currency, now)
            assign_payer(connection, card.holder, family, now, now)
        if top_up_minor:
            self.top_up(card, top_up_minor)
        return family

    def load_menu(self, menu: Path = DEMO_DATA / "menu.json") -> None:
        """The demonstration's menu, or another file."""
        self.load("meals", menu)

    def load(self, service: str, file: Path) -> None:
        """A service's tariff from a file, as `cardservice load` does."""
        loaded = discover()[service].load([file], currency="GBP")
        with self.context.database.begin() as connection:
            store_tariff(connection, service, loaded, source=file.name, actor=ACTOR, moment=self.clock())

    def load_free_fares(self) -> None:
        """A fare table, in force from now on, by which the trip costs nothing."""
        self.clock.advance(seconds=1)
        with tempfile.TemporaryDirectory() as folder:
            feed = Path(shutil.copytree(DEMO_DATA / "feed", Path(folder) / "feed"))
            products = feed / "fare_products.txt"
            products.write_text(products.read_text().replace(",card,2.40,", ",card,0.00,"))
            self.load_fares(feed)

    def revoke_terminal(self, terminal_id: str) -> None:
        """Revoke a terminal, as `cardservice terminal revoke` does."""
        with self.context.database.begin() as connection:
            terminals.revoke_terminal(
                connection,
                self.context.authority(terminals.AUTHORITY, connection),
                TerminalId(terminal_id),
                reason="stolen",
                actor=ACTOR,
                moment=self.clock(),
            )

    def revoke(self, card: Card, reason: str = "lost") -> None:
        """Revoke a card, as `cardservice card revoke` does."""
        with self.context.database.begin() as connection:
            cards.revoke_card(
                connection,
                self.context.authority(cards.AUTHORITY, connection),
                card.id,
                reason=reason,
                actor=ACTOR,
                moment=self.clock(),
            )

    def view(self, payer: PayerId) -> PayerView:
        """A payer's accounts as they are now."""
        [found] = read(self.context.database, [ReadQuery((payer,))])
        return found.views[payer]

    def balances(self, payer: PayerId) -> tuple[int, int]:
        """What a payer has, and owes (negative), in minor units."""
        view = self.view(payer)
        return view.prepaid.balance, view.arrears.balance


def request_for(terminal: Terminal, card: Card, /, **changes: Any) -> TransactionStatement:
    """A statement that asks for the trip's fare, with a fresh nonce; `changes` are its fields."""
    values: dict[str, Any] = {
        "scheme": "ashcombe",
        "id": new_id(),
        "terminal": terminal.id,
        "sequence": terminal.next_sequence(),
        "card": card.id,
        "kind": StatementKind.REQUEST,
        "service": "transport",
        "action": "single-fare",
        "amount_minor": FARE_MINOR,
        "currency": "GBP",
        "tariff_version": None,
        "offline": False,
        "details_hmac": details_hmac(SALT, TRIP),
        "time": terminal.clock(),
        **changes,
    }
    if values["kind"] is StatementKind.REQUEST and "nonce" not in values:
        values["nonce"] = from_base64url(terminal.nonce())
    return TransactionStatement(**values)


def advice_of(terminal: Terminal, card: Card, /, **changes: Any) -> TransactionStatement:
    """A statement that tells of a trip given offline."""
    return request_for(terminal, card, kind=StatementKind.ADVICE, **{"offline": True, **changes})


SALT = bytes(range(16))


@cache
def _fares(feed: Path) -> LoadedTariff:
    return discover()["transport"].load([feed, DEMO_DATA / "map.json"], currency="GBP")


def message(statement: TransactionStatement, card: Card, /, **changes: Any) -> dict[str, Any]:
    """The body of POST /v1/authorisations with the card's signature."""
    payload = statement.payload()
    signature = card.key.sign(signature_input(statement.scheme, payload), ec.ECDSA(hashes.SHA256()))
    return {
        "statement": to_base64url(seal(payload, signature, card.thumbprint)),
        "details": TRIP,
        "details_salt": to_base64url(SALT),
        **changes,
    }


def annulment(terminal: Terminal, card: Card, annuls: UUID, /, **changes: Any) -> dict[str, Any]:
    """The body that annuls a request."""
    notice = {
        "id": str(new_id()),
        "sequence": terminal.next_sequence(),
        "card": str(card.id),
        "annuls": str(annuls),
        "time": to_rfc3339(terminal.clock()),
        **changes,
    }
    return {"annul": notice}


def new_id() -> UUID:
    """A UUIDv7, as a terminal draws it."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def csr(key: ec.EllipticCurvePrivateKey, name: str) -> x509.CertificateSigningRequest:
    """A certificate signing request that is signed by its own key."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())


def reply(response: Any) -> Reply:
    """A response with its JSON."""
    return Reply(response.status_code, response.get_json(force=True))


def from_base64url(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def council(context: Context, clock: StandingClock) -> Council:
    """The service of this context, with a provider and fares."""
    made = Council(context, create_app(context).test_client(), clock)
    made.provider()
    made.load_fares()
    return made
