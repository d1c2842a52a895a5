"""Postings as the arrays of `post_transactions`, and its rows as results."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import psycopg

from cardservice.ledger import posting_cluster
from cardservice.ledger.prepared import Call, Row
from cardservice.ledger.values import Outcome, Posting, PostingResult
from cardservice.ledger.wire import TYPES, scalar

# Each argument of the function: its name, its type, and where its value comes from.
_POSTING: tuple[tuple[str, str, Callable[[Posting], Any]], ...] = (
    ("payer", "uuid", lambda p: p.payer_id),
    ("version", "bigint", lambda p: p.expected_version),
    ("id", "uuid", lambda p: p.transaction.id),
    ("origin", "text", lambda p: p.transaction.origin),
    ("kind", "text", lambda p: p.transaction.kind),
    ("terminal", "text", lambda p: p.transaction.terminal_id),
    ("sequence", "bigint", lambda p: p.transaction.sequence),
    ("provider", "text", lambda p: p.transaction.provider_id),
    ("service", "text", lambda p: p.transaction.service),
    ("action", "text", lambda p: p.transaction.action),
    ("decision", "text", lambda p: p.transaction.decision),
    ("reason", "text", lambda p: p.transaction.reason),
    ("amount", "bigint", lambda p: p.transaction.amount_minor),
    ("unit", "text", lambda p: p.transaction.unit),
    ("tariff", "text", lambda p: p.transaction.tariff_version),
    ("offline", "boolean", lambda p: p.transaction.offline),
    ("flags", "jsonb", lambda p: list(p.transaction.flags)),
    ("replaces", "uuid", lambda p: p.transaction.replaces),
    ("duplicate_of", "uuid", lambda p: p.transaction.duplicate_of),
    ("annuls", "uuid", lambda p: p.transaction.annuls),
    ("body", "bytea", lambda p: p.transaction.body),
    ("occurred", "timestamptz", lambda p: p.transaction.occurred_at),
    ("posted", "timestamptz", lambda p: p.transaction.posted_at),
    ("tombstone", "uuid", lambda p: p.tombstone),
    ("proof_key", "uuid", lambda p: p.proof and p.proof.key_id),
    ("proof_nonce", "bytea", lambda p: p.proof and p.proof.nonce),
    ("proof_ciphertext", "bytea", lambda p: p.proof and p.proof.ciphertext),
    ("details_class", "text", lambda p: p.details and p.details.retention_class),
    ("details", "jsonb", lambda p: p.details and p.details.details),
    ("details_salt", "bytea", lambda p: p.details and p.details.salt),
    ("details_answer", "jsonb", lambda p: p.details and p.details.answer),
)
# What belongs to a posting: (row of the posting, further values).
_PARTS: tuple[tuple[tuple[tuple[str, str], ...], Callable[[Posting], Sequence[tuple[Any, ...]]]], ...] = (
    (
        (("also_row", "integer"), ("also_payer", "uuid"), ("also_version", "bigint")),
        lambda p: p.also_under,
    ),
    (
        (
            ("transfer_row", "integer"),
            ("transfer_line", "integer"),
            ("debit", "text"),
            ("credit", "text"),
            ("transfer_amount", "bigint"),
            ("transfer_unit", "text"),
            ("tax_code", "text"),
            ("tax_rate", "integer"),
            ("net", "bigint"),
            ("tax", "bigint"),
            ("supplier", "text"),
            ("reverses", "uuid"),
            ("reverses_line", "integer"),
        ),
        lambda p: [
            (
                line,
                t.debit,
                t.credit,
                t.amount_minor,
                t.unit,
                t.tax_code,
                t.tax_rate_bp,
                t.net_minor,
                t.tax_minor,
                t.supplier,
                t.reverses_transaction,
                t.reverses_line,
            )
            for line, t in enumerate(p.transfers, 1)
        ],
    ),
    (
        (
            ("counter_row", "integer"),
            ("counter_cardholder", "uuid"),
            ("counter_rule", "text"),
            ("counter_period", "text"),
            ("counter_change", "bigint"),
        ),
        lambda p: [(c.cardholder_id, c.rule, c.period, c.change) for c in p.counters],
    ),
)
ARGUMENTS = (
    *((name, f"{kind}[]") for name, kind, _ in _POSTING),
    *((name, f"{kind}[]") for columns, _ in _PARTS for name, kind in columns),
    ("wait", "boolean"),
    ("lock_timeout_ms", "integer"),
)
_TYPES = {f"{kind}[]": type_ for kind, type_ in TYPES.items()}
# Every value is bound with its type, so that the call never depends on what is guessed of it.
CALL = Call(
    b"post_transactions",
    (
        "SELECT out_outcome, out_version FROM post_transactions("  # noqa: S608 - only names from above
        + ", ".join(f"p_{name} => ${at}::{kind}" for at, (name, kind) in enumerate(ARGUMENTS, 1))
        + ")"
    ).encode(),
)
# On a cluster: run by the node that has the payer of the first argument (`distributing`).
_VALUES = ", ".join(f"${at}::{kind}" for at, (_, kind) in enumerate(ARGUMENTS, 2))
_TOGETHER_AT, _ONE_BY_ONE_AT = (
    Call(
        function.encode(),
        f"SELECT out_outcome, out_version FROM {function}($1::uuid, {_VALUES}) ORDER BY out_row".encode(),  # noqa: S608 - as above
    )
    for function in ("post_transactions_at", "post_one_by_one")
)
# Ours: so many take as long one after the other as together, where plans are made for each call.
ONE_BY_ONE = 6
_distributed: WeakKeyDictionary[psycopg.Connection[Any], bool] = WeakKeyDictionary()


def post(
    connection: psycopg.Connection[Any], postings: Sequence[Posting], wait: bool, lock_timeout_s: float
) -> list[PostingResult]:
    """One call of the function; the results in the order of the postings. Raises psycopg.Error.

    On a cluster one call for each shard: those of one are posted whatever becomes of the others'.
    """
    if not is_distributed(connection):
        # In key order, as the payers are locked: then the function sees at a glance that all are as expected.
        order = sorted(range(len(postings)), key=lambda row: postings[row].payer_id.int)
        sent = encoded(arguments([postings[row] for row in order], wait, lock_timeout_s))
        given = dict(zip(order, results(CALL.on(connection, sent)), strict=True))
        return [given[row] for row in range(len(postings))]

    def call(some: Sequence[Posting]) -> list[PostingResult]:
        values = encoded(arguments(some, wait, lock_timeout_s))
        at = _ONE_BY_ONE_AT if len(some) <= ONE_BY_ONE else _TOGETHER_AT
        return results(at.on(connection, [scalar("uuid", some[0].payer_id), *values]))

    return posting_cluster.post(connection, postings, call, wait, lock_timeout_s)


def is_distributed(connection: psycopg.Connection[Any]) -> bool:
    """Whether the ledger is divided over a cluster; asked once on each connection."""
    if connection not in _distributed:
        row = connection.execute("SELECT to_regproc('post_transactions_at') IS NOT NULL").fetchone()
        _distributed[connection] = bool(row and row[0])
    return _distributed[connection]


def results(rows: Sequence[Row]) -> list[PostingResult]:
    """The function's rows as values."""
    return [
        PostingResult(Outcome((outcome or b"").decode()), None if version is None else int(version))
        for outcome, version in rows
    ]


def arguments(postings: Sequence[Posting], wait: bool, lock_timeout_s: float) -> dict[str, Any]:
    """The function's arguments by name."""
    found: dict[str, Any] = {name: [value(posting) for posting in postings] for name, _, value in _POSTING}
    for columns, parts in _PARTS:
        rows = [(row, *part) for row, posting in enumerate(postings, 1) for part in parts(posting)]
        found |= {name: [values[column] for values in rows] for column, (name, _) in enumerate(columns)}
    return found | {"wait": wait, "lock_timeout_ms": round(lock_timeout_s * 1000)}


def encoded(named: Mapping[str, Any]) -> list[bytes | None]:
    """The arguments as they are sent."""
    return [
        _TYPES[kind].array(named[name]) if kind in _TYPES else scalar(kind, named[name])
        for name, kind in ARGUMENTS
    ]
