"""The tax on lines of transport, parking and leisure: by role, buyer and what is sold; or none is said."""

# ruff: noqa: E501 - a table is read by its columns

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cardservice.services import with_keys
from cardservice.services.seam import Ask, AskKind, Decision, Holder, Line, LoadedTariff, Quote, TariffError
from tests.cardservice.services import leisure_tariffs, parking_tariffs
from tests.cardservice.services.feeds import transport
from tests.cardservice.services.test_leisure import Payer
from tests.cardservice.services.test_transport_decisions import charges, taps_of
from tests.cardservice.services.travels import load_travel

Row = dict[str, Any]
NOON = datetime(2026, 6, 15, 11, 0, tzinfo=UTC)


def row(code: str, rate: str, *, of: list[str] | None = None, buyers: list[str] | None = None) -> Row:
    return {"role": "principal", "code": code, "rate": rate, "of": of or [], "buyers": buyers or []}


ZERO, STANDARD, OUTSIDE = row("zero", "0"), row("standard", "20"), row("outside", "0", of=["on-street"])
SOLD = "principal"


def travelling(folder: Path, rows: list[Row]) -> LoadedTariff:
    return load_travel(folder, card_map={"supplier_role": SOLD, "taxes": rows} if rows else {})


def parking(folder: Path, rows: list[Row]) -> LoadedTariff:
    changed = {"supplier_role": SOLD, "taxes": rows} if rows else {}
    return parking_tariffs.load(folder, lambda tariff: tariff.update(changed))


def leisure(folder: Path, rows: list[Row]) -> LoadedTariff:
    changed = {"supplier_role": SOLD, "taxes": rows} if rows else {}
    return leisure_tariffs.load(folder, lambda tariff: tariff.update(changed))


LOAD: dict[str, Callable[[Path, list[Row]], LoadedTariff]] = {
    "transport": travelling,
    "parking": parking,
    "leisure": leisure,
}
RULES = {
    "transport": transport(),
    "parking": with_keys({"parking": parking_tariffs.parking()}, bytes(32))["parking"],
    "leisure": leisure_tariffs.leisure(),
}
TRIP = {"from_stop": "a1", "to_stop": "b1"}
STREET = {"place": "high-street", "plate": "AB12CDE", "minutes": 30}
WHARF = {"place": "old-wharf", "plate": "P1", "entered_at": "2026-06-15T10:00:00+00:00"}
PERMIT = {"permit": "visitor", "plate": "AB12CDE", "number": 1}
GYM = {"activity": "gym"}


def sold(
    name: str, loaded: LoadedTariff, action: str, details: Row, category: str, kind: AskKind, more: int = 0
) -> Decision:
    """Quoted and signed at that price (or at more), and decided."""
    service, tariff = RULES[name], RULES[name].prepare(loaded.content)
    ask = Ask(
        service=name,
        action=action,
        kind=kind,
        currency="GBP",
        details=service.details_schema(action)().load(details),
        occurred_at=NOON,
    )
    holder = Holder(cardholder_id=UUID(int=1), card_kind="citizen", category=category)
    price = service.quote(ask, holder, tariff)
    assert isinstance(price, Quote)
    decision = service.decide(replace(ask, amount_minor=price.amount_minor + more), holder, Payer(), tariff)
    if not more:
        assert [(line.tax_code, line.tax_rate_bp) for line in price.lines] == _taxes(decision.lines)
    return decision


def _taxes(lines: tuple[Line, ...]) -> list[tuple[str | None, int | None]]:
    return [(line.tax_code, line.tax_rate_bp) for line in lines]


# fmt: off
TAXED = [
    # what, service, rows, action, details, category, code, hundredths of a per cent
    ("passengers are carried at zero", "transport", [ZERO], "single-fare", TRIP, "adult", "zero", 0),
    ("a pass, too", "transport", [ZERO], "buy-pass", {"product": "month"}, "adult", "zero", 0),
    ("passes by a row of theirs", "transport", [row("reduced", "12.5", of=["passes"]), ZERO], "buy-pass", {"product": "month"}, "adult", "reduced", 1250),
    ("and rides by another", "transport", [row("reduced", "12.5", of=["passes"]), ZERO], "single-fare", TRIP, "adult", "zero", 0),
    ("the street is outside the scope", "parking", [OUTSIDE, STANDARD], "start", STREET, "adult", "outside", 0),
    ("a car park is not", "parking", [OUTSIDE, STANDARD], "pay-on-exit", WHARF, "adult", "standard", 2000),
    ("nor is a permit", "parking", [OUTSIDE, STANDARD], "permit", PERMIT, "adult", "standard", 2000),
    ("unless a row says so", "parking", [row("outside", "0", of=["permit"]), STANDARD], "permit", PERMIT, "adult", "outside", 0),
    ("the gym", "leisure", [STANDARD], "entry", GYM, "adult", "standard", 2000),
    ("the gym of some buyers", "leisure", [row("exempt", "0", buyers=["young"], of=["gym"]), STANDARD], "entry", GYM, "young", "exempt", 0),
    ("and of others", "leisure", [row("exempt", "0", buyers=["young"], of=["gym"]), STANDARD], "entry", GYM, "adult", "standard", 2000),
    ("visits that are bought", "leisure", [row("exempt", "0", of=["ten-gyms"]), STANDARD], "buy", {"product": "ten-gyms"}, "adult", "exempt", 0),
    ("nothing is said", "transport", [], "single-fare", TRIP, "adult", None, None),
    ("nothing is said of parking", "parking", [], "start", STREET, "adult", None, None),
    ("nothing is said of leisure", "leisure", [], "entry", GYM, "adult", None, None),
]
# fmt: on


@pytest.mark.parametrize("case", TAXED, ids=lambda case: str(case[0]))
def test_a_line_has_its_tax(case: tuple[Any, ...], tmp_path: Path) -> None:
    _, name, rows, action, details, category, code, rate_bp = case
    loaded = LOAD[name](tmp_path, rows)
    found = sold(name, loaded, action, details, category, AskKind.REQUEST)
    assert (found.approved, _taxes(found.lines)) == (True, [(code, rate_bp)])
    # Of an advice that was signed at another price, too.
    told = sold(name, loaded, action, details, category, AskKind.ADVICE, more=1)
    assert (told.flags, _taxes(told.lines)) == (("price_changed",), [(code, rate_bp)])


def test_a_day_of_taps_has_its_code(tmp_path: Path) -> None:
    loaded = travelling(tmp_path, [row("local", "5", of=["days"], buyers=["young"]), ZERO])
    tariff = transport().prepare(loaded.content)
    for category, code in (("adult", "zero"), ("young", "local")):
        taps = taps_of("2026-06-15 10:00+a1 10:20-b1", tariff, category)  # type: ignore[arg-type]
        [day] = charges(taps, tariff)  # type: ignore[arg-type]
        assert [share.tax_code for share in day.shares] == [code]


@pytest.mark.parametrize("name", sorted(LOAD))
def test_who_says_nothing_has_the_version_that_it_was(name: str, tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    without, with_tax = LOAD[name](folders[0], []), LOAD[name](folders[1], [STANDARD])
    assert "taxes" not in without.content
    assert without.version != with_tax.version


@pytest.mark.parametrize("name", sorted(LOAD))
@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row("standard", "20", buyers=["young"])], "taxes: has no row of the role principal for all"),
        ([STANDARD, ZERO], "taxes[1]: never counts: taxes[0] matches before it"),
        ([row("standard", "20", of=["cakes"]), STANDARD], "taxes[0].of[0]: 'cakes' is not known here"),
        ([row("standard", "101")], "taxes[0].rate: '101' is no rate"),
        ([row("standard", "17.555")], "taxes[0].rate: '17.555' is no rate"),
        ([row("standard", "NaN")], "taxes[0].rate: 'NaN' is no rate"),
        ([{**STANDARD, "role": "shop"}], "taxes[0].role: is none of"),
        ([{**STANDARD, "role": "agent"}], "taxes: has no row of the role principal"),
    ],
)
def test_what_is_not_clear_is_refused(name: str, rows: list[Row], reason: str, tmp_path: Path) -> None:
    with pytest.raises(TariffError) as refused:
        LOAD[name](tmp_path, rows)
    assert reason in str(refused.value)
    assert refused.value.line is not None


def test_a_role_needs_its_taxes(tmp_path: Path) -> None:
    with pytest.raises(TariffError, match="taxes: is missing"):
        leisure_tariffs.load(tmp_path, lambda tariff: tariff.update({"supplier_role": "agent"}))
    with pytest.raises(TariffError, match="supplier_role: is missing"):
        leisure_tariffs.load(tmp_path, lambda tariff: tariff.update({"taxes": [STANDARD]}))
