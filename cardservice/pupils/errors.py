"""What can be wrong with a school's file."""

from collections.abc import Sequence
from dataclasses import dataclass

from cardservice.errors import CardServiceError


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and on which line; the first line is 1."""

    line: int
    reason: str

    def __str__(self) -> str:
        """For a person."""
        return f"line {self.line}: {self.reason}"


class ImportRefused(CardServiceError):
    """Nothing of a file was taken; `problems` says why, by line."""

    code = "import_refused"

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        listed = "\n".join(f"  {each}" for each in problems)
        super().__init__(f"nothing of {file} was taken; put it right and import it again:\n{listed}")
        self.file, self.problems = file, tuple(problems)


class UndoRefused(CardServiceError):
    """An import cannot be undone."""

    code = "undo_refused"
