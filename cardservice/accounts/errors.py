"""What can go wrong with closing an account."""

from cardservice.errors import CardServiceError


class ClosingRefused(CardServiceError):
    """An account cannot be closed, or not yet."""

    code = "closing_refused"
