"""Every blueprint of routes that are for staff."""

from cardservice.staff_api import (
    applications,
    cardholders,
    cards,
    imports,
    members,
    own,
    sign_in,
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
)
