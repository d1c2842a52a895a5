"""The attack table: what somebody may try, and what comes of it at each door of the service.

Each attack comes through Flask's view, through the endpoint that is served before Flask, and in a bulk
request. It is answered the same at all three, moves nothing, and is on the security log where it took no id.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256
from sqlalchemy import func, select
from werkzeug.test import Client

from cardservice.api.fields import to_base64url
from cardservice.api.hot import PATH, HotEndpoint
from cardservice.audit.service import security_events
from cardservice.authorisation.views import BULK_PATH
from cardservice.cards import service as cards
from cardservice.cards.states import CardState
from cardservice.ids import ProviderId
from cardservice.ledger.models import ledger_transaction, transfer
from cardservice.providers.selling import begin_selling, read_sellers
from pki.request_signatures import LABEL, TAG, content_digest, sign_request
from pki.statements import decode_deterministic, deterministic, seal, signature_input
from pki.statements.cose import Sign1, encode_sign1, from_der
from tests.support.council import (
    ORIGIN,
    START,
    Card,
    Council,
    Terminal,
    message,
    new_id,
    request_for,
)

# FIPS 186-5, 3.2.1.3: the order of P-256, modulo which s and its negative are as good.
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# Of a statement's payload, as `TransactionStatement.payload` writes it.
KEYS = {"service": 7, "amount": 9}
CONTENT = {"Content-Type": "application/json"}
FLASK, HOT, BULK = DOORS = ("flask", "hot", "bulk")
Sign = Callable[[Terminal, str, bytes], dict[str, str]]


@dataclass(slots=True)
class Scene:
    """A council with a validator and two cards; the first one's payer has 20.00."""

    council: Council
    door: str
    bus: Terminal
    card: Card
    other: Card

    def send(self, attempt: "Attempt") -> tuple[int, str]:
        """Status and code, of the entry where the request is one of several."""
        body = {"messages": [attempt.body]} if self.door == BULK else attempt.body
        path, data = BULK_PATH if self.door == BULK else PATH, json.dumps(body).encode()
        app = self.council.client.application
        client = Client(HotEndpoint(app, self.council.context)) if self.door == HOT else self.council.client
        sender = attempt.sender or self.bus
        answered = client.post(path, data=data, headers=attempt.sign(sender, path, data))
        told = answered.get_json(force=True)
        if "answers" in told:
            [entry] = told["answers"]
            told = entry.get("answer") or entry["problem"]
            return told.get("status", answered.status_code), str(told.get("code") or told["reason"])
        return answered.status_code, str(told.get("code") or told["reason"])

    def kept(self) -> tuple[int, int, tuple[int, int]]:
        """How many transactions and transfers there are, and what the card's payer has."""
        with self.council.context.database.reading() as connection:
            rows = (
                int(connection.execute(select(func.count()).select_from(table)).scalar_one())
                for table in (ledger_transaction, transfer)
            )
            return (*rows, self.council.balances(self.card.payer))  # type: ignore[return-value] # two of them

    def noted(self) -> list[str]:
        """The codes on the security log."""
        with self.council.context.database.reading() as connection:
            return [event.code for event in security_events(connection)]


def _signed(terminal: Terminal, path: str, data: bytes, moment: datetime | None = None) -> dict[str, str]:
    at = moment or terminal.clock()
    return sign_request("POST", ORIGIN + path, CONTENT, data, terminal.key, terminal.id, at)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is sent, by whom, and how it is signed."""

    body: dict[str, Any]
    sender: Terminal | None = None
    sign: Sign = field(default=_signed)


Attack = Callable[[Scene], Attempt]


def honest(scene: Scene, **changes: Any) -> dict[str, Any]:
    """What would be approved but for the changes."""
    return message(request_for(scene.bus, scene.card, **changes), scene.card)


def paid(scene: Scene) -> dict[str, Any]:
    """What has been approved already."""
    body = honest(scene)
    assert scene.send(Attempt(body)) == (200, "approved")
    return body


def forged_card_signature(scene: Scene) -> Attempt:
    forger = Card(scene.card.id, scene.card.holder, scene.card.payer, _new_key(), scene.card.certificate)
    return Attempt(message(request_for(scene.bus, scene.card), forger))


def signature_of_another_card(scene: Scene) -> Attempt:
    return Attempt(message(request_for(scene.bus, scene.card), scene.other))


def unknown_card(scene: Scene) -> Attempt:
    return Attempt(honest(scene, card=new_id()))


def expired_card(scene: Scene) -> Attempt:
    scene.council.clock.advance(days=5 * 366)
    return Attempt(honest(scene))


def revoked_card(scene: Scene) -> Attempt:
    body = honest(scene)
    scene.council.revoke(scene.card)
    return Attempt(body)


def suspended_card(scene: Scene) -> Attempt:
    with scene.council.context.database.begin() as connection:
        known, now = cards.require_card(connection, scene.card.id), scene.council.clock()
        cards.change_state(connection, known, CardState.SUSPENDED, reason="asked", actor="test", moment=now)
    return Attempt(honest(scene))


def revoked_terminal(scene: Scene) -> Attempt:
    body = honest(scene)
    scene.council.revoke_terminal(scene.bus.id)
    return Attempt(body)


def replayed(scene: Scene) -> Attempt:
    """The stored answer, and nothing is paid twice."""
    return Attempt(paid(scene))


def replayed_by_another_terminal(scene: Scene) -> Attempt:
    return Attempt(paid(scene), sender=scene.council.terminal(f"thief-{scene.bus.id}"))


def taken_id_at_another_terminal(scene: Scene) -> Attempt:
    """The card is made to sign another terminal's id: an id belongs to the terminal that drew it."""
    statement = request_for(scene.bus, scene.card)
    assert scene.send(Attempt(message(statement, scene.card))) == (200, "approved")
    thief = scene.council.terminal(f"thief-{scene.bus.id}")
    return Attempt(message(request_for(thief, scene.card, id=statement.id), scene.card), sender=thief)


def changed_body_under_a_known_id(scene: Scene) -> Attempt:
    statement = request_for(scene.bus, scene.card)
    assert scene.send(Attempt(message(statement, scene.card))) == (200, "approved")
    return Attempt(honest(scene, id=statement.id, amount_minor=1))


def signed_yesterday_and_posted_today(scene: Scene) -> Attempt:
    """The whole request was recorded, with its terminal's signature."""
    yesterday = scene.council.clock() - timedelta(days=1)
    return Attempt(honest(scene), sign=lambda bus, path, data: _signed(bus, path, data, yesterday))


def statement_signed_yesterday(scene: Scene) -> Attempt:
    """A terminal signs anew what a card signed the day before."""
    body = honest(scene)
    scene.council.clock.advance(days=1)
    return Attempt(body)


def door_challenge_as_payment(scene: Scene) -> Attempt:
    """What a card signs to open a door is bare, a payment's signature is bound to its purpose and scheme."""
    payload = request_for(scene.bus, scene.card).payload()
    signature = scene.card.key.sign(payload, ec.ECDSA(hashes.SHA256()))
    return Attempt(
        {**honest(scene), "statement": to_base64url(seal(payload, signature, scene.card.thumbprint))}
    )


def same_statement_with_n_minus_s(scene: Scene) -> Attempt:
    """ECDSA's second signature of the same statement: the same body, so the stored answer."""
    statement = request_for(scene.bus, scene.card)
    payload = statement.payload()
    der = scene.card.key.sign(signature_input(statement.scheme, payload), ec.ECDSA(hashes.SHA256()))
    bodies = [
        {
            **message(statement, scene.card),
            "statement": to_base64url(seal(payload, one, scene.card.thumbprint)),
        }
        for one in (der, _negated(der))
    ]
    assert bodies[0] != bodies[1]
    assert scene.send(Attempt(bodies[0])) == (200, "approved")
    return Attempt(bodies[1])


def body_changed_on_the_way(scene: Scene) -> Attempt:
    """What a terminal has signed, with something else in it."""
    return Attempt(honest(scene), sign=lambda bus, path, data: _signed(bus, path, data.replace(b"{", b"{ ")))


def signed_with_another_terminals_key(scene: Scene) -> Attempt:
    thief = scene.council.terminal(f"thief-{scene.bus.id}")
    return Attempt(honest(scene), sign=lambda bus, path, data: _signed(replace(thief, id=bus.id), path, data))


def signed_over_fewer_components(scene: Scene) -> Attempt:
    """RFC 9421 allows a signature over the method alone; the profile does not."""
    return Attempt(honest(scene), sign=_signed_over_the_method)


def service_that_its_role_does_not_cover(scene: Scene) -> Attempt:
    return Attempt(honest(scene, service="meals", action="sale"))


def service_of_another_provider(scene: Scene) -> Attempt:
    """A validator by its role, and another company's: these buses have a contract, that company has none."""
    council, now = scene.council, scene.council.clock()
    rival = council.provider(f"rival-{scene.bus.id}")
    thief = council.terminal(f"thief-{scene.bus.id}", provider=rival)
    with council.context.database.begin() as connection:
        if not read_sellers(connection):
            begin_selling(connection, ProviderId("vale-buses"), "transport", actor="test", moment=now)
    return Attempt(message(request_for(thief, scene.card), scene.card), sender=thief)


def amount_overflows(scene: Scene) -> Attempt:
    """One more than a column holds."""
    return Attempt(_resigned(scene, amount=2**63))


def amount_is_negative(scene: Scene) -> Attempt:
    return Attempt(_resigned(scene, amount=-240))


def amount_is_the_largest(scene: Scene) -> Attempt:
    """In range, and no fare of ours."""
    return Attempt(honest(scene, amount_minor=2**53 - 1))


def body_is_oversize(scene: Scene) -> Attempt:
    return Attempt({**honest(scene), "details": {"text": "x" * 600_000}})


def sql_in_an_identifier(scene: Scene) -> Attempt:
    """Only the bytes can say it: the agent's own type refuses."""
    return Attempt(_resigned(scene, service="x'; DROP TABLE transfer; --"))


def sql_in_the_details(scene: Scene) -> Attempt:
    """Details are signed by their HMAC, so that nobody on the way can put anything in."""
    return Attempt({**honest(scene), "details": {"from_stop": "x' OR '1'='1", "to_stop": '"; DELETE'}})


def sql_in_the_key_identifier(scene: Scene) -> Attempt:
    def sign(*request: Any) -> dict[str, str]:
        headers = _signed(*request)
        headers["Signature-Input"] = headers["Signature-Input"].replace(scene.bus.id, "x' OR '1'='1")
        return headers

    return Attempt(honest(scene), sign=sign)


def header_in_a_header(scene: Scene) -> Attempt:
    """A second signature after the first, as a proxy joins two fields of one name."""

    def sign(*request: Any) -> dict[str, str]:
        headers = _signed(*request)
        stated = headers["Signature-Input"]
        headers["Signature-Input"] = f"{stated}, {stated.replace('sig1', 'sig2')}"
        return headers

    return Attempt(honest(scene), sign=sign)


# Status, code; whether it is on the security log; whether it takes an id of its own, as a decline does.
Expected = tuple[int, str, bool, bool]
ATTACKS: dict[Attack, Expected] = {
    forged_card_signature: (422, "proof_invalid", True, False),
    signature_of_another_card: (422, "proof_of_another_card", True, False),
    unknown_card: (422, "card_unknown", True, False),
    expired_card: (200, "card_expired", False, True),
    revoked_card: (200, "card_revoked", False, True),
    suspended_card: (200, "card_suspended", False, True),
    revoked_terminal: (403, "terminal_revoked", True, False),
    replayed: (200, "approved", False, False),
    replayed_by_another_terminal: (422, "terminal_mismatch", True, False),
    taken_id_at_another_terminal: (409, "id_of_another_terminal", True, False),
    changed_body_under_a_known_id: (409, "id_conflict", True, False),
    signed_yesterday_and_posted_today: (401, "request_signature_stale", True, False),
    statement_signed_yesterday: (200, "stale", False, True),
    door_challenge_as_payment: (422, "proof_of_another_use", True, False),
    same_statement_with_n_minus_s: (200, "approved", False, False),
    body_changed_on_the_way: (401, "request_digest_mismatch", True, False),
    signed_with_another_terminals_key: (401, "request_signature_invalid", True, False),
    signed_over_fewer_components: (401, "request_signature_components", True, False),
    service_that_its_role_does_not_cover: (403, "role_not_allowed", True, False),
    service_of_another_provider: (403, "service_of_another_provider", True, False),
    amount_overflows: (422, "amount_too_large", True, False),
    amount_is_negative: (422, "amount_negative", True, False),
    amount_is_the_largest: (200, "price_changed", False, True),
    # It is refused before it is read: there is nothing to note but the line of the log.
    body_is_oversize: (413, "too_large", False, False),
    sql_in_an_identifier: (422, "statement_malformed", True, False),
    sql_in_the_details: (422, "details_mismatch", True, False),
    sql_in_the_key_identifier: (401, "request_signature_keyid_malformed", True, False),
    header_in_a_header: (401, "request_signature_malformed", True, False),
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_attack(council: Council, attack: Attack) -> None:
    """The same answer at each door; nothing moves; it is noted where it took no id."""
    status, code, is_noted, takes_an_id = ATTACKS[attack]
    for scene in scenes(council):
        attempt = attack(scene)
        (transactions, transfers, balances), noted = scene.kept(), scene.noted()
        assert scene.send(attempt) == (status, code), scene.door
        assert scene.kept() == (transactions + takes_an_id, transfers, balances), scene.door
        assert sorted(scene.noted()) == sorted([*noted, *([code] if is_noted else [])]), scene.door


# The same body twice (ADR 0122): it gets the answer that it got. Every other attack has a reason of its own.
ALIKE: list[set[Attack]] = [{replayed, same_statement_with_n_minus_s}]


def test_each_attack_has_its_own_reason() -> None:
    same = [{one for one in ATTACKS if ATTACKS[one][1] == code} for _, code, *_ in ATTACKS.values()]
    assert [attacks for attacks in same if len(attacks) > 1 and attacks not in ALIKE] == []


def test_without_an_attack(council: Council) -> None:
    """What the table changes one thing of is approved at each door."""
    for scene in scenes(council):
        assert scene.send(Attempt(honest(scene))) == (200, "approved")
        assert scene.council.balances(scene.card.payer) == (2000 - 240, 0)


def scenes(council: Council) -> Iterator[Scene]:
    """One for each door, with terminals and cards of its own, at the same moment."""
    numbers = count(1)
    for door in DOORS:
        council.clock.moment = START
        bus = council.terminal(f"bus-{next(numbers)}")
        yield Scene(council, door, bus, council.card(top_up_minor=2000), council.card())


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _negated(der: bytes) -> bytes:
    r, s = decode_dss_signature(der)
    return encode_dss_signature(r, P256_ORDER - s)


def _resigned(scene: Scene, **changed: object) -> dict[str, Any]:
    """A payload that the statement's own type would refuse, with the card's valid signature over it."""
    values = decode_deterministic(request_for(scene.bus, scene.card).payload())
    assert isinstance(values, dict)
    payload = deterministic(values | {KEYS[name]: value for name, value in changed.items()})
    signature = scene.card.key.sign(signature_input("ashcombe", payload), ec.ECDSA(hashes.SHA256()))
    sealed = encode_sign1(Sign1(payload, from_der(signature), scene.card.thumbprint))
    return {**honest(scene), "statement": to_base64url(sealed)}


@dataclass(frozen=True, slots=True)
class _Message:
    """A request as http-message-signatures wants it."""

    method: str
    url: str
    headers: dict[str, str]


def _signed_over_the_method(terminal: Terminal, path: str, data: bytes) -> dict[str, str]:
    """Made by the library: a valid signature by RFC 9421, and the digest that the body has."""
    headers = dict(CONTENT)
    keys = MappingKeyResolver(public_keys={}, private_keys={terminal.id: terminal.key})
    HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=keys).sign(
        _Message("POST", ORIGIN + path, headers),
        key_id=terminal.id,
        created=terminal.clock(),
        label=LABEL,
        tag=TAG,
        covered_component_ids=("@method",),
    )
    return {**headers, "Content-Digest": content_digest(data)}
