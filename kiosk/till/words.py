"""What the till's script says, in the page's language; `{name}` is filled in by the script."""

from collections.abc import Mapping

from flask_babel import gettext

from kiosk import allergens, reasons
from kiosk.web import shared


def of_the_till() -> Mapping[str, object]:
    """Words by what they are for."""
    return {
        "allergens": allergens.in_words(),
        "reasons": reasons.in_words(),
        "badge": shared.badge(),
        "reader": shared.reader(),
        "keys": _of_the_keys(),
        "pupil": _of_the_pupil(),
        "basket": _of_the_basket(),
        "question": _of_the_question(),
        "outcome": _of_the_outcome(),
        "totals": _of_the_totals(),
        "give_back": _of_giving_back(),
    }


def _of_the_keys() -> Mapping[str, object]:
    return {
        # In the order of the screen
        "categories": [
            ("main", gettext("Main meals")),
            ("side", gettext("Sides")),
            ("dessert", gettext("Desserts")),
            ("snack", gettext("Snacks")),
            ("drink", gettext("Drinks")),
        ],
        "other": gettext("Other"),
        "contains": gettext("Contains {allergens}"),
        "may_contain": gettext("May contain {allergens}"),
        "nothing": gettext("Nothing is offered now."),
        "unavailable": gettext("The menu cannot be shown: {reason}"),
        "as_of": gettext("Menu and prices as of {time}"),
        "no_offline": gettext("This till may not sell while the card service does not answer."),
    }


def _of_the_pupil() -> Mapping[str, object]:
    return {
        "tap": gettext("Tap a card"),
        "reading": gettext("Reading the card"),
        "lift": gettext("Take the card off the reader"),
        "photo": gettext("Photo of {name}"),
        "said": gettext("{name}. Allergens: {allergens}"),
        "said_none": gettext("{name}. No allergens recorded"),
        "no_photo": gettext("No photo"),
        "form": gettext("Form {form}"),
        "no_allergens": gettext("No allergens recorded"),
        "unknown_allergen": gettext("other ({key})"),
        "as_of": gettext("As of {time}. The card service does not answer."),
        "unknown": gettext("Name not known"),
        "unknown_text": gettext(
            "The card service does not answer, and this till has not seen this card today. "
            "Ask for the name and form, and look at the paper list of allergens. Then charge as always."
        ),
        "asked": gettext("I have asked about allergens"),
        "refused": gettext("This card cannot be used"),
        "failed": gettext("The card could not be looked up"),
        "go_on": gettext(
            "Do not send the pupil away. Serve the meal and write it on the paper list, or ask a supervisor."
        ),
        "gone": gettext("The card was taken off. Put it back to pay."),
        "again": gettext("Look up again"),
    }


def _of_the_basket() -> Mapping[str, object]:
    return {
        "charge": gettext("Charge {amount}"),
        "line": gettext("{quantity} × {label}"),
        "empty": gettext("Nothing yet. Press the keys of what is on the tray."),
        "added": gettext("{label} added. Total {amount}."),
        "undone": gettext("Undone. Total {amount}."),
        "cleared": gettext("Basket cleared."),
        "dropped": gettext("Some items are not offered here and were taken out. Total {amount}."),
        "full": gettext("The basket is full."),
        "need_items": gettext("Choose items first"),
        "need_card": gettext("Tap a card first"),
        "need_read": gettext("Wait for the card to be read"),
        "need_allergens": gettext("Confirm the allergens first"),
        "need_lift": gettext("Take the card off first"),
        "need_usable": gettext("This card cannot pay"),
        "need_next": gettext("Press “Next pupil” first"),
        "need_answer": gettext("Wait for the answer"),
    }


def _of_the_question() -> Mapping[str, object]:
    return {
        "clash_title": gettext("Allergen warning"),
        "clash_text": gettext("{name} is recorded as allergic to: {allergens}."),
        "clash_item": gettext("{label}: {clash}"),
        "add": gettext("Add anyway"),
        "do_not_add": gettext("Do not add"),
        "serve": gettext("Charge anyway"),
        "second_title": gettext("Another main meal?"),
        "second_text": gettext("There was a main meal for this card already. Ask before you sell another."),
        "go_back": gettext("Go back"),
        "anyway_title": gettext("Serve anyway?"),
        "anyway_text": gettext("It is charged, and recorded that it was served at a supervisor’s word."),
        "anyway": gettext("Serve anyway"),
        "other_title": gettext("Is the basket for {name}?"),
        "other_unknown": gettext("Is the basket for this card?"),
        "other_text": gettext("It was begun for the card before."),
        "keep": gettext("Keep the basket"),
        "new": gettext("Start a new basket"),
    }


def _of_the_outcome() -> Mapping[str, object]:
    return {
        "paying": gettext("Paying. Leave the card on the reader."),
        "open": gettext("No answer yet. Asking again; the pupil will not be charged twice."),
        "paid": gettext("Paid {amount}"),
        "paid_already": gettext("Paid already"),
        "offline": gettext("Accepted offline {amount}"),
        "offline_text": gettext("It is kept on this till and sent when the card service answers again."),
        "declined": gettext("Declined"),
        "not_paid": gettext("Not paid"),
        "nothing_charged": gettext("Nothing was charged."),
        "new_price": gettext("The price is now {amount}."),
        "go_on": gettext("Change the basket, ask a supervisor, or use the paper list."),
        "waiting": gettext("Another card is on the reader. Press “Next pupil”."),
        "last": gettext("Last sale: {outcome}"),
        "total": gettext("Total"),
        "unknown_reason": gettext("Reason: {reason}"),
    }


def _of_the_totals() -> Mapping[str, object]:
    return {
        "counting": gettext("Counting."),
        "nothing": gettext("Nothing was sold today."),
        "unavailable": gettext("The totals cannot be shown now. Try again."),
        "sums": gettext("Sums"),
        "sales": gettext("Sales"),
        "amount": gettext("Amount"),
        "offline": gettext("Without the card service"),
        "offline_value": gettext("{offline}, of which {waiting} still to be sent"),
        "items": gettext("Items"),
        "declined": gettext("Declined"),
    }


def _of_giving_back() -> Mapping[str, object]:
    return {
        "ask": gettext("Choose what has come back."),
        "asking": gettext("Asking the card service."),
        "given": gettext("Given back: {amount}. It went to where it came from."),
        "refused": gettext("Nothing is given back. {reason}"),
        "unknown": gettext("No answer. Choose the same again: it is given back once."),
    }
