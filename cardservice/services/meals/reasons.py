"""The stable reasons of this service; docs/services/meals.md explains each."""

from cardservice.services.seam import APPROVED

CURRENCY_MISMATCH = "currency_mismatch"
TARIFF_EXPIRED = "tariff_expired"
TARIFF_NOT_YET_VALID = "tariff_not_yet_valid"
NO_SCHOOL = "no_school"
SERVICE_UNKNOWN = "service_unknown"
ITEM_UNKNOWN = "item_unknown"
ITEM_NOT_OFFERED = "item_not_offered"
AMOUNT_MISSING = "amount_missing"
AMOUNT_UNEXPECTED = "amount_unexpected"
PRICE_CHANGED = "price_changed"
ALLERGEN_STOP = "allergen_stop"
SECOND_MEAL = "second_meal"
ITEM_BLOCKED = "item_blocked"
ITEM_LIMIT = "item_limit"
LIMIT_REACHED = "limit_reached"
ARREARS_LIMIT = "arrears_limit"
ORDER_CLOSED = "order_closed"
NOT_ORDERED = "not_ordered"
RETURN_TOO_LATE = "return_too_late"
# Of an advice, in place of `limit_reached`.
OVER_LIMIT = "over_limit"
# Of what a supervisor has let through.
SERVED_ANYWAY = "served_anyway"

REASONS = frozenset(
    {
        *(APPROVED, CURRENCY_MISMATCH, TARIFF_EXPIRED, TARIFF_NOT_YET_VALID, NO_SCHOOL, SERVICE_UNKNOWN),
        *(ITEM_UNKNOWN, ITEM_NOT_OFFERED, AMOUNT_MISSING, AMOUNT_UNEXPECTED, PRICE_CHANGED, ALLERGEN_STOP),
        *(
            SECOND_MEAL,
            ITEM_BLOCKED,
            ITEM_LIMIT,
            LIMIT_REACHED,
            ARREARS_LIMIT,
            ORDER_CLOSED,
            NOT_ORDERED,
            RETURN_TOO_LATE,
        ),
        *(OVER_LIMIT, SERVED_ANYWAY),
    }
)
