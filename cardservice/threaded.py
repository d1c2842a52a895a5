"""gunicorn's worker with threads, for SQLite; it refuses by problem documents, and lasts through a reload."""

from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from cardservice.refusing import Refusing
from cardservice.reloading import Lasting


class ThreadedWorker(Refusing, Lasting, ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves until it is told to stop and, by a reload, another serves."""

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """Told to stop."""
        if not self.is_needed():
            super().handle_exit(sig, frame)
