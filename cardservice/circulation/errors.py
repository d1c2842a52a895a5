"""What can go wrong in lending: stable codes, as everywhere."""

from cardservice.errors import CardServiceError, Unknown


class LendingRefused(CardServiceError):
    """Something is not lent, renewed, reserved or paid; `reason` is a stable code of the service."""

    code = "lending_refused"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class MemberUnknown(Unknown):
    """Nobody has this number."""

    code = "member_unknown"

    def __init__(self, barcode: object) -> None:
        super().__init__("member", barcode)


class CopyUnknown(Unknown):
    """There is no copy of this number."""

    code = "copy_unknown"

    def __init__(self, barcode: object) -> None:
        super().__init__("copy", barcode)


class StockRefused(CardServiceError):
    """A file of stock is refused as a whole, with the line that is at fault."""

    code = "stock_refused"

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file, self.line, self.reason = file, line, reason


class NoTerms(CardServiceError):
    """Nothing can be lent without terms that are in force."""

    code = "no_terms"


class LibraryAway(CardServiceError):
    """The system that lends did not answer in time; whether it did what it was asked is not known."""

    code = "library_away"
