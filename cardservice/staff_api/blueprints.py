"""Every blueprint of routes that are for staff."""

from cardservice.staff_api import (
    applications,
    bureaux,
    cardholders,
    cards,
    imports,
    members,
    own,
    sign_in,
    stock,
    terminals,
    trail,
)

STAFF_BLUEPRINTS = (
    sign_in.blueprint,
    own.blueprint,
    cards.blueprint,
    cardholders.blueprint,
    applications.blueprint,
    terminals.blueprint,
    members.blueprint,
    trail.blueprint,
    imports.blueprint,
    stock.blueprint,
    bureaux.blueprint,
)
