"""How many decisions a second the rules of services make by themselves, on one core beside raw P-256 signing.

What is decided are the rows of the service's decision table in turn, refusals and advices as well as sales:
no signature, no database, and nothing that the rules have not seen before.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cardservice.services import with_keys
from cardservice.services.seam import Ask, AskKind, Decision, Holder, Quote, View
from tests.benchmarks.report import ROOT, Measurement
from tests.benchmarks.server import BenchmarkFailed
from tests.benchmarks.status import RAW
from tests.benchmarks.turns import in_turns, on_one_core
from tests.cardservice.services import (
    leisure_tariffs,
    library_terms,
    meal_tariffs,
    parking_tariffs,
    test_leisure,
    test_library,
    test_meals_decisions,
)
from tests.cardservice.services import test_parking_decisions as parking

Decide = Callable[[], Decision]

_ECDSA = ec.ECDSA(hashes.SHA256())
# About as long as what is signed of a response
_MESSAGE = bytes(300)


def measure(key: str, seconds: float, say: Callable[[str], None]) -> Measurement:
    """The rate, with that of raw signing that it took turns with. Raises BenchmarkFailed."""
    what, make = MEASURED[key]
    signing = ec.generate_private_key(ec.SECP256R1())
    with TemporaryDirectory(prefix="citizen-card-bench-", dir=ROOT) as folder:
        table = make(Path(folder))
    refused = sum(not decide().approved for decide in table)
    if not 0 < refused < len(table):
        raise BenchmarkFailed(f"{refused} of {len(table)} decisions are refusals")
    turns = cycle(table)

    def one_decision() -> Decision:
        return next(turns)()

    with on_one_core():
        raw, ours = in_turns(lambda: signing.sign(_MESSAGE, _ECDSA), one_decision, seconds)
    say(f"{key}: {ours:,.0f} decisions a second beside {raw:,.0f} raw signatures")
    return Measurement(
        key=key,
        what=f"decisions of {what}'s rules alone, on one core: the rows of its decision table in turn",
        rate=ours,
        rate_unit="a second",
        baseline=raw,
        detail={f"{RAW}, a second": round(raw), "rows": len(table), "of which refused": refused},
    )


def _parking(folder: Path) -> list[Decide]:
    rules = parking_tariffs.parking()
    tariff = rules.prepare(parking_tariffs.load(folder).content)

    def decided(row: tuple[tuple[str, Mapping[str, object]], str, tuple[parking.Used, ...], str]) -> Decide:
        (action, details), category, counters, moment = row
        holder = Holder(cardholder_id=parking.HOLDER, card_kind="visitor", category=category)
        ask = Ask(
            service="parking",
            action=action,
            kind=AskKind.REQUEST,
            currency="GBP",
            details=parking.loaded(action, {"plate": parking.CAR, **details}),
            occurred_at=parking.at(moment),
        )
        price = rules.quote(ask, holder, tariff)
        signed = replace(ask, amount_minor=price.amount_minor if isinstance(price, Quote) else 0)
        known = parking.Known(counters)
        return lambda: rules.decide(signed, holder, known, tariff)

    return [decided(row[1:5]) for row in parking.TABLE]


def _leisure(folder: Path) -> list[Decide]:
    rules = leisure_tariffs.leisure()
    tariff = rules.prepare(leisure_tariffs.load(folder).content)

    def decided(case: test_leisure.Case) -> Decide:
        ask, holder = test_leisure.ask_of(case), test_leisure.holder_of(case)
        payer = test_leisure.Payer(case.used)
        return lambda: rules.decide(ask, holder, payer, tariff)

    return [decided(case) for case in test_leisure.CASES]


def _meals(folder: Path) -> list[Decide]:
    rules = meal_tariffs.meals()
    menu = rules.prepare(meal_tariffs.load(folder).content)

    def decided(row: test_meals_decisions.Row) -> Decide:
        ask, holder = test_meals_decisions.ask_of(row, menu), test_meals_decisions.holder_of(row)
        payer: View = test_meals_decisions.view_of(row)
        return lambda: rules.decide(ask, holder, payer, menu)

    return [decided(row) for row in test_meals_decisions.ROWS]


def _library(folder: Path) -> list[Decide]:
    rules = with_keys({"library": library_terms.library()}, bytes(32))["library"]
    terms = library_terms.prepared(folder)

    def decided(tap: test_library.Tap) -> Decide:
        ask, holder, payer = (
            test_library.ask_of(tap),
            test_library.holder_of(tap),
            test_library.Payer(tap.used),
        )
        return lambda: rules.decide(ask, holder, payer, terms)

    return [decided(tap) for tap in test_library.TAPS]


MEASURED: Mapping[str, tuple[str, Callable[[Path], list[Decide]]]] = {
    "parking_rules": ("parking", _parking),
    "leisure_rules": ("leisure", _leisure),
    "meals_rules": ("school meals", _meals),
    "library_rules": ("the library", _library),
}
