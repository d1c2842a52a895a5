"""What staff ask of the service as schemathesis asks it: with a session, and something to ask for."""

from collections.abc import Callable, Mapping
from datetime import date
from itertools import count
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.api.fields import to_base64url
from cardservice.applications.proofs import note_proof
from cardservice.cardholders.details import Noting, set_born_on
from cardservice.cards import personalisation
from cardservice.cards.service import AUTHORITY
from cardservice.ids import CardholderId
from cardservice.staff import enrolment
from cardservice.staff.roles import Role
from kiosk.pay_stand_in import Pay
from tests.cardservice.api.contract import Wish
from tests.cardservice.api.money_contract import Money
from tests.cardservice.api.thing_contract import Things
from tests.cardservice.cardholders.test_photos import file_of, halves
from tests.cardservice.staff.authenticator import Authenticator, typed
from tests.cardservice.staff.browsing import (
    PASSWORD,
    Browsing,
    by_certificate,
    code_of,
    enrolled_card,
    signed_in,
    with_passkey,
    with_password,
)
from tests.cardservice.staff.people import add
from tests.support.council import ACTOR, Council, Reply, csr, message, new_id, request_for

_ROLL = to_base64url(b"number,name,born_on,form\n1,Ava Reed,2016-04-30,5B\n")
BORN = date(2016, 4, 30)


class StaffWorld:
    """What there is to ask for, for one of the staff; made by others, so that they may agree."""

    def __init__(self, council: Council, pay: Pay, me: Browsing, name: str) -> None:
        self.me = me
        self._council, self._name = council, name
        self._context, self._numbers = council.context, count(1)
        add(self._context, f"other-of-{name}", *Role, provider="vale-buses")
        self._other = signed_in(council, f"other-of-{name}")
        self._things, self._money = Things(council, self._other, name), Money(council, pay, name)

    def known(self) -> Mapping[str, list[Any]]:
        """By the name of a parameter or member: what is worth more than what is made up."""
        card = self._council.card()
        return {
            "card_id": [str(card.id)],
            "cardholder_id": [str(card.holder)],
            "cardholder": [str(card.holder)],
            "application_id": [self._application()],
            "terminal_id": [self._terminal()],
            "provider": ["vale-buses"],
            "staff_id": [self._member()],
            "If-Match": ['"' + "0" * 40 + '"'],
            **self._things.known(),
            **self._money.known(),
        }

    def wishes(self) -> Mapping[str, list[Callable[[], Wish]]]:
        """By operation; each is made when it is sent."""
        card, person = "/v1/cards/{card_id}", "/v1/cardholders/{cardholder_id}"
        application, member = "/v1/applications/{application_id}", "/v1/staff/members/{staff_id}"
        waiting, terminal = "/v1/second-person/{asked_id}", "/v1/terminals/{terminal_id}"
        return {
            **self._signing_in(),
            **self._things.wishes(),
            **self._money.wishes(),
            "GET /v1/cards": [Wish, lambda: Wish(query={"state": "active", "limit": 1})],
            f"GET {card}": [lambda: Wish(path=self._card())],
            "POST /v1/card-orders": [lambda: self._keyed({"cardholder": self._person(), "kind": "citizen"})],
            f"POST {card}/replacement": [lambda: self._keyed({}, self._card())],
            f"POST {card}/dispatch": [lambda: Wish({}, {"card_id": self._made_to_be_sent()})],
            f"POST {card}/activation": [self._activation],
            f"POST {card}/suspension": [lambda: Wish({"reason": "found"}, self._card())],
            f"POST {card}/release": [lambda: Wish({"reason": "hers"}, self._resting())],
            f"POST {card}/report": [lambda: Wish({"what": "lost", "reason": "on a bus"}, self._card())],
            f"POST {card}/revocation": [lambda: Wish({"reason": "withdrawn"}, self._card())],
            "POST /v1/card-revocations": [
                lambda: self._keyed({"cards": [self._card()["card_id"]], "reason": "stolen"})
            ],
            "POST /v1/cardholders/search": [lambda: Wish({"name": "morg"})],
            "POST /v1/cardholders": [lambda: self._keyed({"name": "Robin Hale", "allergens": ["nuts"]})],
            f"GET {person}": [lambda: Wish(path=self._holder())],
            f"POST {person}/protected-address": [lambda: Wish({"because": "post"}, self._holder())],
            f"POST {person}/changes": [self._change],
            f"GET {person}/accesses": [lambda: Wish(path=self._holder())],
            f"POST {person}/export": [lambda: Wish({}, self._holder())],
            f"GET {person}/erasure": [lambda: Wish(path=self._holder())],
            f"POST {person}/erasure": [self._erasure],
            f"POST {person}/proofs": [
                lambda: self._keyed({"kind": "identity", "reference": "passport"}, self._holder())
            ],
            "POST /v1/applications": [lambda: self._keyed({"kind": "citizen", "name": "Ann Other"})],
            f"GET {application}": [lambda: Wish(path={"application_id": self._application()})],
            f"POST {application}/approval": [lambda: Wish({}, {"application_id": self._eligible()})],
            f"POST {application}/refusal": [
                lambda: Wish({"reason": "lives elsewhere"}, {"application_id": self._application()})
            ],
            f"POST {application}/withdrawal": [lambda: Wish({}, {"application_id": self._application()})],
            f"GET {terminal}": [lambda: Wish(path={"terminal_id": self._terminal()})],
            f"POST {terminal}/revocation": [
                lambda: Wish({"reason": "stolen"}, {"terminal_id": self._terminal()})
            ],
            "POST /v1/providers": [lambda: Wish({"provider": f"p-{self._number()}", "name": "New"})],
            "GET /v1/providers/{provider_id}/card-keys": [lambda: Wish(path={"provider_id": "vale-buses"})],
            "POST /v1/staff/members": [lambda: Wish({"staff": f"m-{self._number()}", "name": "Dee"})],
            f"POST {member}/roles": [lambda: Wish({"role": "desk"}, {"staff_id": self._member()})],
            f"POST {member}/roles/removal": [lambda: Wish({"role": "desk"}, {"staff_id": self._member()})],
            f"POST {member}/access": [lambda: Wish({"active": False}, {"staff_id": self._member()})],
            f"POST {member}/invitation": [lambda: Wish({}, {"staff_id": self._member()})],
            f"POST {member}/recovery": [lambda: Wish({}, {"staff_id": self._member()})],
            f"GET {member}/sessions": [lambda: Wish(path={"staff_id": self._member()})],
            "POST /v1/audit/search": [lambda: Wish({"action": "card.", "limit": 2})],
            f"POST {waiting}/agreement": [
                lambda: Wish({}, {"asked_id": self._asked_revocation()}),
                lambda: Wish({}, {"asked_id": self._asked_recovery()}),
            ],
            f"POST {waiting}/withdrawal": [lambda: Wish({}, {"asked_id": self._asked_revocation()})],
            "POST /v1/staff/refunds": [lambda: Wish({"id": str(new_id()), "sale": self._sold()})],
            "POST /v1/pupil-imports": [
                lambda: Wish({"school": f"s-{self._number()}", "content": _ROLL, "dry_run": True}),
                lambda: Wish({"school": f"s-{self._number()}", "content": to_base64url(b"nonsense")}),
            ],
            "POST /v1/pupil-imports/{import_id}/undoing": [lambda: Wish({}, {"import_id": self._imported()})],
            **self._of_families(),
            **self._of_reviews(),
        }

    def _of_families(self) -> Mapping[str, list[Callable[[], Wish]]]:
        person = "/v1/cardholders/{cardholder_id}"
        return {
            f"GET {person}/guardians": [lambda: Wish(path=self._guarded()[0])],
            f"POST {person}/guardians": [
                lambda: self._keyed({"person": self._person(), "may": ["pay"]}, self._child())
            ],
            f"POST {person}/guardians/{{guardianship_id}}/end": [self._ended_guardianship],
            f"POST {person}/bars": [
                lambda: self._keyed({"person": self._person(), "order": "17/2026"}, self._child())
            ],
            f"GET {person}/family": [lambda: Wish(path={"cardholder_id": self._guarded()[1]})],
            f"GET {person}/photo": [lambda: Wish(path=self._holder())],
            f"POST {person}/photo": [
                lambda: self._photo(to_base64url(file_of(halves((120, 160))))),
                lambda: self._photo(None),
                lambda: self._photo(to_base64url(b"no photo")),
            ],
            f"GET {person}/payers": [lambda: Wish(path=self._holder())],
            f"POST {person}/payers": [
                self._assignment,
                lambda: self._assignment(asked_by=self._person()),
                lambda: self._assignment(since="2020-01-01T00:00:00.000Z"),
            ],
            "POST /v1/payers": [lambda: self._keyed({})],
            "GET /v1/payers/{payer_id}": [lambda: Wish(path={"payer_id": self._payer()})],
        }

    def _of_reviews(self) -> Mapping[str, list[Callable[[], Wish]]]:
        person = "/v1/cardholders/{cardholder_id}"
        return {
            "GET /v1/proof-reviews": [lambda: Wish(query={"by": "2027-06-01", "limit": 1})],
            f"POST {person}/proofs/end": [self._ended_proof],
            "POST /v1/proof-imports": [
                lambda: Wish({"content": self._renewed()}),
                lambda: Wish({"content": to_base64url(b"nonsense")}),
            ],
            "POST /v1/card-reviews": [lambda: Wish({"suspend": True, "also_ordered": True, "limit": 2})],
            "POST /v1/coming-of-age": [lambda: Wish({"limit": 2}), lambda: Wish({"after": "nobody"})],
            "POST /v1/cards/{card_id}/entitlements": [
                lambda: Wish({}, self._card()),
                lambda: Wish({}, {"card_id": self._resting()["card_id"]}),
            ],
        }

    def _signing_in(self) -> Mapping[str, list[Callable[[], Wish]]]:
        passkey, session = "/v1/staff/passkeys", "/v1/staff/sessions"
        return {
            "POST /v1/staff/challenges": [lambda: Wish({})],
            f"POST {session}/certificate": [
                lambda: Wish(by_certificate(*enrolled_card(self._council, self._member()), self._challenge()))
            ],
            f"POST {session}/passkey": [self._by_passkey],
            f"POST {session}/password": [self._by_password],
            f"POST {session}/enrolment": [self._by_enrolment],
            "POST /v1/staff/sign-out": [lambda: self._as_somebody({})],
            f"POST {session}/{{session_id}}/end": [self._end],
            f"POST {passkey}/offer": [lambda: Wish({})],
            f"POST {passkey}": [self._passkey],
            f"POST {passkey}/{{passkey_id}}/removal": [lambda: Wish({}, {"passkey_id": str(new_id())})],
            "POST /v1/staff/password": [lambda: Wish({"password": PASSWORD})],
            "POST /v1/staff/password/confirmation": [self._confirmation],
        }

    def _number(self) -> str:
        return f"{self._name}-{next(self._numbers)}"

    def _keyed(self, body: Mapping[str, Any], path: Mapping[str, str] | None = None) -> Wish:
        return Wish(body, path or {}, headers={"Idempotency-Key": f"key-of-{self._number()}"})

    def _card(self) -> dict[str, str]:
        return {"card_id": str(self._council.card().id)}

    def _holder(self) -> dict[str, str]:
        return {"cardholder_id": self._person()}

    def _resting(self) -> dict[str, str]:
        path = self._card()
        self._ok(self._other.post(f"/v1/cards/{path['card_id']}/suspension", {"reason": "found"}))
        self._council.clock.advance(seconds=1)
        return path

    def _made_to_be_sent(self) -> str:
        holder, moment = UUID(self._person()), self._council.clock()
        how: dict[str, Any] = {"actor": ACTOR, "moment": moment}
        with self._context.database.begin() as connection:
            order = personalisation.order_card(
                connection, holder, "visitor", delivery=personalisation.Delivery.POST, **how
            )
            authority = self._context.authority(AUTHORITY, connection)
            request = csr(ec.generate_private_key(ec.SECP256R1()), "card").public_bytes(Encoding.DER)
            personalisation.certify(connection, authority, order.id, request, **how)
            personalisation.report(connection, authority, order.id, done=True, **how)
        self._council.clock.advance(seconds=1)
        return str(order.card_id)

    def _activation(self) -> Wish:
        card = self._made_to_be_sent()
        code = self._ok(self._other.post(f"/v1/cards/{card}/dispatch", {})).json["code"]
        self._council.clock.advance(seconds=1)
        return Wish({"code": code}, {"card_id": card})

    def _person(self) -> str:
        body = {"name": "Morgan Reed"}
        made = self._other.post("/v1/cardholders", body, Idempotency_Key=f"person-{self._number()}")
        return str(self._ok(made).json["cardholder"])

    def _change(self) -> Wish:
        path = self._holder()
        tag = {"If-Match": self._tag(path["cardholder_id"])}
        return Wish({"form": "5B", "flags": {"court_order": True}}, path, headers=tag)

    def _tag(self, holder: str) -> str:
        client = self._council.client.application.test_client(use_cookies=False)
        bearer = {"Authorization": f"Bearer {self._other.token}"}
        return client.get(f"/v1/cardholders/{holder}", headers=bearer).headers["ETag"]

    def _child(self) -> dict[str, str]:
        path = self._holder()
        with self._context.database.begin() as connection:
            holder = CardholderId(UUID(path["cardholder_id"]))
            set_born_on(
                connection,
                Noting(self._council.kek, holder, ACTOR, self._council.clock(), self._council.zone),
                BORN,
            )
        return path

    def _guarded(self) -> tuple[dict[str, str], str, str]:
        """A child, its guardian, and what binds the two."""
        path, person = self._child(), self._person()
        asked, key = f"/v1/cardholders/{path['cardholder_id']}/guardians", f"guard-{self._number()}"
        made = self._ok(self._other.post(asked, {"person": person}, Idempotency_Key=key))
        return path, person, str(made.json["guardianship"])

    def _ended_guardianship(self) -> Wish:
        path, _, guardianship = self._guarded()
        return Wish({}, {**path, "guardianship_id": guardianship})

    def _photo(self, content: str | None) -> Wish:
        path = self._holder()
        return Wish({"photo": content}, path, headers={"If-Match": self._tag(path["cardholder_id"])})

    def _payer(self) -> str:
        made = self._other.post("/v1/payers", {}, Idempotency_Key=f"payer-{self._number()}")
        return str(self._ok(made).json["payer"])

    def _assignment(self, **more: str) -> Wish:
        path, body = self._holder(), {"payer": self._payer(), **more}
        # Who pays is never changed twice at one moment.
        self._council.clock.advance(seconds=1)
        return self._keyed(body, path)

    def _ended_proof(self) -> Wish:
        path, body = self._holder(), {"kind": "identity", "reference": "passport"}
        asked = f"/v1/cardholders/{path['cardholder_id']}/proofs"
        self._ok(self._other.post(asked, body, Idempotency_Key=f"proof-{self._number()}"))
        return Wish({"kind": "identity"}, path)

    def _renewed(self) -> str:
        line = f"{self._person()},residence,a letter,2027-06-01"
        return to_base64url(f"cardholder,proof,reference,review_on\n{line}\n".encode())

    def _erasure(self) -> Wish:
        path = self._holder()
        return Wish({"erase": path["cardholder_id"]}, path)

    def _application(self) -> str:
        body = {"kind": "citizen", "name": "Ann Other"}
        made = self._other.post("/v1/applications", body, Idempotency_Key=f"apply-{self._number()}")
        return str(self._ok(made).json["application"])

    def _eligible(self) -> str:
        application = self._application()
        known = self._ok(self._other.get(f"/v1/applications/{application}")).json
        holder, kek = CardholderId(UUID(known["cardholder"])), self._council.kek
        with self._context.database.begin() as connection:
            noting = Noting(kek, holder, ACTOR, self._council.clock(), self._council.zone)
            set_born_on(connection, noting, date(1980, 2, 29))
            note_proof(connection, noting, "identity", "passport", None)
            note_proof(connection, noting, "residence", "a letter", date(2027, 6, 1))
        return application

    def _terminal(self) -> str:
        return self._council.terminal(f"bus-{self._number()}").id

    def _member(self) -> str:
        return add(self._context, f"of-{self._number()}", Role.DESK).id

    def _asked_revocation(self) -> str:
        body = {"cards": [self._card()["card_id"]], "reason": "stolen"}
        asked = self._other.post("/v1/card-revocations", body, Idempotency_Key=f"many-{self._number()}")
        return str(self._ok(asked).json["id"])

    def _asked_recovery(self) -> str:
        path = f"/v1/staff/members/{self._member()}/recovery"
        return str(self._ok(self._other.post(path, {})).json["id"])

    def _sold(self) -> str:
        bus = self._council.terminal(f"bus-{self._number()}")
        card = self._council.card(top_up_minor=1000)
        ride = request_for(bus, card)
        assert bus.post("/v1/authorisations", message(ride, card)).status == 200
        return str(ride.id)

    def _imported(self) -> str:
        body = {"school": f"s-{self._number()}", "content": _ROLL}
        return str(self._ok(self._other.post("/v1/pupil-imports", body)).json["import"])

    def _challenge(self) -> str:
        return Browsing(self._council).challenge()

    def _by_passkey(self) -> Wish:
        somebody, key = signed_in(self._council, self._member()), Authenticator()
        self._ok(with_passkey(somebody, key))
        return Wish(key.signed(self._challenge()))

    def _by_password(self) -> Wish:
        member = self._member()
        secret = with_password(signed_in(self._council, member))
        self._council.clock.advance(seconds=30)
        code = code_of(secret, self._council)
        return Wish({"staff": member, "password": PASSWORD, "code": code})

    def _by_enrolment(self) -> Wish:
        member = self._member()
        with self._context.database.begin() as connection:
            code = enrolment.invite(self._context, connection, member, actor=ACTOR)
        return Wish({"staff": member, "code": code})

    def _as_somebody(self, body: Mapping[str, Any]) -> Wish:
        somebody = signed_in(self._council, self._member())
        return Wish(body, headers={"Authorization": f"Bearer {somebody.token}"})

    def _end(self) -> Wish:
        somebody = signed_in(self._council, self._member())
        session = somebody.get("/v1/staff/me").json["session"]["session"]
        return Wish({}, {"session_id": session}, headers={"Authorization": f"Bearer {somebody.token}"})

    def _passkey(self) -> Wish:
        options = self._ok(self.me.post("/v1/staff/passkeys/offer", {})).json["options"]
        return Wish({"name": "mine", **Authenticator().made(options["challenge"])})

    def _confirmation(self) -> Wish:
        begun = self._ok(self.me.post("/v1/staff/password", {"password": PASSWORD})).json
        return Wish({"code": code_of(typed(begun["secret"]), self._council)})

    @staticmethod
    def _ok(answer: Reply) -> Reply:
        assert answer.status == 200, answer
        return answer
