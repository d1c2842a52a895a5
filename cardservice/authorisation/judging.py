"""The checks after the proof: card's status, nonce and time, the service's rules, floors. Pure functions.

A request that meets an objection is declined with its reason. An advice's goods are gone: it is always
approved, and each objection becomes a flag.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from marshmallow import ValidationError

from cardservice.authorisation.case import Case, Verdict
from cardservice.authorisation.counting import changes
from cardservice.authorisation.money import pay, shortfall
from cardservice.cards.states import CardState
from cardservice.services.seam import APPROVED, Ask, AskKind, Decision, Holder, Line

CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a request is declined, and the flag that an advice carries instead."""

    reason: str
    message: str
    flag: str


class RulesAtFault(Exception):
    """A service's rules answered what their seam does not allow; a fault of the program, not of the card."""


def judge(case: Case) -> Verdict:
    """The verdict on a statement whose proof has been verified."""
    if case.replaced is not None and case.replaced.stands:
        return Verdict(
            decision="duplicate",
            reason="duplicate",
            message="Paid already: the request that this replaces was approved.",
            amount_minor=case.message.signed.statement.amount_minor,
            duplicate_of=case.replaced.id,
        )
    objections = [objection for check in CHECKS if (objection := check(case)) is not None]
    if objections and not case.message.is_advice:
        return _declined(case, objections[0].reason, objections[0].message)
    return _decided(case, tuple(objection.flag for objection in objections))


def check_status(case: Case) -> Objection | None:
    """Check 6: the card's state, as of the statement's time for an advice."""
    moment = _judged_at(case)
    state = case.facts.card.state_at(moment)
    revoked_at = case.proof.certificate_revoked_at
    if state in _GONE or (revoked_at is not None and revoked_at <= moment):
        return Objection("card_revoked", "This card was revoked.", "card_was_revoked")
    if (
        state is CardState.EXPIRED
        or moment >= case.proof.not_after
        or moment.date() > case.facts.card.expires_on
    ):
        return Objection("card_expired", "This card has expired.", "card_was_expired")
    if state is CardState.SUSPENDED:
        return Objection("card_suspended", "This card is suspended.", "card_was_suspended")
    if state is not CardState.ACTIVE:
        return Objection("card_not_active", "This card is not active yet.", "card_was_not_active")
    return None


def check_time(case: Case) -> Objection | None:
    """Check 7: nonce and time window of a request; of an advice whether its clock can be believed."""
    ahead = case.message.time - case.facts.moment
    if case.message.is_advice:
        if ahead > CLOCK_TOLERANCE or case.message.time < case.proof.not_before:
            return Objection("clock", "The terminal's clock is wrong.", "clock_doubtful")
        return None
    if not case.nonce_is_fresh:
        return Objection("stale", "That took too long. Please try again.", "stale")
    if abs(ahead) > CLOCK_TOLERANCE:
        return Objection("clock", "The terminal's clock is wrong.", "clock_doubtful")
    return None


def check_offline_limit(case: Case) -> Objection | None:
    """What a terminal gives away offline stays within its limit; a request is never offline."""
    statement = case.message.signed.statement
    if not statement.offline:
        return None
    limit = case.terminal.offline_limit_minor
    if limit is None or (statement.amount_minor or 0) > limit:
        return Objection("offline", "This terminal may not serve offline.", "outside_offline_limits")
    return None


CHECKS: tuple[Callable[[Case], Objection | None], ...] = (check_status, check_time, check_offline_limit)

_GONE = frozenset(
    {CardState.REVOKED, CardState.LOST, CardState.STOLEN, CardState.DAMAGED, CardState.WITHDRAWN}
)


def _decided(case: Case, flags: tuple[str, ...]) -> Verdict:
    """Checks 8 and 9: the service's rules, then the floors."""
    decision = _ask_rules(case)
    if not decision.approved:
        if not case.message.is_advice:
            return _declined(case, decision.reason, decision.message, decision.inputs)
        decision = _as_signed(case, decision)
    _check_adds_up(case, decision)
    flags = (*flags, *decision.flags)
    missing_minor = shortfall(case.view, decision.lines)
    if missing_minor and not case.message.is_advice:
        return _declined(
            case, "insufficient_funds", "There is not enough money on this card.", decision.inputs
        )
    return Verdict(
        decision="approved",
        reason=decision.reason,
        message=decision.message,
        amount_minor=decision.amount_minor,
        lines=decision.lines,
        flags=(*flags, "over_floor") if missing_minor else flags,
        transfers=pay(case.view, decision.lines, case.terminal.provider_id, case.currency),
        counters=changes(decision.counters, case.facts.card.cardholder_id),
        inputs=decision.inputs,
    )


def _ask_rules(case: Case) -> Decision:
    statement = case.message.signed.statement
    if statement.currency != case.currency:
        return _no("currency_mismatch", "The price is in another currency.")
    if case.tariff is None:
        return _no("tariff_missing", "There is no tariff for this.")
    try:
        details = case.service.details_schema(statement.action)().load(case.message.details)
    except ValidationError:
        return _no("details_malformed", "The details are not of this action.")
    ask = Ask(
        service=statement.service,
        action=statement.action,
        kind=AskKind.ADVICE if case.message.is_advice else AskKind.REQUEST,
        currency=statement.currency,
        details=details,
        occurred_at=statement.time,
        offline=statement.offline,
        amount_minor=statement.amount_minor,
        tariff_version=statement.tariff_version,
    )
    card = case.facts.card
    holder = Holder(cardholder_id=card.cardholder_id, card_kind=card.kind, category=card.category)
    return case.service.decide(ask, holder, case.view, case.tariff)


def _no(reason: str, message: str) -> Decision:
    return Decision(approved=False, reason=reason, message=message)


def _as_signed(case: Case, objection: Decision) -> Decision:
    """An advice that the rules cannot price is posted as it was signed, for staff to look at."""
    statement = case.message.signed.statement
    amount_minor = statement.amount_minor or 0
    if statement.currency != case.currency:
        amount_minor = 0
    label = f"{statement.service} {statement.action}"
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Posted as signed.",
        amount_minor=amount_minor,
        lines=(Line(label=label, amount_minor=amount_minor),),
        flags=(objection.reason,),
        inputs=objection.inputs,
    )


def _check_adds_up(case: Case, decision: Decision) -> None:
    amounts = [line.amount_minor for line in decision.lines]
    signed_minor = case.message.signed.statement.amount_minor
    in_currency = case.message.signed.statement.currency == case.currency
    if min(amounts, default=0) < 0 or sum(amounts) != decision.amount_minor:
        raise RulesAtFault(f"{case.service.name}'s lines do not add up to its amount")
    if in_currency and signed_minor is not None and decision.amount_minor != signed_minor:
        raise RulesAtFault(f"{case.service.name} posts another amount than the card signed")


def _judged_at(case: Case) -> datetime:
    return case.message.time if case.message.is_advice else case.facts.moment


def _declined(case: Case, reason: str, message: str, inputs: object = None) -> Verdict:
    return Verdict(
        decision="declined",
        reason=reason,
        message=message,
        amount_minor=case.message.signed.statement.amount_minor,
        inputs=inputs if isinstance(inputs, dict) else {},
    )
