"""The rules of what a card does at the library's terminals: paying a fine, and time at a computer.

What somebody owes is a resource of its own: there is only so much to pay of, so no fine is paid twice, or
too much of it, whoever takes the money. Lending itself needs no card's proof; its rules are in `lending`.
"""

from datetime import timedelta

from cardservice.services.library import lending
from cardservice.services.library.terms import Terms
from cardservice.services.seam import (
    APPROVED,
    Ask,
    AskKind,
    CounterUse,
    Decision,
    Holder,
    Line,
    Quote,
    Refusal,
    ResourceUse,
    View,
)

# Ours: long enough to present a card, and not longer than a statement's time may be off.
QUOTE_VALIDITY = timedelta(minutes=5)
PAY_FINE, PC_SESSION = "pay-fine", "pc-session"
PC_MINUTES = "library.pc"

CURRENCY_MISMATCH = "currency_mismatch"
TARIFF_EXPIRED = lending.TERMS_OVER
TARIFF_NOT_YET_VALID = "tariff_not_yet_valid"
AMOUNT_MISSING = "amount_missing"
PRICE_CHANGED = "price_changed"
PC_MINUTES_USED = "pc_minutes_used"

REASONS = lending.REASONS | {
    *(APPROVED, CURRENCY_MISMATCH, TARIFF_EXPIRED, TARIFF_NOT_YET_VALID, AMOUNT_MISSING, PRICE_CHANGED),
    PC_MINUTES_USED,
}


def quote(ask: Ask, terms: Terms) -> Quote | Refusal:
    """A fine costs what is asked for, a computer nothing. What is owed is seen when it is paid."""
    objection = _frame(ask, terms)
    if objection is not None:
        return objection
    line = _line(ask)
    validity = timedelta(hours=terms.offline_quote_hours) if ask.offline else QUOTE_VALIDITY
    return Quote(
        amount_minor=line.amount_minor,
        currency=terms.currency,
        tariff_version=terms.version,
        valid_until=min(ask.occurred_at + validity, terms.valid_until),
        lines=(line,),
    )


def decide(ask: Ask, holder: Holder, view: View, terms: Terms, fines_key: str) -> Decision:
    """A request is approved at the price that was signed, or not at all; an advice is posted as signed."""
    objection = _frame(ask, terms) or _price(ask)
    if objection is None and ask.action == PC_SESSION:
        objection = _minutes(ask, holder, view, terms)
    if objection is not None:
        return _objected(ask, objection, terms)
    line = _line(ask)
    resources: tuple[ResourceUse, ...] = ()
    counters: tuple[CounterUse, ...] = ()
    if ask.action == PAY_FINE:
        resources = (ResourceUse(key=fines_key, quantity=line.amount_minor, capacity=0),)
    else:
        period = terms.day_of(ask.occurred_at).isoformat()
        counters = (CounterUse(rule=PC_MINUTES, period=period, amount=int(str(ask.details["minutes"]))),)
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Approved.",
        amount_minor=line.amount_minor,
        lines=(line,),
        counters=counters,
        resources=resources,
        if_taken="Not so much is owed. Ask how much it is.",
        inputs=_inputs(ask, terms),
    )


def _line(ask: Ask) -> Line:
    if ask.action == PAY_FINE:
        amount_minor = int(str(ask.details["amount_minor"]))
        return Line(label="Library fines", amount_minor=amount_minor, product=PAY_FINE)
    return Line(label=f"Computer, {ask.details['minutes']} minutes", amount_minor=0, product=PC_SESSION)


def _frame(ask: Ask, terms: Terms) -> Refusal | None:
    if ask.currency != terms.currency:
        message = f"The amount is in {ask.currency[:10]}, the terms are in {terms.currency}."
        return Refusal(reason=CURRENCY_MISMATCH, message=message)
    if ask.occurred_at >= terms.valid_until:
        return Refusal(reason=TARIFF_EXPIRED, message="The terms are over. Load newer ones.")
    if ask.occurred_at < terms.valid_from:
        return Refusal(reason=TARIFF_NOT_YET_VALID, message="The terms are not in force yet.")
    return None


def _price(ask: Ask) -> Refusal | None:
    if ask.amount_minor is None:
        return Refusal(reason=AMOUNT_MISSING, message="The amount is told before it is signed.")
    if ask.amount_minor != _line(ask).amount_minor:
        return Refusal(reason=PRICE_CHANGED, message="Another amount was signed. Ask for the price again.")
    return None


def _minutes(ask: Ask, holder: Holder, view: View, terms: Terms) -> Refusal | None:
    members = terms.members.get(holder.category)
    if members is None:
        return Refusal(reason=lending.NOT_A_MEMBER, message="There are no terms for this card's holder.")
    period = terms.day_of(ask.occurred_at).isoformat()
    used = sum(
        counter.used
        for counter in view.counters
        if (counter.cardholder_id, counter.rule, counter.period) == (holder.cardholder_id, PC_MINUTES, period)
    )
    left = max(0, members.pc_minutes - used)
    if int(str(ask.details["minutes"])) > left:
        message = f"There are {left} minutes left today."
        return Refusal(reason=PC_MINUTES_USED, message=message, data={"left_minutes": left})
    return None


def _objected(ask: Ask, objection: Refusal, terms: Terms) -> Decision:
    inputs = {**_inputs(ask, terms), "refused": objection.reason, **objection.data}
    if ask.kind is AskKind.REQUEST:
        return Decision(approved=False, reason=objection.reason, message=objection.message, inputs=inputs)
    # In another currency nothing can be posted: the scheme's accounts do not have that unit.
    amount_minor = 0 if objection.reason == CURRENCY_MISMATCH else ask.amount_minor or 0
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Posted as it was signed.",
        amount_minor=amount_minor,
        lines=(Line(label="Library", amount_minor=amount_minor, product=ask.action),),
        flags=(objection.reason,),
        inputs=inputs,
    )


def _inputs(ask: Ask, terms: Terms) -> dict[str, object]:
    return {"tariff_version": terms.version, "signed_tariff_version": ask.tariff_version}
