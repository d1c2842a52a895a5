"""Sessions over the built-in system, or another, one for each machine that connects."""

from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from cardservice.circulation.built_in import BuiltIn
from cardservice.circulation.pins import Pins
from cardservice.circulation.system import LibrarySystem
from cardservice.context import Context
from cardservice.sip2.accounts import is_open, log_in
from cardservice.sip2.session import Session


class SessionMaker:
    """Makes sessions of one service: they share what has been learned of PINs.

    Accounts are ours, also where another `system` lends.
    """

    def __init__(self, context: Context, system: LibrarySystem | None = None) -> None:
        self._context = context
        self._pins = Pins(context.keys.services_master)
        self._other = system
        self._own = BuiltIn(context, self._pins)
        self._zone = ZoneInfo(context.scheme.timezone)

    def __call__(self) -> Session:
        """A session of a machine that has just connected."""
        context, pins = self._context, self._pins
        return Session(
            lambda name, password: log_in(context, pins, name, password),
            self._turn,
            context.now,
            self._zone,
        )

    @contextmanager
    def _turn(self, name: str, looks: bool) -> Iterator[LibrarySystem | None]:
        """What an account asks with one message: a transaction of ours, the account's own state in it."""
        database = self._context.database
        if self._other is not None:
            # Nothing is kept open while another system thinks.
            with database.reading() as connection:
                may = is_open(connection, name)
            yield self._other if may else None
            return
        with database.reading() if looks else database.turn() as connection:
            yield self._own.within(connection) if is_open(connection, name) else None
