"""Postings as the arrays of `post_transactions`, and its rows as results."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from cardservice.database import truncated
from cardservice.ledger.values import AccountView, Outcome, Posting, PostingResult


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _time(value: datetime) -> datetime:
    return truncated(value)


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
    ("flags", "jsonb", lambda p: _json(list(p.transaction.flags))),
    ("replaces", "uuid", lambda p: p.transaction.replaces),
    ("duplicate_of", "uuid", lambda p: p.transaction.duplicate_of),
    ("annuls", "uuid", lambda p: p.transaction.annuls),
    ("body", "bytea", lambda p: p.transaction.body),
    ("occurred", "timestamptz", lambda p: _time(p.transaction.occurred_at)),
    ("posted", "timestamptz", lambda p: _time(p.transaction.posted_at)),
    ("tombstone", "uuid", lambda p: p.tombstone),
    ("proof_cardholder", "uuid", lambda p: p.proof and p.proof.cardholder_id),
    ("proof_nonce", "bytea", lambda p: p.proof and p.proof.nonce),
    ("proof_ciphertext", "bytea", lambda p: p.proof and p.proof.ciphertext),
    ("details_class", "text", lambda p: p.details and p.details.retention_class),
    ("details", "jsonb", lambda p: p.details and _json(p.details.details)),
    ("details_salt", "bytea", lambda p: p.details and p.details.salt),
    ("details_answer", "jsonb", lambda p: p.details and _json(p.details.answer)),
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
_ARGUMENTS = (
    *((name, f"{kind}[]") for name, kind, _ in _POSTING),
    *((name, f"{kind}[]") for columns, _ in _PARTS for name, kind in columns),
    ("wait", "boolean"),
    ("lock_timeout_ms", "integer"),
)
# Every value is bound with its type, so that the call never depends on what a driver guesses.
CALL = text(
    "SELECT out_row, out_outcome, out_version, out_known_under, out_balances FROM post_transactions("  # noqa: S608 - only names from above
    + ", ".join(f"p_{name} => CAST(:{name} AS {kind})" for name, kind in _ARGUMENTS)
    + ")"
)


def post(
    connection: Connection, postings: Sequence[Posting], wait: bool, lock_timeout_s: float
) -> list[PostingResult]:
    """One call of the function; the results in the order of the postings."""
    rows = connection.execute(CALL, arguments(postings, wait, lock_timeout_s)).all()
    return [
        PostingResult(Outcome(row.out_outcome), row.out_version, balances=_views(row.out_balances))
        for row in rows
    ]


def arguments(postings: Sequence[Posting], wait: bool, lock_timeout_s: float) -> dict[str, Any]:
    """The function's arguments by name."""
    found: dict[str, Any] = {name: [value(posting) for posting in postings] for name, _, value in _POSTING}
    for columns, parts in _PARTS:
        rows = [(row, *part) for row, posting in enumerate(postings, 1) for part in parts(posting)]
        found |= {name: [values[column] for values in rows] for column, (name, _) in enumerate(columns)}
    return found | {"wait": wait, "lock_timeout_ms": round(lock_timeout_s * 1000)}


def _views(balances: Sequence[Mapping[str, Any]] | None) -> tuple[AccountView, ...]:
    return tuple(AccountView(**balance) for balance in balances or ())
