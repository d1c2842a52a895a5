"""The WSGI application, for gunicorn: `cardservice.wsgi:application`."""

import atexit
import gc
from functools import partial
from typing import TYPE_CHECKING

from cardservice.advices.workers import Here, Workers
from cardservice.api import request_log
from cardservice.api.app import create_app
from cardservice.api.hot import HotEndpoint
from cardservice.api.metrics import AdminFace
from cardservice.api.patient import PatientFace
from cardservice.authorisation.exchange import DirectExchange
from cardservice.batching.exchange import BatchedExchange
from cardservice.config import load_settings
from cardservice.starting import open_when_answered

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

request_log.configure()
_settings = load_settings()
# On SQLite a greenlet that waited for the write lock would stop all the others: there threads wait.
_batched = partial(BatchedExchange, node_timeout_s=_settings.node_timeout_s)
_context = open_when_answered(_settings, DirectExchange if _settings.is_sqlite else _batched)
atexit.register(_context.close)
_ingest = Here(_context) if _settings.is_sqlite else Workers(_context.scheme.id)
atexit.register(_ingest.close)
_app = create_app(_context, _ingest)
if isinstance(_context.exchange, BatchedExchange) and _context.exchange.patience is not None:
    # Flask's own way of putting something around an application that goes on being one.
    setattr(_app, "wsgi_app", PatientFace(_app, _context.exchange.patience))  # noqa: B010 - mypy: a method
application: "WSGIApplication" = HotEndpoint(_app, _context)
if _settings.admin_bind is not None:
    application = AdminFace(application, _settings.admin_bind)
# What was made by now stays: the collector need not look through all of it again and again.
gc.collect()
gc.freeze()
