"""The tour of the README, step by step: `make smoke` and the tests walk it through the pages."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import BrowserContext

from kiosk.demo.town import AVA, MORGAN, NOAH, SAM
from tests.support.demonstration import Town
from tests.tour.pages import BUS, KIOSK, TILL, Kiosk, Till, Validator, Wallet

LUNCH = ("Tomato pasta bake £2.60", "Carton of milk £0.35")
LUNCH_PRICE, LUNCH_MINOR = "£2.95", 295
SNACK, SNACK_PRICE = "Oat flapjack £0.80", "£0.80"
FARE, FARE_MINOR = "£2.40", 240
PAID_IN, PAID_IN_MINOR = "£20.00", 2000
# Offline she takes less, so that the two sales can be told apart.
SECOND, SECOND_PRICE, SECOND_MINOR = "Jacket potato with beans £2.60", "£2.60", 260


@dataclass(slots=True)
class Tour:
    """The pages, open side by side, and what the ledger said before."""

    town: Town
    wallet: Wallet
    till: Till
    validator: Validator
    kiosk: Kiosk
    before: dict[str, int] = field(default_factory=dict)
    # Entries of the ledger: as it was found, and what the tour's own sales add to it
    entries_before: int = 0
    entries: int = 0

    @classmethod
    def begin(cls, context: BrowserContext, town: Town) -> "Tour":
        """Open the pages, and remember what everybody has. AssertionError where it was walked before."""
        state = town.run("cardservice", "card", "show", town.card(SAM.key))["state"]
        assert state == "active", "the tour was walked here before: start a fresh demonstration for it"
        tour = cls(
            town,
            Wallet(context.new_page(), town.url("wallet")),
            Till(context.new_page(), town.url("till")),
            Validator(context.new_page(), town.url("validator")),
            Kiosk(context.new_page(), town.url("kiosk")),
        )
        tour.wallet.clear()
        tour.before = {person.key: town.prepaid(person.key) for person in (AVA, MORGAN, SAM)}
        tour.entries_before = town.verified()["transfers"]
        return tour

    def spent(self, key: str) -> int:
        """What somebody has paid since the tour began, in minor units."""
        return self.before[key] - self.town.prepaid(key)

    def screenshots(self, folder: Path, name: str) -> list[Path]:
        """Pictures of the pages as they are."""
        folder.mkdir(parents=True, exist_ok=True)
        taken = []
        for page in (self.wallet.page, self.till.page, self.validator.page, self.kiosk.page):
            taken.append(folder / f"{name}-{page.title().lower().replace(' ', '-') or 'page'}.png")
            page.screenshot(path=taken[-1], full_page=True)
        return taken


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the tour does, in plain words."""

    title: str
    walk: Callable[[Tour], None]


def pupil_buys_lunch(tour: Tour) -> None:
    """A pupil taps, her allergens are read, and she pays for two things at once."""
    tour.wallet.put(AVA.name, TILL)
    tour.till.expect_pupil(AVA.name)
    tour.till.acknowledge_allergens()
    tour.till.add(*LUNCH)
    tour.till.charge(LUNCH_PRICE)
    tour.till.expect_outcome("Paid", LUNCH_PRICE)
    leave_the_till(tour, AVA.name)
    tour.entries += len(LUNCH)
    assert tour.spent(AVA.key) == LUNCH_MINOR, "lunch is charged once"


def brother_is_refused(tour: Tour) -> None:
    """Her brother's snack costs more than he may spend in a day; nothing is charged."""
    before = tour.spent(AVA.key)
    tour.wallet.put(NOAH.name, TILL)
    tour.till.expect_pupil(NOAH.name)
    tour.till.add(SNACK)
    tour.till.charge(SNACK_PRICE)
    tour.till.expect_outcome("Declined", "limit")
    leave_the_till(tour, NOAH.name)
    assert tour.spent(AVA.key) == before, "one purse: nothing is taken from it for him"


def resident_boards(tour: Tour) -> None:
    """A resident taps on the bus."""
    tour.wallet.put(MORGAN.name, BUS)
    tour.validator.expect_outcome("Go", FARE)
    tour.wallet.take(MORGAN.name, BUS)
    tour.validator.expect_idle()
    tour.entries += 1
    assert tour.spent(MORGAN.key) == FARE_MINOR, "the fare is charged once"


def resident_pays_in(tour: Tour) -> None:
    """The resident pays in by bank card, and sees what there is to spend."""
    balance = tour.before[MORGAN.key] - FARE_MINOR + PAID_IN_MINOR
    tour.wallet.put(MORGAN.name, KIOSK)
    tour.kiosk.choose(PAID_IN)
    tour.kiosk.pay()
    tour.kiosk.expect_paid_in(PAID_IN, f"£{balance // 100}.{balance % 100:02}")
    tour.kiosk.finish()
    tour.wallet.take(MORGAN.name, KIOSK)
    tour.kiosk.expect_idle()
    tour.entries += 1
    assert tour.spent(MORGAN.key) == FARE_MINOR - PAID_IN_MINOR, "it is posted once"


def lost_card_is_refused(tour: Tour) -> None:
    """A card is reported lost; whoever found it stays outside."""
    tour.wallet.report_lost(SAM.name)
    tour.wallet.put(SAM.name, BUS)
    tour.validator.expect_outcome("Stop")
    tour.wallet.take(SAM.name, BUS)
    tour.validator.expect_idle()
    assert tour.spent(SAM.key) == 0, "nothing is charged"


def till_goes_on_alone(tour: Tour) -> None:
    """The card service is gone: the till sells by what it knows, says so, and keeps what it must tell."""
    tour.wallet.stop_service()
    tour.wallet.put(AVA.name, TILL)
    tour.till.expect_pupil(AVA.name)
    tour.till.expect_badge(re.compile("^Offline"))
    tour.till.acknowledge_allergens()
    tour.till.add(SECOND)
    tour.till.charge(SECOND_PRICE)
    tour.till.expect_outcome("Accepted offline", SECOND_PRICE)
    tour.till.expect_badge("Offline \N{EN DASH} 1 sale waiting")
    leave_the_till(tour, AVA.name)
    assert tour.spent(AVA.key) == LUNCH_MINOR, "the service has not heard of it yet"


def service_comes_back(tour: Tour) -> None:
    """The card service is back: the till tells it what it sold, and each sale is charged once."""
    tour.wallet.start_service()
    tour.till.expect_badge(re.compile("^Online$"))
    tour.entries += 1
    assert tour.spent(AVA.key) == LUNCH_MINOR + SECOND_MINOR, "each sale is charged once"


def ledger_is_right(tour: Tour) -> None:
    """Every balance, entry and proof, and no entry more than was sold."""
    verified = tour.town.verified()
    assert verified["findings"] == []
    found = verified["transfers"] - tour.entries_before
    assert found == tour.entries, f"{tour.entries} entries should have been made, {found} are in the ledger"


def leave_the_till(tour: Tour, person: str) -> None:
    """Take the card off the till and make room for the next."""
    tour.wallet.take(person, TILL)
    tour.till.next_pupil()


STEPS = (
    Step("A pupil taps and buys lunch", pupil_buys_lunch),
    Step("Her brother's snack is refused by his limit", brother_is_refused),
    Step("A resident taps a bus", resident_boards),
    Step("The resident pays in at the kiosk", resident_pays_in),
    Step("A card is reported lost and refused", lost_card_is_refused),
    Step("The card service is stopped: the till serves offline, and says so", till_goes_on_alone),
    Step("The card service comes back: the queue empties, each sale is posted once", service_comes_back),
    Step("The ledger verifies: every balance, entry and proof", ledger_is_right),
)
