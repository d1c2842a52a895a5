"""What the commands that run a service say of themselves, and where the database is away; an example town."""

import json
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from cardservice.audit.models import audit
from cardservice.cli import main
from cardservice.commands.common import database_away
from cardservice.context import Context
from cardservice.ledger.payers import history_of
from cardservice.ledger.verify import verify
from cardservice.payments.equation import equation
from cardservice.seeding import seed

COMMANDS = ["init", "serve", "worker", "migrate", "ledger verify", "ledger seal", "seed"]
OF_A_DATABASE = [
    "migrate --show",
    "migrate",
    "worker --once",
    "ledger verify",
    "ledger seal",
    "settlement report",
    "serve --bind 0.0.0.0:8080",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_explains_itself(name: str) -> None:
    """With an example that is a call of it, its exit statuses, and JSON but where it becomes the service."""
    told = CliRunner().invoke(main, [*name.split(), "--help"]).stdout
    assert "Exit status" in told
    assert f"    cardservice {name}" in told.partition("Examples:")[2]
    assert ("--json" in told) == (name != "serve")


@pytest.mark.parametrize("typed", OF_A_DATABASE)
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_where_the_database_is_away(environment: dict[str, str], tmp_path: Path, typed: str) -> None:
    """A sentence, and every objection of production beside it; never a traceback."""
    nowhere = f"postgresql://service@/cards?host={tmp_path}"
    names = ("CARDSERVICE_DATABASE_URL", "CARDSERVICE_OWNER_DATABASE_URL")
    away = environment | dict.fromkeys(names, nowhere) | {"CARDSERVICE_MODE": "production"}
    done = CliRunner().invoke(main, typed.split(), env=away)
    assert isinstance(done.exception, SystemExit)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the database does not answer" in done.stderr
    assert done.stderr.startswith("cardservice: ")
    assert ("forwarded_allow_ips" in done.stderr) == typed.startswith("serve")


def test_what_a_lost_session_was_asked_is_not_said() -> None:
    """It could be anybody's name."""
    lost = OperationalError(
        "INSERT INTO people VALUES (:name)", {"name": "Morgan"}, psycopg.OperationalError()
    )
    for error in (lost, psycopg.OperationalError("Morgan")):
        assert "Morgan" not in str(database_away(error))


def test_an_example_town(context: Context) -> None:
    """As many people as asked for, whom their family or they pay for; once, and it all adds up."""
    made = seed(context, 7, actor="test")
    assert len(made.people) == len(set(made.people)) == len(made.orders) == 7
    payers = [payer for _, payer in made.people.values()]
    # Adult, family of two, adult, family of two, adult.
    assert payers[1] == payers[2]
    assert payers[4] == payers[5]
    assert len(set(payers)) == 5
    with context.database.reading() as connection:
        for holder, (_, payer) in made.people.items():
            assert history_of(connection, holder)[-1].payer_id == payer
        found = equation(connection, "GBP")
        assert (found.prepaid_minor, found.difference_minor) == (made.paid_in_minor, 0)
        assert "service.seed" in connection.scalars(select(audit.c.action)).all()
        assert connection.scalar(text("SELECT count(*) FROM personalisation_order")) == 7
    assert verify(context.database).is_clean


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_example_town_is_for_a_new_service_in_development(environment: dict[str, str]) -> None:
    """Nothing is done where somebody is registered, or where cards are real."""
    run = CliRunner()
    refused = run.invoke(main, ["seed"], env=environment | {"CARDSERVICE_MODE": "production"})
    assert (refused.exit_code, "development" in refused.stderr) == (1, True)
    done = run.invoke(main, ["seed", "--people", "3", "--json"], env=environment)
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["people"]) == 3
    again = run.invoke(main, ["seed"], env=environment)
    assert (again.exit_code, "already" in again.stderr) == (1, True)
    found = run.invoke(main, ["cardholder", "find", "Cleo", "--json"], env=environment)
    assert "Cleo Ashby" in found.stdout
