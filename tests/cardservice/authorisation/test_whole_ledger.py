"""Whatever happens to two people's money, in whatever order it is told: what is there is what a model says.

Through the service as terminals and staff use it: see `lives.py`, which keeps the model beside it.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.cardservice.authorisation.lives import lives_in
from tests.support.council import Council

# Whatever the ledger knows; of messages what they are answered, also when they come again.
EVENTS = (
    *("request approved", "request insufficient_funds", "request annulled", "request approved again"),
    *("annul annulled", "annul nothing_to_annul", "annul kept_by_duplicate", "annul annulled again"),
    *("advice approved", "advice duplicate", "advice duplicate again", "request erased again"),
    *("repayment", "chargeback", "refund", "rated more", "rated less", "change of payer", "carry-over"),
    *("erased details", "erased person", "seal"),
)


def test_each_event_once(council: Council) -> None:
    """A life in which everything happens that the random ones are made of: so that it does in every run."""
    machine = lives_in(council)()
    own, family = machine.cards[1].payer, machine.family
    # Told again whatever it was answered, and in every order.
    for at_once in (
        ("request", "request", "advice", "advice", "annul"),
        ("annul", "request", "advice", "annul"),
        ("request", "annul", "request"),
    ):
        machine.use(which=1, amount=150, at_once=at_once)
    machine.pay_in(which=1, amount=500, again=True)
    machine.use(which=1, amount=300, at_once=())
    late = machine.messages[-3:]
    machine.change_payer(which=1, to_family=True)
    for sent in late:
        machine.deliver(sent)
    machine.use(which=1, amount=1, at_once=("request", "annul"))
    machine.carry_over(own, family, 5)
    machine.change_payer(which=1, to_family=False)
    machine.give_back_of(machine.sold[0], 100)
    machine.take_back_of(machine.payments[1], 30, "repayment")
    for price in (400, 130, 200):
        machine.rate_the_day(which=1, price=price)
    machine.take_back_of(machine.payments[1], 100, "chargeback")
    machine.every_balance_is_the_models()
    machine.close(is_over=True)
    machine.erase_details_of(late[0])
    machine.deliver(late[0])
    machine.erase_the_person()
    machine.close(is_over=True)
    for sent in machine.messages:
        machine.deliver(sent)
    machine.every_balance_is_the_models()
    machine.teardown()
    assert {event for event in EVENTS if not machine.happened[event]} == set()


@pytest.mark.parametrize(
    ("examples", "steps"), [(5, 20), pytest.param(60, 60, marks=pytest.mark.long)], ids=["few", "many"]
)
def test_whatever_happens(council: Council, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lives_in(council),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
