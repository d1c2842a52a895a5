"""The stable codes of an answer that are the service's own; `docs/api.md` explains each.

The rules of a service add theirs, which its page in `docs/services/` explains.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a decision is as it is."""

    APPROVED = "approved"
    DUPLICATE = "duplicate"
    # Declines, in the order of the checks.
    CARD_REVOKED = "card_revoked"
    CARD_EXPIRED = "card_expired"
    CARD_SUSPENDED = "card_suspended"
    CARD_NOT_ACTIVE = "card_not_active"
    STALE = "stale"
    CLOCK = "clock"
    SERVICE_OFF = "service_off"
    CURRENCY_MISMATCH = "currency_mismatch"
    TARIFF_MISSING = "tariff_missing"
    DETAILS_MALFORMED = "details_malformed"
    LIMIT_REACHED = "limit_reached"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    RESOURCE_TAKEN = "resource_taken"
    # Of annulments; a request that comes after its annulment is declined with the first.
    ANNULLED = "annulled"
    ANNULLED_BEFORE = "annulled_before"
    NOTHING_TO_ANNUL = "nothing_to_annul"
    KEPT_BY_DUPLICATE = "kept_by_duplicate"
    # Of refunds.
    REFUNDED = "refunded"
    NOTHING_TO_REFUND = "nothing_to_refund"
    MORE_THAN_LEFT = "more_than_left"


class Flag(StrEnum):
    """What an advice was posted in spite of."""

    CARD_WAS_REVOKED = "card_was_revoked"
    CARD_WAS_EXPIRED = "card_was_expired"
    CARD_WAS_SUSPENDED = "card_was_suspended"
    CARD_WAS_NOT_ACTIVE = "card_was_not_active"
    CLOCK_DOUBTFUL = "clock_doubtful"
    SERVICE_WAS_OFF = "service_was_off"
    OUTSIDE_OFFLINE_LIMITS = "outside_offline_limits"
    # Not of an advice: a request that was approved, lost by a restore, and sent again.
    RECOVERED = "recovered"
    OVER_FLOOR = "over_floor"
    # Of what may be spent in a day.
    OVER_LIMIT = "over_limit"
    RESOURCE_TAKEN = "resource_taken"
