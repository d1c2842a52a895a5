"""What can go wrong with a bureau's files."""

from collections.abc import Sequence
from dataclasses import dataclass

from cardservice.errors import CardServiceError, OrderInvalid

# Ours: of more bad lines than these nobody reads.
MOST_TOLD = 50


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a file, from 1 on, and what is wrong with it."""

    line: int
    reason: str


class BureauFileRefused(CardServiceError):
    """Nothing of a bureau's file is taken; `lines` says where it is wrong."""

    code = "bureau_file_refused"

    def __init__(self, lines: Sequence[BadLine]) -> None:
        told = "; ".join(f"line {each.line}: {each.reason}" for each in lines[:MOST_TOLD])
        more = f"; and {len(lines) - MOST_TOLD} more" if len(lines) > MOST_TOLD else ""
        super().__init__(f"nothing of this file is taken: {told}{more}")
        self.lines = tuple(lines)


class NotOfForm(ValueError):
    """A value of a line is not what stands there; told with its line as BureauFileRefused."""


class BatchRefused(CardServiceError):
    """A batch cannot be made of these orders."""

    code = "batch_refused"


class BatchUnknown(BatchRefused):
    """No batch has this identifier."""

    code = "batch_unknown"


class BureauUnknown(OrderInvalid):
    """No bureau has this identifier."""

    code = "bureau_unknown"
