"""docs/services/meals.md as a new user reads it: its files are loaded, its commands typed in their order."""

import json
from pathlib import Path

import pytest

from tests.cardservice.command_line import ACTOR
from tests.cardservice.kitchen.test_kitchens_day import Kitchen, kitchen
from tests.support import pages

__all__ = ["kitchen"]
PAGE = "services/meals.md"
# The page's Monday, in week 3 of its menu's cycle; and how far that is from the tests' day.
TODAY = "2026-10-05"
DAYS_UNTIL = 112


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_pages_commands_do_what_it_says(kitchen: Kitchen) -> None:
    council, folder = kitchen.council, kitchen.folder
    council.clock.advance(days=DAYS_UNTIL)
    pupils = [council.card("pupil", top_up_minor=1000) for _ in range(2)]
    typed = {
        "MENU.json": _file(folder, "menu-of-the-page.json", pages.block_that_begins(PAGE, '{\n  "timezone"')),
        "PROGRAMMES.json": _file(
            folder, "programmes.json", pages.block_that_begins(PAGE, '{\n  "programmes"')
        ),
        "CHECKS.csv": _file(folder, "checks.csv", _checks([str(each.holder) for each in pupils])),
        "LIST.csv": str(folder / "list.csv"),
        "CARDHOLDER": str(pupils[0].holder),
    }
    sold = False
    for command in pages.commands(PAGE, "cardservice"):
        words = [typed.get(word, word) for word in command]
        if words[:2] == ["kitchen", "sold"]:
            _sell_what_the_page_sells(kitchen)
            sold = True
        if words[0] == "load":
            # As the page says: a second person approves. Here one person is enough.
            words.append("--approve")
        done = kitchen.command(*words, names=ACTOR, recall=ACTOR)
        assert done.exit_code == 0, (command, done.output)
    assert sold


def _sell_what_the_page_sells(kitchen: Kitchen) -> None:
    details = json.loads(pages.block_that_begins(PAGE, '{"service": "lunch"'))
    card = kitchen.council.card("pupil", top_up_minor=1000)
    quoted = kitchen.till.post(
        "/v1/quotes", {"card": str(card.id), "service": "meals", "action": "sale", "details": details}
    )
    assert quoted.status == 200, quoted.json
    sold = kitchen.ask(card, "sale", details, amount_minor=quoted.json["amount_minor"])[1]
    assert sold.outcome == (200, "approved")
    totals = kitchen.values("kitchen", "sold", "meals", TODAY)["services"]["lunch"]
    assert (totals["sales"], totals["amount_minor"]) == (1, quoted.json["amount_minor"])


def _checks(holders: list[str]) -> str:
    head, *lines = pages.block_that_begins(PAGE, "cardholder,programme").splitlines()
    cells = [line.split(",") for line in lines]
    named = [",".join((holder, *row[1:])) for holder, row in zip(holders, cells, strict=True)]
    return "\n".join((head, *named)) + "\n"


def _file(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)
