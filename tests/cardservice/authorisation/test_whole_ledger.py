"""Whatever happens to two people's money, in whatever order it is told: what is there is what a model says.

Through the service as terminals and staff use it: requests, advices, annulments, replacements, refunds,
ratings, payments and what takes them back, changes of payer, carry-overs, erasures; late, twice, reordered.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
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


@dataclass(slots=True)
class Charge:
    """What is left of a charge, by what it was paid from."""

    payer: PayerId
    own: int
    owed: int

    @property
    def left(self) -> int:
        return self.own + self.owed


class Model:
    """What each payer has and owes."""

    def __init__(self, *payers: PayerId) -> None:
        self.has, self.owes = dict.fromkeys(payers, 0), dict.fromkeys(payers, 0)

    def pay_in(self, payer: PayerId, amount: int, settles: int | None = None) -> None:
        settled = min(amount if settles is None else settles, self.owes[payer])
        self.owes[payer] -= settled
        self.has[payer] += amount - settled

    def charge(self, payer: PayerId, amount: int) -> Charge:
        own = min(amount, self.has[payer])
        self.has[payer] -= own
        self.owes[payer] += amount - own
        return Charge(payer, own, amount - own)

    def give_back(self, charge: Charge, amount: int) -> None:
        late = min(amount, charge.owed)
        charge.owed -= late
        charge.own -= amount - late
        self.pay_in(charge.payer, amount, settles=late)


@dataclass(slots=True)
class Trip:
    """A request, and what has become of it as far as the service has been told."""

    card: int
    request: UUID
    # None: not heard of yet. Closed: annulled or replaced before it came. Kept: by a duplicate.
    state: str | None = None
    payer: PayerId | None = None
    charge: Charge | None = None


@dataclass(slots=True)
class Sent:
    """A message that its terminal keeps, to send it now, later, or again."""

    kind: str
    id: UUID
    body: dict[str, Any]
    time: datetime
    trip: Trip
    amount: int
    answered: str | None = None
    erased: bool = False


@dataclass(slots=True)
class Day:
    """What has been rated of a person's day with a payer, the newest last."""

    charges: list[Charge] = field(default_factory=list)

    @property
    def rated(self) -> int:
        return sum(charge.left for charge in self.charges)


class Lives(RuleBasedStateMachine):
    """Two people with a card each; they pay for themselves, or one family for both."""

    council: ClassVar[Council]
    bus: ClassVar[Terminal]
    # Of the one database of all examples: its days go on.
    days_closed: ClassVar[list[int]]

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

    # What terminals do.

    @rule(which=CARDS, amount=AMOUNTS)
    def use(self, which: int, amount: int) -> None:
        """A request; and, as if it had had no answer, its annulment and the advice that stands for it."""
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

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        """Any of them, in any order; also what was sent before."""
        sent = data.draw(st.sampled_from(self.messages))
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
        payer, paid, left = data.draw(st.sampled_from(self.payments))
        wanted = TakeBack(paid.id, amount, kind)
        if amount > left[0] or (kind == "repayment" and amount > self.model.has[payer]):
            with pytest.raises(RefundRefused):
                take_payment_back(self.council.context, wanted, actor=ACTOR)
            return
        for _ in range(2):
            take_payment_back(self.council.context, wanted, actor=ACTOR)
        self.model.charge(payer, amount)
        left[0] -= amount

    @precondition(lambda self: self.sold)
    @rule(data=st.data(), amount=AMOUNTS)
    def refund(self, data: st.DataObject, amount: int) -> None:
        which, sale, charge = data.draw(st.sampled_from(self.sold))
        if which in self.erased:
            return
        wanted = Refund(Wish(TransactionId(sale), None, amount))
        if amount > charge.left:
            with pytest.raises(RefundRefused):
                give(self.council.context, wanted, actor=ACTOR)
            return
        for _ in range(2):
            give(self.council.context, wanted, actor=ACTOR)
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
        self.pays[which].append((now, payer))
        self.council.clock.advance(seconds=1)

    @rule(data=st.data(), amount=AMOUNTS)
    def carry(self, data: st.DataObject, amount: int) -> None:
        source, target = data.draw(st.permutations(list(self.model.has)))[:2]
        wanted = CarryOver(source, target, amount)
        if amount > self.model.has[source]:
            with pytest.raises(RefundRefused):
                carry_over(self.council.context, wanted, actor=ACTOR)
            return
        for _ in range(2):
            carry_over(self.council.context, wanted, actor=ACTOR)
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
        sent = data.draw(st.sampled_from([sent for sent in self.messages if sent.answered]))
        with self.council.context.database.begin() as connection:
            for payer in self.model.has:
                erase_details(connection, payer, [TransactionId(sent.id)])
        # A request that came after its annulment has nothing to erase: its id alone is kept, as annulled.
        sent.erased = (sent.kind, sent.answered) != ("request", "annulled")

    @precondition(lambda self: not self.erased and self._is_settled(1))
    @rule()
    def erase_the_person(self) -> None:
        erase_cardholder(self.council.context, self.cards[1].holder, actor=ACTOR)
        self.erased.add(1)

    @rule(is_over=st.booleans())
    def close(self, is_over: bool) -> None:
        """Number what was posted; and seal it, where the day is over."""
        keys, database = self.council.context.keys, self.council.context.database
        sequence(database, self._calendar())
        if is_over:
            self.days_closed[0] += 1
            seal_days(database, self._calendar(), "ashcombe", keys)

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

    def _is_settled(self, which: int) -> bool:
        own = self.cards[which].payer
        return self._payer(which) == own and self.model.has[own] == self.model.owes[own] == 0

    def _expected(self, sent: Sent) -> str:
        """The code that it will be answered with, and what it does to the model."""
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


@pytest.mark.parametrize(
    ("examples", "steps"), [(8, 25), pytest.param(60, 60, marks=pytest.mark.long)], ids=["few", "many"]
)
def test_whatever_happens(council: Council, examples: int, steps: int) -> None:
    here = {"council": council, "bus": council.terminal("bus-12"), "days_closed": [0]}
    run_state_machine_as_test(
        type("LivesHere", (Lives,), here),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
