"""Whether requests are taken: not while the ledger lacks what was lost and may still come back."""

import time

from sqlalchemy import select

from cardservice.database import Database
from cardservice.recovery.errors import Recovering
from cardservice.recovery.models import ledger_recovery

# How soon a process notices that the recovery was finished.
LOOK_AGAIN_S = 1.0


class Gate:
    """A recovery is begun while nothing serves: a process that starts without one never looks again."""

    def __init__(self, database: Database | None = None) -> None:
        """Look at once; without a database there is no recovery."""
        self._database = database
        self._looks_at = 0.0
        self.is_recovering()

    def is_recovering(self) -> bool:
        """Whether a recovery is open."""
        if self._database is None:
            return False
        if (now := time.monotonic()) >= self._looks_at:
            # Before it looks: who asks meanwhile need not.
            self._looks_at = now + LOOK_AGAIN_S
            wanted = select(ledger_recovery.c.number).where(ledger_recovery.c.finished_at.is_(None))
            with self._database.reading() as connection:
                if connection.execute(wanted).first() is None:
                    self._database = None
        return self._database is not None

    def require_open(self) -> None:
        """Raises Recovering."""
        if self.is_recovering():
            raise Recovering
