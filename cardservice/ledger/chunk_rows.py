"""The rows of a chunk in PostgreSQL's binary COPY format, and the temporary tables that they go to."""

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any

from cardservice.ledger.errors import PostingInvalid
from cardservice.ledger.values import NewTransfer, Posting
from cardservice.ledger.wire import TYPES

# PostgreSQL 15, COPY, "Binary Format": a signature, flags, the length of an extension; then a tuple's number
# of fields, and each field after its length.
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_LENGTH, _FIELDS = Struct("!i"), Struct("!h")
_NULL = _LENGTH.pack(-1)

# Each column with its type; the values come in this order, too.
_ROW = (
    ("payer_id", "uuid"),
    ("id", "uuid"),
    ("origin", "text"),
    ("kind", "text"),
    ("terminal_id", "text"),
    ("sequence", "bigint"),
    ("provider_id", "text"),
    ("service", "text"),
    ("action", "text"),
    ("decision", "text"),
    ("reason", "text"),
    ("amount_minor", "bigint"),
    ("unit", "text"),
    ("tariff_version", "text"),
    ("offline", "boolean"),
    ("flags", "jsonb"),
    ("body", "bytea"),
    ("occurred_at", "timestamptz"),
    ("posted_at", "timestamptz"),
    ("key_id", "uuid"),
    ("nonce", "bytea"),
    ("ciphertext", "bytea"),
    ("retention_class", "text"),
    ("details", "jsonb"),
    ("salt", "bytea"),
    ("answer", "jsonb"),
)
_TRANSFER = (
    ("payer_id", "uuid"),
    ("transaction_id", "uuid"),
    ("line", "integer"),
    ("debit", "text"),
    ("credit", "text"),
    ("amount_minor", "bigint"),
    ("unit", "text"),
    ("tax_code", "text"),
    ("tax_rate_bp", "integer"),
    ("net_minor", "bigint"),
    ("tax_minor", "bigint"),
    ("supplier", "text"),
)
_Columns = Sequence[tuple[str, str]]


def _values(posting: Posting) -> tuple[Any, ...]:
    new, proof, details = posting.transaction, posting.proof, posting.details
    if proof is None or details is None:
        raise PostingInvalid("a chunk takes what cards have made")
    return (
        posting.payer_id,
        new.id,
        new.origin,
        new.kind,
        new.terminal_id,
        new.sequence,
        new.provider_id,
        new.service,
        new.action,
        new.decision,
        new.reason,
        new.amount_minor,
        new.unit,
        new.tariff_version,
        new.offline,
        list(new.flags),
        new.body,
        new.occurred_at,
        new.posted_at,
        proof.key_id,
        proof.nonce,
        proof.ciphertext,
        details.retention_class,
        details.details,
        details.salt,
        details.answer,
    )


def _transfer_values(posting: Posting, line: int, new: NewTransfer) -> tuple[Any, ...]:
    return (
        posting.payer_id,
        posting.transaction.id,
        line,
        new.debit,
        new.credit,
        new.amount_minor,
        new.unit,
        new.tax_code,
        new.tax_rate_bp,
        new.net_minor,
        new.tax_minor,
        new.supplier,
    )


def _table(name: str, columns: _Columns) -> str:
    described = ", ".join(f"{column} {kind}" for column, kind in columns)
    return f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({described}) ON COMMIT DELETE ROWS"


def _copy(name: str, columns: _Columns) -> str:
    return f"COPY {name} ({', '.join(column for column, _ in columns)}) FROM STDIN (FORMAT binary)"


# Of a session: made with its first chunk, and emptied with each commit.
TABLES = (_table("advice_chunk", _ROW), _table("advice_chunk_transfer", _TRANSFER))
COPY_ROWS, COPY_TRANSFERS = _copy("advice_chunk", _ROW), _copy("advice_chunk_transfer", _TRANSFER)


def rows_of(postings: Sequence[Posting]) -> bytes:
    """The transactions with their proofs and details."""
    return _encoded(_ROW, map(_values, postings))


def transfers_of(postings: Sequence[Posting]) -> bytes:
    """Their transfers."""
    return _encoded(
        _TRANSFER,
        (_transfer_values(p, line, new) for p in postings for line, new in enumerate(p.transfers, 1)),
    )


def _encoded(columns: _Columns, rows: Iterable[tuple[Any, ...]]) -> bytes:
    fields = [TYPES[kind].field for _, kind in columns]
    count = _FIELDS.pack(len(columns))
    parts = [_HEADER]
    for row in rows:
        parts.append(count)
        parts += [_NULL if value is None else field(value) for field, value in zip(fields, row, strict=True)]
    parts.append(_TRAILER)
    return b"".join(parts)
