"""Tables that become partitions: all that hangs on them is taken off, carried over, and put on again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class _ForeignKey:
    """A foreign key as the database has it; the definition names tables as they are called for all."""

    table: str
    name: str
    target: str
    definition: str


def divide(connection: Connection, columns: Mapping[str, str], bound: UUID) -> None:
    """Make each table the first partition of one of its name, up to `bound` of the column that is named.

    In one transaction, whose end makes it so. Every row is known to be before the bound, by a CHECK.
    """
    tables = list(columns)
    foreign = _foreign_keys(connection, tables)
    inner = [each for each in foreign if each.table in columns]
    for each in foreign:
        if each.target in columns:
            _run(connection, f'ALTER TABLE {each.table} DROP CONSTRAINT "{each.name}"')
    for table in tables:
        _divide_one(connection, table, columns[table], bound)
    for table in tables:
        # Rows whose time is wrong
        _run(connection, f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
        for part in ("before", "default"):
            _run(connection, f"SELECT protect_ledger_partition('{table}_{part}')")
    for each in foreign:
        if each not in inner:
            _run(
                connection,
                f'ALTER TABLE {each.table} ADD CONSTRAINT "{each.name}" {each.definition} NOT VALID',
            )
    for each in inner:
        _keep(connection, each, is_proved=each.target not in columns)


def _divide_one(connection: Connection, table: str, column: str, bound: UUID) -> None:
    before = f"{table}_before"
    triggers = _texts(
        connection,
        "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger"
        " WHERE tgrelid = CAST(:name AS regclass) AND NOT tgisinternal ORDER BY tgname",
        table,
    )
    indexes = _texts(
        connection,
        "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = CAST(:name AS regclass) AND NOT i.indisprimary ORDER BY c.relname",
        table,
    )
    [(key, key_definition)] = _texts(
        connection,
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = CAST(:name AS regclass) AND contype = 'p'",
        table,
    )
    rights = _rights(connection, table)
    for name, _ in triggers:
        _run(connection, f'DROP TRIGGER "{name}" ON {table}')
    _run(connection, f"ALTER TABLE {table} RENAME TO {before}")
    for name in (key, *(name for name, _ in indexes)):
        _run(connection, f'ALTER INDEX "{name}" RENAME TO "{name}_before"')
    _run(
        connection,
        f"CREATE TABLE {table} (LIKE {before} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED"
        f" INCLUDING STORAGE INCLUDING COMMENTS) PARTITION BY RANGE ({column})",
    )
    # By it the rows of the first partition are known to belong there, and are not read again.
    _run(connection, f'ALTER TABLE {table} DROP CONSTRAINT "ck_{table}_before"')
    _run(connection, f'ALTER TABLE {table} ADD CONSTRAINT "{key}" {key_definition}')
    for _, definition in indexes:
        _run(connection, definition)
    _run(
        connection, f"ALTER TABLE {table} ATTACH PARTITION {before} FOR VALUES FROM (MINVALUE) TO ('{bound}')"
    )
    _run(connection, f'ALTER TABLE {before} DROP CONSTRAINT "ck_{table}_before"')
    for _, definition in triggers:
        _run(connection, definition)
    for right in rights:
        _run(connection, right)


def prove(connection: Connection, tables: Sequence[str]) -> list[tuple[str, str]]:
    """Have the tables themselves keep the foreign keys that each of their partitions keeps: which ones."""
    found = connection.execute(
        text(
            "SELECT p.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k"
            " JOIN pg_inherits i ON i.inhrelid = k.conrelid JOIN pg_class p ON p.oid = i.inhparent"
            " WHERE k.contype = 'f' AND k.conparentid = 0 AND k.convalidated"
            " AND p.relname = ANY (:tables) AND k.conrelid = to_regclass('public.' || p.relname || '_before')"
            " ORDER BY 1, 2"
        ),
        {"tables": list(tables)},
    ).all()
    for table, name, definition in found:
        _run(connection, f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
    return [(str(table), str(name)) for table, name, _ in found]


def _keep(connection: Connection, foreign: _ForeignKey, *, is_proved: bool) -> None:
    """A foreign key of a table that is divided: of the table where its rows are known to keep it."""
    if is_proved:
        _run(connection, f'ALTER TABLE {foreign.table} ADD CONSTRAINT "{foreign.name}" {foreign.definition}')
        return
    for part, doubt in (("before", " NOT VALID"), ("default", "")):
        _run(
            connection,
            f'ALTER TABLE {foreign.table}_{part} ADD CONSTRAINT "{foreign.name}" {foreign.definition}{doubt}',
        )


def _foreign_keys(connection: Connection, tables: Sequence[str]) -> list[_ForeignKey]:
    found = connection.execute(
        text(
            "SELECT conrelid::regclass::text, conname, confrelid::regclass::text, pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE contype = 'f' AND conparentid = 0"
            " AND (conrelid::regclass::text = ANY (:tables) OR confrelid::regclass::text = ANY (:tables))"
            " ORDER BY 1, 2"
        ),
        {"tables": list(tables)},
    )
    return [_ForeignKey(*map(str, row)) for row in found]


def _rights(connection: Connection, table: str) -> list[str]:
    """What others may do with a table and its columns, as statements."""
    found = connection.execute(
        text(
            "SELECT format('GRANT %s ON %I TO %s', a.privilege_type, c.relname, a.grantee::regrole)"
            " FROM pg_class c, aclexplode(c.relacl) a"
            " WHERE c.oid = CAST(:name AS regclass) AND a.grantee <> c.relowner AND a.grantee <> 0"
            " UNION ALL"
            " SELECT format('GRANT %s (%I) ON %I TO %s', a.privilege_type, t.attname, c.relname,"
            " a.grantee::regrole)"
            " FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a"
            " WHERE c.oid = CAST(:name AS regclass) AND a.grantee <> c.relowner AND a.grantee <> 0"
        ),
        {"name": table},
    )
    return [str(statement) for (statement,) in found]


def _texts(connection: Connection, query: str, table: str) -> list[tuple[str, str]]:
    return [(str(name), str(said)) for name, said in connection.execute(text(query), {"name": table})]


def _run(connection: Connection, statement: str) -> None:
    # Not by `text`: what the database says of itself may have a colon.
    connection.exec_driver_sql(statement.replace("%", "%%"))
