"""What staff ask of blanks, bureaux, providers, terminals and money, as schemathesis asks it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cardservice.api.fields import to_base64url, to_rfc3339
from cardservice.blanks import service as blanks
from cardservice.blanks.service import By, Delivery
from cardservice.bureau import orders
from cardservice.bureau.files import RESULT, write
from cardservice.cards import personalisation
from cardservice.cards.service import AUTHORITY
from cardservice.cards.slots import SLOTS_OF_KIND
from cardservice.ids import ProviderId, TerminalId
from cardservice.providers.closing import close_provider
from cardservice.terminals.enrolment import VALIDITY, invite
from cardservice.terminals.service import NewTerminal
from tests.cardservice.api.contract import Wish
from tests.cardservice.staff.browsing import Browsing
from tests.support.council import ACTOR, Council, csr

Wishes = Mapping[str, list[Callable[[], Wish]]]
PRODUCT = "dual-8k"


class Things:
    """What there is to ask for, beside people; `name` tells what one asker has made from another's."""

    def __init__(self, council: Council, other: Browsing, name: str) -> None:
        self._other = other
        self._council, self._context, self._name = council, council.context, name
        self._numbers = count(1)
        self._place, self._bureau = f"{name}-hall", f"{name}-cards"
        self._signing = ec.generate_private_key(ec.SECP256R1())
        by = By(ACTOR, council.clock())
        keys = _pem(self._signing), _pem(ec.generate_private_key(ec.SECP256R1()))
        with self._context.database.begin() as connection:
            blanks.add_place(connection, self._place, "Hall", by)
            blanks.receive(connection, Delivery("Vale Cards", PRODUCT, 500), self._place, by)
            orders.add_bureau(connection, self._bureau, "Vale", *keys, actor=ACTOR, moment=council.clock())

    def known(self) -> Mapping[str, list[Any]]:
        """By the name of a parameter or member: what is worth more than what is made up."""
        return {
            "place": [self._place],
            "product": [PRODUCT],
            "from": [self._place],
            "bureau": [self._bureau],
            "bureau_id": [self._bureau],
            # Which may be closed
            "provider_id": [self._provider()["provider_id"]],
            "batch_id": [self._batch()["batch_id"]],
            "service": ["transport", "library"],
            "first": ["2026-06-01"],
            "last": ["2026-06-20"],
        }

    def wishes(self) -> Wishes:
        """By operation; each is made when it is sent."""
        return {
            **self._of_stock(),
            **self._of_bureaux(),
            **self._of_cards(),
            **self._of_providers(),
            **self._of_terminals(),
        }

    def _of_stock(self) -> Wishes:
        blank = {"product": PRODUCT, "place": self._place}
        moved = {"product": PRODUCT, "from": self._place}
        return {
            "POST /v1/blank-places": [lambda: Wish({"place": self._number(), "name": "Library"})],
            "GET /v1/blank-stock": [Wish, lambda: Wish(query={"place": self._place, "low": True})],
            "POST /v1/blank-deliveries": [
                lambda: self._keyed({**blank, "supplier": "Vale Cards", "count": 5}),
                lambda: self._keyed({**blank, "supplier": "V", "count": 5, "first_number": "1"}),
            ],
            "POST /v1/blank-movements": [
                lambda: self._keyed({**moved, "to": self._empty_place(), "count": 1}),
                lambda: self._keyed({**moved, "to": self._empty_place(), "count": 999_999}),
            ],
            "POST /v1/spoiled-blanks": [lambda: self._keyed({**blank, "count": 1, "reason": "bent"})],
            "POST /v1/blank-counts": [lambda: self._keyed({**blank, "counted": 490, "reason": "counted"})],
            "POST /v1/blank-warnings": [lambda: Wish({**blank, "low_below": 50})],
            "POST /v1/blank-desks": [
                lambda: Wish({**blank, "terminal": self._council.terminal(self._number(), "issuer").id})
            ],
        }

    def _of_bureaux(self) -> Wishes:
        batch = "/v1/bureau-batches/{batch_id}"
        return {
            "POST /v1/card-bureaux": [lambda: Wish(self._new_bureau())],
            "POST /v1/card-bureaux/{bureau_id}/results": [
                lambda: Wish({"content": self._results()}, {"bureau_id": self._bureau}),
                lambda: Wish({"content": to_base64url(b"{}")}, {"bureau_id": self._bureau}),
            ],
            "POST /v1/bureau-batches": [
                lambda: self._keyed({"bureau": self._bureau, "orders": [str(self._order().id)]})
            ],
            f"GET {batch}": [lambda: Wish(path=self._batch())],
            f"POST {batch}/order-file": [lambda: Wish({}, self._batch())],
            f"GET {batch}/certificates-file": [lambda: Wish(path=self._batch())],
            f"POST {batch}/letters": [
                lambda: Wish({}, self._made_batch()),
                lambda: Wish({}, self._batch()),
            ],
        }

    def _of_cards(self) -> Wishes:
        card = "/v1/cards/{card_id}"
        until = to_rfc3339(self._council.clock() + timedelta(hours=6))
        answers = {"postcode": "AB1 2CD"}
        return {
            f"POST {card}/lending": [lambda: self._keyed({"until": until}, self._card())],
            f"POST {card}/taking-back": [lambda: Wish({}, self._lent()), lambda: Wish({}, self._card())],
            f"POST {card}/told-loss": [lambda: Wish({"answers": answers}, self._card())],
        }

    def _of_providers(self) -> Wishes:
        one, theirs = "/v1/providers/{provider_id}", {"provider_id": "vale-buses"}
        key = {"application": f"F5C0{len(self._name):02X}", "key": 1}
        reason = {"reason": "contract over"}
        return {
            f"GET {one}": [lambda: Wish(path=theirs)],
            f"POST {one}/name": [lambda: self._tagged({"name": "Another"}, self._provider())],
            f"POST {one}/closing": [
                lambda: Wish(reason, self._provider()),
                lambda: Wish({**reason, "from": "2020-01-01T00:00:00.000Z"}, self._provider()),
            ],
            f"POST {one}/reopening": [
                lambda: Wish(reason, self._provider(closed=True)),
                lambda: Wish(reason, self._provider()),
            ],
            f"GET {one}/services": [lambda: Wish(path=theirs)],
            f"POST {one}/services": [
                lambda: Wish({"service": "library", "sells": True}, theirs),
                lambda: Wish({"service": "library", "sells": False}, theirs),
            ],
            f"POST {one}/card-keys": [
                lambda: Wish({**key, "granted": True}, theirs),
                lambda: Wish({**key, "granted": False}, theirs),
            ],
            f"GET {one}/statement": [
                lambda: Wish(path=theirs),
                lambda: Wish(path=theirs, query={"first": "2026-06-15", "last": "2026-06-01"}),
            ],
            f"GET {one}/sales": [
                lambda: Wish(path=theirs, query={"limit": 1}),
                lambda: Wish(path=theirs, query={"after": "nonsense"}),
            ],
        }

    def _of_terminals(self) -> Wishes:
        one, invitation = "/v1/terminals/{terminal_id}", "/v1/terminal-invitations"
        terms = {"role": "gate", "offline_limit_minor": None}
        return {
            "POST /v1/terminals": [lambda: Wish(self._new_terminal() | {"csr": _request()})],
            f"POST {invitation}": [lambda: Wish(self._new_terminal() | {"minutes": 5})],
            f"POST {invitation}/{{terminal_id}}/withdrawal": [lambda: Wish({}, self._invited())],
            f"POST {one}/invitation": [lambda: Wish({}, self._terminal())],
            f"GET {one}/terms": [lambda: Wish(path=self._terminal())],
            f"POST {one}/terms": [lambda: self._tagged(terms, self._terminal(), "/terms")],
            f"POST {one}/name": [lambda: self._tagged({"name": "Lane 2"}, self._terminal(), "/terms")],
            f"GET {one}/gaps": [lambda: Wish(path=self._terminal())],
        }

    def _tagged(self, body: Mapping[str, Any], path: Mapping[str, str], what: str = "") -> Wish:
        """A change of what somebody else has looked at: a terminal or a provider."""
        client = self._council.client.application.test_client(use_cookies=False)
        bearer = {"Authorization": f"Bearer {self._other.token}"}
        [(name, one)] = path.items()
        seen = client.get(f"/v1/{name.removesuffix('_id')}s/{one}{what}", headers=bearer)
        return Wish(body, path, headers={"If-Match": seen.headers["ETag"]})

    def _card(self) -> dict[str, str]:
        return {"card_id": str(self._council.card().id)}

    def _lent(self) -> dict[str, str]:
        forgotten, moment = self._council.card(), self._council.clock()
        until = moment + timedelta(hours=6)
        with self._context.database.begin() as connection:
            order = personalisation.lend_card(connection, forgotten.id, until, actor=ACTOR, moment=moment)
        return {"card_id": str(order.card_id)}

    def _provider(self, *, closed: bool = False) -> dict[str, str]:
        """Another one: whoever asks for the rest is asked by terminals of one that is open."""
        made = self._council.provider(self._number())
        if closed:
            moment = self._council.clock()
            with self._context.database.begin() as connection:
                close_provider(connection, made, moment, reason="over", actor=ACTOR, moment=moment)
        return {"provider_id": made}

    def _new_terminal(self) -> dict[str, Any]:
        return {"terminal": self._number(), "provider": "vale-buses", "role": "validator"}

    def _terminal(self) -> dict[str, str]:
        return {"terminal_id": self._council.terminal(self._number()).id}

    def _invited(self) -> dict[str, str]:
        new = NewTerminal(TerminalId(self._number()), ProviderId("vale-buses"), "New", "gate", None)
        with self._context.database.begin() as connection:
            invite(connection, new, VALIDITY, actor=ACTOR, moment=self._council.clock())
        return {"terminal_id": new.id}

    def _number(self) -> str:
        return f"{self._name}-thing-{next(self._numbers)}"

    def _keyed(self, body: Mapping[str, Any], path: Mapping[str, str] | None = None) -> Wish:
        return Wish(body, path or {}, headers={"Idempotency-Key": f"key-of-{self._number()}"})

    def _empty_place(self) -> str:
        place = self._number()
        with self._context.database.begin() as connection:
            blanks.add_place(connection, place, "Library", By(ACTOR, self._council.clock()))
        return place

    def _new_bureau(self) -> dict[str, Any]:
        keys = (_pem(ec.generate_private_key(ec.SECP256R1())).decode() for _ in range(2))
        named = dict(zip(("signing_key", "sealing_key"), keys, strict=True))
        blank = {"place": self._place, "product": PRODUCT}
        return {"bureau": self._number(), "name": "Another", "blanks": blank, **named}

    def _order(self) -> personalisation.Order:
        holder, post = self._council.card().holder, personalisation.Delivery.POST
        how: dict[str, Any] = {"delivery": post, "actor": ACTOR, "moment": self._council.clock()}
        with self._context.database.begin() as connection:
            return personalisation.order_card(connection, holder, "citizen", **how)

    def _ordered_batch(self) -> tuple[UUID, personalisation.Order]:
        order = self._order()
        how: dict[str, Any] = {"actor": ACTOR, "moment": self._council.clock()}
        with self._context.database.begin() as connection:
            made = orders.make_batch(connection, self._bureau, [order.id], orders.HOLDER, **how)
        return made.id, order

    def _batch(self) -> dict[str, str]:
        return {"batch_id": str(self._ordered_batch()[0])}

    def _made_batch(self) -> dict[str, str]:
        batch, order = self._ordered_batch()
        how: dict[str, Any] = {"actor": ACTOR, "moment": self._council.clock()}
        with self._context.database.begin() as connection:
            authority = self._context.authority(AUTHORITY, connection)
            for slot in SLOTS_OF_KIND[order.kind]:
                request = csr(ec.generate_private_key(ec.SECP256R1()), "card").public_bytes(Encoding.DER)
                personalisation.certify(connection, authority, order.id, request, slot, **how)
            personalisation.report(connection, authority, order.id, done=True, **how)
        self._council.clock.advance(seconds=1)
        return {"batch_id": str(batch)}

    def _results(self) -> str:
        batch, order = self._ordered_batch()
        head = {"format": RESULT, "scheme": self._context.scheme.id, "batch": str(batch)}
        line = {"order": str(order.id), "card": str(order.card_id), "outcome": "failed", "spoiled": False}
        return to_base64url(write(head, [line], self._signing))


def _request() -> str:
    request = csr(ec.generate_private_key(ec.SECP256R1()), "terminal")
    return request.public_bytes(Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
