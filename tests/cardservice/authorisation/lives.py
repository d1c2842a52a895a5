"""Two people's money as the service keeps it, and beside it a model that says what must be there.

Requests, advices, annulments, replacements, refunds, ratings, payments and what takes them back, changes of
payer, carry-overs, erasures; late, twice, reordered.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)
from sqlalchemy import func, select

from cardservice.authorisation.export import fault_of_proof
from cardservice.authorisation.refunding import Wish
from cardservice.authorisation.refunds import Refund, give
from cardservice.authorisation.views import BULK_PATH
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.errors import RefundRefused
from cardservice.ids import PayerId, ProviderId, TransactionId
from cardservice.ledger.closing.seals import seal_days
from cardservice.ledger.closing.sequencing import Calendar, sequence
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.payers import assign_payer
from cardservice.ledger.privacy import erase_details, find_key
from cardservice.ledger.rating_days import rate
from cardservice.ledger.ratings import Rating, Share, Subject
from cardservice.ledger.verify import verify
from cardservice.payments.moving import CarryOver, Goodwill, carry_over, give_goodwill
from cardservice.payments.service import TopUp, top_up
from cardservice.payments.taking_back import TakeBack, take_payment_back
from pki.statements import open_tombstone, open_tree_head
from tests.cardservice.authorisation.lives_model import Charge, Day, Model, Sent, Trip
from tests.support.council import (
    ACTOR,
    FARE_MINOR,
    START,
    Card,
    Council,
    Terminal,
    advice_of,
    annulment,
    message,
    new_id,
    request_for,
)

URL = "/v1/authorisations"
AMOUNTS = st.integers(1, 400)
CARDS = st.integers(0, 1)
DAY = date(2026, 6, 15)


class Lives(RuleBasedStateMachine):
    """Two people with a card each; they pay for themselves, or one family for both."""

    council: ClassVar[Council]
    bus: ClassVar[Terminal]
    # Of the one database of all examples: its days go on.
    days_closed: ClassVar[list[int]]
    # What has happened, in all examples.
    happened: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.cards: list[Card] = [self.council.card(), self.council.card()]
        with self.council.context.database.reading() as connection:
            stored = [find_key(connection, card.holder) for card in self.cards]
        self.keys = [key.id for key in stored if key is not None]
        self.council.clock.advance(seconds=1)
        self.family = self.council.family(self.cards[0])
        self.pays: list[list[tuple[datetime, PayerId]]] = [
            [(self.council.clock.moment, card.payer)] for card in self.cards
        ]
        self.pays[0].append((self.council.clock.moment, self.family))
        self.model = Model(self.family, *(card.payer for card in self.cards))
        self.messages: list[Sent] = []
        self.sold: list[tuple[int, UUID, Charge]] = []
        self.payments: list[tuple[PayerId, TopUp, list[int]]] = []
        self.days: dict[tuple[PayerId, int], Day] = {}
        self.erased: set[int] = set()
        # For one fare: so both what is approved and what is declined comes soon.
        for number in range(2):
            self.pay_in(which=number, amount=FARE_MINOR + 60, again=False)

    # What terminals do.

    @rule(
        which=CARDS,
        amount=AMOUNTS,
        at_once=st.lists(st.sampled_from(["request", "annul", "advice"]), max_size=4),
    )
    def use(self, which: int, amount: int, at_once: Sequence[str]) -> None:
        """A request; and, as if it had had no answer, its annulment and the advice that stands for it.

        Some of them are sent at once, in any order, perhaps twice.
        """
        if which in self.erased:
            return
        card = self.cards[which]
        request = request_for(self.bus, card)
        trip = Trip(which, request.id)
        self._keep("request", request.id, message(request, card), trip, FARE_MINOR)
        own_id = new_id()
        self._keep("annul", own_id, annulment(self.bus, card, request.id, id=str(own_id)), trip, 0)
        told = advice_of(self.bus, card, replaces=request.id, amount_minor=amount)
        self._keep("advice", told.id, message(told, card), trip, amount)
        mine = {sent.kind: sent for sent in self.messages[-3:]}
        for kind in at_once:
            self.deliver(mine[kind])

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        """Any of them, in any order; also what was sent before."""
        self.deliver(data.draw(st.sampled_from(self.messages)))

    def deliver(self, sent: Sent) -> None:
        """It is answered as the model says."""
        expected = self._expected(sent)
        assert self.bus.post(URL, sent.body).outcome[1] == expected

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def send_some(self, data: st.DataObject) -> None:
        """Several in one request, one of them perhaps twice."""
        chosen = data.draw(st.lists(st.sampled_from(self.messages), min_size=1, max_size=5))
        expected = [self._expected(sent) for sent in chosen]
        reply = self.bus.post(BULK_PATH, {"messages": [sent.body for sent in chosen]})
        told = [entry.get("answer") or entry["problem"] for entry in reply.json["answers"]]
        assert [one.get("code") or one["reason"] for one in told] == expected

    # What staff and payers do.

    @rule(which=CARDS, amount=AMOUNTS, again=st.booleans())
    def pay_in(self, which: int, amount: int, again: bool) -> None:
        if which in self.erased:
            return
        paid = TopUp(self.cards[which].holder, amount, "cash")
        for _ in range(1 + again):
            top_up(self.council.context, paid, actor="test")
        self.model.pay_in(self._payer(which), amount)
        self.payments.append((self._payer(which), paid, [amount]))

    @precondition(lambda self: self.payments)
    @rule(data=st.data(), amount=AMOUNTS, kind=st.sampled_from(["repayment", "chargeback"]))
    def take_back(self, data: st.DataObject, amount: int, kind: Any) -> None:
        self.take_back_of(data.draw(st.sampled_from(self.payments)), amount, kind)

    def take_back_of(self, payment: tuple[PayerId, TopUp, list[int]], amount: int, kind: Any) -> None:
        """Told twice, it is taken once; and never more than was paid, or is there to be paid back."""
        payer, paid, left = payment
        wanted = TakeBack(paid.id, amount, kind)
        if amount > left[0] or (kind == "repayment" and amount > self.model.has[payer]):
            with pytest.raises(RefundRefused):
                take_payment_back(self.council.context, wanted, actor=ACTOR)
            return
        for _ in range(2):
            take_payment_back(self.council.context, wanted, actor=ACTOR)
        self.happened[kind] += 1
        self.model.charge(payer, amount)
        left[0] -= amount

    @precondition(lambda self: self.sold)
    @rule(data=st.data(), amount=AMOUNTS)
    def refund(self, data: st.DataObject, amount: int) -> None:
        self.give_back_of(data.draw(st.sampled_from(self.sold)), amount)

    def give_back_of(self, sold: tuple[int, UUID, Charge], amount: int) -> None:
        """Told twice, it is given once; and never more than was charged."""
        which, sale, charge = sold
        if which in self.erased:
            return
        wanted = Refund(Wish(TransactionId(sale), None, amount))
        if amount > charge.left:
            with pytest.raises(RefundRefused):
                give(self.council.context, wanted, actor=ACTOR)
            return
        for _ in range(2):
            give(self.council.context, wanted, actor=ACTOR)
        self.happened["refund"] += 1
        self.model.give_back(charge, amount)

    @rule(which=CARDS, price=st.integers(0, 400))
    def rate_the_day(self, which: int, price: int) -> None:
        if which in self.erased:
            return
        payer = self._payer(which)
        new = Rating(
            subject=Subject(payer, self.keys[which], "transport", DAY),
            shares=(Share(ProviderId("vale-buses"), price),) if price else (),
            taps=(TransactionId(new_id()),),
            tariff_version="t1",
            unit="GBP",
        )
        for _ in range(2):
            rate(self.council.context.database, new, self.council.clock())
        day = self.days.setdefault((payer, which), Day())
        self.happened[f"rated {'less' if price < day.rated else 'more'}"] += price != day.rated
        for charge in reversed(day.charges):
            self.model.give_back(charge, min(charge.left, max(0, day.rated - price)))
        if price > day.rated:
            day.charges.append(self.model.charge(payer, price - day.rated))

    @rule(which=CARDS, to_family=st.booleans())
    def change_payer(self, which: int, to_family: bool) -> None:
        payer = self.family if to_family else self.cards[which].payer
        if which in self.erased or payer == self._payer(which):
            return
        self.council.clock.advance(seconds=1)
        now = self.council.clock.moment
        with self.council.context.database.begin() as connection:
            assign_payer(connection, self.cards[which].holder, payer, now, now)
        self.happened["change of payer"] += 1
        self.pays[which].append((now, payer))
        self.council.clock.advance(seconds=1)

    @rule(data=st.data(), amount=AMOUNTS)
    def carry(self, data: st.DataObject, amount: int) -> None:
        source, target = data.draw(st.permutations(list(self.model.has)))[:2]
        self.carry_over(source, target, amount)

    def carry_over(self, source: PayerId, target: PayerId, amount: int) -> None:
        """Told twice, it is moved once; and never more than there is."""
        wanted = CarryOver(source, target, amount)
        if amount > self.model.has[source]:
            with pytest.raises(RefundRefused):
                carry_over(self.council.context, wanted, actor=ACTOR)
            return
        for _ in range(2):
            carry_over(self.council.context, wanted, actor=ACTOR)
        self.happened["carry-over"] += 1
        self.model.charge(source, amount)
        self.model.pay_in(target, amount)

    @rule(data=st.data(), amount=AMOUNTS)
    def give(self, data: st.DataObject, amount: int) -> None:
        payer = data.draw(st.sampled_from(list(self.model.has)))
        give_goodwill(self.council.context, Goodwill(payer, amount), actor=ACTOR)
        self.model.pay_in(payer, amount)

    @precondition(lambda self: any(sent.answered for sent in self.messages))
    @rule(data=st.data())
    def erase_what_was_bought(self, data: st.DataObject) -> None:
        self.erase_details_of(data.draw(st.sampled_from([sent for sent in self.messages if sent.answered])))

    def erase_details_of(self, sent: Sent) -> None:
        """Its id is refused from now on."""
        with self.council.context.database.begin() as connection:
            for payer in self.model.has:
                erase_details(connection, payer, [TransactionId(sent.id)])
        # A request that came after its annulment has nothing to erase: its id alone is kept, as annulled.
        self.happened["erased details"] += 1
        sent.erased = (sent.kind, sent.answered) != ("request", "annulled")

    @precondition(lambda self: not self.erased and len(self.messages) > 9)
    @rule()
    def erase_the_person(self) -> None:
        """Once nothing is left to have or to owe; the family may have paid for them before."""
        self.change_payer(which=1, to_family=False)
        own = self.cards[1].payer
        if self.model.owes[own]:
            self.pay_in(which=1, amount=self.model.owes[own], again=False)
        if self.model.has[own]:
            self.carry_over(own, self.family, self.model.has[own])
        erase_cardholder(self.council.context, self.cards[1].holder, actor=ACTOR)
        self.happened["erased person"] += 1
        self.erased.add(1)

    @rule(is_over=st.booleans())
    def close(self, is_over: bool) -> None:
        """Number what was posted; and seal it, where the day is over."""
        keys, database = self.council.context.keys, self.council.context.database
        sequence(database, self._calendar())
        if is_over:
            self.days_closed[0] += 1
            self.happened["seal"] += len(seal_days(database, self._calendar(), "ashcombe", keys))

    # What must be so.

    @invariant()
    def every_balance_is_the_models(self) -> None:
        for payer in self.model.has:
            assert self.council.balances(payer) == (self.model.has[payer], -self.model.owes[payer])
            assert min(self.model.has[payer], self.model.owes[payer]) >= 0

    def teardown(self) -> None:
        """Everything adds up, proofs hold, and no id was taken twice, under whichever payer."""
        database = self.council.context.database
        key = self.council.context.keys.answer_key.public_key()
        report = verify(
            database,
            partial(fault_of_proof, self.council.context),
            check_head=lambda raw: open_tree_head(raw, key, "ashcombe"),
            check_tombstone=lambda raw: open_tombstone(raw, key, "ashcombe"),
        )
        assert report.findings == ()
        with database.reading() as connection:
            own = ledger_transaction.c.id
            twice = select(own).group_by(own).having(func.count() > 1)
            assert connection.execute(twice).all() == []

    def _calendar(self) -> Calendar:
        moment = START + timedelta(days=self.days_closed[0])
        return Calendar(ZoneInfo("Europe/London"), moment)

    def _keep(self, kind: str, own_id: UUID, body: dict[str, Any], trip: Trip, amount: int) -> None:
        self.messages.append(Sent(kind, own_id, body, self.council.clock.moment, trip, amount))

    def _payer(self, which: int, moment: datetime | None = None) -> PayerId:
        moment = moment or self.council.clock.moment
        return [payer for since, payer in self.pays[which] if since <= moment][-1]

    def _expected(self, sent: Sent) -> str:
        """The code that it will be answered with, and what it does to the model."""
        again = " again" if sent.answered else ""
        answer = self._answer_to(sent)
        self.happened[f"{sent.kind} {answer}{again}"] += 1
        return answer

    def _answer_to(self, sent: Sent) -> str:
        if sent.trip.card in self.erased or sent.erased:
            return "erased"
        if sent.answered is None:
            does: dict[str, Callable[[Sent, Trip], str]] = {
                "request": self._asked,
                "annul": self._annulled,
                "advice": self._told,
            }
            sent.answered = does[sent.kind](sent, sent.trip)
        return sent.answered

    def _asked(self, sent: Sent, trip: Trip) -> str:
        if trip.state is not None:
            return "annulled"
        trip.payer = self._payer(trip.card, sent.time)
        if self.model.has[trip.payer] < sent.amount:
            trip.state = "declined"
            return "insufficient_funds"
        trip.state, trip.charge = "approved", self.model.charge(trip.payer, sent.amount)
        self.sold.append((trip.card, sent.id, trip.charge))
        return "approved"

    def _annulled(self, sent: Sent, trip: Trip) -> str:
        if trip.state is None:
            trip.state, trip.payer = "closed", self._payer(trip.card, sent.time)
            return "annulled"
        if trip.state == "approved":
            assert trip.charge is not None
            self.model.give_back(trip.charge, trip.charge.left)
            trip.state = "annulled"
            return "annulled"
        return "kept_by_duplicate" if trip.state == "kept" else "nothing_to_annul"

    def _told(self, sent: Sent, trip: Trip) -> str:
        if trip.state == "approved":
            trip.state = "kept"
            return "duplicate"
        if trip.state is None:
            trip.state, trip.payer = "closed", self._payer(trip.card, sent.time)
        assert trip.payer is not None
        self.sold.append((trip.card, sent.id, self.model.charge(trip.payer, sent.amount)))
        return "approved"


def lives_in(council: Council) -> type[Lives]:
    """The machine, on the database of this council."""
    here: dict[str, Any] = {"council": council, "bus": council.terminal("bus-12")}
    return type("LivesHere", (Lives,), here | {"days_closed": [0], "happened": Counter[str]()})
