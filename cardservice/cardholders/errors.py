"""What can go wrong with a person's record."""

from cardservice.errors import CardServiceError


class RecordUnreadable(CardServiceError):
    """A field of a record does not open: it was changed or moved, or its key is another."""

    code = "record_unreadable"

    def __init__(self, cardholder: object, field: str) -> None:
        super().__init__(
            f"the {field} of cardholder {cardholder} cannot be read: it was changed, or sealed under another"
            " key; restore database and keys of the same moment"
        )
        self.cardholder, self.field = str(cardholder), field
