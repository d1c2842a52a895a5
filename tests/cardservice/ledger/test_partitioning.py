"""The ledger by months: divided while it is used, as right and as unchanging as it was, in each partition."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError

from cardservice.cardholders.erasure import erase_cardholder
from cardservice.cli import main
from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.closing.seals import seal_days
from cardservice.ledger.closing.sequencing import sequence
from cardservice.ledger.distributing import distribute
from cardservice.ledger.errors import CannotDivide
from cardservice.ledger.partitioning import (
    AHEAD,
    DIVIDED,
    bound_after,
    division,
    first_id,
    make_months,
    partition,
)
from cardservice.ledger.posting import post
from cardservice.ledger.retention import erase_due
from cardservice.ledger.values import Outcome
from cardservice.ledger.verify import verify
from cardservice.upkeep import calendar_of
from tests.cardservice.authorisation.lives import lives_in
from tests.cardservice.ledger.postings import sale, view_of
from tests.support.council import ACTOR, Council, message, new_id, request_for
from tests.support.databases import SERVICE_ROLE, DatabaseUrls

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
NOW = datetime.now(UTC)
FROM = bound_after(NOW)
# A month that the worker makes, and a time that is in none
LATER, NEVER = FROM + timedelta(days=3), FROM + timedelta(days=4000)


def id_of(moment: datetime) -> TransactionId:
    """An id as a terminal's clock would make it then."""
    return TransactionId(UUID(int=first_id(moment).int | new_id().int & (1 << 80) - 1))


def divided(owner: Database) -> None:
    """Divide it, with the worker's months up to `LATER`."""
    partition(owner.engine, NOW, SERVICE_ROLE)
    with owner.begin() as connection:
        connection.execute(text("SELECT make_ledger_months(:moment, 1)"), {"moment": LATER})


@pytest.fixture
def parts(owner_database: Database) -> Database:
    """The ledger, divided before anything was posted."""
    divided(owner_database)
    return owner_database


def places(connection: Connection, table: str) -> dict[str, int]:
    """How many rows lie in which partition."""
    found = connection.execute(
        text(f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1")  # noqa: S608 - a table's name
    )
    return {str(part): int(count) for part, count in found}


def month(table: str) -> str:
    """The first partition of its own."""
    return f"{table}_{FROM:%Y_%m}"


def test_what_was_there_stays_and_what_comes_is_posted(
    database: Database, owner_database: Database, payer: PayerId
) -> None:
    """Divided between two sales: each lies where its id says, and the ledger adds up."""
    assert post(database, [sale(payer, 1, 200)])[0].outcome is Outcome.POSTED
    done = partition(owner_database.engine, NOW, SERVICE_ROLE)
    assert done[0] == f"every row of transaction_proof is of before {FROM:%Y-%m-%d}"
    with owner_database.begin() as connection:
        connection.execute(text("SELECT make_ledger_months(:moment, 1)"), {"moment": LATER})
    for version, moment in enumerate((NOW, LATER, NEVER), 2):
        posted = post(database, [sale(payer, version, 10, id=id_of(moment))])
        assert posted[0].outcome is Outcome.POSTED
    with owner_database.reading() as connection:
        for table in DIVIDED:
            found = places(connection, table)
            assert (found[month(table)], found[f"{table}_default"]) == (1, 1), table
            assert found[f"{table}_before"] >= 2
        lies = division(connection)
    assert (lies.is_done, lies.in_default) == (True, 3)
    assert view_of(database, payer).prepaid.balance == 270
    assert verify(database).is_clean


def test_the_same_id_is_still_known(database: Database, parts: Database, payer: PayerId) -> None:
    known = id_of(LATER)
    post(database, [sale(payer, 1, 200, id=known)])
    [again] = post(database, [sale(payer, 2, 200, id=known)])
    assert again.outcome is Outcome.KNOWN
    assert view_of(database, payer).prepaid.balance == 300


@pytest.mark.parametrize("table", DIVIDED)
def test_even_the_owner_changes_nothing_in_any_partition(
    database: Database, parts: Database, payer: PayerId, table: str
) -> None:
    """Neither by the table nor past it."""
    for version, moment in enumerate((NOW, LATER, NEVER), 1):
        post(database, [sale(payer, version, 10, id=id_of(moment))])
    for part in (table, f"{table}_before", month(table), f"{table}_default"):
        for change in ("UPDATE {} SET payer_id = payer_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
            with pytest.raises(IntegrityError, match="never changed"), parts.begin() as connection:
                connection.execute(text(change.format(part)))


def test_the_service_comes_to_partitions_by_their_table_alone(database: Database, parts: Database) -> None:
    """It may add to the table and read it, and make months; it owns none of it."""
    for table in DIVIDED:
        with database.reading() as connection:
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() >= 0  # noqa: S608
        for statement in ("SELECT * FROM {}", "DELETE FROM {}", "DROP TABLE {}"):
            with pytest.raises(ProgrammingError), database.begin() as connection:
                connection.execute(text(statement.format(month(table))))
        with pytest.raises(ProgrammingError, match="permission denied"), database.begin() as connection:
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - a table's name
    with pytest.raises(ProgrammingError), database.begin() as connection:
        connection.execute(text("SELECT protect_ledger_partition('audit')"))


@pytest.mark.parametrize("moment", [NOW, LATER, NEVER])
def test_no_transfer_is_without_its_transaction(parts: Database, payer: PayerId, moment: datetime) -> None:
    """Foreign keys hold in each partition."""
    insert = (
        "INSERT INTO transfer (payer_id, transaction_id, line, debit, credit, amount_minor, unit)"
        " VALUES (:payer, :id, 1, 'a', 'b', 1, 'GBP')"
    )
    with pytest.raises(IntegrityError, match="foreign key"), parts.begin() as connection:
        connection.execute(text(insert), {"payer": payer, "id": id_of(moment)})


_STRUCTURE = (
    """SELECT c.relname, k.conname, replace(pg_get_constraintdef(k.oid), ' NOT VALID', '')
       FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
       WHERE k.conparentid = 0 AND c.relname = ANY (:names)""",
    """SELECT c.relname, i.relname FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
       JOIN pg_class i ON i.oid = x.indexrelid WHERE c.relname = ANY (:names)""",
    """SELECT c.relname, t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t
       JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND c.relname = ANY (:names)""",
    """SELECT c.relname, a.grantee::regrole::text, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
       WHERE a.grantee <> c.relowner AND c.relname = ANY (:names)""",
    """SELECT k.conrelid::regclass::text, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k
       JOIN pg_class c ON c.oid = k.confrelid JOIN pg_class r ON r.oid = k.conrelid
       WHERE k.conparentid = 0 AND NOT r.relispartition AND c.relname = ANY (:names)""",
)


def test_nothing_of_the_schema_is_lost(owner_database: Database) -> None:
    """Constraints, indexes, triggers and rights of each table are those of before, by their names."""

    def found(connection: Connection) -> list[tuple[str, ...]]:
        rows = [connection.execute(text(query), {"names": list(DIVIDED)}) for query in _STRUCTURE]
        return sorted(tuple(map(str, row)) for each in rows for row in each)

    with owner_database.reading() as connection:
        before = found(connection)
    divided(owner_database)
    with owner_database.reading() as connection:
        assert found(connection) == before


def test_it_gives_up_where_a_table_is_in_use_and_is_done_again(
    database: Database, owner_database: Database, payer: PayerId
) -> None:
    """A reader of minutes does not make everybody else wait behind the dividing."""
    post(database, [sale(payer, 1, 200)])
    with database.reading() as reader:
        reader.execute(text("SELECT count(*) FROM transfer"))
        with pytest.raises(OperationalError, match="lock timeout"):
            partition(owner_database.engine, NOW, SERVICE_ROLE)
    with owner_database.reading() as connection:
        assert set(division(connection).whole) == set(DIVIDED)
    post(database, [sale(payer, 2, 100)])
    partition(owner_database.engine, NOW, SERVICE_ROLE)
    assert partition(owner_database.engine, NOW, SERVICE_ROLE) == []
    with owner_database.reading() as connection:
        assert division(connection).is_done
    assert verify(database).is_clean


def test_what_is_refused(database: Database, owner_database: Database, payer: PayerId) -> None:
    """Who is not the owner; and a row of a month to come, whose partition it would have to leave."""
    with pytest.raises(CannotDivide, match="owner"):
        partition(database.engine, NOW, SERVICE_ROLE)
    post(database, [sale(payer, 1, 200, id=id_of(LATER))])
    with pytest.raises(CannotDivide, match="whose time is to come"):
        partition(owner_database.engine, NOW, SERVICE_ROLE)
    assert post(database, [sale(payer, 2, 100, id=id_of(LATER))])[0].outcome is Outcome.POSTED


def test_a_ledger_by_months_is_not_divided_over_a_cluster(owner_database: Database) -> None:
    """It is said before anything is done, wherever it lies."""
    partition(owner_database.engine, NOW, SERVICE_ROLE)
    with pytest.raises(CannotDivide, match="by months"):
        distribute(owner_database.engine)


def test_the_worker_makes_the_months(database: Database, parts: Database) -> None:
    """Ahead, once, by the one function that its role may call; and nothing where the ledger is whole."""
    made = make_months(database, LATER)
    assert len(made) >= AHEAD * len(DIVIDED) - len(DIVIDED)
    assert make_months(database, LATER) == ()
    with parts.reading() as connection:
        months = division(connection).months["ledger_transaction"]
    assert month("ledger_transaction") in months
    assert months[0] == "ledger_transaction_before"
    assert months[-1] == "ledger_transaction_default"


def test_a_whole_ledger_needs_no_months(database: Database) -> None:
    assert make_months(database, NOW) == ()


def test_a_life_goes_on(council: Council, owner_database: Database) -> None:
    """Through the service: a fare before and one after, seals, a retention that is over, and an erasure."""
    council.load_fares()
    bus, card = council.terminal("bus-12"), council.card(top_up_minor=480)
    first = request_for(bus, card)
    assert bus.post("/v1/authorisations", message(first, card)).json["decision"] == "approved"
    divided(owner_database)
    assert bus.post("/v1/authorisations", message(first, card)).json["repeated"]
    second = request_for(bus, card)
    assert bus.post("/v1/authorisations", message(second, card)).json["decision"] == "approved"
    refund = {"id": str(new_id()), "sale": str(second.id), "card": str(card.id)}
    assert bus.post("/v1/refunds", refund).json["decision"] == "approved"
    third = request_for(bus, card)
    assert bus.post("/v1/authorisations", message(third, card)).json["decision"] == "approved"
    council.clock.advance(days=1)
    database = council.context.database
    assert sequence(database, calendar_of(council.context)) >= 5
    seal_days(database, calendar_of(council.context), council.context.scheme.id, council.context.keys)
    council.clock.advance(days=400)
    erased = erase_due(database, "travel", 56, council.clock(), lambda *_: None)
    assert sum(erased) > 0
    assert verify(database).is_clean
    erase_cardholder(council.context, card.holder, actor=ACTOR)
    assert verify(database).is_clean


def test_an_old_month_is_dumped_and_read_elsewhere(
    database: Database,
    parts: Database,
    database_urls: DatabaseUrls,
    empty_database_urls: DatabaseUrls,
    payer: PayerId,
    tmp_path: Path,
) -> None:
    """As docs/operations.md says. It is not detached: the rest of the ledger names it, and would lack it."""
    post(database, [sale(payer, 1, 200, id=id_of(LATER))])
    name = month("transfer")
    dumped = tmp_path / "month.sql"
    command = ["pg_dump", "--no-owner", "--no-privileges", "--section=pre-data", "--section=data"]
    with dumped.open("wb") as out:
        subprocess.run([*command, f"--table={name}", database_urls.owner], stdout=out, check=True)
    restore = ["psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(dumped), empty_database_urls.owner]
    wanted = f"SELECT amount_minor FROM {name}"  # noqa: S608 - a table's name
    read = ["psql", "-At", "-c", wanted, empty_database_urls.owner]
    # The dump says of which table it is a partition: without that it is a table of its own.
    kept = [line for line in dumped.read_text().splitlines() if "ATTACH PARTITION" not in line]
    dumped.write_text("\n".join(kept))
    subprocess.run(restore, check=True, capture_output=True)
    assert subprocess.run(read, check=True, capture_output=True, text=True).stdout == "200\n"
    with pytest.raises(DBAPIError), parts.begin() as connection:
        connection.execute(
            text(f"ALTER TABLE ledger_transaction DETACH PARTITION {month('ledger_transaction')}")
        )


def test_the_command(database_urls: DatabaseUrls, owner_database: Database) -> None:
    """First what would be done, then done, then how it lies."""
    environment = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": database_urls.service,
        "CARDSERVICE_OWNER_DATABASE_URL": database_urls.owner,
        "CARDSERVICE_PKI_DIR": "/nowhere",
        "CARDSERVICE_PUBLIC_ORIGIN": "https://cards.ashcombe.example",
        "CARDSERVICE_PASSPHRASE": "x",
    }

    def ran(*more: str) -> dict[str, object]:
        result = CliRunner().invoke(main, ["ledger", "partition", "--json", *more], env=environment)
        assert result.exit_code == 0, result.output
        found: dict[str, object] = json.loads(result.output)
        return found

    assert ran("--dry-run")["whole"] == list(DIVIDED)
    with owner_database.reading() as connection:
        assert division(connection).divided == ()
    first = ran()
    assert (first["is_done"], first["whole"]) == (True, [])
    assert first["done"]
    assert ran() == {**first, "done": []}


@pytest.mark.long
def test_whatever_happens_on_a_divided_ledger(council: Council, owner_database: Database) -> None:
    """What is held of a whole ledger holds of one by months."""
    divided(owner_database)
    run_state_machine_as_test(
        lives_in(council),
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
