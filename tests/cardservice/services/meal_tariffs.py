"""A whole menu of the tests' own: a cycle of two weeks with a break, deals, taxes, checks and programmes."""

import copy
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cardservice.ids import PayerId, ProviderId, TransactionId
from cardservice.ledger.values import KnownTransaction, NewTransfer, StoredTransfer
from cardservice.services import discover
from cardservice.services.seam import LoadedTariff, Service


def _item(key: str, category: str, price: str, contains: list[str], **more: Any) -> dict[str, Any]:
    values = {"key": key, "label": key.capitalize(), "category": category, "price": price}
    return {**values, "contains": contains, "may_contain": [], **more}


# Weeks begin on Mondays: 7 September is in week 1, 14 September in week 2; November begins with week 2.
MENU: dict[str, Any] = {
    "timezone": "Europe/London",
    "currency": "GBP",
    "first_day": "2026-09-01",
    "last_day": "2026-12-18",
    "services": {"break": "Morning break", "lunch": "Lunch"},
    "cycle_weeks": 2,
    "terms": [
        {"first_day": "2026-09-07", "last_day": "2026-10-23"},
        {"first_day": "2026-11-02", "last_day": "2026-12-18", "week": 2},
    ],
    "closed_days": ["2026-09-25"],
    "arrears_limit": "5.00",
    "allergen_stop": True,
    "second_meal_warning": True,
    "order_until": "09:30",
    "supplier_role": "authority",
    "taxes": [
        {"role": "authority", "buyers": ["pupil"], "code": "zero", "rate": "0"},
        {"role": "principal", "code": "standard", "rate": "20"},
        {"role": "authority", "code": "standard", "rate": "20"},
    ],
    "items": [
        _item("pasta", "main", "2.50", ["gluten", "milk"], may_contain=["celery"], services=["lunch"],
              weeks=[1], weekdays=["mon"], prices={"staff": "4.20"}, recipe="2026-1", diets=["vegetarian"]),
        _item("curry", "main", "2.50", [], services=["lunch"], weeks=[2], weekdays=["mon"]),
        _item("roast", "main", "3.10", ["mustard"], services=["lunch"], weekdays=["wed"]),
        _item("crumble", "dessert", "0.80", ["gluten"], services=["lunch"]),
        _item("fruit", "snack", "0.20", []),
        _item("milk", "drink", "0.35", ["milk"]),
        _item("water", "drink", "0.00", []),
    ],
    "deals": [
        {"key": "two", "label": "Two courses", "price": "2.80",
         "parts": [{"categories": ["main"]}, {"items": ["crumble", "fruit"]}]},
    ],
}  # fmt: skip


def _programme(key: str, funder: str, amount: str, precedence: int, **more: Any) -> dict[str, Any]:
    return {
        "key": key,
        "label": key.capitalize(),
        "nation": "england",
        "services": ["lunch"],
        "amount": amount,
        "funder": funder,
        "precedence": precedence,
        "first_day": "2026-09-01",
        "last_day": "2027-07-31",
        **more,
    }


PROGRAMMES: dict[str, Any] = {
    "programmes": [
        _programme("targeted", "dfe", "2.60", 10),
        _programme("infant", "dfe", "2.60", 20, years=["R", "1", "2"]),
        _programme("extra", "council", "0.35", 90, adds=True),
    ]
}
Change = Callable[[dict[str, Any]], object]


def meals() -> Service:
    """The service under test, found as the card service finds it."""
    return discover()["meals"]


def written(folder: Path, change: Change | None = None, programmes: Change | None = None) -> list[Path]:
    """Both files, changed, an entry a line."""
    paths = []
    for name, content, by in (("menu", MENU, change), ("programmes", PROGRAMMES, programmes)):
        values = copy.deepcopy(content)
        if by is not None:
            by(values)
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps(values, indent=1), encoding="utf-8")
    return paths


def load(folder: Path, change: Change | None = None, programmes: Change | None = None) -> LoadedTariff:
    """The changed files, loaded."""
    return meals().load(written(folder, change, programmes), currency="GBP")


def known_sale(
    transfers: tuple[NewTransfer, ...], answer: Mapping[str, Any], moment: datetime
) -> KnownTransaction:
    """A sale as the ledger has it."""
    stored = tuple(
        StoredTransfer(
            line, each.debit, each.credit, each.amount_minor, each.unit, 0,
            each.tax_code, each.tax_rate_bp, each.net_minor, each.tax_minor, each.supplier,
        )
        for line, each in enumerate(transfers, 1)
    )  # fmt: skip
    return KnownTransaction(
        payer_id=PayerId(UUID(int=0)),
        id=TransactionId(UUID(int=1)),
        origin="card",
        kind="request",
        body=None,
        terminal_id=None,
        sequence=None,
        provider_id=ProviderId("kitchen"),
        service="meals",
        action="sale",
        decision="approved",
        reason="approved",
        amount_minor=None,
        unit="GBP",
        tariff_version=None,
        offline=False,
        flags=(),
        replaces=None,
        duplicate_of=None,
        annuls=None,
        occurred_at=moment,
        posted_at=moment,
        answer=answer,
        transfers=stored,
        annulled_by=None,
        kept_by=None,
    )
