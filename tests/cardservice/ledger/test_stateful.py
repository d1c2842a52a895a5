"""Random postings of every sort, against a model on two dictionaries."""

from dataclasses import replace
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cardservice.database import Database
from cardservice.ids import PayerId
from cardservice.ledger.payers import create_payer, touch_payers
from cardservice.ledger.posting import post
from cardservice.ledger.values import (
    PAYER_ARREARS,
    PAYER_PREPAID,
    CounterChange,
    NewTransfer,
    Outcome,
    Posting,
)
from cardservice.ledger.verify import verify
from tests.cardservice.ledger.postings import (
    CASH,
    CURRENCY,
    MOMENT,
    PAYABLE,
    SOMEBODY,
    advice,
    sale,
    topup,
    transaction,
    transfer,
    view_of,
)

AMOUNTS = st.integers(1, 500)
PAYERS = st.integers(0, 2)


class Ledger(RuleBasedStateMachine):
    """Three payers, and what each should have."""

    database: ClassVar[Database]

    def __init__(self) -> None:
        super().__init__()
        with self.database.begin() as connection:
            self.payers = [
                create_payer(connection, "person", CURRENCY, MOMENT, floor_minor=floor_minor)
                for floor_minor in (0, -100, 0)
            ]
        self.prepaid = dict.fromkeys(self.payers, 0)
        self.arrears = dict.fromkeys(self.payers, 0)
        self.versions = dict.fromkeys(self.payers, 0)
        self.used = dict.fromkeys(self.payers, 0)
        # Sales that stand, with what is left of each.
        self.sold: list[tuple[Posting, int]] = []
        self.posted: list[Posting] = []

    @rule(which=PAYERS, amount=AMOUNTS)
    def pay_in(self, which: int, amount: int) -> None:
        payer = self.payers[which]
        settled = min(amount, -self.arrears[payer])
        shares = ((PAYER_ARREARS, settled), (PAYER_PREPAID, amount - settled))
        lines = tuple(transfer(CASH, account, share) for account, share in shares if share)
        self._posts(replace(topup(payer, self.versions[payer], amount), transfers=lines))
        self.arrears[payer] += settled
        self.prepaid[payer] += amount - settled

    @rule(which=PAYERS, amounts=st.lists(AMOUNTS, max_size=3))
    def ask(self, which: int, amounts: list[int]) -> None:
        payer = self.payers[which]
        lines = tuple(transfer(PAYER_PREPAID, PAYABLE, amount) for amount in amounts)
        counters = (CounterChange(SOMEBODY, "day", "2026-11-24", sum(amounts)),)
        posting = replace(sale(payer, self.versions[payer], 0), transfers=lines, counters=counters)
        if self.prepaid[payer] - sum(amounts) < self._floor(payer):
            assert post(self.database, [posting])[0].outcome is Outcome.BELOW_FLOOR
            return
        self._posts(posting)
        self.prepaid[payer] -= sum(amounts)
        self.used[payer] += sum(amounts)
        if amounts:
            self.sold.append((posting, amounts[0]))

    @rule(which=PAYERS, amount=AMOUNTS)
    def tell(self, which: int, amount: int) -> None:
        payer = self.payers[which]
        own = min(amount, self.prepaid[payer] - self._floor(payer))
        if own:
            posting = advice(payer, self.versions[payer], own, amount - own)
        else:
            posting = replace(
                advice(payer, self.versions[payer], 1, amount),
                transfers=(transfer(PAYER_ARREARS, PAYABLE, amount),),
            )
        self._posts(posting)
        self.prepaid[payer] -= own
        self.arrears[payer] -= amount - own

    @precondition(lambda self: self.sold)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.sold) - 1))
        sold, left = self.sold[number]
        amount = data.draw(st.integers(1, left))
        line: NewTransfer = transfer(
            PAYABLE, PAYER_PREPAID, amount, reverses_transaction=sold.transaction.id, reverses_line=1
        )
        version = self.versions[sold.payer_id]
        self._posts(Posting(sold.payer_id, version, transaction(origin="staff", reason="refund"), (line,)))
        self.prepaid[sold.payer_id] += amount
        self.sold.pop(number)
        if left > amount:
            self.sold.append((sold, left - amount))

    @precondition(lambda self: self.posted)
    @rule(data=st.data(), which=PAYERS)
    def send_again(self, data: st.DataObject, which: int) -> None:
        """The same id, under its own payer or another, is known and moves nothing."""
        posting = data.draw(st.sampled_from(self.posted))
        payer = self.payers[which]
        others = ((posting.payer_id, self.versions[posting.payer_id]),) if payer != posting.payer_id else ()
        again = replace(posting, payer_id=payer, expected_version=self.versions[payer], also_under=others)
        assert post(self.database, [again])[0].outcome is Outcome.KNOWN

    @rule(which=PAYERS, amount=AMOUNTS)
    def decide_too_late(self, which: int, amount: int) -> None:
        payer = self.payers[which]
        posting = topup(payer, self.versions[payer], amount)
        with self.database.begin() as connection:
            touch_payers(connection, [payer])
        self.versions[payer] += 1
        assert post(self.database, [posting])[0].outcome is Outcome.VERSION_CHANGED

    @invariant()
    def every_balance_is_the_models(self) -> None:
        for payer in self.payers:
            view = view_of(self.database, payer)
            assert (view.prepaid.balance, view.arrears.balance) == (self.prepaid[payer], self.arrears[payer])
            assert view.version == self.versions[payer]
            assert sum(counter.used for counter in view.counters) == self.used[payer]
            assert view.prepaid.balance >= self._floor(payer)

    def teardown(self) -> None:
        """Everything adds up."""
        assert verify(self.database).findings == ()

    def _floor(self, payer: PayerId) -> int:
        return -100 if payer == self.payers[1] else 0

    def _posts(self, posting: Posting) -> None:
        [result] = post(self.database, [posting])
        assert result.outcome is Outcome.POSTED
        self.versions[posting.payer_id] += 1
        self.posted.append(posting)


def test_random_postings_add_up(database: Database) -> None:
    run_state_machine_as_test(
        type("LedgerHere", (Ledger,), {"database": database}),
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
