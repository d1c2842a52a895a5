"""What the validator's script says, in the page's language; `{name}` is filled in by the script."""

from collections.abc import Mapping

from flask_babel import gettext

from kiosk import reasons
from kiosk.web import shared


def of_the_validator() -> Mapping[str, object]:
    """Words by what they are for."""
    return {
        "reasons": reasons.in_words(),
        "badge": shared.badge(),
        "reader": shared.reader(),
        "idle": gettext("Tap your card"),
        "reading": gettext("Hold your card still"),
        "lift": gettext("Take your card off and tap again"),
        "open": gettext("Please wait"),
        "open_text": gettext("No answer yet. Asking again; you will not be charged twice."),
        "go": gettext("Go"),
        "stop": gettext("Stop"),
        "paid": gettext("Paid"),
        "paid_already": gettext("Paid already"),
        "offline": gettext("Accepted offline"),
        "nothing_charged": gettext("Nothing was charged."),
        "unknown_reason": gettext("Reason: {reason}"),
        "no_price": gettext("No price now: {reason}"),
    }
