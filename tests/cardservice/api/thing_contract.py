"""What staff ask of blanks, bureaux, providers, terminals and money, as schemathesis asks it."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cardservice.api.fields import to_base64url
from cardservice.blanks import service as blanks
from cardservice.blanks.service import By, Delivery
from cardservice.bureau import orders
from cardservice.bureau.files import RESULT, write
from cardservice.cards import personalisation
from cardservice.cards.service import AUTHORITY
from cardservice.cards.slots import SLOTS_OF_KIND
from tests.cardservice.api.contract import Wish
from tests.support.council import ACTOR, Council, csr

Wishes = Mapping[str, list[Callable[[], Wish]]]
PRODUCT = "dual-8k"


class Things:
    """What there is to ask for, beside people; `name` tells what one asker has made from another's."""

    def __init__(self, council: Council, name: str) -> None:
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
            "batch_id": [self._batch()["batch_id"]],
        }

    def wishes(self) -> Wishes:
        """By operation; each is made when it is sent."""
        return {**self._of_stock(), **self._of_bureaux()}

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


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
