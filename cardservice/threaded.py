"""gunicorn's worker with threads, for SQLite; it refuses by problem documents, and lasts through a reload."""

import time
from threading import Thread
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from cardservice.refusing import Refusing
from cardservice.reloading import LOOK_EVERY_S, Lasting


class ThreadedWorker(Refusing, Lasting, ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves until it is told to stop and, by a reload, another serves."""

    _lasting: Thread | None = None

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """Told to stop."""
        if not self.is_needed():
            super().handle_exit(sig, frame)
        elif self._lasting is None:
            self._lasting = Thread(target=self._last, args=(sig,), daemon=True)
            self._lasting.start()

    def _last(self, sig: Any) -> None:
        """Stop when another has taken this one's place."""
        while self.is_needed():
            time.sleep(LOOK_EVERY_S)
        self.handle_exit(sig, None)
