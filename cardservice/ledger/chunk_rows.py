"""The rows of a chunk in PostgreSQL's binary COPY format.

Encoded posting by posting before anybody's payer is locked, and sent once it is known which of them stand.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Any

from cardservice.ledger.errors import PostingInvalid
from cardservice.ledger.values import NewDetails, NewProof, NewTransaction, NewTransfer, Posting
from cardservice.ledger.wire import TYPES

# PostgreSQL 15, COPY, "Binary Format": a signature, flags, the length of an extension; then a tuple's number
# of fields, and each field after its length.
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = Struct("!i").pack(-1)
# How many different rows of a kind are remembered: a terminal's sales are much the same all day.
KINDS_IN_MEMORY = 4_096

_Columns = Sequence[tuple[str, str]]
# What nearly all transactions of a chunk have in common is encoded once.
_OF_A_KIND = (
    ("origin", "text"),
    ("kind", "text"),
    ("terminal_id", "text"),
    ("provider_id", "text"),
    ("service", "text"),
    ("action", "text"),
    ("decision", "text"),
    ("reason", "text"),
    ("amount_minor", "bigint"),
    ("unit", "text"),
    ("tariff_version", "text"),
    ("offline", "boolean"),
)
_MOVED = (
    ("debit", "text"),
    ("credit", "text"),
    ("amount_minor", "bigint"),
    ("unit", "text"),
    ("tax_code", "text"),
    ("tax_rate_bp", "integer"),
    ("net_minor", "bigint"),
    ("tax_minor", "bigint"),
    ("supplier", "text"),
    ("reverses_transaction", "uuid"),
    ("reverses_line", "integer"),
)
# Each table with its columns, in the order in which the functions below write them.
_PROOF: _Columns = (
    ("payer_id", "uuid"),
    ("transaction_id", "uuid"),
    ("key_id", "uuid"),
    ("nonce", "bytea"),
    ("ciphertext", "bytea"),
)
_TRANSACTION: _Columns = (
    ("payer_id", "uuid"),
    ("id", "uuid"),
    ("proof_of", "uuid"),
    ("sequence", "bigint"),
    ("flags", "jsonb"),
    ("body", "bytea"),
    ("occurred_at", "timestamptz"),
    ("posted_at", "timestamptz"),
    *_OF_A_KIND,
)
_TRANSFER: _Columns = (("payer_id", "uuid"), ("transaction_id", "uuid"), ("line", "integer"), *_MOVED)
_DETAILS: _Columns = (
    ("payer_id", "uuid"),
    ("transaction_id", "uuid"),
    ("retention_class", "text"),
    ("details", "jsonb"),
    ("salt", "bytea"),
    ("answer", "jsonb"),
)

_uuid, _text, _bytea, _jsonb, _bigint, _integer, _moment = (
    TYPES[kind].field for kind in ("uuid", "text", "bytea", "jsonb", "bigint", "integer", "timestamptz")
)


@dataclass(frozen=True, slots=True)
class Rows:
    """One posting's rows, of all its transfers together."""

    proof: bytes
    transaction: bytes
    transfers: bytes
    details: bytes


def _copy(table: str, columns: _Columns) -> str:
    return f"COPY {table} ({', '.join(column for column, _ in columns)}) FROM STDIN (FORMAT binary)"


# In the order of their foreign keys.
TABLES: tuple[tuple[str, Callable[[Rows], bytes]], ...] = (
    (_copy("transaction_proof", _PROOF), lambda rows: rows.proof),
    (_copy("ledger_transaction", _TRANSACTION), lambda rows: rows.transaction),
    (_copy("transfer", _TRANSFER), lambda rows: rows.transfers),
    (_copy("transaction_details", _DETAILS), lambda rows: rows.details),
)


def rows_of(posting: Posting) -> Rows:
    """The posting as it is sent. Raises PostingInvalid for what no card has made."""
    proof, details = posting.proof, posting.details
    if proof is None or details is None:
        raise PostingInvalid("a chunk takes what cards have made")
    own = _uuid(posting.transaction.id)
    key = _uuid(posting.payer_id) + own
    return Rows(
        proof=_proof(key, proof),
        transaction=_transaction(key, own, posting.transaction),
        transfers=b"".join(_transfers(key, posting.transfers)),
        details=_details(key, details),
    )


def sent(rows: Iterable[bytes]) -> bytes:
    """What a table's COPY is given."""
    return b"".join((_HEADER, *rows, _TRAILER))


def _count(columns: _Columns) -> bytes:
    return Struct("!h").pack(len(columns))


_PROOF_FIELDS, _TRANSACTION_FIELDS = _count(_PROOF), _count(_TRANSACTION)
_TRANSFER_FIELDS, _DETAILS_FIELDS = _count(_TRANSFER), _count(_DETAILS)


def _proof(key: bytes, new: NewProof) -> bytes:
    return b"".join((_PROOF_FIELDS, key, _uuid(new.key_id), _bytea(new.nonce), _bytea(new.ciphertext)))


def _transaction(key: bytes, own: bytes, new: NewTransaction) -> bytes:
    return b"".join(
        (
            _TRANSACTION_FIELDS,
            key,
            own,
            _NULL if new.sequence is None else _bigint(new.sequence),
            _jsonb(list(new.flags)),
            _bytea(new.body),
            _moment(new.occurred_at),
            _moment(new.posted_at),
            _of_a_kind(
                new.origin,
                new.kind,
                new.terminal_id,
                new.provider_id,
                new.service,
                new.action,
                new.decision,
                new.reason,
                new.amount_minor,
                new.unit,
                new.tariff_version,
                new.offline,
            ),
        )
    )


def _transfers(key: bytes, transfers: Sequence[NewTransfer]) -> Iterator[bytes]:
    for line, new in enumerate(transfers, 1):
        yield _TRANSFER_FIELDS + key + _integer(line)
        yield _moved(
            new.debit,
            new.credit,
            new.amount_minor,
            new.unit,
            new.tax_code,
            new.tax_rate_bp,
            new.net_minor,
            new.tax_minor,
            new.supplier,
            new.reverses_transaction,
            new.reverses_line,
        )


def _details(key: bytes, new: NewDetails) -> bytes:
    return b"".join(
        (
            _DETAILS_FIELDS,
            key,
            _text(new.retention_class),
            _NULL if new.details is None else _jsonb(new.details),
            _NULL if new.salt is None else _bytea(new.salt),
            _NULL if new.answer is None else _jsonb(new.answer),
        )
    )


@lru_cache(maxsize=KINDS_IN_MEMORY)
def _of_a_kind(*values: Any) -> bytes:
    return _fields(_OF_A_KIND, values)


@lru_cache(maxsize=KINDS_IN_MEMORY)
def _moved(*values: Any) -> bytes:
    return _fields(_MOVED, values)


def _fields(columns: _Columns, values: Sequence[Any]) -> bytes:
    return b"".join(
        _NULL if value is None else TYPES[kind].field(value)
        for (_, kind), value in zip(columns, values, strict=True)
    )
