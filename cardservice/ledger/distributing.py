"""The ledger over a Citus cluster: whose rows lie together; reading and posting as one command each.

Whatever begins with a payer is divided by the payer, and all of one payer lies on one node. Everything else
is the coordinator's. Foreign keys between the two are dropped: one would need the other on every node.
"""

from pathlib import Path

from sqlalchemy import Connection, text

from cardservice.ledger.errors import NoCluster
from cardservice.ledger.posting_postgresql import ARGUMENTS

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
)
# Few: what is posted together lies in one. Two to four for each node.
SHARDS = 8
_SQL = Path(__file__).with_name("posting.sql")
_READING = Path(__file__).parents[1] / "authorisation"
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


def is_distributed(connection: Connection) -> bool:
    """Whether this ledger lies on a cluster."""
    return bool(connection.scalar(text("SELECT to_regproc('post_transactions_at') IS NOT NULL")))


def distribute(connection: Connection, shards: int = SHARDS) -> bool:
    """Divide the ledger over the cluster's nodes, in the caller's transaction; whether there was need.

    As a superuser of the coordinator's. Raises NoCluster.
    """
    installed = connection.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'citus'"))
    if not installed:
        raise NoCluster("the database has no Citus: CREATE EXTENSION citus, and citus_add_node for each node")
    if is_distributed(connection):
        return False
    # Several tables in one transaction; triggers on what is divided hold for whoever is no superuser.
    connection.execute(text("SET LOCAL citus.multi_shard_modify_mode = 'sequential'"))
    connection.execute(text("SET LOCAL citus.enable_unsafe_triggers = on"))
    _drop_crossing_keys(connection)
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
    _post_at_the_node(connection)
    _read_at_the_nodes(connection)
    return True


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


def replace_functions(connection: Connection) -> None:
    """Put the functions of this program in the place of those that a cluster has, as `distribute` did."""
    _replace_posting(connection)
    _read_at_the_nodes(connection)


def _replace_posting(connection: Connection) -> None:
    posting = _SQL.read_text(encoding="utf-8").replace(
        "SET plan_cache_mode = force_generic_plan", "SET plan_cache_mode = force_custom_plan"
    )
    connection.exec_driver_sql(posting.replace("-- cluster: ", "").replace("%", "%%"))


def _post_at_the_node(connection: Connection) -> None:
    """`post_transactions` on every node, and a function that is run by the node of its first argument.

    Its plans are made for each call: with values that are known it is one shard's, and sent there; a plan for
    any values would be one for all shards, which may not be locked together.
    """
    _replace_posting(connection)
    kinds = ", ".join(kind for _, kind in ARGUMENTS)
    named = ", ".join(f"p_{name} {kind}" for name, kind in ARGUMENTS)
    passed = ", ".join(f"p_{name} => p_{name}" for name, _ in ARGUMENTS)
    connection.exec_driver_sql(
        f"CREATE FUNCTION post_transactions_at(p_route uuid, {named})"  # noqa: S608 - only names of ours
        " RETURNS TABLE (out_row integer, out_outcome text, out_version bigint, out_known_under uuid)"
        " LANGUAGE plpgsql VOLATILE AS $$"
        f" BEGIN RETURN QUERY SELECT * FROM post_transactions({passed}); END $$"
    )
    connection.exec_driver_sql(f"SELECT create_distributed_function('post_transactions({kinds})')")
    connection.exec_driver_sql(
        f"SELECT create_distributed_function('post_transactions_at(uuid, {kinds})', 'p_route',"
        " colocate_with := 'payer')"
    )


def _read_at_the_nodes(connection: Connection) -> None:
    """`read_for_messages` for a cluster: its rows of payers come from their nodes, all else from here.

    In the place of the function for one node, which reads all at one moment: of several there is none.
    """
    beside = (_READING / "reading.sql").read_text(encoding="utf-8")
    for marked, given in _AS_GIVEN.items():
        before, rest = beside.split(f"-- {marked}:", 1)
        beside = before + given + rest.split("-- end\n", 1)[1]
    arguments = "p_service text[], p_tariff text[]"
    given = ", p_payer uuid[], p_view json[], p_known json[]"
    _, beside = beside.split("CREATE OR REPLACE FUNCTION read_for_messages", 1)
    beside = "CREATE OR REPLACE FUNCTION read_beside" + beside.replace(arguments, arguments + given)
    kinds = "text[], uuid[], bytea[], timestamptz[], uuid[], uuid[], text[], text[]"
    connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS read_for_messages({kinds})")
    connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS read_beside({kinds}, uuid[], json[], json[])")
    for source in (beside, (_READING / "reading_cluster.sql").read_text(encoding="utf-8")):
        connection.exec_driver_sql(source.replace("%", "%%"))
