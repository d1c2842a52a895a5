"""One machine's connection, without the socket: a frame in, the bytes to send out.

It has logged in or it has not; it remembers its last answer, so that a message that comes twice is done once.
What is wrong with a frame is answered by asking for it again, a few times.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from cardservice.circulation.system import LibrarySystem
from cardservice.errors import CardServiceError
from cardservice.sip2.accounts import Account
from cardservice.sip2.answering import Conversation, answer
from cardservice.sip2.codec import ChecksumWrong, Code, Message, Sip2Error, decode, encode
from cardservice.sip2.profiles import Profile
from cardservice.sip2.refusing import Reply, refused

log = logging.getLogger(__name__)

MAX_BAD = 5  # ours: frames in a row that are no messages, before the connection is closed
MAX_LOGINS = 3  # ours: wrong ones on one connection
# What the protocol wants in an answer stays there, empty, where it is hidden.
_WANTED = frozenset({"AO", "AA", "AE", "AB", "AJ", "AH", "AQ", "BX"})


# What an account, by its name, asks with one message: the system for as long as that takes, None where it may
# ask nothing any more. `True` where the message changes nothing, nor is noted.
Turn = Callable[[str, bool], AbstractContextManager[LibrarySystem | None]]


class Session:
    """A connection's state. Not for several threads at once: a machine waits for its answer."""

    def __init__(
        self,
        log_in: Callable[[str, str], Account | None],
        turn: Turn,
        now: Callable[[], datetime],
        zone: ZoneInfo,
    ) -> None:
        self._log_in, self._turn = log_in, turn
        self._now, self._zone = now, zone
        self._talk: Conversation | None = None
        self._last_frame, self._last_sent = b"", b""
        self._bad = self._logins = 0

    @property
    def logged_in(self) -> bool:
        """Whether it has."""
        return self._talk is not None

    def answer(self, frame: bytes) -> bytes | None:
        """What to send for a frame, maybe nothing; None: close the connection."""
        frame = frame.strip(b"\r\n")
        if not frame:
            return b""
        if frame == self._last_frame and self._last_sent:
            # It did not hear the answer: what it asked for is not done twice.
            return self._last_sent
        try:
            asked = decode(frame, encoding=self._profile.encoding)
            if self._profile.checksums == "require" and not asked.has_checksum:
                raise ChecksumWrong("a checksum is wanted")
        except Sip2Error:
            return self._again()
        self._bad = 0
        if asked.code is Code.REQUEST_ACS_RESEND:
            return self._last_sent or self._resend()
        sent = self._login(asked) if asked.code is Code.LOGIN else self._reply(asked)
        if sent is None or asked.code is Code.REQUEST_SC_RESEND:
            return sent
        # A number tells a message that comes twice from one that is asked twice.
        once = asked.sequence is not None and asked.code in _CHANGES
        self._last_frame = frame if once else b""
        self._last_sent = sent
        return sent

    @property
    def _profile(self) -> Profile:
        return Profile() if self._talk is None else self._talk.account.profile

    def _again(self) -> bytes | None:
        self._bad += 1
        return None if self._bad > MAX_BAD else self._resend()

    def _resend(self) -> bytes:
        return self._finished(encode(Code.REQUEST_SC_RESEND, (), (), with_checksum=True))

    def _login(self, asked: Message) -> bytes | None:
        self._talk = None
        # "UID algorithm", "PWD algorithm": 0 is plain text, which all machines send.
        plain = asked.fixed == ("0", "0")
        try:
            account = self._log_in(asked["CN"], asked["CO"]) if plain else None
        except SQLAlchemyError:
            log.warning("SIP2 log-in not served")
            return None
        if account is None:
            self._logins += 1
            log.warning("SIP2 log-in refused", extra={"members": {"tries": self._logins}})
            if self._logins > MAX_LOGINS:
                return None
        else:
            self._logins = 0
            self._talk = Conversation(account, self._now, self._zone)
        return self._encoded(asked, (Code.LOGIN_RESPONSE, ("1" if account else "0",), ()))

    def _reply(self, asked: Message) -> bytes | None:
        talk = self._talk
        if talk is None or asked.code not in _REQUESTS:
            # Nothing is told to who has not logged in; and answers are ours to give.
            return None if talk is None else self._again()
        try:
            with self._turn(talk.account.name, asked.code in _LOOKS) as system:
                if system is None:
                    return None
                reply = answer(talk, system, asked)
        except (CardServiceError, SQLAlchemyError) as error:
            code = getattr(error, "code", None)
            log.warning(
                "SIP2 request not served", extra={"members": {"request": asked.code.value, "code": code}}
            )
            why = "This is not available now. Please ask a librarian."
            reply = refused(asked, talk.stamp(), talk.account.institution, why)
        return self._encoded(asked, reply)

    def _encoded(self, asked: Message, reply: Reply) -> bytes:
        """As the machine asked: numbered and summed where it did so."""
        code, fixed, fields = reply
        hidden = self._profile.hidden
        shown = [
            (name, "" if name in hidden else value)
            for name, value in fields
            if name not in hidden or name in _WANTED
        ]
        encoding = self._profile.encoding
        return self._finished(
            encode(
                code,
                fixed,
                shown,
                encoding=encoding,
                sequence=asked.sequence,
                with_checksum=asked.has_checksum,
            )
        )

    def _finished(self, message: bytes) -> bytes:
        return message + b"\n" if self._profile.line_feed else message


_CHANGES = frozenset(
    {
        *(Code.CHECKOUT, Code.CHECKIN, Code.BLOCK_PATRON, Code.PATRON_ENABLE),
        *(Code.FEE_PAID, Code.HOLD, Code.RENEW, Code.RENEW_ALL),
    }
)
# A member's record is looked at, too, but that is noted.
_LOOKS = frozenset({Code.SC_STATUS, Code.END_SESSION, Code.ITEM_INFORMATION, Code.ITEM_STATUS_UPDATE})
_REQUESTS = _CHANGES | _LOOKS | {Code.PATRON_STATUS, Code.PATRON_INFORMATION}
