"""The checks after the proof: card's status, nonce and time, the service's rules, floors. Pure functions.

A request that meets an objection is declined with its reason. An advice's goods are gone: it is always
approved, and each objection becomes a flag.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from types import MappingProxyType

from marshmallow import Schema, ValidationError

from cardservice.authorisation.case import Case, Verdict
from cardservice.authorisation.counting import changes
from cardservice.authorisation.daily import daily_of, in_words
from cardservice.authorisation.holding import gives_back, held_by, let_go, released_by
from cardservice.authorisation.money import pay, shortfall
from cardservice.authorisation.reasons import Flag, Reason
from cardservice.authorisation.status import Objection, status_of
from cardservice.authorisation.watched import WatchedView
from cardservice.ids import TransactionId
from cardservice.ledger.limits import SWITCHED_OFF
from cardservice.ledger.resources import Claim
from cardservice.ledger.values import CounterView
from cardservice.services.limits import in_force
from cardservice.services.seam import APPROVED, Ask, AskKind, Decision, Holder, Line

CLOCK_TOLERANCE = timedelta(minutes=5)
# From where to where: the same few hundred all day.
DETAILS_IN_MEMORY = 1_024
SERVICE_OFF = "The holder has switched this service off."
_NOTHING: Mapping[str, object] = MappingProxyType({})


class RulesAtFault(Exception):
    """A service's rules answered what their seam does not allow; a fault of the program, not of the card."""


def judge(case: Case) -> Verdict:
    """The verdict on a statement whose proof has been verified."""
    if (paid := _paid_already(case)) is not None:
        return Verdict(
            decision="duplicate",
            reason=Reason.DUPLICATE,
            message="Paid already: the request that this replaces was approved.",
            amount_minor=case.message.signed.statement.amount_minor,
            duplicate_of=paid,
        )
    if case.message.is_advice:
        return _decided(case, flags_of(case), is_given=True)
    objection = check_status(case) or check_time(case) or check_switch(case)
    if objection is not None:
        return _declined(case, objection.reason, objection.message)
    return _decided(case, (), is_given=False)


def judge_again(case: Case) -> Verdict:
    """The verdict on a request that was approved before, and lost since: its goods are given, as an advice's.

    Priced by the rules where they still approve it, else as it was signed.
    """
    return _decided(case, (Flag.RECOVERED,), is_given=True)


def without_resources(case: Case, verdict: Verdict) -> Verdict:
    """The verdict on what needs more of something than there is left: only an advice has had it already."""
    if case.message.is_advice:
        return replace(verdict, claims=(), flags=(*verdict.flags, Flag.RESOURCE_TAKEN))
    return _declined(case, Reason.RESOURCE_TAKEN, verdict.if_taken, verdict.inputs, verdict.looked_at)


def _paid_already(case: Case) -> TransactionId | None:
    """The transaction that was charged for what this stands for, directly or by another duplicate."""
    if case.replaced is None:
        return None
    return case.replaced.id if case.replaced.stands else case.replaced.duplicate_of


def check_status(case: Case) -> Objection | None:
    """Check 6: the card's state, as of the statement's time for an advice."""
    return status_of(
        case.facts.card,
        judged_at(case),
        certificate_ends=case.proof.not_after,
        certificate_revoked_at=case.proof.certificate_revoked_at,
    )


def check_time(case: Case) -> Objection | None:
    """Check 7, of a request: its nonce and its clock."""
    if not case.nonce_is_fresh:
        return Objection(Reason.STALE, "That took too long. Please try again.")
    if abs(case.message.time - case.facts.moment) > CLOCK_TOLERANCE:
        return Objection(Reason.CLOCK, "The terminal's clock is wrong.")
    return None


def check_switch(case: Case) -> Objection | None:
    """Before any rule of the service is asked: whether the holder has switched it off."""
    latest = in_force(case.switches, judged_at(case), known_then=case.message.is_advice)
    if latest is None or latest.amount_minor != SWITCHED_OFF:
        return None
    return Objection(Reason.SERVICE_OFF, SERVICE_OFF, Flag.SERVICE_WAS_OFF)


def flags_of(case: Case) -> tuple[Flag, ...]:
    """What checks 6 and 7, and the terminal's offline limit, find in an advice."""
    flags = []
    status = check_status(case)
    if status is not None and status.flag is not None:
        flags.append(status.flag)
    ahead = case.message.time - case.facts.moment
    if ahead > CLOCK_TOLERANCE or case.message.time < case.proof.not_before:
        flags.append(Flag.CLOCK_DOUBTFUL)
    if check_switch(case) is not None:
        flags.append(Flag.SERVICE_WAS_OFF)
    limit_minor = case.terminal.offline_limit_minor
    if limit_minor is None or (case.message.signed.statement.amount_minor or 0) > limit_minor:
        flags.append(Flag.OUTSIDE_OFFLINE_LIMITS)
    return tuple(flags)


def _decided(case: Case, objections: tuple[str, ...], *, is_given: bool) -> Verdict:
    """Checks 8 and 9: the service's rules, then the floors. What is given already is not declined."""
    decision, looked_at = _ask_rules(case)
    if not decision.approved:
        if not is_given:
            return _declined(case, decision.reason, decision.message, decision.inputs, looked_at)
        decision = _as_signed(case, decision)
    _check_adds_up(case, decision)
    daily = daily_of(case)
    if daily is not None:
        inputs = {**decision.inputs, "limits": [limit.as_input(daily.rule) for limit in daily.limits]}
        decision, looked_at = replace(decision, inputs=inputs), (*looked_at, *daily.looked_at)
        passed = daily.passed_by(decision.lines)
        if passed is not None and not is_given:
            message = in_words(passed, case)
            declined = _declined(case, Reason.LIMIT_REACHED, message, decision.inputs, looked_at)
            return replace(declined, day=daily.day)
        if passed is not None:
            objections = (*objections, Flag.OVER_LIMIT)
    flags = (*objections, *decision.flags)
    released = released_by(decision, case)
    released_minor = sum(held.amount_minor for held in released)
    missing_minor = shortfall(case.view, decision.lines, released_minor, decision.funding)
    if missing_minor and not is_given:
        message = "There is not enough money on this card."
        declined = _declined(case, Reason.INSUFFICIENT_FUNDS, message, decision.inputs, looked_at)
        return replace(declined, released_minor=released_minor, day=None if daily is None else daily.day)
    paid = pay(
        case.view,
        decision.lines,
        case.terminal.provider_id,
        case.currency,
        released_minor,
        decision.funding,
    )
    return Verdict(
        decision="approved",
        reason=decision.reason,
        message=decision.message,
        amount_minor=decision.amount_minor,
        lines=decision.lines,
        flags=(*flags, Flag.OVER_FLOOR) if missing_minor else flags,
        transfers=(*paid, *gives_back(released, case.currency)),
        counters=(
            *changes(decision.counters, case.facts.card.cardholder_id, decision.funding),
            *held_by(decision, case, paid),
            *let_go(released, case.service.name),
            *(() if daily is None else daily.counted(case, decision.lines)),
        ),
        funding=decision.funding,
        day=None if daily is None else daily.day,
        released_minor=released_minor,
        claims=tuple(
            Claim(case.service.name, use.key, use.quantity, use.capacity) for use in decision.resources
        ),
        if_taken=decision.if_taken,
        inputs=decision.inputs,
        looked_at=looked_at,
    )


def _ask_rules(case: Case) -> tuple[Decision, tuple[CounterView, ...]]:
    """What the service's rules say, and the counters that they looked at."""
    statement = case.message.signed.statement
    if statement.currency != case.currency:
        return _no(Reason.CURRENCY_MISMATCH, "The price is in another currency."), ()
    if case.tariff is None:
        return _no(Reason.TARIFF_MISSING, "There is no tariff for this."), ()
    try:
        details = _loaded(case.service.details_schema(statement.action), case.message.details)
    except ValidationError:
        return _no(Reason.DETAILS_MALFORMED, "The details are not of this action."), ()
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
    holder = Holder(
        cardholder_id=card.cardholder_id,
        card_kind=card.kind,
        category=card.category,
        allergens=case.allergens,
        entitlements=case.entitlements,
    )
    view = WatchedView(case.view)
    return case.service.decide(ask, holder, view, case.tariff), view.looked_at


def _loaded(schema: type[Schema], details: Mapping[str, object]) -> Mapping[str, object]:
    """The details by their schema. Raises ValidationError."""
    try:
        return _loaded_flat(schema, tuple((name, type(value), value) for name, value in details.items()))
    except TypeError:  # some of it is a list or a map
        found: Mapping[str, object] = _made(schema).load(details)
        return found


@lru_cache(maxsize=DETAILS_IN_MEMORY)
def _loaded_flat(schema: type[Schema], details: tuple[tuple[str, type, object], ...]) -> Mapping[str, object]:
    return MappingProxyType(_made(schema).load({name: value for name, _, value in details}))


@cache
def _made(schema: type[Schema]) -> Schema:
    """One of each: making a schema takes longer than reading details by it, which leaves it as it is."""
    return schema()


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
    funded = [each.amount_minor for each in decision.funding]
    if min(funded, default=1) <= 0 or sum(funded) > decision.amount_minor:
        raise RulesAtFault(f"{case.service.name} has more paid by programmes than it sells for")
    if any(line.held for line in decision.lines) and (decision.hold is None or decision.releases):
        raise RulesAtFault(f"{case.service.name} holds money under no key, or releases other at once")
    if in_currency and signed_minor is not None and decision.amount_minor != signed_minor:
        raise RulesAtFault(f"{case.service.name} posts another amount than the card signed")


def judged_at(case: Case) -> datetime:
    """As of when the card is judged: an advice as of its own moment."""
    return case.message.time if case.message.is_advice else case.facts.moment


def _declined(
    case: Case,
    reason: str,
    message: str,
    inputs: Mapping[str, object] = _NOTHING,
    looked_at: tuple[CounterView, ...] = (),
) -> Verdict:
    return Verdict(
        decision="declined",
        reason=reason,
        message=message,
        amount_minor=case.message.signed.statement.amount_minor,
        inputs=inputs,
        looked_at=looked_at,
    )
