"""What each role of a terminal may do: data, declared here for duties and by each service for its actions."""

from collections.abc import Mapping
from enum import StrEnum

from cardservice.errors import OrderInvalid
from cardservice.services.findable import Findable
from cardservice.services.seam import Service


class Duty(StrEnum):
    """What a terminal does for the scheme itself, beside the services."""

    PERSONALISE = "personalise"
    # Be told a card's PUK, to set a PIN for a holder who has forgotten it.
    UNBLOCK = "unblock"
    # Who the holder of a card is, and what they must not eat.
    SEE_HOLDER = "see_holder"
    # Know cards by their UIDs: see which there are, and where in the status list.
    MAP_CARDS = "map_cards"
    # Load drafts of tariffs, and approve those of others.
    TARIFFS = "tariffs"
    # Read and debit its provider's applications on cards, with keys 1 and 2 of these.
    READ_APPLICATIONS = "read_applications"
    DEBIT_APPLICATIONS = "debit_applications"
    # Begin a payment for whoever pays for the card that is shown.
    PAY_IN = "pay_in"
    # Take from somebody who is alone with it that their card is lost.
    TELL_LOSSES = "tell_losses"


_SALES = (Duty.READ_APPLICATIONS, Duty.DEBIT_APPLICATIONS)
DUTIES: Mapping[str, frozenset[Duty]] = {
    "issuer": frozenset({Duty.PERSONALISE, Duty.UNBLOCK}),
    "office": frozenset({Duty.TARIFFS}),
    "till": frozenset({Duty.SEE_HOLDER, *_SALES}),
    # Who may serve a meal that a till must refuse; it does what a till does, too.
    "supervisor-till": frozenset({Duty.SEE_HOLDER, *_SALES}),
    # Where a card is held for an instant, and may be read by its service applications alone.
    "validator": frozenset({Duty.MAP_CARDS, *_SALES}),
    "gate": frozenset({Duty.MAP_CARDS, *_SALES}),
    # Where holders serve themselves, and pay in.
    "kiosk": frozenset({Duty.PAY_IN, Duty.TELL_LOSSES}),
    # The server of the scheme's own web pages.
    "portal": frozenset({Duty.TELL_LOSSES}),
    # Who inspects takes nothing.
    "enforcement": frozenset({Duty.READ_APPLICATIONS}),
}


def known_roles(services: Mapping[str, Service]) -> frozenset[str]:
    """Every role that has a duty or that a service names."""
    actions = (action for service in services.values() for action in service.actions.values())
    finders = (service.find_roles for service in services.values() if isinstance(service, Findable))
    return frozenset(DUTIES).union(*(action.roles for action in actions), *finders)


def require_role(services: Mapping[str, Service], role: str) -> None:
    """Raises OrderInvalid for what is no role."""
    roles = known_roles(services)
    if role not in roles:
        raise OrderInvalid(f"{role[:40]!r} is no role; there are {', '.join(sorted(roles))}")


def has_duty(role: str, duty: Duty) -> bool:
    """Whether a terminal of this role may do this for the scheme."""
    return duty in DUTIES.get(role, frozenset())


def sees_balances(role: str, services: Mapping[str, Service]) -> bool:
    """Whether a terminal of this role is told what is left on accounts, whatever it asks."""
    actions = (action for service in services.values() for action in service.actions.values())
    return all(action.shows_balances for action in actions if role in action.roles)


def may_ask(role: str, service: Service | None, action: str) -> bool:
    """Whether a terminal of this role may ask a service for this action."""
    known = service.actions.get(action) if service is not None else None
    return known is not None and role in known.roles
