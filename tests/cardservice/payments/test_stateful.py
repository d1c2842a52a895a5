"""Whatever happens to a payment in whatever order, the equation holds, and nothing is posted twice."""

from typing import Any

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

from cardservice.context import Context
from cardservice.errors import CardServiceError
from cardservice.ids import TransactionId, new_id
from cardservice.payments.attempts import GIVEN_UP_WATCHED, Attempt, Start, cancel, refresh, start
from cardservice.payments.disputes import look_for_disputes
from cardservice.payments.giving_back import give_back
from cardservice.payments.polling import notified, poll
from cardservice.payments.provider import FINAL
from cardservice.payments.taking_back import TakeBack
from kiosk.pay_stand_in import Fault, Pay
from kiosk.pay_stand_in.account import FINISHED, Payment
from tests.cardservice.payments.pay import RETURN_URL, difference, served
from tests.support.council import Council

FAULTS: list[Fault] = ["away", "lost_answer", "twice"]
STATES = ["started", "submitted", "capturable", "success", "failed", "cancelled", "error"]


def machine(  # noqa: C901 - one small rule after another
    context: Context, council: Council, pay: Pay, provider: Any
) -> type[RuleBasedStateMachine]:
    """Over one service, whose payments go on from run to run; each run has a card of its own."""

    class Payments(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.card = council.card()
            self.attempts: list[Attempt] = []
            pay.refund_status = "success"

        @rule(amount_minor=st.integers(1, 5000), faults=st.lists(st.sampled_from(FAULTS), max_size=3))
        def begin(self, amount_minor: int, faults: list[Fault]) -> None:
            pay.fault(*faults)
            wanted = Start(self.card.holder, amount_minor, TransactionId(new_id()), RETURN_URL)
            try:
                start(context, provider, wanted, actor="test")
            except CardServiceError:
                pay.clear()
            self.attempts.append(start(context, provider, wanted, actor="test")[0])

        @precondition(lambda self: self.attempts)
        @rule(data=st.data(), state=st.sampled_from(STATES), heard=st.booleans())
        def happens(self, data: st.DataObject, state: str, heard: bool) -> None:
            payment = data.draw(st.sampled_from(self.attempts)).provider_payment
            assert payment is not None
            # What the provider has paid out stays paid.
            if pay.payments[payment].status != "success":
                pay.move(payment, state)
            if heard:
                notified(context, provider.name, "payment", payment)

        @precondition(lambda self: self.attempts)
        @rule(data=st.data())
        def looked_at(self, data: st.DataObject) -> None:
            refresh(context, provider, data.draw(st.sampled_from(self.attempts)).id)

        @precondition(lambda self: self.attempts)
        @rule(data=st.data())
        def given_up(self, data: st.DataObject) -> None:
            cancel(context, provider, data.draw(st.sampled_from(self.attempts)).id, actor="test")

        @precondition(lambda self: self.attempts)
        @rule(
            data=st.data(),
            amount_minor=st.integers(1, 5000),
            fate=st.sampled_from(["success", "submitted", "error"]),
            faults=st.lists(st.sampled_from(FAULTS), max_size=4),
        )
        def given_back(self, data: st.DataObject, amount_minor: int, fate: str, faults: list[Fault]) -> None:
            pay.refund_status = fate
            pay.fault(*faults)
            # Of what was never paid nothing is given back, and most of them never are.
            attempt = data.draw(st.sampled_from(self._paid() or self.attempts))
            try:
                give_back(context, provider, TakeBack(attempt.id, amount_minor), actor="test")
            except CardServiceError:
                pay.clear()

        @precondition(lambda self: self.attempts)
        @rule(data=st.data(), status=st.sampled_from(["needs_response", "lost", "won"]))
        def disputed(self, data: st.DataObject, status: str) -> None:
            attempt = data.draw(st.sampled_from(self.attempts))
            assert attempt.provider_payment is not None
            pay.dispute(attempt.provider_payment, status)
            notified(context, provider.name, "dispute", attempt.provider_payment)
            look_for_disputes(context, provider)

        @rule(minutes=st.sampled_from([1, 20, 1000]))
        def time_passes(self, minutes: int) -> None:
            council.clock.advance(minutes=minutes)
            poll(context, provider)

        @invariant()
        def the_bank_agrees(self) -> None:
            assert difference(context) == 0

        def teardown(self) -> None:
            """The provider ends what nobody has finished; no later run is to ask about it again."""
            pay.clear()
            council.clock.moment += GIVEN_UP_WATCHED
            for each in self.attempts:
                payment = self._there(each)
                if payment.status not in FINISHED:
                    pay.move(payment.id, "failed")
                assert refresh(context, provider, each.id).state in FINAL

        def _paid(self) -> list[Attempt]:
            """Those that the provider has been paid for, whether we know it yet or not."""
            return [each for each in self.attempts if self._there(each).status == "success"]

        def _there(self, attempt: Attempt) -> Payment:
            assert attempt.provider_payment is not None
            return pay.payments[attempt.provider_payment]

    return Payments


def _run(context: Context, council: Council, examples: int, steps: int, *, always: bool = False) -> None:
    pay = Pay()
    with served(pay) as provider:
        kind = machine(context, council, pay, provider)
        run_state_machine_as_test(
            kind,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                derandomize=always,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_any_course_of_payments(context: Context, council: Council) -> None:
    _run(context, council, 3, 15, always=True)


@pytest.mark.long
def test_many_courses_of_payments(context: Context, council: Council) -> None:
    _run(context, council, 60, 40)
