"""Opening the service in a process that gunicorn has started, where the database may be starting itself."""

import logging
import time
from collections.abc import Callable

from sqlalchemy.exc import OperationalError

from cardservice.authorisation.exchange import Exchange
from cardservice.config import Settings
from cardservice.context import Context, open_context
from cardservice.database import Database

log = logging.getLogger(__name__)

# Below gunicorn's `timeout`, which it would be ended by otherwise.
PATIENCE_S = 20.0
_AGAIN_AFTER_S = 0.25


def open_when_answered(
    settings: Settings, exchange: Callable[[Database], Exchange], patience_s: float = PATIENCE_S
) -> Context:
    """Open the service as soon as its database answers.

    Raises SystemExit where it does not in time: gunicorn then starts the process anew. For any other
    exception it would end all of its processes, although those that are there may serve again in a moment.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return open_context(settings, exchange=exchange)
        except OperationalError as error:
            # Without its text, which can hold values of the statement.
            log.warning("the database does not answer", extra={"members": {"kind": type(error).__name__}})
            if time.monotonic() > deadline:
                raise SystemExit(1) from None
        time.sleep(_AGAIN_AFTER_S)
