"""Whatever a command does staff can do over HTTP, or it is said why not. People have a table of their own."""

import re

from cardservice.staff.functions import COMMANDS, MACHINE
from tests.cardservice.staff.test_matrix import ALL_COMMANDS
from tests.cardservice.staff_api import test_covering as people

TABLE = people.PAGE.partition("### Everything else: each command and its route")[2].partition("\n##")[0]


def rows() -> dict[str, str]:
    """What the page says of each command that is about things."""
    found = {}
    for first, second in re.findall(r"^\| (`.+?`) \| (.+) \|$", TABLE, re.MULTILINE):
        for command in re.findall(r"`([^`]+)`", first):
            assert command not in found, f"{command} is there twice"
            found[command] = second
    return found


def test_every_command_is_in_one_table() -> None:
    """One that is added fails here until it has a route, or a reason; one that is gone is not left behind."""
    about_people, about_things = people.rows().keys(), rows().keys()
    assert not about_people & about_things
    assert about_people | about_things == ALL_COMMANDS.keys() - MACHINE


def test_every_command_has_a_route_with_its_right_or_a_reason() -> None:
    """The first that is named is the command's; what others stand beside it are there, too."""
    for command, said in rows().items():
        named = re.findall(r"`(GET|POST) ([^`]+)`", said)
        if not named:
            assert re.match(r"command only: .{20,}", said), command
            continue
        assert people.ROUTES_BY_NAME[named[0]] is COMMANDS[command], command
        assert set(named) <= people.ROUTES_BY_NAME.keys(), command
