"""What a machine is answered: each request of SIP2 as a question to the system that lends.

Layouts and codes are those of SIP2 2.00, by the names of the messages. A reader's name, titles and debts come
after the PIN alone, and nobody is told who had a copy before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from cardservice.circulation.system import Item, LibrarySystem, Outcome, Patron, Pin
from cardservice.money import format_minor, parse_minor
from cardservice.sip2 import dates
from cardservice.sip2.accounts import Account
from cardservice.sip2.codec import Code, Message, clean
from cardservice.sip2.refusing import NOBODY_LETTERS, Reply, refused

Fields = list[tuple[str, str]]

# BX, "Supported messages": a letter for each, in this order.
_SUPPORTED = (
    *(Code.PATRON_STATUS, Code.CHECKOUT, Code.CHECKIN, Code.BLOCK_PATRON, Code.SC_STATUS),
    *(Code.REQUEST_ACS_RESEND, Code.LOGIN, Code.PATRON_INFORMATION, Code.END_SESSION, Code.FEE_PAID),
    *(Code.ITEM_INFORMATION, Code.ITEM_STATUS_UPDATE, Code.PATRON_ENABLE, Code.HOLD, Code.RENEW),
    Code.RENEW_ALL,
)
# "Circulation status": other, available, charged, waiting on hold shelf.
_STATES = {"available": "03", "lent": "04", "kept": "08"}
_OTHER_STATE = "01"
# "Payment type": cash, VISA, credit card.
_PAID_BY = {"00": "cash", "01": "card", "02": "card"}
# "Summary": what is listed, by the place of the letter Y, and the field that lists it.
_LISTS = ("AS", "AT", "AU", "AV", "BU", "CD")
MAX_LISTED = 100  # ours: of a kind in one answer
_HOLD, _CANCEL = "+", "-"


@dataclass(slots=True, repr=False)
class Conversation:
    """A machine that has logged in, and whose session it is at."""

    account: Account
    now: Callable[[], datetime]
    zone: ZoneInfo
    # The member who has shown their PIN.
    shown: str | None = field(default=None)
    # Whom this message asks; another one for each.
    system: LibrarySystem = field(init=False)

    def stamp(self) -> str:
        """Now."""
        return dates.written(self.now(), self.zone, universal=self.account.profile.universal_time)


def answer(talk: Conversation, system: LibrarySystem, asked: Message) -> Reply:
    """The answer to a request. Raises LibraryAway and errors of the database."""
    if asked.code not in talk.account.profile.may_ask:
        return refused(asked, talk.stamp(), talk.account.institution, "This machine may not do that.")
    talk.system = system
    return _ANSWERS[asked.code](talk, asked)


def _patron(talk: Conversation, asked: Message) -> tuple[Patron | None, bool]:
    """The member who is asked about, and whether the machine may see and serve them."""
    barcode, pin = asked["AA"], asked.get("AD")
    policy = talk.account.profile.pin
    if policy == "none" and not pin:
        # Machines of staff send an empty field; there is nothing to check.
        pin = None
    if policy == "session" and pin is None and talk.shown == barcode:
        found = talk.system.patron(barcode, None, by=talk.account.actor)
        return found, found is not None
    found = talk.system.patron(
        barcode, pin if pin is not None or policy == "none" else "", by=talk.account.actor
    )
    right = found is not None and found.pin is Pin.RIGHT
    if policy == "none":
        return found, found is not None and found.pin in (Pin.RIGHT, Pin.NOT_GIVEN)
    talk.shown = barcode if right and policy == "session" else None
    return found, right


def _patron_status(talk: Conversation, asked: Message) -> Reply:
    found, visible = _patron(talk, asked)
    fixed = (_letters(found, visible), asked.fixed[0], talk.stamp())
    return Code.PATRON_STATUS_RESPONSE, fixed, _about(talk, asked, found, visible)


def _patron_information(talk: Conversation, asked: Message) -> Reply:
    found, visible = _patron(talk, asked)
    lists = _listed(found if visible else None)
    fixed = (
        *(_letters(found, visible), asked.fixed[0], talk.stamp()),
        *(f"{min(len(lists[name]), 9999):04}" for name in _LISTS),
    )
    fields = _about(talk, asked, found, visible)
    wanted = next((name for letter, name in zip(asked.fixed[2], _LISTS, strict=False) if letter == "Y"), None)
    if wanted is not None:
        first, last = _range(asked["BP"], 1), _range(asked["BQ"], MAX_LISTED)
        some = lists[wanted][first - 1 : min(last, first - 1 + MAX_LISTED)]
        # Before the message for the screen, which comes last.
        at = next((n for n, (name, _) in enumerate(fields) if name == "AF"), len(fields))
        fields[at:at] = [(wanted, clean(each)) for each in some]
    return Code.PATRON_INFORMATION_RESPONSE, fixed, fields


def _about(talk: Conversation, asked: Message, found: Patron | None, visible: bool) -> Fields:
    name = clean(found.name) if found is not None and visible else ""
    fields: Fields = [("AO", talk.account.institution), ("AA", clean(asked["AA"])), ("AE", name)]
    fields.append(("BL", "N" if found is None else "Y"))
    if asked.get("AD") is not None:
        fields.append(("CQ", "Y" if found is not None and found.pin is Pin.RIGHT else "N"))
    if found is None:
        return [*fields, ("AF", "This card is not known here. Please ask a librarian.")]
    if not visible:
        locked = "Too many wrong PINs. Please try later, or ask a librarian."
        return [*fields, ("AF", locked if found.pin is Pin.LOCKED else "The PIN is not right.")]
    fields += [("BH", found.currency), ("BV", format_minor(found.owed_minor, found.currency))]
    return [*fields, ("AF", clean(found.block_message))] if found.block_message else fields


def _letters(found: Patron | None, visible: bool) -> str:
    """Fourteen letters, "Patron status"; nothing is ever recalled, so that privilege nobody has."""
    if found is None or not visible:
        return NOBODY_LETTERS
    if found.letters is not None:
        return found.letters
    blocked = "Y" if found.block is not None else " "
    overdue = "Y" if found.block == "overdue_items" else " "
    owing = "Y" if found.block == "owed_too_much" else " "
    return f"{blocked}{blocked}Y{blocked}  {overdue}   {owing}   "


def _listed(found: Patron | None) -> dict[str, list[str]]:
    if found is None:
        return {name: [] for name in _LISTS}
    return {
        "AS": [each.copy for each in found.waiting if each.copy is not None],
        "AT": [each.copy for each in found.overdue],
        "AU": [each.copy for each in found.on_loan],
        "AV": [f"{format_minor(minor, found.currency)} late return" for minor in found.fines],
        "BU": [],
        "CD": [each.title for each in found.waiting if each.copy is None],
    }


def _range(text: str, otherwise: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    return number or otherwise


def _given(talk: Conversation, asked: Message, code: Code, outcome: Outcome) -> Reply:
    """What lending and lending on are answered."""
    fixed = (
        "1" if outcome.ok else "0",
        "Y" if outcome.renewed else "N",
        "U",  # we know of no magnetic media
        "Y" if outcome.ok and not outcome.renewed else "N",
        talk.stamp(),
    )
    due = "" if outcome.due_on is None else dates.written_day(outcome.due_on)
    fields: Fields = [
        ("AO", talk.account.institution),
        ("AA", clean(asked["AA"])),
        ("AB", clean(asked["AB"])),
        ("AJ", clean(outcome.title)),
        ("AH", due),
    ]
    if outcome.fine_minor:
        currency = talk.system.currency
        fields += [("BT", "04"), ("BH", currency), ("BV", format_minor(outcome.fine_minor, currency))]
    return code, fixed, _with_message(fields, outcome)


def _check_out(talk: Conversation, asked: Message) -> Reply:
    outcome = _refused_to(talk, asked)
    if outcome is None and asked["BI"] == "Y":
        outcome = Outcome(ok=False, message="A loan is not cancelled; bring the thing back.")
    if outcome is None:
        outcome = talk.system.check_out(
            asked["AA"],
            asked["AB"],
            by=talk.account.actor,
            place=talk.account.place,
            done=asked.fixed[1] == "Y",
            renew=asked.fixed[0] == "Y",
        )
    return _given(talk, asked, Code.CHECKOUT_RESPONSE, outcome)


def _renew(talk: Conversation, asked: Message) -> Reply:
    outcome = _refused_to(talk, asked)
    if outcome is None:
        outcome = talk.system.renew(asked["AA"], asked["AB"], by=talk.account.actor)
    return _given(talk, asked, Code.RENEW_RESPONSE, outcome)


def _refused_to(talk: Conversation, asked: Message) -> Outcome | None:
    """Why nothing is done for a member at this machine: the PIN has not been shown."""
    policy, pin = talk.account.profile.pin, asked["AD"]
    if policy == "none" and not pin:
        return None
    # Whoever has shown it: many machines send an empty one with each thing that is lent then.
    if policy == "session" and not pin and talk.shown == asked["AA"]:
        return None
    came = talk.system.shows_pin(asked["AA"], pin, by=talk.account.actor)
    if policy == "session":
        talk.shown = asked["AA"] if came is Pin.RIGHT else None
    if came is Pin.RIGHT:
        return None
    unknown = "This card is not known here. Please ask a librarian."
    return Outcome(ok=False, reason="pin_wrong", message=unknown if came is None else "The PIN is not right.")


def _check_in(talk: Conversation, asked: Message) -> Reply:
    account = talk.account
    told = dates.read(asked.fixed[2], talk.zone)
    outcome = talk.system.check_in(asked["AB"], by=account.actor, place=account.place, returned_at=told)
    elsewhere = bool(outcome.home) and outcome.home != account.place
    alert = outcome.ok and (outcome.kept or elsewhere)
    ok = "1" if outcome.ok else "0"
    fixed = (ok, "Y" if outcome.ok else "N", "U", "Y" if alert else "N", talk.stamp())
    fields: Fields = [
        ("AO", account.institution),
        ("AB", clean(asked["AB"])),
        ("AQ", clean(outcome.home)),
        ("AJ", clean(outcome.title)),
    ]
    if alert:
        # "Alert type", as many systems have added it: kept here, or it belongs to another branch.
        fields.append(("CV", "01" if outcome.kept else "04"))
    return Code.CHECKIN_RESPONSE, fixed, _with_message(fields, outcome)


def _with_message(fields: Fields, outcome: Outcome) -> Fields:
    return [*fields, ("AF", clean(outcome.message))] if outcome.message else fields


def _block(talk: Conversation, asked: Message) -> Reply:
    outcome = talk.system.bar(asked["AA"], by=talk.account.actor, barred=True)
    fixed = (NOBODY_LETTERS, "000", talk.stamp())
    fields: Fields = [("AO", talk.account.institution), ("AA", clean(asked["AA"])), ("AE", "")]
    fields.append(("BL", "Y" if outcome.ok else "N"))
    return Code.PATRON_STATUS_RESPONSE, fixed, _with_message(fields, outcome)


def _enable(talk: Conversation, asked: Message) -> Reply:
    outcome = talk.system.bar(asked["AA"], by=talk.account.actor, barred=False)
    found, visible = _patron(talk, asked) if outcome.ok else (None, False)
    fixed = (_letters(found, visible), "000", talk.stamp())
    return Code.PATRON_ENABLE_RESPONSE, fixed, _about(talk, asked, found, visible)


def _end_session(talk: Conversation, asked: Message) -> Reply:
    talk.shown = None
    fields = [("AO", talk.account.institution), ("AA", clean(asked["AA"]))]
    return Code.END_SESSION_RESPONSE, ("Y", talk.stamp()), fields


def _fee_paid(talk: Conversation, asked: Message) -> Reply:
    """The machine has taken the money already, and tells of it."""
    _, _, method, currency = asked.fixed
    fields: Fields = [("AO", talk.account.institution), ("AA", clean(asked["AA"]))]
    if asked["BK"]:
        fields.append(("BK", clean(asked["BK"])))
    outcome = Outcome(ok=False, reason="amount_unfit", message="That is no amount in our currency.")
    if currency == talk.system.currency:
        try:
            minor = parse_minor(asked["BV"].strip(), currency)
        except ValueError:
            minor = 0
        if minor > 0:
            outcome = talk.system.pay(
                asked["AA"],
                minor,
                method=_PAID_BY.get(method, "other"),
                by=talk.account.actor,
                reference=asked["BK"] or None,
            )
    fixed = ("Y" if outcome.ok else "N", talk.stamp())
    return Code.FEE_PAID_RESPONSE, fixed, _with_message(fields, outcome)


def _item(talk: Conversation, asked: Message) -> Reply:
    found = talk.system.item(asked["AB"])
    # "Security marker": other. "Fee type": other or unknown.
    fixed = (_state(found), "00", "01", talk.stamp())
    if found is None:
        nothing = [("AB", clean(asked["AB"])), ("AJ", ""), ("AF", "This is not known here.")]
        return Code.ITEM_INFORMATION_RESPONSE, fixed, nothing
    fields: Fields = [("CF", str(found.queue))]
    if found.due_on is not None:
        fields.append(("AH", dates.written_day(found.due_on)))
    fields += [("AB", clean(found.copy)), ("AJ", clean(found.title))]
    fields += [("AQ", clean(found.home)), ("AP", clean(found.place))]
    return Code.ITEM_INFORMATION_RESPONSE, fixed, fields


def _state(found: Item | None) -> str:
    return _OTHER_STATE if found is None else _STATES.get(found.state, _OTHER_STATE)


def _item_update(talk: Conversation, asked: Message) -> Reply:
    found = talk.system.item(asked["AB"])
    name = "" if found is None else clean(found.title)
    fields = [("AB", clean(asked["AB"])), ("AJ", name), ("AF", "Properties of things are not kept here.")]
    return Code.ITEM_STATUS_UPDATE_RESPONSE, ("0", talk.stamp()), fields


def _hold(talk: Conversation, asked: Message) -> Reply:
    outcome, wanted = _refused_to(talk, asked), asked["AB"] or asked["AJ"]
    if outcome is None:
        if asked.fixed[0] == _HOLD:
            place = asked["BS"] or talk.account.place
            outcome = talk.system.reserve(asked["AA"], wanted, by=talk.account.actor, place=clean(place))
        elif asked.fixed[0] == _CANCEL:
            outcome = talk.system.cancel(asked["AA"], wanted, by=talk.account.actor)
        else:
            outcome = Outcome(ok=False, message="A hold is not changed; cancel it and place another.")
    fixed = ("1" if outcome.ok else "0", "Y" if outcome.kept else "N", talk.stamp())
    fields: Fields = [("AO", talk.account.institution), ("AA", clean(asked["AA"]))]
    fields += [("AB", clean(outcome.copy or asked["AB"])), ("AJ", clean(outcome.title))]
    return Code.HOLD_RESPONSE, fixed, _with_message(fields, outcome)


def _renew_all(talk: Conversation, asked: Message) -> Reply:
    objection = _refused_to(talk, asked)
    came = [] if objection is not None else list(talk.system.renew_all(asked["AA"], by=talk.account.actor))
    renewed, not_renewed = ([each for each in came if each.ok is ok] for ok in (True, False))
    fixed = ("1" if objection is None else "0", f"{len(renewed):04}", f"{len(not_renewed):04}", talk.stamp())
    fields: Fields = [("AO", talk.account.institution)]
    fields += [("BM", clean(each.copy)) for each in renewed[:MAX_LISTED]]
    fields += [("BN", clean(each.copy)) for each in not_renewed[:MAX_LISTED]]
    return Code.RENEW_ALL_RESPONSE, fixed, fields if objection is None else _with_message(fields, objection)


def _status(talk: Conversation, asked: Message) -> Reply:
    """What is on offer. The time-out is in tenths of a second."""
    del asked
    may = talk.account.profile.may_ask
    lends, takes = (("Y" if code in may else "N") for code in (Code.CHECKOUT, Code.CHECKIN))
    online = "Y" if getattr(talk.system, "is_there", lambda: True)() else "N"
    # Renewals are ours to decide; properties are not kept; what was done without a connection is taken.
    fixed = (online, takes, lends, "Y", "N", "Y", "100", "003", talk.stamp(), "2.00")
    fields = [
        ("AO", talk.account.institution),
        ("BX", "".join("Y" if code in may else "N" for code in _SUPPORTED)),
        ("AN", talk.account.place),
    ]
    return Code.ACS_STATUS, fixed, fields


_ANSWERS: Mapping[Code, Callable[[Conversation, Message], Reply]] = {
    Code.PATRON_STATUS: _patron_status,
    Code.PATRON_INFORMATION: _patron_information,
    Code.CHECKOUT: _check_out,
    Code.CHECKIN: _check_in,
    Code.BLOCK_PATRON: _block,
    Code.SC_STATUS: _status,
    Code.END_SESSION: _end_session,
    Code.FEE_PAID: _fee_paid,
    Code.ITEM_INFORMATION: _item,
    Code.ITEM_STATUS_UPDATE: _item_update,
    Code.PATRON_ENABLE: _enable,
    Code.HOLD: _hold,
    Code.RENEW: _renew,
    Code.RENEW_ALL: _renew_all,
}
