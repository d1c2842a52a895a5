"""What can go wrong with a person's record."""

from cardservice.errors import CardServiceError, Unknown


class GuardianshipUnknown(Unknown):
    """No guardianship has this identifier."""

    code = "guardianship_unknown"

    def __init__(self, guardianship: object) -> None:
        super().__init__("guardianship", guardianship)


class AskerRefused(CardServiceError):
    """Somebody asks for a person whom they may not act for; `reason` is a stable code."""

    code = "asker_refused"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RecordUnreadable(CardServiceError):
    """A field of a record does not open: it was changed or moved, or its key is another."""

    code = "record_unreadable"

    def __init__(self, cardholder: object, field: str) -> None:
        super().__init__(
            f"the {field} of cardholder {cardholder} cannot be read: it was changed, or sealed under another"
            " key; restore database and keys of the same moment"
        )
        self.cardholder, self.field = str(cardholder), field
