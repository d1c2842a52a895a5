"""What can go wrong where it is recorded, or asked, whom programmes pay for."""

from collections.abc import Sequence

from cardservice.errors import CardServiceError


class ChecksRefused(CardServiceError):
    """A file of checks is refused as a whole; `problems` is a sentence for each line that is at fault."""

    code = "checks_refused"

    def __init__(self, problems: Sequence[str]) -> None:
        shown = list(problems[:20])
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown)} more")
        super().__init__("nothing was taken:\n" + "\n".join(shown))
        self.problems = tuple(problems)


class NamesNotAllowed(CardServiceError):
    """Who is funded is told to those alone who have that right."""

    code = "names_not_allowed"

    def __init__(self, actor: str) -> None:
        super().__init__(
            f"{actor} may not see who is funded; whoever may stands in CARDSERVICE_FUNDING_NAMES"
        )
        self.actor = actor
