"""The files of a batch: orders in, with the secrets of their stock cards; what became of each out."""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from reader_agent.cardspec import piv
from reader_agent.errors import ConfigInvalid
from reader_agent.wire import to_rfc3339

ORDER, KEY, PUK = "order", "transport_key", "transport_puk"
# Ours: more than anybody makes with one command, and what is read before anything is done
MAX_ORDERS = 100_000
MADE = "made"
# Before a card is given its identity, and after: from then on another card is not to become this order's.
BEGUN, WRITTEN = "begun", "identity_written"
_STEPS = ("", BEGUN, WRITTEN)


@dataclass(frozen=True, slots=True)
class StockCard:
    """What a card has from its maker, often the same for a whole delivery."""

    management_key: bytes = field(repr=False, default=piv.WELL_KNOWN_TRANSPORT_KEY)
    puk: str = field(repr=False, default=piv.WELL_KNOWN_TRANSPORT_PUK)


@dataclass(frozen=True, slots=True)
class StockOrder:
    """A line of the stock file."""

    order: UUID
    stock: StockCard


@dataclass(frozen=True, slots=True)
class ResultLine:
    """What became of an order, in the order of the columns. No PIN: none is kept."""

    order: UUID
    # None where it is not known, as of an order that the service does not have
    card: UUID | None
    # `begun`, `identity_written`, `made`, or the code of what went wrong
    outcome: str
    detail: str
    reader: str
    finished_at: datetime

    def row(self) -> list[str]:
        """As text."""
        card = "" if self.card is None else str(self.card)
        return [str(self.order), card, self.outcome, self.detail, self.reader, to_rfc3339(self.finished_at)]


COLUMNS = [each.name for each in fields(ResultLine)]


def read_stock(path: Path, default: StockCard) -> list[StockOrder]:
    """The orders of a stock file, each once, in their order.

    Columns: `order`; and where cards differ, `transport_key` (hex) and `transport_puk`, empty for the
    default. Raises ConfigInvalid with the line.
    """
    found: dict[UUID, StockOrder] = {}
    for line, row in _rows(path, ORDER):
        try:
            order = UUID(row[ORDER])
            found.setdefault(order, StockOrder(order, _stock(row, default)))
        except ValueError as error:
            raise ConfigInvalid(f"{path}, line {line}: {error}") from error
        if len(found) > MAX_ORDERS:
            raise ConfigInvalid(f"{path} has more than {MAX_ORDERS} orders; split it")
    return list(found.values())


class ResultFile:
    """The result file: lines are added and never changed, each on the disk before the next card is begun.

    The last line of an order counts. Use as a context manager. Raises ConfigInvalid.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and path.stat().st_size:
            self._drop_half_a_line()
            rows = list(_rows(path, ORDER, "outcome"))
        else:
            rows = []
        try:
            self._outcomes: dict[UUID, str] = {}
            # How far a card has come for an order, at most, in _STEPS
            self._steps: dict[UUID, int] = {}
            for _, row in rows:
                self._know(UUID(row[ORDER]), row["outcome"])
            # Names cards: the owner's alone
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except (OSError, ValueError) as error:
            raise ConfigInvalid(f"{path} is no result file that can be written: {error}") from error
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        if not rows and not path.stat().st_size:
            self._put(COLUMNS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def is_made(self, order: UUID) -> bool:
        """Whether the card of this order was made, now or by an earlier run."""
        return self._outcomes.get(order) == MADE

    def step(self, order: UUID) -> int:
        """How far a card has come for this order: 0, no card has been given its identity.

        1: one may have been; 2: one has.
        """
        return self._steps.get(order, 0)

    def add(self, line: ResultLine) -> None:
        """Write down what became of an order."""
        self._put(line.row())
        self._know(line.order, line.outcome)

    def _know(self, order: UUID, outcome: str) -> None:
        self._outcomes[order] = outcome
        if outcome in _STEPS:
            self._steps[order] = max(self.step(order), _STEPS.index(outcome))

    def _put(self, row: list[str]) -> None:
        self._writer.writerow(row)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _drop_half_a_line(self) -> None:
        """The power failed within a line: it says nothing, and its card is looked at again."""
        content = self.path.read_bytes()
        if not content.endswith(b"\n"):
            os.truncate(self.path, content.rfind(b"\n") + 1)


def _rows(path: Path, *needed: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and rows. Raises ConfigInvalid."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", restkey="", strict=True)
            if not set(needed) <= set(reader.fieldnames or ()):
                raise ConfigInvalid(f"{path} lacks the column {' or '.join(needed)}")
            for row in reader:
                yield reader.line_num, {name: (value or "").strip() for name, value in row.items() if name}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigInvalid(f"{path} cannot be read as CSV: {error}") from error


def _stock(row: dict[str, str], default: StockCard) -> StockCard:
    key, puk = row.get(KEY, ""), row.get(PUK, "")
    stock = StockCard(bytes.fromhex(key) if key else default.management_key, puk or default.puk)
    if len(stock.management_key) not in piv.AES_KEY_LENGTH.values():
        raise ValueError("a transport key has 16, 24 or 32 bytes")
    piv.encode_puk(stock.puk)
    return stock
