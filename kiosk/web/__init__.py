"""What every face is built on: an application on loopback, its defences, look and languages."""

from kiosk.web.app import create_app
from kiosk.web.face import Face
from kiosk.web.server import Serving, serve
from kiosk.web.words import plural

__all__ = ["Face", "Serving", "create_app", "plural", "serve"]
