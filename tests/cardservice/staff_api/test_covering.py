"""Whatever the commands do about people staff can do over HTTP; or it is said why not."""

import re
from pathlib import Path

from cardservice.staff.functions import COMMANDS, ROUTES
from tests.cardservice.staff.test_matrix import ALL_COMMANDS

PAGE = (Path(__file__).parents[3] / "docs" / "staff.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("### People: each command and its route")[2].partition("\n## ")[0]
# Commands of groups of which the rest is about something else.
OTHERS = {"card entitlements", "card expire", "card grow-up"}
PAYERS = {"payer add", "payer assign", "payer history", "payer show"}
GROUPS = ("application ", "cardholder ", "import ", "keys ", "retention ")
ROUTES_BY_NAME = {
    (method, re.sub(r"<[^>]+>", "ID", rule).removeprefix("/v1/")): right
    for (method, rule), right in ROUTES.items()
}


def rows() -> dict[str, str]:
    """What the page says of each command."""
    found = {}
    for first, second in re.findall(r"^\| (`.+?`) \| (.+) \|$", TABLE, re.MULTILINE):
        for command in re.findall(r"`([^`]+)`", first):
            assert command not in found, f"{command} is there twice"
            found[command] = second
    return found


def test_every_command_about_people_is_in_the_table() -> None:
    """One that is added fails here until it has a route, or a reason; one that is gone is not left behind."""
    wanted = {command for command in ALL_COMMANDS if command.startswith(GROUPS)} | OTHERS | PAYERS
    assert rows().keys() == wanted


def test_every_command_about_people_has_a_route_with_its_right_or_a_reason() -> None:
    """The first that is named is the command's; what others stand beside it are there, too."""
    for command, said in rows().items():
        named = re.findall(r"`(GET|POST) ([^`]+)`", said)
        if not named:
            assert re.match(r"command only: .{20,}", said), command
            continue
        assert ROUTES_BY_NAME[named[0]] is COMMANDS[command], command
        assert set(named) <= ROUTES_BY_NAME.keys(), command
