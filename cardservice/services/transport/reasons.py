"""The stable reasons of this service; docs/services/transport.md explains each."""

from cardservice.services.seam import APPROVED
from cardservice.services.transport.calendar import CALENDAR_ENDED

CURRENCY_MISMATCH = "currency_mismatch"
TARIFF_EXPIRED = "tariff_expired"
TARIFF_NOT_YET_VALID = "tariff_not_yet_valid"
STOP_UNKNOWN = "stop_unknown"
ROUTE_UNKNOWN = "route_unknown"
ROUTE_REQUIRED = "route_required"
NO_FARE = "no_fare"
FARE_AMBIGUOUS = "fare_ambiguous"
AMOUNT_MISSING = "amount_missing"
AMOUNT_UNEXPECTED = "amount_unexpected"
PRICE_CHANGED = "price_changed"
NO_TAPPING = "no_tapping"
NO_TICKET = "no_ticket"
NO_COMPANION = "no_companion"
NO_PASS = "no_pass"  # noqa: S105 - a ticket for a month
PASS_UNKNOWN = "pass_unknown"  # noqa: S105 - as above
PASS_DAY = "pass_day"  # noqa: S105 - as above

REASONS = frozenset(
    {
        *(APPROVED, CURRENCY_MISMATCH, TARIFF_EXPIRED, TARIFF_NOT_YET_VALID, STOP_UNKNOWN, ROUTE_UNKNOWN),
        *(ROUTE_REQUIRED, NO_FARE, FARE_AMBIGUOUS, AMOUNT_MISSING, AMOUNT_UNEXPECTED, PRICE_CHANGED),
        *(NO_TAPPING, NO_TICKET, NO_COMPANION, NO_PASS, PASS_UNKNOWN, PASS_DAY, CALENDAR_ENDED),
    }
)
