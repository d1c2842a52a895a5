"""Each rule that had a say in a decision, in plain words.

A sentence is a text with places for values. The texts are English and keyed by stable codes: whoever speaks
another language translates them and fills in the same values, of which amounts are in minor units.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from cardservice.authorisation.case import Case, Verdict
from cardservice.authorisation.judging import check_status, check_switch, check_time, judged_at
from cardservice.authorisation.money import shortfall, spendable
from cardservice.authorisation.reasons import Flag, Reason
from cardservice.ledger.values import PAYER_ARREARS
from cardservice.money import format_minor
from cardservice.services.seam import APPROVED

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "duplicate": "The request that this replaces had been approved: nothing more was charged.",
        "advice": "The goods were gone when this was told: it is posted whatever the checks say, with flags.",
        "card_usable": "The card could be used: it was {state}.",
        "card_objection": "The card could not be used: {reason}.",
        "card_flagged": "The card should not have been used any more: {reason}.",
        "time_right": "The card signed just before it was sent, by a clock that was right.",
        "time_objection": "The time was not right: {reason}.",
        "service_off": "The holder had switched {service} off.",
        "clock_doubtful": "The terminal's clock was doubtful.",
        "within_offline_limit": "The terminal may serve up to {limit} offline.",
        "outside_offline_limits": "This was more than the terminal may serve offline.",
        "tariff": "The prices were those of {version}.",
        "tariff_missing": "There was no tariff for this.",
        "priced": "By these prices it costs {price}.",
        "limit": "A limit of {limit} held; {used} of it had been used.",
        "limit_shared": "A limit of {limit} for all who share the account held; {used} of it had been used.",
        "rules_approved": "The rules of {service} approved it.",
        "rules_declined": "The rules of {service} declined it ({reason}): {message}",
        "rules_flagged": "The rules of {service} would not have approved it ({flag}).",
        "funded": "{funded} of it was paid by {funder} ({programme}).",
        "money_enough": "There was enough money: {available} could be spent, {amount} was wanted.",
        "money_short": "There was not enough money: {available} could be spent, {amount} was wanted.",
        "money_owed": "{owed} of it was not there, and is owed.",
        "resource_taken": "There was none left of what was wanted.",
        "free": "It cost nothing.",
        "annulled": "The terminal took its request back before it had seen an answer to it.",
        "payment": "Money was paid in; no rule decides on that.",
        "not_decided": "No rule decides on this: it is {kind}.",
    }
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one check said; `against` tells whether it spoke against."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)
    against: bool = False
    # Of the amounts among the values.
    currency: str = ""

    def text(self, texts: Mapping[str, str] = TEXTS) -> str:
        """The sentence, in English or from another language's texts."""
        money = {"limit", "used", "price", "available", "amount", "owed", "funded"}
        values = {
            name: f"{format_minor(value, self.currency)} {self.currency}" if name in money else value
            for name, value in self.values.items()
        }
        return texts[self.code].format_map(values)

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "code": self.code,
            "values": dict(self.values),
            "against": self.against,
            "text": self.text(),
        }


def spoken_of(case: Case, verdict: Verdict) -> tuple[Spoken, ...]:
    """What every check said, in the order in which they are asked; the last is what decided a decline."""
    return tuple(_spoken(case, verdict))


def spoken_without_rules(kind: str, reason: str) -> tuple[Spoken, ...]:
    """What is to be said of a transaction that was not judged."""
    if kind in {"annul", "tombstone"}:
        return (Spoken("annulled", {"reason": reason}),)
    return (Spoken("payment"),) if kind == "topup" else (Spoken("not_decided", {"kind": kind}),)


def _spoken(case: Case, verdict: Verdict) -> Iterator[Spoken]:
    if verdict.duplicate_of is not None:
        yield Spoken("duplicate")
        return
    if case.message.is_advice:
        yield Spoken("advice")
    for check in (_of_card, _of_time):
        found = check(case, verdict)
        yield found
        if found.against and not case.message.is_advice:
            return
    if check_switch(case) is not None:
        yield Spoken("service_off", {"service": case.service.name}, against=True)
        if not case.message.is_advice:
            return
    if case.message.is_advice:
        yield _of_offline_limit(case, verdict)
    yield from _of_rules(case, verdict)
    if verdict.is_approved or verdict.reason == Reason.INSUFFICIENT_FUNDS:
        yield from _of_money(case, verdict)


def _of_card(case: Case, _: Verdict) -> Spoken:
    objection = check_status(case)
    if objection is None:
        return Spoken("card_usable", {"state": str(case.facts.card.state_at(judged_at(case)))})
    code = "card_flagged" if case.message.is_advice else "card_objection"
    return Spoken(code, {"reason": str(objection.reason)}, against=True)


def _of_time(case: Case, verdict: Verdict) -> Spoken:
    if case.message.is_advice:
        doubtful = Flag.CLOCK_DOUBTFUL in verdict.flags
        return Spoken("clock_doubtful", against=True) if doubtful else Spoken("time_right")
    objection = check_time(case)
    if objection is None:
        return Spoken("time_right")
    return Spoken("time_objection", {"reason": str(objection.reason)}, against=True)


def _of_offline_limit(case: Case, verdict: Verdict) -> Spoken:
    limit_minor = case.terminal.offline_limit_minor
    if Flag.OUTSIDE_OFFLINE_LIMITS in verdict.flags or limit_minor is None:
        return Spoken("outside_offline_limits", against=True)
    return Spoken("within_offline_limit", {"limit": limit_minor}, currency=case.currency)


def _of_rules(case: Case, verdict: Verdict) -> Iterator[Spoken]:
    inputs, service = verdict.inputs, case.service.name
    if case.tariff is None:
        yield Spoken("tariff_missing", against=True)
    elif (version := inputs.get("tariff_version")) is not None:
        yield Spoken("tariff", {"version": version})
    if isinstance(price := inputs.get("priced_minor"), int):
        yield Spoken("priced", {"price": price}, currency=case.currency)
    limits: Any = inputs.get("limits", ())
    for limit in limits:
        values = {"limit": limit["limit_minor"], "used": limit["used_minor"], "rule": limit["rule"]}
        yield Spoken("limit_shared" if limit["shared"] else "limit", values, currency=case.currency)
    own = set(Flag)
    for flag in verdict.flags:
        if flag not in own:
            yield Spoken("rules_flagged", {"service": service, "flag": flag}, against=True)
    if verdict.is_approved or verdict.reason == Reason.INSUFFICIENT_FUNDS:
        yield Spoken("rules_approved", {"service": service})
    elif verdict.reason == Reason.RESOURCE_TAKEN:
        yield Spoken("resource_taken", against=True)
    elif verdict.reason != APPROVED:
        values = {"service": service, "reason": str(verdict.reason), "message": verdict.message}
        yield Spoken("rules_declined", values, against=True)


def _of_money(case: Case, verdict: Verdict) -> Iterator[Spoken]:
    amount_minor = verdict.amount_minor or 0
    if not amount_minor:
        yield Spoken("free")
        return
    for each in verdict.funding:
        told = {"funded": each.amount_minor, "funder": each.funder, "programme": each.programme}
        yield Spoken("funded", told, currency=case.currency)
    available_minor = spendable(case.view, verdict.released_minor, verdict.funding)
    values = {"available": max(0, available_minor), "amount": amount_minor}
    owed_minor = sum(line.amount_minor for line in verdict.transfers if line.debit == PAYER_ARREARS)
    missing_minor = shortfall(case.view, verdict.lines, verdict.released_minor, verdict.funding)
    short = not verdict.is_approved or owed_minor > 0 or missing_minor > 0
    against = not verdict.is_approved or Flag.OVER_FLOOR in verdict.flags
    yield Spoken("money_short" if short else "money_enough", values, against, case.currency)
    if owed_minor:
        yield Spoken("money_owed", {"owed": owed_minor}, currency=case.currency)
