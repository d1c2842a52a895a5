"""gunicorn's settings, loaded by `cardservice serve`.

On PostgreSQL greenlets wait for the database, so that one of them can ask it for what many wait for
(`batching`); there is a process for each processor and one more. SQLite has one writer: one process, whose
threads wait.

Nothing here may import psycopg: it chooses how to wait when it is imported, and must find gevent there then.
"""

import os
import shutil

from cardservice import reloading
from cardservice.config import load_settings

# Where the processes write what they count; Prometheus' client reads it from the environment by this name.
NUMBERS = "PROMETHEUS_MULTIPROC_DIR"

_settings = load_settings()

_threads, _greenlets = "cardservice.threaded.ThreadedWorker", "cardservice.stopping.StoppingWorker"
worker_class = _threads if _settings.is_sqlite else _greenlets
workers = 1 if _settings.is_sqlite else _settings.workers or (os.cpu_count() or 1) + 1
# Of a process: threads on SQLite, connections on PostgreSQL.
threads = _settings.threads if _settings.is_sqlite else 1
worker_connections = _settings.connections

# A terminal repeats what it got no answer to within seconds; no request of ours takes longer than that.
timeout = 30
# Requests under way are ended before the process is: what was posted is answered.
graceful_timeout = 25
# Longer than the proxy keeps its idle connections, so that it never sends on one that was just closed.
keepalive = 75
backlog = 512

# Request lines and headers of the terminal profile are short.
limit_request_line = 2048
limit_request_fields = 40
limit_request_field_size = 4096
forwarded_allow_ips = _settings.forwarded_allow_ips

# Heartbeats go to memory: on a busy disk a worker would seem to be dead.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112 - named by gunicorn's docs
# It would leave a socket in the home directory, and nothing here is steered at run time.
control_socket_disable = True
proc_name = "cardservice"

# Requests are logged by the application, without paths and addresses.
accesslog = None
errorlog = "-"
loglevel = "warning"


def on_reload(server: object) -> None:
    """New processes are started next."""
    reloading.begun(server)


def post_worker_init(worker: object) -> None:
    """A process has opened the service, and serves."""
    reloading.serves(worker)


def on_exit(server: object) -> None:
    """The processes have ended: so have their numbers."""
    del server
    if folder := os.environ.get(NUMBERS):
        shutil.rmtree(folder, ignore_errors=True)
