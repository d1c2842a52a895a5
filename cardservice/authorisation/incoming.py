"""A message on its way in: read for while its request's signature is checked, and answered once it stands."""

from collections.abc import Mapping, Sequence
from typing import Any

from cardservice.authorisation.answers import rendered
from cardservice.authorisation.found import Found, wanted_for
from cardservice.authorisation.messages import Message, annul_notice, read_statement
from cardservice.authorisation.refusals import note_refusal
from cardservice.authorisation.service import authorise
from cardservice.context import Context
from cardservice.errors import MessageRefused
from cardservice.ids import TerminalId
from cardservice.terminals.service import Terminal, find_terminal


class Incoming:
    """One request of a terminal, whose body has the documented shape."""

    def __init__(self, context: Context, body: Mapping[str, Any]) -> None:
        self._context, self._body = context, body
        self._message: Message | MessageRefused | None = None
        self._found: Found | None = None

    def find(self, keyid: str) -> Terminal | None:
        """The terminal, read together with all that its message is decided on.

        What is read tells nothing to who cannot sign: it is looked at when the signature has verified.
        """
        self._message = message_of(self._context, TerminalId(keyid), self._body)
        if isinstance(self._message, MessageRefused):
            return _find_alone(self._context, keyid)
        [self._found] = self._context.exchange.read([wanted_for(self._message, keyid)])
        return self._found.terminal

    def answer(self, terminal: Terminal) -> dict[str, Any]:
        """The answer to the terminal that `find` found. Raises MessageRefused and Busy."""
        message = self._message
        if isinstance(message, MessageRefused):
            note_refusal(self._context, terminal.id, None, message)
            raise message
        if message is None:
            raise LookupError("the terminal has not been looked for yet")
        return rendered(self._context, terminal.id, authorise(self._context, terminal, message, self._found))


class IncomingBulk:
    """Several messages of a terminal, whose bodies have the documented shape."""

    def __init__(self, context: Context, bodies: Sequence[Mapping[str, Any]]) -> None:
        self._context, self._bodies = context, bodies
        self.messages: Sequence[Message | MessageRefused] = ()

    def find(self, keyid: str) -> Terminal | None:
        """The terminal, read as for the first of its messages: the others only when it has signed them."""
        self.messages = [message_of(self._context, TerminalId(keyid), body) for body in self._bodies]
        first = next((one for one in self.messages if not isinstance(one, MessageRefused)), None)
        if first is None:
            return _find_alone(self._context, keyid)
        [found] = self._context.exchange.read([wanted_for(first, keyid)])
        return found.terminal


def _find_alone(context: Context, keyid: str) -> Terminal | None:
    with context.database.reading() as connection:
        return find_terminal(connection, keyid)


def message_of(context: Context, terminal: TerminalId, body: Mapping[str, Any]) -> Message | MessageRefused:
    """The message of a body that has the documented shape."""
    try:
        if "annul" in body:
            return annul_notice(context.scheme.id, terminal, body["annul"])
        return read_statement(body["statement"], body["details"], body["details_salt"])
    except MessageRefused as refusal:
        return refusal
