"""The life of a card as data: which state leads to which, and what each means at a tap."""

from collections.abc import Mapping
from enum import StrEnum


class CardState(StrEnum):
    """The states of `docs/architecture.md`; a replacement is another card."""

    STOCK = "stock"
    ORDERED = "ordered"
    PERSONALISED = "personalised"
    DISPATCHED = "dispatched"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    LOST = "lost"
    STOLEN = "stolen"
    DAMAGED = "damaged"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"


# What a holder has and may use, or will again: of each kind one at a time, which an index holds.
IN_USE = frozenset({CardState.ACTIVE, CardState.SUSPENDED})
# What somebody tells of a card that is to be used no more; it is revoked with that.
REPORTS = (CardState.LOST, CardState.STOLEN, CardState.DAMAGED, CardState.WITHDRAWN)

_ENDS = frozenset(
    {
        CardState.LOST,
        CardState.STOLEN,
        CardState.DAMAGED,
        CardState.EXPIRED,
        CardState.WITHDRAWN,
        CardState.REVOKED,
    }
)

# A desk that hands the card over as it is made skips what the post would do in between. The tables hold it,
# too (`card_transition`): no state is reached that the one before does not lead to, whoever asks.
LEADS_TO: Mapping[CardState, frozenset[CardState]] = {
    CardState.STOCK: frozenset({CardState.ORDERED, CardState.WITHDRAWN, CardState.REVOKED}),
    CardState.ORDERED: frozenset(
        {CardState.PERSONALISED, CardState.ACTIVE, CardState.WITHDRAWN, CardState.REVOKED}
    ),
    CardState.PERSONALISED: frozenset({CardState.DISPATCHED, CardState.ACTIVE}) | _ENDS,
    CardState.DISPATCHED: frozenset({CardState.ACTIVE}) | _ENDS,
    CardState.ACTIVE: frozenset({CardState.SUSPENDED}) | _ENDS,
    CardState.SUSPENDED: frozenset({CardState.ACTIVE}) | _ENDS,
    **{state: frozenset({CardState.REVOKED}) for state in _ENDS - {CardState.REVOKED}},
    CardState.REVOKED: frozenset(),
}

# RFC 5280, 5.3.1: the reason in the revocation list for what became of the card.
CRL_REASONS: Mapping[str, str] = {
    "lost": "key_compromise",
    "stolen": "key_compromise",
    "damaged": "cessation_of_operation",
    "replaced": "superseded",
    "withdrawn": "privilege_withdrawn",
}
