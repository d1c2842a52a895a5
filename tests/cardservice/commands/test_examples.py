"""Each command of administration has an example, and each example is one that the command takes."""

import re
import shlex

import click
import pytest

from cardservice.cli import main
from cardservice.commands.examples import EXAMPLES
from tests.cardservice.staff.test_matrix import ALL_COMMANDS

GROUPS = (
    *("account ", "application ", "bureau ", "card ", "cardholder ", "import ", "provider ", "staff "),
    *("stock ", "terminal "),
)
OURS = sorted(name for name in ALL_COMMANDS if name.startswith(GROUPS))


def test_none_is_left_behind() -> None:
    assert EXAMPLES.keys() <= set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_it_is_shown_and_taken(name: str) -> None:
    """By its options and arguments; what they are of need not be there."""
    command = ALL_COMMANDS[name]
    shown = command.get_help(click.Context(command, info_name=name, max_content_width=200))
    assert "\\b" not in shown
    # A line that ends with a backslash goes on.
    lines = re.findall(rf"^ *cardservice ({name}(?: .*)?)$", re.sub(r"\\\n *", " ", shown), re.MULTILINE)
    assert lines, f"{name} has no example: see cardservice/commands/examples.py"
    for line in lines:
        given = shlex.split(line, comments=True)[len(name.split()) :]
        context = click.Context(command, info_name=name)
        values, left, _ = command.make_parser(context).parse_args(list(given))
        assert left == [], line
        for parameter in command.params:
            given_value = values.get(str(parameter.name))
            assert given_value is not None or not parameter.required, f"{line}: {parameter.name}"
            if isinstance(parameter.type, click.Choice) and given_value is not None:
                said = given_value if isinstance(given_value, list | tuple) else [given_value]
                assert {str(each) for each in said} <= set(map(str, parameter.type.choices)), line


def test_the_program_shows_it() -> None:
    found = main.get_command(click.Context(main), "provider")
    assert isinstance(found, click.Group)
    assert "cardservice provider close" in str(found.commands["close"].epilog)
