"""Settlement files: what a provider has paid to the bank, line by line against what was posted.

The file is CSV in a form of ours: `type,reference,settled_on,gross,fee,currency`, amounts in major units,
what the bank gave with a minus. `type` is payment, refund or dispute, `reference` the provider's own name.
The lines are the bank's side of the books, and no posting: a line that does not match costs nobody anything.
"""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, partial
from itertools import islice
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, text

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.database import UtcDateTime, driver_of
from cardservice.errors import OrderInvalid
from cardservice.money import parse_minor
from cardservice.payments.models import settlement_file, settlement_line

COLUMNS = ("type", "reference", "settled_on", "gross", "fee", "currency")
KINDS = frozenset({"payment", "refund", "dispute"})
MAX_REFERENCE = 255
_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file says, and how many of its lines match."""

    sha256: bytes
    lines: int
    new: bool
    # By state: matched, unknown, differs, repeated
    states: dict[str, int]


@dataclass(frozen=True, slots=True)
class Books:
    """In what the books are kept, and the moment of an entry."""

    currency: str
    moment: datetime


def load_settlement(context: Context, provider: str, name: str, content: bytes, *, actor: str) -> Loaded:
    """Load a file, once, and match it, in one transaction. Raises OrderInvalid, which names the line."""
    with context.database.begin() as connection:
        loaded = load(connection, provider, name, content, Books(context.scheme.currency, context.now()))
        if loaded.new:
            record(connection, actor, "settlement.load", loaded.sha256.hex()[:16], context.now())
        return loaded


def load(connection: Connection, provider: str, name: str, content: bytes, books: Books) -> Loaded:
    """The same within the caller's transaction, and without a word in the audit trail."""
    digest = hashlib.sha256(content).digest()
    own = settlement_file.c
    if connection.scalar(select(own.lines).where(own.sha256 == digest)) is not None:
        return _counted(connection, digest, new=False)
    lines = content.count(b"\n") - 1 + (not content.endswith(b"\n"))
    connection.execute(
        insert(settlement_file).values(
            sha256=digest, provider=provider, name=name, lines=max(lines, 0), loaded_at=books.moment
        )
    )
    _insert(connection, digest, provider, books.currency, _parsed(content, books.currency))
    _match(connection)
    _list(connection, books.moment)
    return _counted(connection, digest, new=True)


def match_again(context: Context) -> int:
    """Match what did not, for what has been posted meanwhile; how many lines are known now."""
    with context.database.begin() as connection:
        own = settlement_line.c
        unknown = select(func.count()).select_from(settlement_line).where(own.state == "unknown")
        before = connection.execute(unknown).scalar_one()
        _match(connection)
        _list(connection, context.now())
        return before - connection.execute(unknown).scalar_one()


def _parsed(content: bytes, currency: str) -> Iterator[tuple[int, str, str, date, int, int]]:
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        if tuple(next(rows, ())) != COLUMNS:
            raise OrderInvalid(f"line 1: the columns must be {','.join(COLUMNS)}")
        read = _Reading(currency)
        for number, row in enumerate(rows, start=2):
            if row:
                yield number, *read.line(number, row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise OrderInvalid(f"the file is no CSV in UTF-8: {error}") from error


class _Reading:
    """Reads lines; of a million of them few days and amounts are new."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self._day = cache(date.fromisoformat)
        self._minor = cache(partial(parse_minor, currency=currency))

    def line(self, number: int, row: list[str]) -> tuple[str, str, date, int, int]:
        """A line's values. Raises OrderInvalid with its number."""
        try:
            kind, reference, day, gross, fee, unit = row
            gross_minor, fee_minor, settled_on = self._minor(gross), self._minor(fee), self._day(day)
        except ValueError:
            raise self._wrong(number) from None
        right_way = (gross_minor > 0) == (kind == "payment") and gross_minor != 0 and fee_minor >= 0
        # What no database of ours keeps, or finds again, is no name of a provider's.
        is_name = 0 < len(reference) <= MAX_REFERENCE and reference.isprintable()
        if kind not in KINDS or not is_name or unit != self._currency or not right_way:
            raise self._wrong(number)
        return kind, reference, settled_on, gross_minor, fee_minor

    def _wrong(self, number: int) -> OrderInvalid:
        return OrderInvalid(f"line {number}: is not as the columns say, in {self._currency}")


def _insert(
    connection: Connection,
    digest: bytes,
    provider: str,
    unit: str,
    lines: Iterator[tuple[int, str, str, date, int, int]],
) -> None:
    columns = ("line", "kind", "reference", "settled_on", "gross_minor", "fee_minor")
    fixed = {"sha256": digest, "provider": provider, "unit": unit, "state": "unknown"}
    if connection.dialect.name == "postgresql":
        copied = (*columns, *fixed)
        with (
            driver_of(connection).cursor() as cursor,
            cursor.copy(f"COPY settlement_line ({', '.join(copied)}) FROM STDIN".encode()) as copy,
        ):
            values = tuple(fixed.values())
            for line in lines:
                copy.write_row((*line, *values))
        return
    while some := list(islice(lines, _ROWS)):
        rows: list[dict[str, Any]] = [dict(zip(columns, line, strict=True)) | fixed for line in some]
        connection.execute(insert(settlement_line), rows)


# What was posted, by the provider's name for it: what the bank must say of it.
POSTED = """
SELECT provider, 'payment' AS kind, provider_payment AS reference, amount_minor, unit FROM payment_attempt
WHERE posted_as IS NOT NULL
UNION ALL
SELECT refund.provider, 'refund', refund.provider_refund, -refund.amount_minor, attempt.unit
FROM payment_refund AS refund JOIN payment_attempt AS attempt ON attempt.id = refund.attempt_id
WHERE refund.provider_refund IS NOT NULL AND refund.state <> 'error'
UNION ALL
SELECT dispute.provider, 'dispute', dispute.provider_dispute, -dispute.amount_minor, attempt.unit
FROM payment_dispute AS dispute JOIN payment_attempt AS attempt ON attempt.id = dispute.attempt_id
WHERE dispute.state = 'lost'
"""
# Of several lines of the same thing the first is matched; one that was matched before stays.
_MATCH = f"""
WITH posted AS ({POSTED}), open AS (
    SELECT line.sha256, line.line, CASE
        WHEN line.gross_minor <> posted.amount_minor OR line.unit <> posted.unit THEN 'differs'
        WHEN row_number() OVER (
            PARTITION BY line.provider, line.kind, line.reference, line.gross_minor = posted.amount_minor
            ORDER BY line.sha256, line.line
        ) > 1 OR EXISTS (
            SELECT 1 FROM settlement_line AS before
            WHERE before.provider = line.provider AND before.kind = line.kind
                AND before.reference = line.reference AND before.state = 'matched'
        ) THEN 'repeated' ELSE 'matched' END AS state
    FROM settlement_line AS line JOIN posted
        ON posted.provider = line.provider AND posted.kind = line.kind AND posted.reference = line.reference
    WHERE line.state = 'unknown'
)
UPDATE settlement_line SET state = open.state FROM open
WHERE settlement_line.sha256 = open.sha256 AND settlement_line.line = open.line
"""  # noqa: S608 - our own names
_SUBJECT = "provider || ' ' || kind || ' ' || reference || ' of ' || settled_on || ', line ' || line"
_MATTERS = f"""
INSERT INTO payment_matter (kind, subject, opened_at)
SELECT 'settlement_' || state, {_SUBJECT}, :moment FROM settlement_line WHERE state <> 'matched'
ORDER BY line
ON CONFLICT DO NOTHING
"""  # noqa: S608 - our own names
_SOLVED = f"""
UPDATE payment_matter SET closed_at = :moment, closed_by = 'cardservice', closed_because = 'posted since'
WHERE closed_at IS NULL AND kind = 'settlement_unknown'
    AND subject NOT IN (SELECT {_SUBJECT} FROM settlement_line WHERE state = 'unknown')
"""  # noqa: S608 - our own names


def _match(connection: Connection) -> None:
    connection.execute(text(_MATCH))


def _list(connection: Connection, moment: datetime) -> None:
    bound = bindparam("moment", moment, UtcDateTime)
    for statement in (_SOLVED, _MATTERS):
        connection.execute(text(statement).bindparams(bound))


def _counted(connection: Connection, digest: bytes, *, new: bool) -> Loaded:
    own = settlement_line.c
    found = connection.execute(
        select(own.state, func.count()).where(own.sha256 == digest).group_by(own.state)
    ).all()
    states = {state: int(number) for state, number in found}
    return Loaded(digest, sum(states.values()), new, states)
