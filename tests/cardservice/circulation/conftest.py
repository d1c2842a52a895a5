"""A library with terms, five copies and three members, on both databases."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.circulation.built_in import BuiltIn
from cardservice.circulation.members import join
from cardservice.circulation.pins import Pins
from cardservice.circulation.stock import import_stock
from cardservice.context import Context
from cardservice.ids import CardholderId
from cardservice.tariffs.service import store_tariff
from tests.cardservice.services.library_terms import load
from tests.support.council import StandingClock

STOCK = """\
barcode,title_id,title,author,item_class,branch
B1,emma,Emma,Jane Austen,book,central
B2,emma,Emma,Jane Austen,book,central
B3,ulysses,Ulysses,James Joyce,book,north
B4,dune,Dune,Frank Herbert,book,central
F1,metropolis,Metropolis,Fritz Lang,film,central
"""
PIN = "2580"


@dataclass(slots=True)
class Town:
    """The library, and who reads."""

    context: Context
    clock: StandingClock
    system: BuiltIn
    pins: Pins
    people: dict[str, CardholderId]

    def member(self, barcode: str, category: str = "adult", pin: str | None = PIN) -> CardholderId:
        """A new member of this number."""
        stored = None if pin is None else self.pins.stored(pin)
        moment = self.clock()
        with self.context.database.begin() as connection:
            holder, _ = add_cardholder(
                connection,
                NewCardholder(f"Reader {barcode}", category),
                "GBP",
                self.context.keys.cardholder_kek,
                actor="test",
                moment=moment,
            )
            join(connection, holder, barcode, stored, by="test", moment=moment)
        self.people[barcode] = holder
        return holder


@pytest.fixture
def town(context: Context, clock: StandingClock, tmp_path: Path) -> Town:
    """A library that is set up; it is Monday 15 June, 11:00."""
    with context.database.begin() as connection:
        store_tariff(
            connection, "library", load(tmp_path), source="library.json", actor="test", moment=clock()
        )
    stock = tmp_path / "stock.csv"
    stock.write_text(STOCK, encoding="utf-8")
    import_stock(context, stock, by="test")
    pins = Pins(context.keys.services_master)
    made = Town(context, clock, BuiltIn(context, pins), pins, {})
    made.member("1001")
    made.member("1002", pin=None)
    made.member("1003", "child", pin=None)
    return made
