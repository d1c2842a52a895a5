"""What can go wrong with an application."""

from collections.abc import Sequence

from cardservice.errors import CardServiceError, Unknown


class ApplicationUnknown(Unknown):
    """No application has this identifier."""

    code = "application_unknown"

    def __init__(self, application: object) -> None:
        super().__init__("application", application)


class ApplicationClosed(CardServiceError):
    """An application was decided already, or there is an open one."""

    code = "application_closed"


class NotEligible(CardServiceError):
    """Somebody cannot have this kind of card yet; `missing` says all that stands against it."""

    code = "not_eligible"

    def __init__(self, kind: str, missing: Sequence[str]) -> None:
        super().__init__(f"a {kind} card is not to be had yet: {'; '.join(missing)}")
        self.kind, self.missing = kind, tuple(missing)


class NothingToState(CardServiceError):
    """A card is not one that statements are made for."""

    code = "nothing_to_state"
