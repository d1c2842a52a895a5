"""The WSGI application, for gunicorn: `cardservice.wsgi:application`."""

import atexit

from cardservice.api import request_log
from cardservice.api.app import create_app
from cardservice.config import load_settings
from cardservice.context import open_context

request_log.configure()
_context = open_context(load_settings())
atexit.register(_context.close)
application = create_app(_context)
