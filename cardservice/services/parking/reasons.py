"""The stable reasons of this service; docs/services/parking.md explains each."""

from cardservice.services.parking.pricing import CALENDAR_ENDED, CLOSED, MAX_STAY, TOO_LONG
from cardservice.services.seam import APPROVED

CURRENCY_MISMATCH = "currency_mismatch"
TARIFF_EXPIRED = "tariff_expired"
TARIFF_NOT_YET_VALID = "tariff_not_yet_valid"
PLACE_UNKNOWN = "place_unknown"
ORDER_NOT_IN_FORCE = "order_not_in_force"
VEHICLE_NOT_ALLOWED = "vehicle_not_allowed"
TOO_SHORT = "too_short"
PAID_ON_EXIT = "paid_on_exit"
NOT_PAID_ON_EXIT = "not_paid_on_exit"
TIMES_WRONG = "times_wrong"
NOTHING_RESERVED = "nothing_reserved"
ENTERED_ALREADY = "entered_already"
AMOUNT_MISSING = "amount_missing"
PRICE_CHANGED = "price_changed"
LIMIT_REACHED = "limit_reached"
NO_SESSION = "no_session"
SESSION_CHANGED = "session_changed"
SESSION_OVER = "session_over"
NOT_CARRIED = "not_carried"
PERMIT_UNKNOWN = "permit_unknown"
PERMIT_NOT_HERE = "permit_not_here"
PERMIT_NOT_FOR_HOLDER = "permit_not_for_holder"
PERMIT_NUMBER = "permit_number"
PERMIT_LIMIT = "permit_limit"
PERMIT_HELD = "permit_held"
PERMIT_VEHICLES = "permit_vehicles"
VISIT_NOT_HERE = "visit_not_here"
VISITS_USED = "visits_used"
NO_PERMIT = "no_permit"
NOT_PAID = "not_paid"
# Of an advice, in place of `limit_reached`.
OVER_LIMIT = "over_limit"

REASONS = frozenset(
    {
        *(
            APPROVED,
            CURRENCY_MISMATCH,
            TARIFF_EXPIRED,
            TARIFF_NOT_YET_VALID,
            PLACE_UNKNOWN,
            ORDER_NOT_IN_FORCE,
        ),
        *(VEHICLE_NOT_ALLOWED, TOO_SHORT, TOO_LONG, CLOSED, CALENDAR_ENDED, MAX_STAY, PAID_ON_EXIT),
        *(NOT_PAID_ON_EXIT, TIMES_WRONG, AMOUNT_MISSING, PRICE_CHANGED, LIMIT_REACHED, NO_SESSION),
        *(SESSION_CHANGED, SESSION_OVER, NOT_CARRIED, PERMIT_UNKNOWN, PERMIT_NOT_HERE, PERMIT_NOT_FOR_HOLDER),
        *(
            PERMIT_NUMBER,
            PERMIT_LIMIT,
            PERMIT_HELD,
            PERMIT_VEHICLES,
            VISIT_NOT_HERE,
            VISITS_USED,
            NO_PERMIT,
            NOT_PAID,
            OVER_LIMIT,
            NOTHING_RESERVED,
            ENTERED_ALREADY,
        ),
    }
)
