"""How many events a minute are written down, where anybody can cause one."""

from datetime import datetime, timedelta
from threading import Lock

_MINUTE = timedelta(minutes=1)


class Budget:
    """So many a minute for this process, and no more."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._lock = Lock()
        self._began: datetime | None = None
        self._taken = 0

    def take(self, moment: datetime) -> bool:
        """Whether one more may be written at `moment`."""
        with self._lock:
            if self._began is None or moment - self._began >= _MINUTE:
                self._began, self._taken = moment, 0
            self._taken += 1
            return self._taken <= self._per_minute
