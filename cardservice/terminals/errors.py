"""What can go wrong when a terminal enrols itself."""

from cardservice.errors import CardServiceError, Unknown


class EnrolmentRefused(CardServiceError):
    """A code does not enrol a terminal; that it is wrong, too old or used up is not told apart."""

    code = "enrolment_refused"

    def __init__(self) -> None:
        super().__init__("this code does not enrol this terminal; ask the scheme for a new one")


class InvitationUnknown(Unknown):
    """No terminal of this identifier is invited."""

    code = "invitation_unknown"

    def __init__(self, terminal: object) -> None:
        super().__init__("invitation of a terminal", terminal)
