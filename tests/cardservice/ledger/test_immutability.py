"""What is posted stays: the service's role may not change it, and the tables refuse even their owner."""

from dataclasses import fields

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

import cardservice.circulation.models
import cardservice.pupils.models
import cardservice.rating.models
import cardservice.sip2.models  # noqa: F401 - each registers tables that nothing else here does
from cardservice.database import Database, grant_service_role, metadata
from cardservice.grants import GRANTS
from cardservice.ids import PayerId, new_id
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.posting import post
from cardservice.ledger.verify import verify
from tests.cardservice.ledger.postings import sale, transaction, view_of
from tests.support.databases import SERVICE_ROLE

UNCHANGING = ("ledger_transaction", "transfer", "transaction_proof")
CHANGES = {
    "update": "UPDATE {} SET payer_id = payer_id",
    "delete": "DELETE FROM {}",
    "truncate": "TRUNCATE {} CASCADE",
}
ON_POSTGRESQL = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


@pytest.mark.parametrize("table", UNCHANGING)
def test_even_the_owner_changes_nothing(
    database: Database, owner_database: Database, payer: PayerId, table: str
) -> None:
    post(database, [sale(payer, 1, 200)])
    for change, statement in CHANGES.items():
        if change == "truncate" and database.dialect == "sqlite":
            continue  # which has no such statement
        with pytest.raises(IntegrityError, match="never changed"), owner_database.begin() as connection:
            connection.execute(text(statement.format(table)))
    assert view_of(database, payer).prepaid.balance == 300
    assert verify(database).is_clean


@ON_POSTGRESQL
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", UNCHANGING)
def test_the_service_has_no_right_to(database: Database, payer: PayerId, table: str, change: str) -> None:
    post(database, [sale(payer, 1, 200)])
    with pytest.raises(ProgrammingError, match="permission denied"), database.begin() as connection:
        connection.execute(text(CHANGES[change].format(table)))


@ON_POSTGRESQL
def test_the_services_role_owns_nothing_and_is_nothing_special(database: Database) -> None:
    with database.reading() as connection:
        assert connection.execute(text("SELECT current_user")).scalar_one() == SERVICE_ROLE
        owned = connection.execute(
            text("SELECT relname FROM pg_class WHERE relowner = current_user::regrole")
        ).all()
        special = connection.execute(
            text(
                "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
                " FROM pg_roles WHERE rolname = current_user"
            )
        ).scalar_one()
        schema = connection.execute(
            text("SELECT has_schema_privilege(current_user, 'public', 'CREATE')")
        ).scalar_one()
    assert (owned, special, schema) == ([], False, False)


@ON_POSTGRESQL
def test_the_services_role_has_exactly_the_rights_that_are_listed(database: Database) -> None:
    with database.reading() as connection:
        tables = connection.execute(
            text(
                "SELECT table_name, privilege_type FROM information_schema.role_table_grants"
                " WHERE grantee = :role"
            ),
            {"role": SERVICE_ROLE},
        ).all()
        columns = connection.execute(
            text(
                "SELECT c.table_name, c.privilege_type, c.column_name"
                " FROM information_schema.role_column_grants c"
                " WHERE c.grantee = :role AND NOT EXISTS (SELECT FROM information_schema.role_table_grants t"
                " WHERE t.grantee = c.grantee AND t.table_name = c.table_name"
                " AND t.privilege_type = c.privilege_type)"
            ),
            {"role": SERVICE_ROLE},
        ).all()
    found: dict[str, set[str]] = {}
    for table, right in tables:
        found.setdefault(table, set()).add(right)
    for table, right, column in columns:
        found.setdefault(table, set()).add(f"{right} {column}")
    said = {table: {part for right in rights for part in _parts(right)} for table, rights in GRANTS.items()}
    assert found == said
    assert set(said) == {*metadata.tables, "alembic_version"}
    # The three that are never changed, written out: a change of the list alone does not pass.
    assert [GRANTS[table] for table in UNCHANGING] == [("SELECT", "INSERT")] * 3


@ON_POSTGRESQL
def test_granting_again_takes_away_what_was_given_beside(
    database: Database, owner_database: Database
) -> None:
    with owner_database.begin() as connection:
        connection.execute(text(f"GRANT ALL ON transfer TO {SERVICE_ROLE}"))
        grant_service_role(connection, SERVICE_ROLE)
    with pytest.raises(ProgrammingError, match="permission denied"), database.begin() as connection:
        connection.execute(text("TRUNCATE transfer CASCADE"))


def test_a_transaction_without_a_payers_state_is_impossible(owner_database: Database) -> None:
    columns = transaction(origin="staff")
    values = {field.name: getattr(columns, field.name) for field in fields(columns)}
    row = insert(ledger_transaction).values(**values | {"payer_id": new_id(), "flags": []})
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), owner_database.begin() as connection:
        connection.execute(row)


def _parts(right: str) -> list[str]:
    name, _, columns = right.partition(" (")
    return [f"{name} {column.strip()}" for column in columns.rstrip(")").split(",")] if columns else [name]
