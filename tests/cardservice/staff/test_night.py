"""What runs by night is run by an account that may do that, and nothing else."""

import re
from pathlib import Path
from uuid import uuid4

import pytest

from cardservice.staff.roles import Role
from tests.cardservice.applications.test_applications import Desk
from tests.cardservice.services import library_terms
from tests.cardservice.staff.people import Staff, add
from tests.support.council import Council

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.+?`) \| ", PAGE.partition("### By night")[2].partition("\n### ")[0], re.MULTILINE)
NIGHTLY = [each.removeprefix("cardservice ") for row in ROWS for each in re.findall(r"`([^`]+)`", row)]


@pytest.fixture
def desk(council: Council) -> Desk:
    """The machine by night: its account belongs to somebody who is an operator."""
    add(council.context, "ann", Role.ADMINISTRATOR)
    add(council.context, "night", Role.OPERATOR)
    Staff(council.context).is_at_the_keyboard("night")
    return Desk(council)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_nights_account_does_all_of_the_nights_work(desk: Desk, tmp_path: Path) -> None:
    """As the page has it, each as it stands there; twice, since a night may be made good."""
    desk.council.load("library", library_terms.written(tmp_path))
    assert {"card grow-up --by-post", "application recheck", "retention run"} <= set(NIGHTLY)
    desk.council.card()
    for command in NIGHTLY * 2:
        done = desk.run(*command.split())
        assert done.exit_code == 0, f"{command}: {done.output}"
    suspended = desk.ok("application", "recheck", "--suspend", "--also-ordered")["cards"]
    assert len(suspended) == 1
    assert desk.ok("application", "recheck")["cards"] == []


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_nights_account_sees_nobody_and_erases_nobody(desk: Desk) -> None:
    """Not even what it has let rest."""
    for command in (
        ("cardholder", "show", str(uuid4())),
        ("card", "show", str(uuid4())),
        ("card", "release", str(uuid4()), "--reason", "found"),
        ("application", "due", "2027-01-01"),
        ("retention", "run", "--erase-dormant"),
    ):
        assert "staff:night may not do this" in desk.refused(*command), command
