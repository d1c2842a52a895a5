"""A small card service on a real socket, which speaks the terminal API with the functions of `pki`.

It settles as `docs/ledger.md` says, with one rule: everything costs what `price_minor` says, but a basket
what its catalogue says. A test tells it what goes wrong between it and the terminal.
"""

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki.clock import Clock
from pki.errors import PkiError
from pki.profiles import (
    CARD_AUTHENTICATION,
    CONTENT_SIGNER,
    HOLDER_AUTHENTICATION,
    SERVICE,
    SIGNATURE,
    TERMINAL,
    Profile,
)
from pki.request_signatures import verify_request
from pki.scheme import Scheme
from pki.statements import (
    AnnulNotice,
    Answer,
    ManyAnswers,
    StatementKind,
    answers_digest,
    byte_strings,
    decode_deterministic,
    details_hmac,
    open_answer,
    open_statement,
    sign_answer,
    sign_many_answers,
    verify_statement,
)
from reader_agent.wire import from_base64url, from_rfc3339, to_base64url, to_rfc3339
from tests.reader_agent.card_contents import Signer, contents_of

PROFILE_OF = {"9A": HOLDER_AUTHENTICATION, "9C": SIGNATURE, "9E": CARD_AUTHENTICATION}
OFFLINE_FOR = timedelta(days=7)
# What a test can have happen to an authorisation: lost on its way, posted but its answer lost, or garbled.
LOST, ANSWER_LOST = "lost", "answer_lost"


@dataclass(slots=True)
class Posted:
    """A transaction under its id."""

    body: bytes
    decision: str
    reason: str
    posted_at: datetime
    amount_minor: int = 0
    reversed_: bool = False
    duplicate_of: UUID | None = None


@dataclass(slots=True)
class Order:
    """A personalisation order."""

    id: UUID
    card: UUID
    management_key: bytes
    puk: str = "24680135"
    slots: tuple[str, ...] = ("9A", "9C", "9E")
    # As the desk has told it
    uid: str | None = None
    state: str = "open"
    certificates: dict[str, x509.Certificate] = field(default_factory=dict)
    # Written to the card beside its keys; made when it is asked for
    contents: dict[int, bytes] = field(default_factory=dict)

    @property
    def certificate(self) -> x509.Certificate | None:
        """Of the key that signs taps."""
        return self.certificates.get("9E")


@dataclass(slots=True)
class Menu:
    """What a service's catalogue says; a test may change it at any time."""

    sections: list[dict[str, Any]]
    tariff_version: str = "menu-1"
    offline_limit_minor: int | None = 1000
    # How long from now on each of its periods lasts; all offer the same
    periods: tuple[timedelta, ...] = (timedelta(hours=24),)

    def answer(self, service: str, moment: datetime) -> dict[str, Any]:
        """The catalogue at a moment."""
        ends = [moment + sum(self.periods[: number + 1], timedelta()) for number in range(len(self.periods))]
        starts = [moment, *ends[:-1]]
        return {
            "service": service,
            "tariff_version": self.tariff_version,
            "currency": "GBP",
            "action": "sale",
            "valid_until": to_rfc3339(ends[-1] if ends else moment),
            "offline_limit_minor": self.offline_limit_minor,
            "periods": [
                {"from": to_rfc3339(start), "until": to_rfc3339(end), "sections": self.sections}
                for start, end in zip(starts, ends, strict=True)
            ],
        }

    def total_minor(self, details: dict[str, Any]) -> int:
        """What a basket costs."""
        (section,) = [each for each in self.sections if each["key"] == details["service"]]
        prices = {item["key"]: item["amount_minor"] for item in section["items"]}
        return int(sum(prices[line["item"]] * line["quantity"] for line in details["items"]))


class Refused(Exception):
    """A problem document."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass
class CardService:
    """The service. Its state is for tests to read and to change."""

    scheme: Scheme
    clock: Clock
    answer_key: ec.EllipticCurvePrivateKey
    answer_certificate: x509.Certificate
    content_signer: Signer
    price_minor: int = 240
    offline_minor: int | None = 260
    terminals: dict[str, ec.EllipticCurvePublicKey] = field(default_factory=dict)
    orders: dict[UUID, Order] = field(default_factory=dict)
    cards: dict[UUID, x509.Certificate] = field(default_factory=dict)
    posted: dict[UUID, Posted] = field(default_factory=dict)
    # Whom a card presents: the members of its presentation, or why it may not be used
    holders: dict[UUID, dict[str, Any] | str] = field(default_factory=dict)
    # Whether a terminal may see them
    shows_holders: bool = True
    # Catalogues by service, without the members that the moment decides
    menus: dict[str, "Menu"] = field(default_factory=dict)
    # What each terminal has said of itself last
    health: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Called when somebody asks whom a card presents
    on_presentation: Callable[[], None] = lambda: None
    # How long each chunk was; whether it takes any, and signs as itself what it answers
    chunks: list[int] = field(default_factory=list)
    takes_chunks: bool = True
    signs_chunks: bool = True
    # Every body that came to /v1/authorisations, in order
    received: list[bytes] = field(default_factory=list)
    # The path of every request, in order
    paths: list[str] = field(default_factory=list)
    # What somebody on the line answers instead of the newest lists
    replayed_trust: dict[str, Any] | None = None
    # Decision and reason for what comes first
    decision: tuple[str, str] = ("approved", "approved")
    # Taken one by one by authorisations as they come: a fault, a problem's (status, code), or None
    mishaps: list[str | tuple[int, str] | None] = field(default_factory=list)
    # Makes answers, so that a test can make wrong ones
    sign: Callable[[Answer], bytes] | None = None
    # Called when an authorisation has come, before anything is done with it
    on_authorisation: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        service = self

        class Handler(_Handler):
            card_service = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread: threading.Thread | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where it listens, also while it is stopped."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        if self._thread is not None:
            return
        if self._server.socket.fileno() == -1:
            handler = self._server.RequestHandlerClass
            self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        # Few milliseconds: this is how long stop() takes.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more: connections are refused."""
        if self._thread is None:
            return
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
        self._thread = None

    @property
    def charged(self) -> int:
        """What all cards together have paid."""
        return sum(item.amount_minor for item in self.posted.values() if not item.reversed_)

    def add_terminal(self, csr: x509.CertificateSigningRequest, terminal: str) -> x509.Certificate:
        """Certify a terminal's key."""
        certificate = self.scheme.authority("terminals").issue(csr, TERMINAL, terminal, self.clock())
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        self.terminals[terminal] = key
        return certificate

    # --- routes ---

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> dict[str, Any] | None:
        """The answer to a request; None: no answer at all. Raises Refused."""
        self.paths.append(path)
        if path.partition("?")[0] == "/pki/trust":
            return self._trust()
        try:
            terminal = verify_request(
                method, self.url + path, headers, body, self.terminals.get, self.clock()
            )
        except PkiError as error:
            raise Refused(401, error.code) from error
        parts = path.strip("/").split("/")
        match method, parts:
            case "GET", ["v1", "nonce"]:
                return {"nonce": self._nonce()}
            case "POST", ["v1", "quotes"]:
                asked = json.loads(body)
                if (menu := self.menus.get(asked["service"])) is not None:
                    return self._quote_basket(menu, asked["details"])
                return self._quote()
            case "POST", ["v1", "presentations" | "health" as what]:
                said = json.loads(body)
                return self._present(UUID(said["card"])) if what != "health" else self._hear(terminal, said)
            case "GET", ["v1", "catalogues", service]:
                return self._catalogue(service)
            case "POST", ["v1", "authorisations" | "advices" as what]:
                return (self._authorise if what == "authorisations" else self._take_chunk)(terminal, body)
            case _, ["v1", "personalisation-orders" | "card-puks", *rest]:
                return self._at_the_desk(rest, json.loads(body or b"{}"))
        raise Refused(404, "not_found")

    def _hear(self, terminal: str, said: dict[str, Any]) -> dict[str, Any]:
        self.health[terminal] = said
        return {"seen_at": to_rfc3339(self.clock())}

    def _trust(self) -> dict[str, Any]:
        if self.replayed_trust is not None:
            return self.replayed_trust
        return self.make_trust()

    def make_trust(self) -> dict[str, Any]:
        """Certificates and fresh revocation lists."""
        crls = [self.scheme.authority(name).make_crl(self.clock()) for name in self.scheme.certificates]
        certificates = (*self.scheme.certificates.values(), self.answer_certificate)
        return {
            "scheme": self.scheme.id,
            "certificates": [to_base64url(item.public_bytes(Encoding.DER)) for item in certificates],
            "crls": [to_base64url(crl.public_bytes(Encoding.DER)) for crl in crls],
        }

    def _nonce(self) -> str:
        return to_base64url(hashlib.sha256(str(self.clock()).encode()).digest()[:24])

    def _present(self, card: UUID) -> dict[str, Any]:
        self.on_presentation()
        if not self.shows_holders:
            raise Refused(403, "role_not_allowed")
        holder = self.holders.get(card, "card_unknown")
        if isinstance(holder, str):
            raise Refused(422, holder)
        return {"card": str(card), **holder}

    def _catalogue(self, service: str) -> dict[str, Any]:
        if service not in self.menus:
            raise Refused(404, "catalogue_missing")
        return self.menus[service].answer(service, self.clock())

    def _quote_basket(self, menu: Menu, details: dict[str, Any]) -> dict[str, Any]:
        amount = menu.total_minor(details)
        price = {
            "amount_minor": amount,
            "currency": "GBP",
            "tariff_version": menu.tariff_version,
            "valid_until": to_rfc3339(self.clock() + menu.periods[0]),
        }
        may = menu.offline_limit_minor is not None and amount <= menu.offline_limit_minor
        return {
            **price,
            "lines": [{"label": "Basket", "amount_minor": amount}],
            "offline": price if may else None,
        }

    def _quote(self) -> dict[str, Any]:
        def price(amount_minor: int) -> dict[str, Any]:
            until = to_rfc3339(self.clock() + OFFLINE_FOR)
            return {
                "amount_minor": amount_minor,
                "currency": "GBP",
                "tariff_version": "2026-1",
                "valid_until": until,
            }

        return {
            **price(self.price_minor),
            "lines": [{"label": "Single", "amount_minor": self.price_minor}],
            "offline": None if self.offline_minor is None else price(self.offline_minor),
        }

    def _authorise(self, terminal: str, body: bytes) -> dict[str, Any] | None:
        self.on_authorisation()
        self.received.append(body)
        mishap = self.mishaps.pop(0) if self.mishaps else None
        if mishap == LOST:
            return None
        if isinstance(mishap, tuple):
            raise Refused(*mishap)
        message = json.loads(body)
        answer = (
            self._annul(terminal, message["annul"]) if "annul" in message else self._settle(terminal, message)
        )
        return None if mishap == ANSWER_LOST else answer

    def _take_chunk(self, terminal: str, chunk: bytes) -> dict[str, Any]:
        if not self.takes_chunks:
            raise Refused(404, "not_found")
        self.chunks.append(len(chunk))
        answers: list[dict[str, Any]] = []
        payloads = []
        for entry in byte_strings(chunk, 10_000):
            try:
                answer = self._authorise(terminal, _body_of(decode_deterministic(entry)))
            except Refused as refused:
                answers.append(
                    {"problem": {"code": refused.code, "status": refused.status, "detail": "refused"}}
                )
                continue
            assert answer is not None
            signed = open_answer(
                from_base64url(answer["signed_answer"]), self.answer_key.public_key(), self.scheme.id
            )
            payloads.append(signed.payload())
            left_out = {"nonce", "signed_answer"}
            answers.append({"answer": {name: answer[name] for name in answer.keys() - left_out}})
        many = ManyAnswers(
            scheme=self.scheme.id,
            terminal=terminal,
            count=len(payloads),
            digest=answers_digest(payloads),
            time=self.clock(),
        )
        key = self.answer_key if self.signs_chunks else ec.generate_private_key(ec.SECP256R1())
        thumbprint = self.answer_certificate.fingerprint(hashes.SHA256())
        return {
            "answers": answers,
            "nonce": self._nonce(),
            "signed_answers": to_base64url(sign_many_answers(many, key, thumbprint)),
        }

    def _settle(self, terminal: str, message: dict[str, Any]) -> dict[str, Any]:
        signed = open_statement(from_base64url(message["statement"]))
        statement = signed.statement
        assert statement.terminal == terminal
        key = self.cards[statement.card].public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        verify_statement(signed, self.scheme.id, key)
        assert statement.details_hmac == details_hmac(
            from_base64url(message["details_salt"]), message["details"]
        )
        kind = "advice" if statement.kind is StatementKind.ADVICE else "request"
        assert statement.offline is (kind == "advice")
        if (known := self.posted.get(statement.id)) is not None:
            if known.decision == "annulled":
                return self._answer(statement.id, signed.body, kind, "declined", "annulled", known.posted_at)
            if known.body != signed.body:
                raise Refused(409, "id_conflict")
            return self._given(statement.id, known, kind, repeated=True)
        new = Posted(signed.body, *self.decision, self.clock())
        if new.decision == "approved":
            new.amount_minor = statement.amount_minor or 0
        if statement.replaces is not None:
            replaced = self.posted.get(statement.replaces)
            if replaced is None:
                self.posted[statement.replaces] = Posted(b"", "annulled", "annulled", self.clock())
            elif replaced.decision == "approved" and not replaced.reversed_:
                new = Posted(signed.body, "duplicate", "duplicate", self.clock())
                new.duplicate_of = statement.replaces
        self.posted[statement.id] = new
        return self._given(statement.id, new, kind, repeated=False)

    def _annul(self, terminal: str, annul: dict[str, Any]) -> dict[str, Any]:
        notice = AnnulNotice(
            scheme=self.scheme.id,
            id=UUID(annul["id"]),
            terminal=terminal,
            sequence=annul["sequence"],
            card=UUID(annul["card"]),
            annuls=UUID(annul["annuls"]),
            time=from_rfc3339(annul["time"]),
        )
        if (known := self.posted.get(notice.id)) is not None:
            return self._given(notice.id, known, "annul", repeated=True)
        target = self.posted.setdefault(notice.annuls, Posted(b"", "annulled", "annulled", self.clock()))
        is_kept = any(item.duplicate_of == notice.annuls for item in self.posted.values())
        target.reversed_ = not is_kept
        self.posted[notice.id] = new = Posted(notice.body, "approved", "annulled", self.clock())
        return self._given(notice.id, new, "annul", repeated=False)

    def _given(self, id_: UUID, posted: Posted, kind: str, *, repeated: bool) -> dict[str, Any]:
        answer = self._answer(id_, posted.body, kind, posted.decision, posted.reason, posted.posted_at)
        return {**answer, "repeated": repeated}

    def _answer(
        self, id_: UUID, body: bytes, kind: str, decision: str, reason: str, moment: datetime
    ) -> dict[str, Any]:
        answer = Answer(
            scheme=self.scheme.id, id=id_, body=body, decision=decision, reason=reason, time=moment
        )
        return {
            "id": str(id_),
            "kind": kind,
            "decision": decision,
            "reason": reason,
            "message": "Thank you.",
            "amount_minor": self.price_minor,
            "currency": "GBP",
            "receipt": [{"label": "Single", "amount_minor": self.price_minor}],
            "balances": [{"account": "prepaid", "unit": "GBP", "amount_minor": 1000}],
            "flags": [],
            "actions": [],
            "proof": "signature",
            "answered_at": to_rfc3339(moment),
            "repeated": False,
            "nonce": self._nonce(),
            "signed_answer": to_base64url((self.sign or self.sign_as_the_service)(answer)),
        }

    def sign_as_the_service(self, answer: Answer) -> bytes:
        """The right signature."""
        return sign_answer(answer, self.answer_key, self.answer_certificate.fingerprint(hashes.SHA256()))

    def _at_the_desk(self, rest: list[str], body: dict[str, Any]) -> dict[str, Any]:
        if not rest:
            return self._tell_puk(UUID(body["card"]))
        return self._personalise(UUID(rest[0]), rest[1:], body)

    def _personalise(self, order_id: UUID, rest: list[str], body: dict[str, Any]) -> dict[str, Any]:
        order = self.orders.get(order_id)
        if order is None:
            raise Refused(404, "order_unknown")
        if order.state in {"done", "failed"} and body.get("outcome") != order.state:
            raise Refused(409, "order_closed")
        match rest:
            case []:
                return {
                    "order": str(order.id),
                    "card": str(order.card),
                    "kind": "citizen",
                    "expires_on": "2031-06-15",
                    "management_key": to_base64url(order.management_key),
                    "puk": order.puk,
                    "slots": list(order.slots),
                }
            case ["contents"]:
                return self._contents(order)
            case ["certificate"]:
                request = x509.load_der_x509_csr(from_base64url(body["csr"]))
                return self._certify(order, request, body["slot"])
            case ["result"]:
                order.state, order.uid = body["outcome"], body.get("uid")
                return {"card": str(order.card), "state": "active" if order.state == "done" else "revoked"}
        raise Refused(404, "not_found")

    def _contents(self, order: Order) -> dict[str, Any]:
        order.contents = order.contents or contents_of(order.card, self.content_signer)
        return {
            "objects": [
                {"tag": f"{tag:X}", "content": to_base64url(content)}
                for tag, content in order.contents.items()
            ]
        }

    def _certify(self, order: Order, csr: x509.CertificateSigningRequest, slot: str) -> dict[str, Any]:
        if not csr.is_signature_valid:
            raise Refused(422, "certificate_request_refused")
        known = order.certificates.get(slot)
        if known is None or known.public_key() != csr.public_key():
            cards = self.scheme.authority("cards")
            known = cards.issue(csr, PROFILE_OF[slot], str(order.card), self.clock())
            order.certificates[slot] = known
        if slot == "9E":
            self.cards[order.card] = known
        return {"certificate": to_base64url(known.public_bytes(Encoding.DER)), "chain": []}

    def _tell_puk(self, card: UUID) -> dict[str, Any]:
        found = next((each for each in self.orders.values() if each.card == card), None)
        if found is None:
            raise Refused(422, "card_unknown")
        return {"card": str(card), "puk": found.puk}


class _Handler(BaseHTTPRequestHandler):
    """HTTP around a CardService."""

    protocol_version = "HTTP/1.1"
    card_service: CardService

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def _handle(self) -> None:
        # A connection for each request: one that is dropped takes no other along.
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        try:
            answer = self.card_service.answer(self.command, self.path, dict(self.headers), body)
        except Refused as refused:
            problem = {"type": f"urn:citizen-card:problem:{refused.code}", "code": refused.code}
            document = {**problem, "title": refused.code, "status": refused.status, "detail": "refused"}
            self._send(refused.status, "application/problem+json", document)
        else:
            if answer is not None:
                self._send(200, "application/json", answer)

    def _send(self, status: int, content_type: str, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)


def _body_of(entry: object) -> bytes:
    """The message that an entry of a chunk stands for, as it is sent alone."""
    match entry:
        case [bytes(), bytes(raw), dict(details), bytes(salt)]:
            message: dict[str, Any] = {
                "statement": to_base64url(raw),
                "details": details,
                "details_salt": to_base64url(salt),
            }
        case [bytes(card), bytes(own), int(sequence), bytes(annuls), int(at_ms)]:
            message = {
                "annul": {
                    "id": str(UUID(bytes=own)),
                    "sequence": sequence,
                    "card": str(UUID(bytes=card)),
                    "annuls": str(UUID(bytes=annuls)),
                    "time": to_rfc3339(datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)),
                }
            }
        case _:
            raise Refused(422, "statement_malformed")
    return json.dumps(message).encode()


def create_card_service(scheme: Scheme, clock: Clock) -> CardService:
    """A running service of this scheme; `stop` ends it."""
    answers = _certified(scheme, SERVICE, "cardservice", clock)
    signer = _certified(scheme, CONTENT_SIGNER, "cardservice-content", clock)
    return CardService(scheme, clock, answers.key, answers.certificate, signer)


def _certified(scheme: Scheme, profile: Profile, identity: str, clock: Clock) -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return Signer(scheme.authority("service").issue(request, profile, identity, clock()), key)
