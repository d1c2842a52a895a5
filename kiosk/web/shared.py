"""What the scripts say that several faces share: web/badge.mjs and web/reader.mjs."""

from collections.abc import Mapping

from flask_babel import gettext

from kiosk.web.words import plural


def badge() -> Mapping[str, object]:
    """Whether the card service answers, and what waits to be told to it."""
    return {
        "online": gettext("Online"),
        "offline": gettext("Offline"),
        "offline_waiting": plural("Offline – %(count)s sale waiting", "Offline – %(count)s sales waiting"),
        "online_waiting": plural("Online – %(count)s sale waiting", "Online – %(count)s sales waiting"),
        "connecting": gettext("Connecting"),
    }


def reader() -> Mapping[str, str]:
    """What is wrong with the reader itself."""
    return {
        "lost_text": gettext("The card reader is not connected. This page goes on by itself when it is."),
        "unknown_text": gettext(
            "The card reader program does not watch {reader}. Tell whoever looks after this terminal."
        ),
    }
