"""What staff may not do, each in a sentence that says what to do instead."""

from cardservice.errors import CardServiceError, MessageRefused, Unknown


class StaffUnknown(Unknown):
    """No account of staff has this identifier."""

    code = "staff_unknown"

    def __init__(self, staff: str) -> None:
        super().__init__("account of staff", staff)


class StaffNotKnownHere(CardServiceError):
    """Nobody can tell who is at the keyboard."""

    code = "staff_not_known_here"


class RightMissing(MessageRefused):
    """Somebody's roles do not cover this."""

    code = "right_missing"

    def __init__(self, staff: str, function: str, roles: tuple[str, ...]) -> None:
        who = f"roles that cover it: {', '.join(roles)}" if roles else "no role covers it"
        super().__init__(f"{staff} may not do this ({function}); {who}")
        self.staff, self.function = staff, function


class NotTheirs(MessageRefused):
    """Something of another provider, or of a service that is not theirs."""

    code = "not_theirs"

    def __init__(self, staff: str, what: str) -> None:
        super().__init__(f"{staff} may do this for their own alone, and not for {what}")
        self.staff = staff


class SecondPersonRefused(CardServiceError):
    """What waits for a second person cannot be closed like this."""

    code = "second_person_refused"
