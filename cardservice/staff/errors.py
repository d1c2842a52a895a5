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


class SignInRefused(CardServiceError):
    """Somebody is not let in. They are told one sentence, whatever the reason was; the trail has that."""

    code = "sign_in_refused"

    def __init__(self, why: str, staff: str | None = None) -> None:
        """`staff`: whose account it was about, where there is one; never what a stranger has typed."""
        super().__init__(
            "this signs nobody in: ask for a challenge and try again; after five wrong passwords or codes"
            " wait for 15 minutes, or ask an administrator"
        )
        self.why, self.staff = why, staff


class SessionInvalid(CardServiceError):
    """A request names no session that goes on."""

    code = "session_invalid"


class SignInAgain(MessageRefused):
    """What somebody signs in with is changed by who has just signed in, and not by a session of hours ago."""

    code = "sign_in_again"

    def __init__(self) -> None:
        super().__init__("sign in again, and then change what you sign in with")


class SessionUnknown(Unknown):
    """There is no such session, or it is another's."""

    code = "session_unknown"

    def __init__(self, session: object) -> None:
        super().__init__("session", session)


class EnrolmentAlone(MessageRefused):
    """Whoever came in by an enrolment code may set up what to sign in with, and nothing else."""

    code = "enrolment_alone"

    def __init__(self) -> None:
        super().__init__("set up a passkey, or a password with codes, and sign in with that")


class CredentialRefused(CardServiceError):
    """What somebody would sign in with cannot be kept as it is."""

    code = "credential_refused"


class KeyMissing(CardServiceError):
    """What makes something carries a key by which it is known when it is sent again."""

    code = "idempotency_key_missing"

    def __init__(self) -> None:
        super().__init__("send an Idempotency-Key of 8 to 64 visible characters, drawn for this request")


class KeyTaken(CardServiceError):
    """The key belongs to another request."""

    code = "idempotency_key_taken"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was another request's; draw a new one")


class TagMissing(CardServiceError):
    """What is changed is named by what it was when it was looked at."""

    code = "if_match_missing"

    def __init__(self) -> None:
        super().__init__("send the ETag of the record that you have looked at as If-Match")


class ChangedMeanwhile(CardServiceError):
    """Somebody else has changed it since it was looked at; nothing was done."""

    code = "changed_meanwhile"

    def __init__(self) -> None:
        super().__init__("somebody else has changed this since; look at it again")


class CardMissing(Unknown):
    """Staff ask for a card that the scheme does not have."""

    code = "card_missing"

    def __init__(self, card: object) -> None:
        super().__init__("card", card)


class TerminalMissing(Unknown):
    """Staff ask for a terminal that the scheme does not have, or that is not theirs to see."""

    code = "terminal_missing"

    def __init__(self, terminal: str) -> None:
        super().__init__("terminal", terminal[:64])
