"""The rows of a chunk in PostgreSQL's binary COPY format, and the temporary tables that they go to."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any

from cardservice.ledger.values import Posting
from cardservice.ledger.wire import TYPES

# PostgreSQL 15, COPY, "Binary Format": a signature, flags, the length of an extension; then a tuple's number
# of fields, and each field after its length.
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_LENGTH, _FIELDS = Struct("!i"), Struct("!h")
_NULL = _LENGTH.pack(-1)
# Terminals, services, reasons: the same few again and again.
TEXTS_IN_MEMORY = 4_096

Column = tuple[str, str, Callable[..., Any]]
# Each column: its name, its type, and where its value comes from.
_ROW: tuple[Column, ...] = (
    ("payer_id", "uuid", lambda p: p.payer_id),
    ("id", "uuid", lambda p: p.transaction.id),
    ("origin", "text", lambda p: p.transaction.origin),
    ("kind", "text", lambda p: p.transaction.kind),
    ("terminal_id", "text", lambda p: p.transaction.terminal_id),
    ("sequence", "bigint", lambda p: p.transaction.sequence),
    ("provider_id", "text", lambda p: p.transaction.provider_id),
    ("service", "text", lambda p: p.transaction.service),
    ("action", "text", lambda p: p.transaction.action),
    ("decision", "text", lambda p: p.transaction.decision),
    ("reason", "text", lambda p: p.transaction.reason),
    ("amount_minor", "bigint", lambda p: p.transaction.amount_minor),
    ("unit", "text", lambda p: p.transaction.unit),
    ("tariff_version", "text", lambda p: p.transaction.tariff_version),
    ("offline", "boolean", lambda p: p.transaction.offline),
    ("flags", "jsonb", lambda p: list(p.transaction.flags)),
    ("body", "bytea", lambda p: p.transaction.body),
    ("occurred_at", "timestamptz", lambda p: p.transaction.occurred_at),
    ("posted_at", "timestamptz", lambda p: p.transaction.posted_at),
    ("cardholder_id", "uuid", lambda p: p.proof.cardholder_id),
    ("nonce", "bytea", lambda p: p.proof.nonce),
    ("ciphertext", "bytea", lambda p: p.proof.ciphertext),
    ("retention_class", "text", lambda p: p.details.retention_class),
    ("details", "jsonb", lambda p: p.details.details),
    ("salt", "bytea", lambda p: p.details.salt),
    ("answer", "jsonb", lambda p: p.details.answer),
)
_TRANSFER: tuple[Column, ...] = (
    ("payer_id", "uuid", lambda p, _, __: p.payer_id),
    ("transaction_id", "uuid", lambda p, _, __: p.transaction.id),
    ("line", "integer", lambda _, line, __: line),
    ("debit", "text", lambda _, __, t: t.debit),
    ("credit", "text", lambda _, __, t: t.credit),
    ("amount_minor", "bigint", lambda _, __, t: t.amount_minor),
    ("unit", "text", lambda _, __, t: t.unit),
    ("tax_code", "text", lambda _, __, t: t.tax_code),
    ("tax_rate_bp", "integer", lambda _, __, t: t.tax_rate_bp),
    ("net_minor", "bigint", lambda _, __, t: t.net_minor),
    ("tax_minor", "bigint", lambda _, __, t: t.tax_minor),
    ("supplier", "text", lambda _, __, t: t.supplier),
)


def _table(name: str, columns: Sequence[Column]) -> str:
    described = ", ".join(f"{column} {kind}" for column, kind, _ in columns)
    return f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({described}) ON COMMIT DELETE ROWS"


def _copy(name: str, columns: Sequence[Column]) -> str:
    return f"COPY {name} ({', '.join(column for column, _, _ in columns)}) FROM STDIN (FORMAT binary)"


# Of a session: made with its first chunk, and emptied with each commit.
TABLES = (_table("advice_chunk", _ROW), _table("advice_chunk_transfer", _TRANSFER))
COPY_ROWS, COPY_TRANSFERS = _copy("advice_chunk", _ROW), _copy("advice_chunk_transfer", _TRANSFER)


def rows_of(postings: Sequence[Posting]) -> bytes:
    """The transactions with their proofs and details."""
    return _encoded(_ROW, ((posting,) for posting in postings))


def transfers_of(postings: Sequence[Posting]) -> bytes:
    """Their transfers."""
    return _encoded(_TRANSFER, ((p, line, new) for p in postings for line, new in enumerate(p.transfers, 1)))


def _encoded(columns: Sequence[Column], sources: Iterable[tuple[Any, ...]]) -> bytes:
    writers = [(value, _text if kind == "text" else _field(kind)) for _, kind, value in columns]
    count = _FIELDS.pack(len(columns))
    parts = [_HEADER]
    for source in sources:
        parts.append(count)
        parts += [write(value(*source)) for value, write in writers]
    parts.append(_TRAILER)
    return b"".join(parts)


def _field(kind: str) -> Callable[[Any], bytes]:
    encode, length = TYPES[kind].write, _LENGTH.pack

    def write(value: Any) -> bytes:
        if value is None:
            return _NULL
        written = encode(value)
        return length(len(written)) + written

    return write


@lru_cache(maxsize=TEXTS_IN_MEMORY)
def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    written = value.encode()
    return _LENGTH.pack(len(written)) + written
