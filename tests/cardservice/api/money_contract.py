"""What staff ask of accounts, limits, payers, payments and the ledger, as schemathesis asks it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from cardservice.accounts import closing
from cardservice.accounts.dormancy import DORMANT_AFTER
from cardservice.api.fields import to_base64url
from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.cards import personalisation
from cardservice.ids import TransactionId
from cardservice.payments import attempts
from cardservice.payments.matters import matters, open_matter
from cardservice.payments.polling import require_provider_of
from cardservice.payments.redeeming import redeem
from cardservice.payments.service import TopUp, top_up
from cardservice.quarantine.service import Refused, held, note
from kiosk.pay_stand_in import Pay
from tests.cardservice.api.contract import Wish
from tests.support.council import ACTOR, Card, Council, message, new_id, request_for

Wishes = Mapping[str, list[Callable[[], Wish]]]
RETURN_URL = "https://cards.ashcombe.example/paid"


class Money:
    """What there is to ask for of money; `pay` is what the settings name as the payment provider."""

    def __init__(self, council: Council, pay: Pay, name: str) -> None:
        self._council, self._context, self._pay, self._name = council, council.context, pay, name

    def known(self) -> Mapping[str, list[Any]]:
        """By the name of a parameter or member: what is worth more than what is made up."""
        card = self._council.card(top_up_minor=1000)
        return {
            "payer_id": [str(card.payer)],
            "payer": [str(card.payer)],
            "payment_id": [self._paid_in()["payment_id"]],
            "transaction_id": [str(self._sold())],
            "number": [1],
            "day": ["2026-06-15"],
            "rule": ["meals.day"],
            "asked_by": [str(card.holder)],
        }

    def wishes(self) -> Wishes:
        """By operation; each is made when it is sent."""
        return {
            **self._of_accounts(),
            **self._of_payers(),
            **self._of_payments(),
            **self._of_the_bank(),
            **self._of_the_ledger(),
        }

    def _of_accounts(self) -> Wishes:
        holder = "/v1/cardholders/{cardholder_id}"
        account = f"{holder}/account"
        return {
            f"GET {account}": [lambda: Wish(path=self._holder())],
            f"POST {account}/closing": [lambda: Wish({"why": "asked"}, self._holder())],
            f"POST {account}/giving-back": [
                lambda: Wish({"by": "cash"}, self._stopped()),
                lambda: Wish({"by": "bank"}, self._stopped()),
            ],
            f"POST {account}/notice": [
                lambda: Wish({}, self._dormant()),
                lambda: Wish({}, self._holder()),
            ],
            f"POST {holder}/limits": [
                lambda: Wish({"rule": "meals.day", "most": 350}, self._holder()),
                lambda: Wish({"rule": "meals.day", "most": None, "shared": True}, self._holder()),
                lambda: Wish({"rule": "nonsense", "most": 1}, self._holder()),
            ],
            f"POST {holder}/services": [lambda: Wish({"service": "meals", "on": False}, self._holder())],
        }

    def _of_payers(self) -> Wishes:
        holder, payer = "/v1/cardholders/{cardholder_id}", "/v1/payers/{payer_id}"
        return {
            f"GET {holder}/balance": [lambda: Wish(path=self._holder())],
            f"POST {holder}/top-ups": [lambda: Wish(self._moved(), self._holder())],
            f"GET {holder}/statement": [lambda: Wish(path=self._holder())],
            f"GET {payer}/statement": [
                lambda: Wish(path=self._payer(), query={"limit": 1}),
                lambda: Wish(path=self._payer(), query={"after": "nonsense"}),
            ],
            f"POST {payer}/carry-over": [
                lambda: Wish({"id": str(new_id()), "to": self._payer()["payer_id"]}, self._payer())
            ],
            f"POST {payer}/goodwill": [lambda: Wish(self._moved(), self._payer())],
            f"POST {payer}/redemption": [lambda: Wish({"id": str(new_id())}, self._payer())],
            "POST /v1/payouts/{payout_id}/approval": [lambda: Wish({}, self._payout())],
        }

    def _of_payments(self) -> Wishes:
        one = "/v1/payments/{payment_id}"
        return {
            "GET /v1/payments": [Wish, lambda: Wish(query={"after": str(new_id())})],
            f"POST {one}/refund": [
                lambda: Wish(self._moved(), self._begun(captured=True)),
                lambda: Wish(self._moved(), self._begun()),
            ],
            f"POST {one}/repayment": [lambda: Wish(self._moved(), self._paid_in())],
            f"POST {one}/chargeback": [lambda: Wish(self._moved(), self._paid_in())],
        }

    def _of_the_bank(self) -> Wishes:
        file = b"type,reference,settled_on,gross,fee,currency\npayment,p,2026-06-18,20.00,0.30,GBP\n"
        return {
            "POST /v1/payment-exceptions/{number}/closing": [
                lambda: Wish({"reason": "seen to"}, {"number": self._matter()})
            ],
            "POST /v1/settlement-files": [
                lambda: Wish({"name": "day.csv", "content": to_base64url(file)}),
                lambda: Wish({"name": "day.csv", "content": to_base64url(b"nonsense")}),
            ],
            "POST /v1/settlement-matching": [lambda: Wish({})],
        }

    def _of_the_ledger(self) -> Wishes:
        day, held_one = "/v1/cardholders/{cardholder_id}/days/{service}/{day}", "/v1/quarantine/{number}"
        return {
            "GET /v1/concession-claims/{service}": [
                lambda: Wish(path={"service": "transport"}),
                lambda: Wish(path={"service": "library"}),
            ],
            "GET /v1/transactions/{transaction_id}/explanation": [
                lambda: Wish(path={"transaction_id": str(self._sold())})
            ],
            f"GET {day}": [
                lambda: Wish(path={**self._holder(), "service": "transport", "day": "2026-06-15"}),
                lambda: Wish(path={**self._holder(), "service": "transport", "day": "Monday"}),
            ],
            f"GET {held_one}": [lambda: Wish(path={"number": self._held()})],
            f"POST {held_one}/dismissal": [lambda: Wish({"reason": "a forgery"}, {"number": self._held()})],
        }

    def _moved(self) -> dict[str, Any]:
        return {"id": str(new_id()), "amount_minor": 100}

    def _card(self) -> Card:
        return self._council.card(top_up_minor=1000)

    def _holder(self) -> dict[str, str]:
        return {"cardholder_id": str(self._council.card().holder)}

    def _payer(self) -> dict[str, str]:
        return {"payer_id": str(self._card().payer)}

    def _stopped(self) -> dict[str, str]:
        card = self._card()
        self._council.clock.advance(seconds=1)
        closing.stop(self._context, card.holder, "asked", actor=ACTOR)
        return {"cardholder_id": str(card.holder)}

    def _dormant(self) -> dict[str, str]:
        then = self._council.clock() - DORMANT_AFTER - timedelta(days=1)
        how: dict[str, Any] = {"actor": ACTOR, "moment": then}
        with self._context.database.begin() as connection:
            new, kek = NewCardholder("Morgan Reed", "adult"), self._council.kek
            holder, _ = add_cardholder(connection, new, self._context.scheme.currency, kek, **how)
            personalisation.order_card(connection, holder, "citizen", **how)
        return {"cardholder_id": str(holder)}

    def _payout(self) -> dict[str, str]:
        done = redeem(self._context, None, self._card().payer, 100, actor=ACTOR)
        return {"payout_id": str(done.payout)}

    def _begun(self, *, captured: bool = False) -> dict[str, str]:
        provider, own_id = require_provider_of(self._context.settings), TransactionId(new_id())
        wanted = attempts.Start(self._council.card().holder, 2000, own_id, RETURN_URL)
        begun, _ = attempts.start(self._context, provider, wanted, actor=ACTOR)
        if captured:
            self._pay.move(str(begun.provider_payment), "success")
            attempts.refresh(self._context, provider, own_id)
        return {"payment_id": str(own_id)}

    def _paid_in(self) -> dict[str, str]:
        paid = TopUp(self._council.card().holder, 1000, "cash")
        top_up(self._context, paid, actor=ACTOR)
        return {"payment_id": str(paid.id)}

    def _matter(self) -> int:
        with self._context.database.begin() as connection:
            open_matter(connection, "payout_due", new_id(), self._council.clock())
            return matters(connection)[-1].number

    def _sold(self) -> UUID:
        bus, card = self._council.terminal(f"bus-{new_id()}"), self._card()
        ride = request_for(bus, card)
        assert bus.post("/v1/authorisations", message(ride, card)).status == 200
        return ride.id

    def _held(self) -> int:
        bus = self._council.terminal(f"bus-{new_id()}")
        told = Refused(self._council.clock(), "proof_invalid", "a forgery", bus.id, entry=b"\x80")
        with self._context.database.begin() as connection:
            note(connection, self._council.kek, [told])
            [known] = held(connection, terminal_id=bus.id)
        return known.number
