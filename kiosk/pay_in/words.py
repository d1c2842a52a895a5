"""What the script of the kiosk says where holders pay in, in the page's language."""

from collections.abc import Mapping

from flask_babel import gettext

from kiosk import reasons
from kiosk.web import shared


def of_the_kiosk() -> Mapping[str, object]:
    """Words by what they are for."""
    return {
        "badge": shared.badge(),
        "reader": shared.reader(),
        "reasons": {**reasons.in_words(), **_of_paying_in()},
        "reading": gettext("Reading your card"),
        "refused": gettext("This card cannot be used"),
        "gone": gettext("You took your card off. Tap it to begin again."),
        "least": gettext("Enter an amount of {amount} or more, such as 12.50"),
        "most": gettext("Enter an amount of {amount} or less, such as 12.50"),
        "no_amount": gettext("Enter an amount in numbers, such as 12.50"),
        "confirm": gettext("Pay in {amount}?"),
        "pay": gettext("Pay {amount}"),
        "beginning": gettext("Opening the payment page"),
        "not_begun": gettext("The payment could not be started"),
        "unknown_reason": gettext("Reason: {reason}"),
        "states": _of_the_states(),
        "balance": gettext("You can now spend {amount}."),
        "owed": gettext("You still owe {amount}."),
        "loss_name": gettext("Enter the full name, as it is on the card"),
        "loss_born": gettext("Enter the date of birth in numbers, such as 23 11 1987"),
        "loss_postcode": gettext("Enter the postcode"),
        "loss_not_taken": gettext("We could not take your report. Try again, or tell the card office."),
        "time_left": gettext("This screen goes back to the start soon."),
    }


def _of_the_states() -> Mapping[str, Mapping[str, str]]:
    waiting = {
        "title": gettext("Your payment is on its way"),
        "text": gettext("Wait here, or take your card and go: it is paid in when it arrives, once."),
    }
    unpaid = {
        "title": gettext("You have not paid yet"),
        "text": gettext("You came back before the payment was done. Nothing has been taken."),
    }
    return {
        "success": {
            "title": gettext("{amount} paid in"),
            "text": gettext("You can use it at once."),
        },
        "submitted": waiting,
        "capturable": waiting,
        "wanted": unpaid,
        "created": unpaid,
        "started": unpaid,
        "cancelled": {
            "title": gettext("Payment cancelled"),
            "text": gettext("Nothing was taken, and nothing was paid in."),
        },
        "failed": {
            "title": gettext("Payment not accepted"),
            "text": gettext("Your bank or card company did not accept it. Nothing was paid in."),
        },
        "error": {
            "title": gettext("Payment did not work"),
            "text": gettext("Something went wrong at the payment provider. Nothing was paid in."),
        },
        "unknown": {
            "title": gettext("We do not know yet how it went"),
            "text": gettext(
                "The card service does not answer. If you have paid, it is paid in by itself, once. "
                "Do not pay again."
            ),
        },
    }


def _of_paying_in() -> Mapping[str, str]:
    away = gettext("The payment provider does not answer. Try again later.")
    return {
        "payment_provider_away": away,
        "payment_refused": gettext("The payment provider did not accept this amount."),
        "payments_missing": gettext("Nobody can pay in here at the moment."),
        "role_not_allowed": gettext("This terminal was not set up to pay in."),
        "order_invalid": gettext("Begin again from the start."),
        "payer_unknown": gettext("Nobody can pay in for this card. Ask the card office."),
        "agent_away": gettext("The card reader program does not answer. Try again."),
    }
