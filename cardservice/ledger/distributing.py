"""The ledger over a Citus cluster: whose rows lie together; reading and posting as one command each.

Whatever begins with a payer is divided by the payer, and all of one payer lies on one node. Everything else
is the coordinator's. Foreign keys between the two are dropped: one would need the other on every node.

The functions for a cluster are made from those for one node as they stand in the database, after every
migration anew: whatever revision has put them there, theirs is what is changed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from cardservice.ledger.errors import CannotDivide, NoCluster, NotForClusters

# The first gives the others their places.
BY_PAYER = (
    "payer",
    "payer_state",
    "account",
    "counter",
    "payer_limit",
    "transaction_proof",
    "ledger_transaction",
    "transfer",
    "transaction_details",
    "rating",
    "ledger_sequence",
)
# Both are run by the node of the payer in their first argument.
TOGETHER, ONE_BY_ONE = "post_transactions_at", "post_one_by_one"
# So many are read one after the other, each by its node: a statement for all would be planned anew.
FEW_PAYERS = 4
# Few: what is posted together lies in one. Two to four for each node.
SHARDS = 8
_ROUNDS = Path(__file__).with_name("rounds.sql")
_ONE_BY_ONE = Path(__file__).with_name("posting_cluster.sql")
_READING = Path(__file__).parents[1] / "authorisation" / "reading_cluster.sql"
# A line that begins so counts on a cluster alone.
_MARK = "-- cluster: "
# Plans of one node are made once; and a node is not told how the caller's session compiles them.
_KEPT, _MADE_ANEW = "plan_cache_mode TO 'force_generic_plan'", "plan_cache_mode TO 'force_custom_plan'"
_NO_JIT = "\n SET jit TO 'off'"
# Checks of arguments, between marks, that posting one by one has from posting together.
_CHECK = re.compile(r"-- check: (\w+)\n")
# What `reading.sql` marks: on a cluster `read_payers` has asked the nodes for it.
_AS_GIVEN = {
    "payers": """p_view[array_position(p_payer, h.payer_id)] AS view,
                    ARRAY(
                        SELECT k.id::uuid
                        FROM json_array_elements_text(p_known[array_position(p_payer, h.payer_id)]) AS k (id)
                        WHERE k.id::uuid IN (m.id, m.other)
                    ) AS known
""",
}


@dataclass(frozen=True, slots=True)
class _Function:
    """A function as the database has it."""

    definition: str
    # With their types, as they stand in the definition
    arguments: str
    names: tuple[str, ...]
    types: str
    result: str


def is_distributed(connection: Connection) -> bool:
    """Whether this ledger lies on a cluster."""
    return connection.dialect.name == "postgresql" and bool(
        connection.scalar(text("SELECT to_regproc('post_transactions_at') IS NOT NULL"))
    )


def distribute(engine: Engine, shards: int = SHARDS) -> bool:
    """Divide the ledger over the cluster's nodes, with all that was posted so far; whether there was need.

    As a superuser of the coordinator's, while nobody posts. Broken off, it is done again. Raises NoCluster,
    CannotDivide and NotForClusters.
    """
    with engine.begin() as connection:
        if connection.scalar(text("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('transfer')")):
            raise CannotDivide("this ledger lies by months; only one that is whole is divided over a cluster")
        found = connection.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'citus'"))
        if not found:
            raise NoCluster(
                "the database has no Citus: CREATE EXTENSION citus, and citus_add_node for each node"
            )
        divided = is_distributed(connection)
        if not divided:
            _make_rounds(connection)
    if divided:
        _drop_local_rows(engine)
        return False
    with engine.begin() as connection:
        # Each node is asked in a session of its own, which sees what was committed.
        connection.exec_driver_sql("SELECT run_command_on_all_nodes('SELECT round_has_begun(0)')")
        _divide(connection, shards)
    _drop_local_rows(engine)
    return True


def _drop_local_rows(engine: Engine) -> None:
    """Rows that were copied to the nodes lie at the coordinator, too: hidden, and never erased by anybody."""
    with engine.begin() as connection:
        # The triggers refuse it, and are right about every row that anybody sees.
        connection.execute(text("SET LOCAL session_replication_role = 'replica'"))
        for name in BY_PAYER:
            connection.execute(
                text("SELECT truncate_local_data_after_distributing_table(to_regclass(:name))"),
                {"name": name},
            )


def _divide(connection: Connection, shards: int) -> None:
    allow_changes(connection)
    _drop_crossing_keys(connection)
    connection.exec_driver_sql("UPDATE ledger_position SET posted_below = 0")
    connection.exec_driver_sql(
        "CREATE TRIGGER ledger_transaction_round BEFORE INSERT ON ledger_transaction"
        " FOR EACH ROW EXECUTE FUNCTION stamp_round()"
    )
    # What is unique on a cluster has the payer in it; that a number is given once, `verify` looks at.
    connection.exec_driver_sql(
        "ALTER TABLE ledger_sequence DROP CONSTRAINT pk_ledger_sequence,"
        " ADD CONSTRAINT pk_ledger_sequence PRIMARY KEY (shard, epoch, sequence, payer_id)"
    )
    first, *others = BY_PAYER
    connection.execute(
        text("SELECT create_distributed_table(:name, 'id', shard_count := :shards, colocate_with := 'none')"),
        {"name": first, "shards": shards},
    )
    for name in others:
        connection.execute(
            text("SELECT create_distributed_table(:name, 'payer_id', colocate_with := :first)"),
            {"name": name, "first": first},
        )
    put_functions(connection)


def allow_changes(connection: Connection) -> None:
    """Let this transaction change several divided tables, and triggers on them."""
    connection.execute(text("SET LOCAL citus.multi_shard_modify_mode = 'sequential'"))
    connection.execute(text("SET LOCAL citus.enable_unsafe_triggers = on"))


def put_functions(connection: Connection) -> None:
    """Make the functions for a cluster from those for one node, where a migration has put these.

    Done twice, it changes nothing. Raises NotForClusters where one of them does not say what is other there.
    """
    posting = _function(connection, "post_transactions")
    reading = _function(connection, "read_for_messages")
    if posting is None or reading is None:
        return  # brought down to before they were
    _post_at_the_node(connection, posting)
    _read_at_the_nodes(connection, reading)
    connection.exec_driver_sql(
        "SELECT create_distributed_function('read_payer(uuid, uuid[])', 'p_payer', colocate_with := 'payer')"
    )


def _drop_crossing_keys(connection: Connection) -> None:
    keys = connection.execute(
        text(
            "SELECT conname, conrelid::regclass::text AS having, confrelid::regclass::text AS named"
            " FROM pg_constraint WHERE contype = 'f'"
        )
    ).all()
    quote = connection.dialect.identifier_preparer.quote
    for key in keys:
        if (key.having in BY_PAYER) != (key.named in BY_PAYER):
            connection.execute(text(f"ALTER TABLE {quote(key.having)} DROP CONSTRAINT {quote(key.conname)}"))


def _make_rounds(connection: Connection) -> None:
    """What gives rows their rounds, on every node; it is done again on a node that is added."""
    _execute(connection, _ROUNDS.read_text(encoding="utf-8"))
    for function in ("stamp_round()", "round_has_begun(bigint)"):
        connection.exec_driver_sql(f"SELECT create_distributed_function('{function}')")


def _function(connection: Connection, name: str) -> _Function | None:
    row = connection.execute(
        text(
            "SELECT pg_get_functiondef(oid) AS definition, pg_get_function_arguments(oid) AS arguments,"
            " proargnames[1\\:pronargs] AS names, pg_get_function_result(oid) AS result,"
            " (SELECT string_agg(format_type(kind, NULL), ', ' ORDER BY place)"
            "  FROM unnest(proargtypes) WITH ORDINALITY AS t (kind, place)) AS types"
            " FROM pg_proc WHERE oid = to_regproc(:name)"
        ),
        {"name": name},
    ).one_or_none()
    if row is None:
        return None
    return _Function(row.definition, row.arguments, tuple(row.names), row.types, row.result)


def _post_at_the_node(connection: Connection, posting: _Function) -> None:
    """`post_transactions` on every node, and functions that are run by the node of their first argument.

    Its plans are made for each call: with values that are known it is one shard's, and sent there; a plan for
    any values would be one for all shards, which may not be locked together. So few are posted one by one.
    """
    if _MARK in posting.definition:
        made = posting.definition.replace(_KEPT, _MADE_ANEW + _NO_JIT)
        _execute(connection, made.replace(_MARK, ""))
    elif "force_custom_plan" not in posting.definition:
        raise NotForClusters("post_transactions")
    for name in (TOGETHER, ONE_BY_ONE):
        former = _function(connection, name)
        if former is not None and former.types != f"uuid, {posting.types}":
            connection.exec_driver_sql(f"DROP FUNCTION {name}({former.types})")
    passed = ", ".join(f"{name} => {name}" for name in posting.names)
    _execute(
        connection,
        f"CREATE OR REPLACE FUNCTION {TOGETHER}(p_route uuid, {posting.arguments})"  # noqa: S608 - ours
        f" RETURNS {posting.result} LANGUAGE plpgsql VOLATILE AS $$"
        f" BEGIN RETURN QUERY SELECT * FROM post_transactions({passed}); END $$",
    )
    _put_one_by_one(connection, posting)
    connection.exec_driver_sql(f"SELECT create_distributed_function('post_transactions({posting.types})')")
    for name in (TOGETHER, ONE_BY_ONE):
        connection.exec_driver_sql(
            f"SELECT create_distributed_function('{name}(uuid, {posting.types})', 'p_route',"
            " colocate_with := 'payer')"
        )


def put_one_by_one(connection: Connection) -> None:
    """The function that posts one after the other, beside the one for many; it does so on one node, too."""
    posting = _function(connection, "post_transactions")
    if posting is not None:
        _put_one_by_one(connection, posting)


def _put_one_by_one(connection: Connection, posting: _Function) -> None:
    """With the arguments and the checks of the other. Raises NotForClusters where one is not there."""

    def check(mark: re.Match[str]) -> str:
        _, found, rest = posting.definition.partition(mark[0])
        if not found:
            raise NotForClusters("post_transactions")
        return rest.split("-- end\n", 1)[0]

    source = _CHECK.sub(check, _ONE_BY_ONE.read_text(encoding="utf-8"))
    _execute(connection, source.replace(":arguments", posting.arguments).replace(":result", posting.result))


def _read_at_the_nodes(connection: Connection, reading: _Function) -> None:
    """`read_for_messages` for a cluster: its rows of payers come from their nodes, all else from here.

    In the place of the function for one node, which reads all at one moment: of several there is none.
    """
    if "-- end\n" in reading.definition:
        beside = reading.definition
        for marked, given in _AS_GIVEN.items():
            before, found, rest = beside.partition(f"-- {marked}:")
            if not found:
                raise NotForClusters("read_for_messages")
            beside = before + given + rest.split("-- end\n", 1)[1]
        own = f"read_for_messages({reading.arguments})"
        given = "p_payer uuid[], p_view json[], p_known json[]"
        for former in connection.scalars(
            text("SELECT oid::regprocedure::text FROM pg_proc WHERE proname = 'read_beside'")
        ).all():
            connection.exec_driver_sql(f"DROP FUNCTION {former}")
        _execute(connection, beside.replace(own, f"read_beside({reading.arguments}, {given})"))
    elif "read_beside" not in reading.definition:
        raise NotForClusters("read_for_messages")
    _execute(
        connection,
        _READING.read_text(encoding="utf-8")
        .replace(":arguments", reading.arguments)
        .replace(":result", reading.result)
        .replace(":few", str(FEW_PAYERS))
        .replace(":passed", ", ".join(f"{name} => {name}" for name in reading.names)),
    )


def _execute(connection: Connection, source: str) -> None:
    connection.exec_driver_sql(source.replace("%", "%%"))
