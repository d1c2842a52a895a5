"""Sessions over the built-in system, one for each machine that connects."""

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
        self._system = system or BuiltIn(context, self._pins)
        self._zone = ZoneInfo(context.scheme.timezone)

    def __call__(self) -> Session:
        """A session of a machine that has just connected."""
        context, pins = self._context, self._pins
        return Session(
            self._system,
            lambda name, password: log_in(context, pins, name, password),
            lambda name: is_open(context, name),
            context.now,
            self._zone,
        )
