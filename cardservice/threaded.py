"""gunicorn's worker with threads, for SQLite; what it refuses is answered like everything else."""

from gunicorn.workers.gthread import ThreadWorker

from cardservice.refusing import Refusing


class RefusingThreads(Refusing, ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Refuses by problem documents."""
