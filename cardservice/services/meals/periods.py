"""Under which rules and periods meals are counted, and when what they are about is over."""

from datetime import date

from cardservice.services.seam import Holder, View

# What a payer can limit; the day is the period, by the school's clock.
DAY_LIMIT = "meals.day"
SERVICE_LIMIT, ITEM_LIMIT = "meals.service.", "meals.item."
# Main meals that somebody has had at a service: what a warning of a second goes by.
MAINS = "meals.mains"
# What a programme has paid in a day.
PROGRAMME = "meals.programme."
# Pieces that were ordered, and those of them that were collected.
ORDERED, COLLECTED = "meals.ordered", "meals.collected"


def mains_period(service: str, day: date) -> str:
    """Under which period main meals are counted."""
    return f"{day.isoformat()}.{service}"


def order_period(day: date, service: str, item: str) -> str:
    """Under which period an order is counted: the kitchen looks for those of a day."""
    return f"{day.isoformat()}/{service}/{item}"


def day_of_period(period: str) -> date:
    """The day that a period of ours is of."""
    return date.fromisoformat(period[:10])


def used_of(view: View, holder: Holder, rule: str, period: str) -> int:
    """What has been counted for the holder under a rule in a period."""
    return sum(
        counter.used
        for counter in view.counters
        if (counter.cardholder_id, counter.rule, counter.period) == (holder.cardholder_id, rule, period)
    )
