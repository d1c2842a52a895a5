"""The rules of leisure entry: pure functions of the ask, the holder, the payer's counters and the tariff.

What lets somebody in is said by the terminal, so that a price can be told before the card signs it: paying,
a pass, visits that were bought, or a place that was booked. Whether the holder has that is seen when it is
decided. Visits and places are counted, never struck off: what is left is what was bought minus what was used.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from cardservice.services.leisure.schemas import BOOKING, PASS, PAY
from cardservice.services.leisure.tariff import Pass, Product, Session, Tariff
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
ENTRY, BOOK, BUY = "entry", "book", "buy"

# Counters of the holder's: visits by a pass, visits bought and made, places booked and taken.
PASS_VISITS, BOUGHT, VISITED = "leisure.pass", "leisure.bought", "leisure.visited"
BOOKED, ENTERED = "leisure.booked", "leisure.entered"

# The stable reasons of this service; docs/services/leisure.md explains each.
CURRENCY_MISMATCH = "currency_mismatch"
TARIFF_EXPIRED = "tariff_expired"
TARIFF_NOT_YET_VALID = "tariff_not_yet_valid"
ACTIVITY_UNKNOWN = "activity_unknown"
SESSION_REQUIRED = "session_required"
SESSION_UNKNOWN = "session_unknown"
SESSION_NOT_OPEN = "session_not_open"
SESSION_OVER = "session_over"
SESSION_BEGUN = "session_begun"
PRODUCT_UNKNOWN = "product_unknown"
PRODUCT_NOT_SOLD = "product_not_sold"
NOT_ENTITLED = "not_entitled"
NOT_BEGUN = "pass_not_yet_valid"
EXPIRED = "pass_expired"
VISITS_USED_UP = "visits_used_up"
NOT_BOOKED = "not_booked"
AMOUNT_MISSING = "amount_missing"
PRICE_CHANGED = "price_changed"

REASONS = frozenset(
    {
        *(APPROVED, CURRENCY_MISMATCH, TARIFF_EXPIRED, TARIFF_NOT_YET_VALID, ACTIVITY_UNKNOWN),
        *(SESSION_REQUIRED, SESSION_UNKNOWN, SESSION_NOT_OPEN, SESSION_OVER, SESSION_BEGUN),
        *(PRODUCT_UNKNOWN, PRODUCT_NOT_SOLD, NOT_ENTITLED, NOT_BEGUN, EXPIRED),
        *(VISITS_USED_UP, NOT_BOOKED, AMOUNT_MISSING, PRICE_CHANGED),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sale:
    """What is sold, before anybody has looked at what the holder has; a visit has no product."""

    line: Line
    day: date
    by: str = PAY
    activity: str = ""
    session: Session | None = None
    product: Product | None = None


# What is counted if it is approved, or why it is not.
_Right = tuple[CounterUse, ...] | Refusal


def quote(ask: Ask, holder: Holder | None, tariff: Tariff) -> Quote | Refusal:
    """The price; by a pass, bought visits or a booking it is nothing, and whether there are any is open."""
    sale = _sale(ask, holder, tariff)
    if isinstance(sale, Refusal):
        return sale
    validity = timedelta(hours=tariff.offline_quote_hours) if ask.offline else QUOTE_VALIDITY
    # A price of another day may be another.
    ends = [tariff.valid_until, tariff.beginning(tariff.day_of(ask.occurred_at) + timedelta(days=1))]
    if sale.session is not None:
        ends.append(sale.session.starts if ask.action == BOOK else sale.session.ends)
    return Quote(
        amount_minor=sale.line.amount_minor,
        currency=tariff.currency,
        tariff_version=tariff.version,
        valid_until=min(ask.occurred_at + validity, *ends),
        lines=(sale.line,),
    )


def decide(ask: Ask, holder: Holder, view: View, tariff: Tariff) -> Decision:
    """A request is approved by a right that the holder has and at today's price, or not at all.

    An advice is posted as it was signed. Where the tariff does not know what it was for, or the holder had no
    right to it, nothing is counted.
    """
    sale = _sale(ask, holder, tariff)
    if isinstance(sale, Refusal):
        return _objected(ask, sale, tariff)
    right = _right(sale, ask, holder, view, tariff)
    if isinstance(right, Refusal):
        return _objected(ask, right, tariff)
    if ask.amount_minor == sale.line.amount_minor:
        return _posted(ask, sale.line, sale, right, tariff)
    if ask.kind is AskKind.REQUEST:
        return _objected(ask, _other_price(ask), tariff)
    flag = _other_price(ask).reason
    line = replace(sale.line, amount_minor=ask.amount_minor or 0)
    return _posted(ask, line, sale, right, tariff, (flag,))


def _posted(
    ask: Ask,
    line: Line,
    sale: _Sale,
    right: tuple[CounterUse, ...],
    tariff: Tariff,
    flags: tuple[str, ...] = (),
) -> Decision:
    # What was booked has its place already.
    takes = None if sale.by == BOOKING else sale.session
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Posted as it was signed." if flags else "Approved.",
        amount_minor=line.amount_minor,
        lines=(line,),
        flags=flags,
        counters=right,
        resources=() if takes is None else (ResourceUse(key=takes.key),),
        inputs=_inputs(ask, tariff)
        | {
            "day": sale.day.isoformat(),
            "by": sale.by,
            "priced_minor": sale.line.amount_minor,
            "counted": [[use.rule, use.period] for use in right],
        },
    )


def _objected(ask: Ask, objection: Refusal, tariff: Tariff) -> Decision:
    inputs = _inputs(ask, tariff) | {"refused": objection.reason, **objection.data}
    if ask.kind is AskKind.REQUEST:
        return Decision(approved=False, reason=objection.reason, message=objection.message, inputs=inputs)
    # In another currency nothing can be posted: the scheme's accounts do not have that unit.
    amount_minor = 0 if objection.reason == CURRENCY_MISMATCH else ask.amount_minor or 0
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Posted as it was signed.",
        amount_minor=amount_minor,
        lines=(Line(label="Leisure", amount_minor=amount_minor),),
        flags=(objection.reason,),
        inputs=inputs,
    )


def _other_price(ask: Ask) -> Refusal:
    if ask.amount_minor is None:
        return Refusal(reason=AMOUNT_MISSING, message="A visit is priced before it is signed.")
    message = "The price has changed since it was quoted. Ask for the price again."
    return Refusal(reason=PRICE_CHANGED, message=message)


def _inputs(ask: Ask, tariff: Tariff) -> dict[str, object]:
    return {"tariff_version": tariff.version, "signed_tariff_version": ask.tariff_version}


def _sale(ask: Ask, holder: Holder | None, tariff: Tariff) -> _Sale | Refusal:
    if ask.currency != tariff.currency:
        message = f"The amount is in {ask.currency[:10]}, the prices are in {tariff.currency}."
        return Refusal(reason=CURRENCY_MISMATCH, message=message)
    if ask.occurred_at >= tariff.valid_until:
        return Refusal(reason=TARIFF_EXPIRED, message="The price list is over. Load a newer one.")
    if ask.occurred_at < tariff.valid_from:
        return Refusal(reason=TARIFF_NOT_YET_VALID, message="The price list is not in force yet.")
    if ask.action == BUY:
        return _purchase(ask, holder, tariff)
    session = _session(ask, tariff)
    if isinstance(session, Refusal):
        return session
    day = session.day if session is not None else tariff.day_of(ask.occurred_at)
    activity = session.activity if session is not None else str(ask.details["activity"])
    by = str(ask.details["by"])
    category = None if holder is None else holder.category
    price_minor = tariff.price(activity, category, day).price_minor if by == PAY else 0
    line = Line(label=tariff.activities[activity], amount_minor=price_minor, product=activity)
    line = tariff.taxes.put_on(line, activity, category)
    return _Sale(line=line, day=day, by=by, activity=activity, session=session)


def _purchase(ask: Ask, holder: Holder | None, tariff: Tariff) -> _Sale | Refusal:
    key, day = str(ask.details["product"]), tariff.day_of(ask.occurred_at)
    product = tariff.products.get(key)
    if product is None:
        return Refusal(reason=PRODUCT_UNKNOWN, message=f"There is no product {key!r}.")
    if not product.holds(day):
        return Refusal(reason=PRODUCT_NOT_SOLD, message=f"{product.label} is not sold today.")
    line = Line(label=product.label, amount_minor=product.price_minor, product=key)
    line = tariff.taxes.put_on(line, key, None if holder is None else holder.category)
    return _Sale(line=line, day=day, product=product)


def _session(ask: Ask, tariff: Tariff) -> Session | Refusal | None:
    """The session that is entered or booked; None for what has none."""
    activity, key = ask.details.get("activity"), ask.details["session"]
    if activity is not None and activity not in tariff.activities:
        return Refusal(reason=ACTIVITY_UNKNOWN, message=f"There is no activity {str(activity)!r}.")
    if key is None:
        if activity in tariff.with_sessions:
            return Refusal(reason=SESSION_REQUIRED, message="Say for which session.")
        return None
    session = tariff.sessions.get(str(key))
    if session is None or activity not in (None, session.activity):
        return Refusal(reason=SESSION_UNKNOWN, message=f"There is no session {str(key)!r} of that.")
    return _when(ask, session) or session


def _when(ask: Ask, session: Session) -> Refusal | None:
    """Why it is too early or too late for a session."""
    if ask.action == BOOK:
        if ask.occurred_at >= session.starts:
            return Refusal(reason=SESSION_BEGUN, message="The session has begun.")
        return None
    if ask.occurred_at >= session.ends:
        return Refusal(reason=SESSION_OVER, message="The session is over.")
    if ask.occurred_at < session.opens:
        return Refusal(reason=SESSION_NOT_OPEN, message="It is too early for this session.")
    return None


def _right(sale: _Sale, ask: Ask, holder: Holder, view: View, tariff: Tariff) -> _Right:
    """What approving it counts; or why the holder has no right to it."""
    if sale.product is not None:
        last_day = sale.day + timedelta(days=sale.product.valid_days)
        period = f"{sale.product.key}/{last_day.isoformat()}"
        return (CounterUse(rule=BOUGHT, period=period, amount=sale.product.visits),)
    if sale.by == BOOKING:
        key = sale.session.key if sale.session is not None else ""
        if _used(view, holder, BOOKED, key) <= _used(view, holder, ENTERED, key):
            return Refusal(reason=NOT_BOOKED, message="No place is booked for this card.")
        return (CounterUse(rule=ENTERED, period=key, amount=1),)
    right: _Right = ()
    if sale.by == PASS:
        right = _by_pass(sale, holder, view, tariff)
    elif sale.by != PAY:
        right = _by_visits(sale, holder, view, tariff)
    if ask.action == BOOK and not isinstance(right, Refusal) and sale.session is not None:
        return (*right, CounterUse(rule=BOOKED, period=sale.session.key, amount=1))
    return right


def _by_pass(sale: _Sale, holder: Holder, view: View, tariff: Tariff) -> _Right:
    own = [
        each
        for each in tariff.passes
        if each.is_of(holder.category, holder.card_kind) and sale.activity in each.activities
    ]
    if not own:
        return Refusal(reason=NOT_ENTITLED, message="This card has no membership for that.")
    found = next((each for each in own if each.holds(sale.day)), None)
    if found is None:
        if all(sale.day < each.first_day for each in own):
            return Refusal(reason=NOT_BEGUN, message=f"{own[0].label} has not begun.")
        return Refusal(reason=EXPIRED, message=f"{own[-1].label} is not valid on that day.")
    period = found.period(sale.day)
    if _used(view, holder, PASS_VISITS, period) >= found.visits:
        message = f"All visits of {found.label} have been made: {_allowed(found)}."
        return Refusal(reason=VISITS_USED_UP, message=message)
    return (CounterUse(rule=PASS_VISITS, period=period, amount=1),)


def _allowed(found: Pass) -> str:
    return f"{found.visits} in all" if found.per == "pass" else f"{found.visits} a {found.per}"


def _by_visits(sale: _Sale, holder: Holder, view: View, tariff: Tariff) -> _Right:
    """Of the visits that were bought those that expire first."""
    bought = sorted(_bought(sale, holder, view, tariff))
    if not bought:
        return Refusal(reason=NOT_ENTITLED, message="No visits have been bought for that.")
    for _, period, count in bought:
        if _used(view, holder, VISITED, period) < count:
            return (CounterUse(rule=VISITED, period=period, amount=1),)
    return Refusal(reason=VISITS_USED_UP, message="All the visits that were bought have been made.")


def _bought(sale: _Sale, holder: Holder, view: View, tariff: Tariff) -> Iterator[tuple[date, str, int]]:
    """Last day, period and number of what was bought for the activity and has not expired on the day."""
    for counter in view.counters:
        if counter.rule == BOUGHT and counter.cardholder_id == holder.cardholder_id:
            key, _, ends = counter.period.partition("/")
            product = tariff.products.get(key)
            if product is None or sale.activity not in product.activities:
                continue
            if sale.day <= date.fromisoformat(ends) and counter.used > 0:
                yield date.fromisoformat(ends), counter.period, counter.used


def _used(view: View, holder: Holder, rule: str, period: str) -> int:
    return sum(
        counter.used
        for counter in view.counters
        if (counter.cardholder_id, counter.rule, counter.period) == (holder.cardholder_id, rule, period)
    )
