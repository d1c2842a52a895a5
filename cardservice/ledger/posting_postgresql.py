"""Postings as the arrays of `post_transactions`, and its rows as results."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any
from weakref import WeakKeyDictionary

import psycopg

from cardservice.ledger import posting_cluster
from cardservice.ledger.prepared import Call, Row
from cardservice.ledger.values import Outcome, Posting, PostingResult
from cardservice.ledger.wire import TYPES, scalar

# Each argument of the function: its name, its type, and where in a posting its value is.
_POSTING = (
    ("payer", "uuid", "payer_id"),
    ("version", "bigint", "expected_version"),
    ("id", "uuid", "transaction.id"),
    ("origin", "text", "transaction.origin"),
    ("kind", "text", "transaction.kind"),
    ("terminal", "text", "transaction.terminal_id"),
    ("sequence", "bigint", "transaction.sequence"),
    ("provider", "text", "transaction.provider_id"),
    ("service", "text", "transaction.service"),
    ("action", "text", "transaction.action"),
    ("decision", "text", "transaction.decision"),
    ("reason", "text", "transaction.reason"),
    ("amount", "bigint", "transaction.amount_minor"),
    ("unit", "text", "transaction.unit"),
    ("tariff", "text", "transaction.tariff_version"),
    ("offline", "boolean", "transaction.offline"),
    ("flags", "jsonb", "transaction.flags"),
    ("replaces", "uuid", "transaction.replaces"),
    ("duplicate_of", "uuid", "transaction.duplicate_of"),
    ("annuls", "uuid", "transaction.annuls"),
    ("body", "bytea", "transaction.body"),
    ("occurred", "timestamptz", "transaction.occurred_at"),
    ("posted", "timestamptz", "transaction.posted_at"),
    ("tombstone", "uuid", "tombstone"),
)
# The same of its proof and of its details; NULL where it has none.
_PROOF = (
    ("proof_key", "uuid", "key_id"),
    ("proof_nonce", "bytea", "nonce"),
    ("proof_ciphertext", "bytea", "ciphertext"),
)
_DETAILS = (
    ("details_class", "text", "retention_class"),
    ("details", "jsonb", "details"),
    ("details_salt", "bytea", "salt"),
    ("details_answer", "jsonb", "answer"),
)
_TRANSFER = (
    ("debit", "text", "debit"),
    ("credit", "text", "credit"),
    ("transfer_amount", "bigint", "amount_minor"),
    ("transfer_unit", "text", "unit"),
    ("tax_code", "text", "tax_code"),
    ("tax_rate", "integer", "tax_rate_bp"),
    ("net", "bigint", "net_minor"),
    ("tax", "bigint", "tax_minor"),
    ("supplier", "text", "supplier"),
    ("reverses", "uuid", "reverses_transaction"),
    ("reverses_line", "integer", "reverses_line"),
)
_COUNTER = (
    ("counter_cardholder", "uuid", "cardholder_id"),
    ("counter_rule", "text", "rule"),
    ("counter_period", "text", "period"),
    ("counter_change", "bigint", "change"),
)
# All of a value's fields at once: to ask for each by a function of its own took four times as long.
_of_posting, _of_proof, _of_details, _of_transfer, _of_counter = (
    attrgetter(*[place for _, _, place in columns])
    for columns in (_POSTING, _PROOF, _DETAILS, _TRANSFER, _COUNTER)
)
_NO_PROOF, _NO_DETAILS = (None,) * len(_PROOF), (None,) * len(_DETAILS)
_Columns = Sequence[tuple[str, str]]
_ROW: _Columns = [(name, kind) for name, kind, _ in (*_POSTING, *_PROOF, *_DETAILS)]
# What belongs to a posting: (number of the posting's row, further values).
_PARTS: Sequence[tuple[_Columns, Callable[[Posting], Iterable[Sequence[Any]]]]] = (
    (
        (("also_row", "integer"), ("also_payer", "uuid"), ("also_version", "bigint")),
        lambda p: p.also_under,
    ),
    (
        [("transfer_row", "integer"), ("transfer_line", "integer"), *(each[:2] for each in _TRANSFER)],
        lambda p: [(line, *_of_transfer(transfer)) for line, transfer in enumerate(p.transfers, 1)],
    ),
    (
        [("counter_row", "integer"), *(each[:2] for each in _COUNTER)],
        lambda p: map(_of_counter, p.counters),
    ),
)
ARGUMENTS = (
    *((name, f"{kind}[]") for columns in (_ROW, *(part for part, _ in _PARTS)) for name, kind in columns),
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
        return post_in_shard(connection, some, wait, lock_timeout_s)

    return posting_cluster.post(connection, postings, call, wait, lock_timeout_s)


def post_in_shard(
    connection: psycopg.Connection[Any], postings: Sequence[Posting], wait: bool, lock_timeout_s: float
) -> list[PostingResult]:
    """One call, on a cluster, at the node of these: their payers lie in one shard. Raises psycopg.Error."""
    values = encoded(arguments(postings, wait, lock_timeout_s))
    at = _ONE_BY_ONE_AT if len(postings) <= ONE_BY_ONE else _TOGETHER_AT
    return results(at.on(connection, [scalar("uuid", postings[0].payer_id), *values]))


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
    found = _by_name(_ROW, [_row(posting) for posting in postings])
    for columns, parts in _PARTS:
        rows = [(row, *part) for row, posting in enumerate(postings, 1) for part in parts(posting)]
        found |= _by_name(columns, rows)
    return found | {"wait": wait, "lock_timeout_ms": round(lock_timeout_s * 1000)}


def _by_name(columns: _Columns, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    values = map(list, zip(*rows, strict=True)) if rows else ([] for _ in columns)
    return {name: column for (name, _), column in zip(columns, values, strict=True)}


def _row(posting: Posting) -> tuple[Any, ...]:
    proof, details = posting.proof, posting.details
    return (
        *_of_posting(posting),
        *(_NO_PROOF if proof is None else _of_proof(proof)),
        *(_NO_DETAILS if details is None else _of_details(details)),
    )


def encoded(named: Mapping[str, Any]) -> list[bytes | None]:
    """The arguments as they are sent."""
    return [
        _TYPES[kind].array(named[name]) if kind in _TYPES else scalar(kind, named[name])
        for name, kind in ARGUMENTS
    ]
