"""Whoever has the role provider sees their own provider alone, by every route and every command.

A route or command that comes to be theirs is asked here by that alone, and shows nothing of another's.
"""

import json
from collections.abc import Iterator

import click
import pytest

from cardservice.ids import ProviderId, TerminalId
from cardservice.staff.functions import COMMANDS, ROUTES
from cardservice.staff.roles import RIGHTS, Role
from cardservice.terminals.enrolment import VALIDITY, invite
from cardservice.terminals.service import NewTerminal
from tests.cardservice.api.bodies import BODIES
from tests.cardservice.command_line import typed
from tests.cardservice.staff.people import Staff, add
from tests.cardservice.staff.test_matrix import ALL_COMMANDS
from tests.cardservice.terminals.test_health import said
from tests.support.council import Council

THEIRS = RIGHTS[Role.PROVIDER]
OWN, OTHER = (
    {"provider_id": "vale-buses", "terminal_id": "bus-1"},
    {"provider_id": "town-pool", "terminal_id": "pool-1"},
)
REFUSED = {(403, "not_theirs"), (404, "terminal_missing")}
DAYS = {"first": "2026-06-01", "last": "2026-06-30"}


@pytest.fixture
def town(council: Council) -> Council:
    """Two providers with a terminal each that has said how it is, one invited, and somebody of the first."""
    council.provider("town-pool")
    for terminal in (council.terminal("bus-1"), council.terminal("pool-1", provider="town-pool")):
        assert terminal.post("/v1/health", said()).status == 200
    with council.context.database.begin() as connection:
        for one, provider in (("bus-2", "vale-buses"), ("pool-2", "town-pool")):
            new = NewTerminal(TerminalId(one), ProviderId(provider), one, "validator", None)
            invite(connection, new, VALIDITY, actor="test", moment=council.clock())
    add(council.context, "ann", Role.ADMINISTRATOR)
    add(council.context, "pia", Role.PROVIDER, provider="vale-buses")
    return council


def test_by_every_route(town: Council) -> None:
    """What names another's thing is refused; what lists shows their own, and no other."""
    pia = Staff(town.context).signer(town, "pia")
    asked = [rule for rule, right in ROUTES.items() if right in THEIRS]
    assert len(asked) >= 10
    for method, rule in asked:
        for named in (OWN, OTHER):
            path = rule
            for name, value in named.items():
                path = path.replace(f"<{name}>", value)
            assert "<" not in path, f"say here what {rule} is of"
            answer = pia.get(path) if method == "GET" else pia.post(path, BODIES[rule])
            shown = json.dumps(answer.json)
            if named is OTHER and path != rule:
                assert answer.outcome in REFUSED, rule
            else:
                assert answer.status == 200, rule
                assert "pool" not in shown, rule
                assert path != rule or "vale-buses" in shown, rule


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_by_every_command(town: Council) -> None:
    """The same at the keyboard."""
    Staff(town.context).is_at_the_keyboard("pia")
    commands = [name for name, right in COMMANDS.items() if right in THEIRS]
    assert len(commands) >= 7
    for name in commands:
        for named in (OWN, OTHER):
            words = [*name.split(), *_arguments(ALL_COMMANDS[name], named)]
            done = typed(town, *words, "--json")
            is_of_other = named is OTHER and any(value in words for value in OTHER.values())
            assert done.exit_code == (1 if is_of_other else 0), (name, done.output)
            assert "pool" not in done.stdout, name


def _arguments(command: click.Command, named: dict[str, str]) -> Iterator[str]:
    """What it is asked of, and of which days."""
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield (DAYS | named)[str(parameter.name)]
