"""HTTP to the card service: the terminal signs each request (RFC 9421), each answer has a time limit."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote as quote_path
from uuid import UUID

import requests
from cryptography.hazmat.primitives.asymmetric import ec

from pki.card_keys import KeyRequest, ReleasedMaster
from pki.card_keys.errors import CardKeysUnreadable
from pki.clock import Clock
from pki.request_signatures import sign_request
from pki.status_list.card_map import MAX_MAP_BYTES, MapKey
from pki.status_list.fetching import Fetched, fetch_by
from reader_agent.answers import ReceiptLine, read_line
from reader_agent.catalogues import Catalogue, read_catalogue
from reader_agent.errors import ServiceAnswerInvalid
from reader_agent.paying_in import PayIn, read_pay_in
from reader_agent.presentations import Presentation, read_presentation
from reader_agent.service_connection import HttpAnswer, ServiceConnection
from reader_agent.wire import Document, to_base64url

# Revocation lists are the longest answers: some 40 bytes for each revoked card.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
# Ours: a thousand items at each of the three services of a week, with room; and a photograph in base64url.
MAX_CATALOGUE_BYTES = 4 * 1024 * 1024
MAX_PRESENTATION_BYTES = 128 * 1024
# RFC 8742, 6.3. Nobody stands there with a card: the service may take its time over many.
CHUNK_TYPE, CHUNK_ANSWER_S = "application/cbor-seq", 60.0
# The service asks a payment provider meanwhile.
PAY_IN_ANSWER_S = 20.0
# Ours: more than there are
MAX_SLOTS, MAX_OBJECTS = 8, 16


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long the service may take, in seconds; somebody stands there with a card."""

    connect_s: float = 2.0
    answer_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Price:
    """What something costs, and until when that holds."""

    amount_minor: int
    currency: str
    tariff_version: str
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Quote:
    """The price for this card, and the one that any card may be charged while the service does not answer."""

    price: Price
    lines: tuple[ReceiptLine, ...]
    # None where this terminal may not serve this offline
    offline: Price | None


@dataclass(frozen=True, slots=True, repr=False)
class PersonalisationOrder:
    """What the issuing desk is to make; management key and PUK are secrets."""

    order: UUID
    card: UUID
    kind: str
    # A date, YYYY-MM-DD
    expires_on: str
    management_key: bytes
    puk: str
    # Whose keys the card is to make, in hex
    slots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refunded:
    """What was given back."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class CardStanding:
    """Where a card stands, by the service's word for it."""

    card: UUID
    state: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """A restore of the service's database: what was settled from then on is to be sent again."""

    number: int
    since: datetime


class ServiceClient:
    """The service's API as functions.

    Each raises ServiceUnreachable where nothing certain came back, ServiceProblem for a problem document, and
    ServiceAnswerInvalid for an answer that is malformed.
    """

    def __init__(
        self,
        service_url: str,
        terminal: str,
        key: ec.EllipticCurvePrivateKey,
        clock: Clock,
        *,
        limits: TimeLimits | None = None,
        ca_file: str | None = None,
    ) -> None:
        """Connects with the first call. Raises ConfigInvalid for an address that is none."""
        self._connection = ServiceConnection(service_url, ca_file)
        self._terminal, self._key, self._clock = terminal, key, clock
        self._limits = limits or TimeLimits()
        # For status lists alone, which are fetched as everybody fetches them
        self._session = requests.Session()
        # Proxies and certificates from the environment would be settings that nobody sees.
        self._session.trust_env = False
        self._session.verify = ca_file or True

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
        self._session.close()

    def trust(self) -> Document:
        """The scheme's certificates and revocation lists, and where its status lists are."""
        return Document(self._call("GET", "/pki/trust?cards=status-list"), "trust")

    def status_list(self, uri: str, headers: Mapping[str, str], /) -> Fetched:
        """The status list of that address, from the service that this terminal has; not yet verified.

        Raises StatusListUnavailable.
        """
        number = quote_path(uri.rpartition("/")[2], safe="")
        fetch = fetch_by(self._session, self._limits.connect_s + self._limits.answer_s)
        return fetch(self._connection.address(f"/pki/status/{number}"), headers)

    def card_map(self, uri: str, headers: Mapping[str, str], /) -> Fetched:
        """The card map of the status list of that address, not yet verified; 304 for what is held."""
        number = quote_path(uri.rpartition("/")[2], safe="")
        path = f"/v1/card-maps/{number}"
        answer = self._ask("GET", path, b"", dict(headers), CHUNK_ANSWER_S, MAX_MAP_BYTES)
        if answer.status not in (200, 304):
            raise answer.problem()
        return Fetched(answer.status, answer.content, answer.etag)

    def card_map_key(self) -> MapKey:
        """What the scheme's card maps are read with."""
        try:
            return MapKey(Document(self._call("GET", "/v1/card-map-key"), "key").octets("key"))
        except ValueError as error:
            raise ServiceAnswerInvalid("the key of its card maps is none") from error

    def card_keys(self, scheme: str) -> tuple[ReleasedMaster, ...]:
        """The keys that this terminal may have of its provider's applications on cards."""
        request = KeyRequest(scheme, self._terminal)
        wanted = encode({"key": to_base64url(request.public_key)})
        try:
            return request.open(
                Document(self._call("POST", "/v1/card-keys", wanted), "keys").octets("sealed")
            )
        except CardKeysUnreadable as error:
            raise ServiceAnswerInvalid("what it sent are no keys for this terminal") from error

    def nonce(self) -> bytes:
        """A nonce for the next request."""
        return Document(self._call("GET", "/v1/nonce"), "nonce").octets("nonce")

    def health(self, said: Mapping[str, object]) -> None:
        """Say how this terminal is (`reader_agent.health`)."""
        self._call("POST", "/v1/health", encode(dict(said)))

    def enrol(self, code: str, csr: bytes) -> bytes:
        """The certificate (DER) for the terminal's request (DER), by its one-time code.

        It is signed as everything is, and the service does not look: it does not know the terminal yet.
        """
        asked = encode({"terminal": self._terminal, "code": code, "csr": to_base64url(csr)})
        return Document(self._call("POST", "/enrolments", asked), "certificate").octets("certificate")

    def renew(self, csr: bytes) -> bytes:
        """A certificate (DER) for the terminal's present key; the one that it has until another is due."""
        asked = encode({"csr": to_base64url(csr)})
        answer = self._call("POST", "/v1/terminal-certificate", asked)
        return Document(answer, "certificate").octets("certificate")

    def quote(self, service: str, action: str, card: UUID | None, details: Mapping[str, object]) -> Quote:
        """The price of an action; what its rules refuse is a ServiceProblem with their reason."""
        wanted = {
            "service": service,
            "action": action,
            "card": None if card is None else str(card),
            "details": dict(details),
        }
        answer = Document(self._call("POST", "/v1/quotes", encode(wanted)), "quote")
        return Quote(
            price=_price(answer),
            lines=tuple(read_line(line) for line in answer.documents("lines")),
            offline=None if answer.is_null("offline") else _price(answer.document("offline")),
        )

    def presentation(self, card: UUID) -> Presentation:
        """Who holds this card; each call is a read of a person's record, which the service logs."""
        wanted = encode({"card": str(card)})
        answer = self._call("POST", "/v1/presentations", wanted, most=MAX_PRESENTATION_BYTES)
        return read_presentation(Document(answer, "presentation"), card)

    def catalogue(self, service: str) -> Catalogue:
        """What this terminal may sell for a service, now and while the service does not answer."""
        path = f"/v1/catalogues/{quote_path(service, safe='')}"
        answer = self._call("GET", path, most=MAX_CATALOGUE_BYTES)
        return read_catalogue(Document(answer, "catalogue"), service)

    def authorise(self, body: bytes) -> Mapping[str, Any]:
        """The answer to a stored message, exactly these bytes; not yet verified (see answers.py)."""
        return self._call("POST", "/v1/authorisations", body)

    def refund(self, refund: UUID, sale: UUID, card: UUID, line: int | None) -> Refunded:
        """Give a sale back, or a line of its receipt; under the same id it is given back once."""
        asked = {"id": str(refund), "sale": str(sale), "card": str(card), "line": line}
        answer = Document(self._call("POST", "/v1/refunds", encode(asked)), "answer")
        return Refunded(answer.integer("amount_minor"), answer.text("currency"))

    def pay_in(self, payment: UUID, card: UUID, amount_minor: int, return_url: str) -> PayIn:
        """A payment for whoever pays for the card; under the same id it is begun once."""
        named = {"id": str(payment), "card": str(card), "return_url": return_url}
        return self._pay_in("POST", "/v1/payments", encode({**named, "amount_minor": amount_minor}))

    def pay_in_state(self, payment: UUID) -> PayIn:
        """How a payment that this terminal has begun is now."""
        return self._pay_in("GET", f"/v1/payments/{payment}")

    def give_pay_in_up(self, payment: UUID) -> PayIn:
        """Give a payment up, and how it is then."""
        return self._pay_in("POST", f"/v1/payments/{payment}/cancellation", encode({}))

    def tell_lost(self, name: str, born_on: str, postcode: str) -> None:
        """Pass on that somebody's cards are lost; what came of it the service tells nobody."""
        asked = encode({"name": name, "born_on": born_on, "postcode": postcode})
        self._call("POST", "/v1/told-losses", asked, answer_s=PAY_IN_ANSWER_S)

    def tell(self, chunk: bytes) -> Mapping[str, Any]:
        """The answer to a chunk of stored messages; not yet verified (see chunks.py)."""
        return self._call("POST", "/v1/advices", chunk, media_type=CHUNK_TYPE, answer_s=CHUNK_ANSWER_S)

    def recovery(self) -> Recovery | None:
        """What the service wants to be sent again because it was restored; None where nothing is."""
        answer = Document(self._call("GET", "/v1/recovery"), "recovery")
        if answer.is_null("recovery"):
            return None
        return Recovery(answer.integer("recovery"), answer.moment("since"))

    def send_again(self, messages: Sequence[Mapping[str, Any]], *, complete: bool) -> Mapping[str, Any]:
        """What became of messages that were answered before; not yet verified (see resending.py)."""
        body = encode({"messages": list(messages), "complete": complete})
        return self._call("POST", "/v1/recovery/messages", body, answer_s=CHUNK_ANSWER_S)

    def personalisation_order(self, order: UUID) -> PersonalisationOrder:
        """An open order."""
        answer = Document(self._call("GET", f"/v1/personalisation-orders/{order}"), "order")
        return PersonalisationOrder(
            order=answer.identifier("order"),
            card=answer.identifier("card"),
            kind=answer.text("kind"),
            expires_on=answer.text("expires_on"),
            management_key=answer.octets("management_key"),
            puk=answer.text("puk"),
            slots=answer.texts("slots", MAX_SLOTS),
        )

    def contents(self, order: UUID) -> dict[int, bytes]:
        """What to write to a card beside its keys, by tag; a read of a person's record, which is logged."""
        path = f"/v1/personalisation-orders/{order}/contents"
        answer = Document(self._call("GET", path, most=MAX_PRESENTATION_BYTES), "contents")
        return {each.tag("tag"): each.octets("content") for each in answer.documents("objects", MAX_OBJECTS)}

    def certify(self, order: UUID, csr: bytes, slot: str) -> bytes:
        """The certificate (DER) for the key of a card's request (DER), which is in this slot."""
        path = f"/v1/personalisation-orders/{order}/certificate"
        asked = encode({"csr": to_base64url(csr), "slot": slot})
        return Document(self._call("POST", path, asked), "certificate").octets("certificate")

    def puk(self, card: UUID) -> str:
        """The PUK of a card that lies on the desk; each call is written down by the service."""
        return Document(self._call("POST", "/v1/card-puks", encode({"card": str(card)})), "puk").text("puk")

    def report(
        self, order: UUID, outcome: str, uid: bytes | None = None, *, spoiled: bool = False
    ) -> CardStanding:
        """Tell how the card turned out, "done" or "failed", and its UID where it is known.

        `spoiled`: of one that failed, whether its blank is of no use any more.
        """
        path = f"/v1/personalisation-orders/{order}/result"
        told: dict[str, object] = {"outcome": outcome}
        told |= ({} if uid is None else {"uid": to_base64url(uid)}) | ({"spoiled": True} if spoiled else {})
        answer = Document(self._call("POST", path, encode(told)), "result")
        return CardStanding(answer.identifier("card"), answer.text("state"))

    def _pay_in(self, method: str, path: str, body: bytes = b"") -> PayIn:
        return read_pay_in(Document(self._call(method, path, body, answer_s=PAY_IN_ANSWER_S), "payment"))

    def _call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        most: int | None = None,
        media_type: str = "application/json",
        answer_s: float | None = None,
    ) -> Mapping[str, Any]:
        answer = self._ask(
            method,
            path,
            body,
            {"Content-Type": media_type} if body else {},
            self._limits.answer_s if answer_s is None else answer_s,
            MAX_ANSWER_BYTES if most is None else most,
        )
        return answer.json_object()

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str], answer_s: float, most: int
    ) -> HttpAnswer:
        """Whatever answers a signed request."""
        address, now = self._connection.address(path), self._clock()
        return self._connection.ask(
            method,
            path,
            sign_request(method, address, headers, body, self._key, self._terminal, now),
            body,
            connect_s=self._limits.connect_s,
            answer_s=answer_s,
            most=most,
        )


def encode(value: Mapping[str, object]) -> bytes:
    """A JSON object as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _price(document: Document) -> Price:
    return Price(
        amount_minor=document.integer("amount_minor"),
        currency=document.text("currency"),
        tariff_version=document.text("tariff_version"),
        valid_until=document.moment("valid_until"),
    )
