"""A term of a school's pupils, day by day: what is sold is what is paid, whoever pays, and every sum agrees.

The rules decide, the money is made into the same transfers as the ledger's, refunds go by the same plans;
only what keeps them is a model here. Its equations are looked at every evening.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from cardservice.authorisation.counting import as_stored, changes
from cardservice.authorisation.money import balances_after, pay, receipt_lines, shortfall
from cardservice.authorisation.refunding import Plan, Wish, plan
from cardservice.ids import CardholderId, PayerId, ProviderId
from cardservice.ledger.values import (
    AccountView,
    CounterChange,
    CounterView,
    KnownTransaction,
    LimitView,
    NewTransfer,
    PayerView,
)
from cardservice.services.meals.menu import Menu
from cardservice.services.seam import Ask, AskKind, Decision, Entitlement, Holder, Quote, View
from tests.cardservice.services.meal_tariffs import known_sale, load, meals

KITCHEN = "provider:kitchen:payable"
LONG_AGO = datetime(2026, 8, 1, tzinfo=UTC)
YEARS = ("R", "1", "2", "3", "4", "5", "6")


@dataclass(slots=True)
class Pupil:
    """A pupil with a payer of their own."""

    holder: Holder
    view: PayerView


@dataclass(slots=True)
class School:
    """Pupils, their menu, and what has moved so far."""

    menu: Menu
    chance: Random
    pupils: list[Pupil]
    accounts: Counter[str]
    paid_in: int = 0
    sold: int = 0
    given_back: int = 0
    declined: int = 0

    def day(self, day: date) -> None:
        """A day: some pay in, most eat, some give something back."""
        noon = datetime(day.year, day.month, day.day, 11, 30, tzinfo=UTC)
        for number, pupil in enumerate(self.pupils):
            if self.chance.random() < 0.1:
                self._pay_in(pupil, self.chance.randrange(100, 2_000))
            if self.chance.random() < 0.9:
                self._buy(pupil, noon + timedelta(seconds=number))
            if self.chance.random() < 0.1:
                self._buy(pupil, noon + timedelta(hours=1, seconds=number))

    def _pay_in(self, pupil: Pupil, amount_minor: int) -> None:
        """Arrears first."""
        settles = min(amount_minor, -pupil.view.arrears.balance)
        for account, part in (("payer:arrears", settles), ("payer:prepaid", amount_minor - settles)):
            if part:
                self._post(pupil, (NewTransfer("scheme:clearing:cash", account, part, "GBP"),), ())  # type: ignore[arg-type]  # names of accounts
        self.paid_in += amount_minor

    def _buy(self, pupil: Pupil, moment: datetime) -> None:
        service = self.chance.choice(("lunch", "lunch", "lunch", "break"))
        offered = [item.key for item in self.menu.offered_at(service, self.menu.day_of(moment))]
        tray = {
            key: self.chance.choice((1, 1, 1, 2)) for key in self.chance.sample(offered, min(2, len(offered)))
        }
        advice = self.chance.random() < 0.1
        items = [{"item": key, "quantity": count} for key, count in tray.items()]
        ask = Ask(
            service="meals",
            action="sale",
            kind=AskKind.REQUEST,
            currency="GBP",
            details={"service": service, "items": items, "confirmed": ["allergens", "second-meal"]},
            occurred_at=moment,
        )
        quote = meals().quote(replace(ask, offline=advice), pupil.holder, self.menu)
        assert isinstance(quote, Quote)
        kind = AskKind.ADVICE if advice else AskKind.REQUEST
        ask = replace(ask, kind=kind, offline=advice, amount_minor=quote.amount_minor)
        view: View = pupil.view
        decision = meals().decide(ask, pupil.holder, view, self.menu)
        short = decision.approved and shortfall(pupil.view, decision.lines, funding=decision.funding) > 0
        if not decision.approved or (short and not advice):
            self.declined += 1
            return
        self._sell(pupil, decision, moment)

    def _sell(self, pupil: Pupil, decision: Decision, moment: datetime) -> None:
        transfers = pay(pupil.view, decision.lines, ProviderId("kitchen"), "GBP", funding=decision.funding)
        counted = changes(decision.counters, CardholderId(pupil.holder.cardholder_id), decision.funding)
        # Funding sums to the price in every mix.
        assert sum(each.amount_minor for each in transfers) == decision.amount_minor
        self._post(pupil, transfers, counted)
        self.sold += decision.amount_minor
        if self.chance.random() < 0.08 and transfers:
            answer = {
                "given": {"receipt": []},
                "counters": as_stored(counted, decision.funding),
                "receipt_lines": list(receipt_lines(decision.lines, transfers)),
            }
            self._give_back(pupil, known_sale(transfers, answer, moment))

    def _give_back(self, pupil: Pupil, sale: KnownTransaction) -> None:
        left_minor = sale.moved_minor
        amount_minor = self.chance.choice((None, self.chance.randint(1, left_minor)))
        planned = plan(pupil.view, sale, Wish(sale.id, None, amount_minor))
        assert isinstance(planned, Plan)
        self._post(pupil, planned.transfers, planned.counters)
        self.given_back += planned.amount_minor

    def _post(
        self, pupil: Pupil, transfers: tuple[NewTransfer, ...], counted: tuple[CounterChange, ...]
    ) -> None:
        accounts = tuple(
            replace(account, balance=balance) for account, balance in balances_after(pupil.view, transfers)
        )
        used = {(each.cardholder_id, each.rule, each.period): each.used for each in pupil.view.counters}
        for change in counted:
            key = (change.cardholder_id, change.rule, change.period)
            used[key] = used.get(key, 0) + change.change
        # What retention would take away.
        kept = sorted(used.items(), key=lambda each: each[0][2])[-12:]
        counters = tuple(CounterView(*key, amount) for key, amount in kept)
        pupil.view = replace(pupil.view, accounts=accounts, counters=counters)
        for transfer in transfers:
            self.accounts[transfer.debit] -= transfer.amount_minor
            self.accounts[transfer.credit] += transfer.amount_minor

    def check(self, day: date) -> None:
        """The evening's equations."""
        prepaid = sum(pupil.view.prepaid.balance for pupil in self.pupils)
        arrears = sum(pupil.view.arrears.balance for pupil in self.pupils)
        subsidies = {name: -amount for name, amount in self.accounts.items() if "subsidy" in name}
        assert (self.accounts["payer:prepaid"], self.accounts["payer:arrears"]) == (prepaid, arrears)
        assert self.accounts[KITCHEN] == self.sold - self.given_back
        # What was sold is what was paid in and is not there any more, what is owed, and what programmes owe.
        assert self.accounts[KITCHEN] == self.paid_in - prepaid - arrears + sum(subsidies.values())
        assert sum(self.accounts.values()) == 0
        for pupil in self.pupils:
            self._check_pupil(pupil, day)

    def _check_pupil(self, pupil: Pupil, day: date) -> None:
        most = {each.key: each.amount_minor for each in self.menu.programmes}
        assert pupil.view.arrears.balance <= 0 <= pupil.view.prepaid.balance
        for counter in pupil.view.counters:
            assert counter.used >= 0
            if counter.rule.startswith("meals.programme."):
                assert counter.used <= most[counter.rule.removeprefix("meals.programme.")]
                assert counter.period <= day.isoformat()


def _pupil(number: int, chance: Random) -> Pupil:
    year = chance.choice(YEARS)
    programmes = {
        "infant": year in {"R", "1", "2"},
        "targeted": chance.random() < 0.3,
        "extra": chance.random() < 0.1,
    }
    entitlements = tuple(
        Entitlement(
            service="meals",
            programme=programme,
            year=year,
            first_day=date(2026, 9, 1),
            # Some are not checked again in time.
            review_on=date(2026, 11, 20) if chance.random() < 0.2 else date(2027, 9, 1),
            recorded_at=LONG_AGO,
        )
        for programme, is_entitled in programmes.items()
        if is_entitled
    )
    who = CardholderId(UUID(int=number + 1))
    limits = (LimitView(who, "meals.day", 400, LONG_AGO, LONG_AGO),) if chance.random() < 0.2 else ()
    accounts = (
        AccountView("arrears", "", "", "GBP", 0, None),
        AccountView("prepaid", "", "", "GBP", 0, 0),
    )
    view = PayerView(PayerId(UUID(int=number + 1)), 1, accounts, (), limits)
    holder = Holder(cardholder_id=who, card_kind="citizen", category="pupil", entitlements=entitlements)
    return Pupil(holder, view)


@pytest.mark.parametrize(("pupils", "days"), [(60, 25), pytest.param(1_000, 103, marks=pytest.mark.long)])
def test_every_evening_all_sums_agree(pupils: int, days: int, tmp_path: Path) -> None:
    chance = Random(2026)  # noqa: S311 - the same term each time
    menu = meals().prepare(load(tmp_path, lambda menu: menu["items"][2].update(weekdays=[])).content)
    assert isinstance(menu, Menu)
    school = School(menu, chance, [_pupil(number, chance) for number in range(pupils)], Counter())
    first = date(2026, 9, 7)
    for number in range(days):
        day = first + timedelta(days=number)
        if menu.calendar.week_of(day) is not None:
            school.day(day)
            school.check(day)
    # Otherwise this would say little.
    assert min(school.sold, school.given_back, school.declined) > pupils
    assert all(
        school.accounts[f"scheme:subsidy:{name}"] < 0
        for name in ("dfe:targeted", "dfe:infant", "council:extra")
    )
    assert school.accounts["payer:arrears"] < 0
