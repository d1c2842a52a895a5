"""The service as schemathesis asks it: what is sent is signed, and there is something to ask for."""

import base64
import hmac
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from cardservice.advices.wire import join
from cardservice.api.fields import to_base64url
from cardservice.cards.personalisation import order_card
from cardservice.context import Context
from cardservice.ids import ProviderId, TerminalId
from cardservice.payments.beginning import Wanted, begin
from cardservice.services import discover
from cardservice.terminals.enrolment import VALIDITY, invite
from cardservice.terminals.service import NewTerminal
from pki import errors
from pki.card_keys import KeyRequest
from pki.request_signatures import sign_request
from pki.statements import TransactionStatement
from tests.cardservice.advices import chunk
from tests.support.council import (
    ACTOR,
    DEMO_DATA,
    ORIGIN,
    TRIP,
    Council,
    Terminal,
    advice_of,
    annulment,
    csr,
    message,
    new_id,
    request_for,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

NOTIFICATIONS = "/notifications/payments"
# Where it is asked from, as the reverse proxy says. RFC 5737
ADDRESS = "192.0.2.77"
PAY_SECRET = b"a secret of the tests"
# What JSON can write and no database can keep.
NO_TEXTS = ("a\0b", "\ud800")
HEALTH = {
    "time": "2026-06-15T10:00:03.000Z",
    "waiting": 0,
    "oldest_waiting_at": None,
    "trust_fetched_at": None,
    "lists_end_at": None,
    "version": "0.1",
    "tariffs": {"meals": "2026-06-01-abc"},
}
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Signing:
    """The service, asked by a terminal that signs all that it sends, and by a payment provider (PEP 3333)."""

    service: "WSGIApplication"
    terminal: Terminal

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Sign the request as it came, and pass it on."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        environ["HTTP_X_FORWARDED_FOR"] = ADDRESS
        signed = self._signed(environ, body)
        for name in ("Content-Digest", "Signature", "Signature-Input"):
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = signed.get(name, "")
        if environ["PATH_INFO"] == NOTIFICATIONS:
            environ["HTTP_PAY_SIGNATURE"] = hmac.digest(PAY_SECRET, body, "sha256").hex()
        return self.service(environ, start_response)

    def _signed(self, environ: "WSGIEnvironment", body: bytes) -> Mapping[str, str]:
        """The headers; none for what no terminal can sign."""
        terminal, sent = self.terminal, {"Content-Type": str(environ.get("CONTENT_TYPE", ""))}
        uri = ORIGIN + environ["RAW_URI"]
        try:
            return sign_request(
                *(environ["REQUEST_METHOD"], uri, sent, body or None),
                *(terminal.key, terminal.id, terminal.clock()),
            )
        except errors.RequestSignatureInvalid:
            return {}


@dataclass(frozen=True, slots=True)
class Wish:
    """A request that means something: parts of schemathesis' case."""

    body: Any = None
    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class World:
    """What there is to ask for, for one terminal: people, cards, sales, drafts, orders."""

    def __init__(self, council: Council, asker: Terminal, service: Context) -> None:
        self._council, self._asker, self._service = council, asker, service
        self._office = council.terminal(f"office-{asker.id}", "office")
        self.card = council.card(top_up_minor=100_000, allergens=["nuts"], form="5B")
        self._bus = council.terminal(f"bus-{asker.id}")
        self._codes: list[str] = []

    def known(self) -> Mapping[str, list[Any]]:
        """By the name of a parameter or member: what is worth more than what is made up."""
        return {
            "service": sorted(discover()),
            "action": ["single-fare", "sale", "tap", "stay"],
            "card": [str(self.card.id)],
            "sale": [str(self._sold().id)],
            "order_id": [str(self._order())],
            "draft_id": [self._draft()],
            "issuer": ["root", "cards", "terminals", "service"],
            "shard": [0],
            "number": [0],
            "details": [TRIP],
            "csr": [_certificate_request()],
            "slot": ["9e"],
            "outcome": ["done", "failed"],
        }

    def wishes(self) -> Mapping[str, list[Callable[[], Wish]]]:
        """By operation; each is made when it is sent, for it may hold for two minutes, or for once."""
        order, draft = "/v1/personalisation-orders/{order_id}", "/v1/tariff-drafts/{draft_id}"
        card = {"card": str(self.card.id)}
        cards = {"issuer": "cards"}
        return {
            "POST /v1/quotes": [
                lambda: Wish({"service": "transport", "action": "single-fare", "card": None, "details": TRIP})
            ],
            "GET /v1/catalogues/{service}": [lambda: Wish(path={"service": "meals"})],
            "POST /v1/look-ups": [
                lambda: Wish({"service": "parking", "details": {"place": "high-street", "plate": "AB12CDE"}}),
                lambda: Wish({"service": "parking", "details": {}}),
            ],
            "POST /v1/authorisations": [partial(_wished, each) for each in self._messages()],
            "POST /v1/authorisations/bulk": [
                lambda: Wish({"messages": [each() for each in self._messages()]})
            ],
            "POST /v1/advices": [lambda: Wish(self._chunk()), lambda: Wish(b"\x41\x00")],
            "POST /v1/refunds": [
                lambda: Wish({"id": str(new_id()), "sale": str(self._sold().id), **card}),
                lambda: Wish({"id": str(new_id()), "sale": str(self._sold().id), "line": 9, **card}),
            ],
            "POST /v1/presentations": [lambda: Wish(card)],
            "POST /v1/payments": [
                lambda: Wish(self._paying_in()),
                lambda: Wish(self._paying_in("no address")),
            ],
            "GET /v1/payments/{payment_id}": [lambda: Wish(path=self._begun())],
            "POST /v1/payments/{payment_id}/cancellation": [lambda: Wish({}, self._begun())],
            "POST /v1/health": [lambda: Wish(HEALTH), lambda: Wish({**HEALTH, "waiting": -1})],
            "POST /enrolments": [
                self._invited,
                lambda: Wish(self._enrolment("bus-0", "2345" * 4)),
            ],
            "POST /v1/terminal-certificate": [
                lambda: Wish({"csr": _request_of(self._asker.key)}),
                lambda: Wish({"csr": _certificate_request()}),
            ],
            "POST /v1/told-losses": [
                lambda: Wish({"name": "Nobody Here", "born_on": "1987-06-15", "postcode": "AB1 2CD"}),
                lambda: Wish({"name": "Morgan", "born_on": "15.6.1987", "postcode": "?"}),
            ],
            "POST /v1/card-puks": [lambda: Wish(card)],
            "POST /v1/card-keys": [self._sealed],
            f"GET {order}": [lambda: Wish(path=self._ordered())],
            f"GET {order}/contents": [lambda: Wish(path=self._ordered())],
            f"POST {order}/certificate": [lambda: Wish({"csr": _certificate_request()}, self._ordered())],
            f"POST {order}/result": [
                lambda: Wish({"outcome": "failed"}, self._ordered()),
                lambda: Wish({"outcome": "done"}, self._ordered()),
            ],
            "POST /v1/tariff-drafts": [lambda: Wish(self._menu()), lambda: Wish(self._menu(b"{"))],
            f"GET {draft}": [lambda: Wish(path={"draft_id": self._draft()})],
            f"POST {draft}/approval": [lambda: Wish({}, {"draft_id": self._draft()})],
            f"POST {draft}/withdrawal": [
                lambda: Wish({"reason": "late"}, {"draft_id": self._draft()}),
                *(partial(self._withdrawal, reason) for reason in NO_TEXTS),
            ],
            "GET /v1/tariffs/{service}": [lambda: Wish(path={"service": "meals"})],
            "GET /v1/card-maps/{number}": [lambda: Wish(path={"number": 0}), self._kept_map],
            f"POST {NOTIFICATIONS}": [partial(_notice, each) for each in ("p", *NO_TEXTS)],
            "GET /pki/trust": [Wish, lambda: Wish(query={"cards": "status-list"})],
            "GET /pki/{issuer}.crt": [lambda: Wish(path=cards)],
            "GET /pki/{issuer}.crl": [lambda: Wish(path=cards)],
            "GET /pki/{issuer}/delta.crl": [lambda: Wish(path=cards)],
            "GET /pki/{issuer}/{shard}.crl": [lambda: Wish(path={**cards, "shard": self._shard()})],
            "GET /pki/{issuer}/{shard}-delta.crl": [lambda: Wish(path={**cards, "shard": self._shard()})],
            "GET /pki/status/{number}": [
                lambda: Wish(path={"number": 0}),
                lambda: Wish(path={"number": 0}, query={"time": "1"}),
                lambda: Wish(path={"number": 0}, headers={"Accept": "text/html"}),
            ],
            "GET /pki/ocsp/{encoded}": [
                lambda: Wish(path={"encoded": base64.b64encode(self._status_request()).decode()})
            ],
            "POST /pki/ocsp": [lambda: Wish(self._status_request())],
        }

    def _invited(self) -> Wish:
        new = NewTerminal(TerminalId(f"new-{new_id()}"), ProviderId("vale-buses"), "New", "validator", None)
        with self._council.context.database.begin() as connection:
            made = invite(connection, new, VALIDITY, actor=ACTOR, moment=self._council.clock())
        self._codes.append(made.code)
        return Wish(self._enrolment(new.id, made.code))

    def _enrolment(self, terminal: str, code: str) -> Mapping[str, str]:
        return {"terminal": terminal, "code": code, "csr": _certificate_request()}

    def _paying_in(self, return_url: str = ORIGIN) -> Mapping[str, Any]:
        named = {"id": str(new_id()), "card": str(self.card.id)}
        return {**named, "amount_minor": 2000, "return_url": return_url}

    def _begun(self) -> Mapping[str, str]:
        """A payment that this terminal may look at."""
        wanted = Wanted(new_id(), 2000, ORIGIN, of=self.card.id, is_card=True)
        begun = begin(self._service, wanted, actor=f"terminal:{self._asker.id}")
        return {"payment_id": str(begun.attempt.id)}

    def _messages(self) -> list[Callable[[], Any]]:
        asker, card = self._asker, self.card
        return [
            lambda: message(request_for(asker, card), card),
            lambda: message(request_for(asker, card, amount_minor=1), card),
            lambda: message(advice_of(asker, card), card),
            lambda: annulment(asker, card, new_id()),
            lambda: message(self._sold(), card),
            lambda: message(request_for(asker, card), card, details={}),
        ]

    def _chunk(self) -> bytes:
        told = chunk.advice(advice_of(self._asker, self.card), self.card)
        return join([told, chunk.annulment(self._asker, self.card, new_id()), b"\x80"])

    def _sold(self) -> TransactionStatement:
        ride = request_for(self._bus, self.card)
        assert self._bus.post("/v1/authorisations", message(ride, self.card)).status == 200
        return ride

    def _order(self) -> UUID:
        # Somebody who has none of this kind yet.
        holder, moment = self._council.card().holder, self._council.clock()
        with self._council.context.database.begin() as connection:
            return order_card(connection, holder, "citizen", actor=ACTOR, moment=moment).id

    def _ordered(self) -> Mapping[str, str]:
        return {"order_id": str(self._order())}

    def _menu(self, content: bytes | None = None) -> Mapping[str, Any]:
        """The demonstration's, at a price that no menu had before."""
        if content is None:
            number = next(_numbers)
            price = f'"price": "{3 + number // 100}.{number % 100:02}"'.encode()
            content = (DEMO_DATA / "menu.json").read_bytes().replace(b'"price": "2.60"', price)
        return {"service": "meals", "files": [{"name": "menu.json", "content": to_base64url(content)}]}

    def _draft(self) -> str:
        return str(self._office.post("/v1/tariff-drafts", self._menu()).json["draft"])

    def _withdrawal(self, reason: str) -> Wish:
        return Wish({"reason": reason}, {"draft_id": self._draft()})

    def _kept_map(self) -> Wish:
        """What a validator has already; to whoever may not have it, the same question."""
        gate = self._council.terminal(f"gate-{new_id()}", "gate")
        path = "/v1/card-maps/0"
        signed = sign_request("GET", ORIGIN + path, {}, None, gate.key, gate.id, gate.clock())
        tag = self._council.client.get(path, headers=signed).headers["ETag"]
        return Wish(path={"number": 0}, headers={"If-None-Match": tag})

    def _certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.card.certificate)

    def _sealed(self) -> Wish:
        request = KeyRequest(self._council.context.scheme.id, self._asker.id)
        return Wish({"key": to_base64url(request.public_key)})

    def secrets(self) -> list[str]:
        """What no line of a log may have: who it is about, what they bought, and what opens a card."""
        card = self.card
        key = self._council.context.keys.management_key(card.id)
        return [
            *self._codes,
            *("Morgan", "market-place", "AB12CDE", "meal-pasta", ADDRESS, key.hex(), to_base64url(key)),
            *(form for each in (card.id, card.holder, card.payer) for form in (str(each), each.hex)),
        ]

    def _shard(self) -> int:
        points = self._certificate().extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        (point,) = points
        assert point.full_name is not None
        return int(str(point.full_name[0].value).rpartition("/")[2].removesuffix(".crl"))

    def _status_request(self) -> bytes:
        issuer = self._council.context.certificates["cards"]
        builder = ocsp.OCSPRequestBuilder().add_certificate(self._certificate(), issuer, hashes.SHA256())
        return builder.build().public_bytes(Encoding.DER)


def _wished(make: Callable[[], Any]) -> Wish:
    return Wish(make())


def _notice(payment: str) -> Wish:
    return Wish({"resource_type": "payment", "resource_id": payment})


def _certificate_request() -> str:
    return _request_of(ec.generate_private_key(ec.SECP256R1()))


def _request_of(key: ec.EllipticCurvePrivateKey) -> str:
    return to_base64url(csr(key, "card").public_bytes(Encoding.DER))
