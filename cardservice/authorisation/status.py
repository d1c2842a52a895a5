"""Whether a card may be used at a moment: one answer, for a sale and for seeing its holder."""

from dataclasses import dataclass
from datetime import datetime

from cardservice.authorisation.reasons import Flag, Reason
from cardservice.cards.service import Card
from cardservice.cards.states import CardState


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a request is declined, and the flag that an advice carries instead."""

    reason: Reason
    message: str
    flag: Flag | None = None


_GONE = frozenset(
    {CardState.REVOKED, CardState.LOST, CardState.STOLEN, CardState.DAMAGED, CardState.WITHDRAWN}
)


def status_of(
    card: Card,
    moment: datetime,
    *,
    certificate_ends: datetime | None,
    certificate_revoked_at: datetime | None,
) -> Objection | None:
    """What speaks against using the card at `moment`; None where nothing does."""
    state = card.state_at(moment)
    # The certificate of a suspended card is on hold, which its records call revoked until it is released.
    revoked = certificate_revoked_at is not None and certificate_revoked_at <= moment
    if state in _GONE or (revoked and state is not CardState.SUSPENDED):
        return Objection(Reason.CARD_REVOKED, "This card was revoked.", Flag.CARD_WAS_REVOKED)
    ended = certificate_ends is not None and moment >= certificate_ends
    if state is CardState.EXPIRED or ended or moment.date() > card.expires_on:
        return Objection(Reason.CARD_EXPIRED, "This card has expired.", Flag.CARD_WAS_EXPIRED)
    if state is CardState.SUSPENDED:
        return Objection(Reason.CARD_SUSPENDED, "This card is suspended.", Flag.CARD_WAS_SUSPENDED)
    if state is not CardState.ACTIVE:
        return Objection(Reason.CARD_NOT_ACTIVE, "This card is not active yet.", Flag.CARD_WAS_NOT_ACTIVE)
    return None
