"""What can go wrong about a recovery."""

from collections.abc import Sequence
from datetime import date

from cardservice.errors import CardServiceError, MessageRefused


class Recovering(CardServiceError):
    """The ledger was restored, and what was lost is still coming back; nothing was posted."""

    code = "recovering"

    def __init__(self) -> None:
        super().__init__("the ledger is being recovered; advices and annulments are taken, requests are not")


class NotRecovering(CardServiceError):
    """No recovery is open."""

    code = "not_recovering"

    def __init__(self) -> None:
        super().__init__("the ledger is not being recovered; there is nothing to send again")


class RecoveryOpen(CardServiceError):
    """A recovery is open already."""

    code = "recovery_open"

    def __init__(self, number: int) -> None:
        super().__init__(f"recovery {number} is not finished; see cardservice recovery status")
        self.number = number


class TerminalsMissing(CardServiceError):
    """Terminals that were in use have not sent again what they kept."""

    code = "terminals_missing"

    def __init__(self, terminals: Sequence[str]) -> None:
        named = ", ".join(terminals[:20]) + (f" and {len(terminals) - 20} more" if terminals[20:] else "")
        super().__init__(
            f"not all was sent again by {named}: wait for them, or have their outboxes delivered;"
            " --anyway ends it without them"
        )
        self.terminals = tuple(terminals)


class HeadsUnreadable(CardServiceError):
    """Published heads cannot be read, or are not this service's."""

    code = "heads_unreadable"

    def __init__(self, source: str, why: str, *, is_away: bool = False) -> None:
        super().__init__(f"the published heads in {source}: {why}")
        self.source = source
        # Whoever publishes them does not answer, which says nothing about them.
        self.is_away = is_away


class HeadsDiffer(CardServiceError):
    """A published head is not that of the same number in the database."""

    code = "heads_differ"

    def __init__(self, number: int, day: date) -> None:
        super().__init__(
            f"head {number}, of {day}, was published otherwise than the database has it: this is another"
            " ledger, or its past was changed; compare it with a backup before anything is served"
        )
        self.number, self.day = number, day


class AnswerMissing(MessageRefused):
    """A request comes back without the service's answer, so that nobody knows what it came to."""

    code = "answer_missing"


class AnswerInvalid(MessageRefused):
    """What comes with a request is not the service's answer to it."""

    code = "answer_invalid"
