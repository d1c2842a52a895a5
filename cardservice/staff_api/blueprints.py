"""Every blueprint of routes that are for staff."""

from collections.abc import Mapping

from cardservice.staff_api import (
    accounts,
    applications,
    bureaux,
    cardholders,
    cards,
    entitlements,
    families,
    guardians,
    imports,
    lendings,
    limits,
    looking,
    members,
    money,
    own,
    payments,
    provider_records,
    providers,
    reviews,
    sign_in,
    stock,
    terminal_orders,
    terminals,
    trail,
)
from cardservice.staff_api.cardholder_schemas import MAX_PHOTO_BODY_BYTES

# By rule: what a body may have that is larger than others.
LARGER: Mapping[str, int] = {
    imports.PATH: imports.MAX_IMPORT_BYTES,
    imports.PROOFS_PATH: imports.MAX_PROOF_IMPORT_BYTES,
    cardholders.PHOTO: MAX_PHOTO_BODY_BYTES,
    bureaux.RESULTS: bureaux.MAX_RESULTS_BYTES,
    payments.FILES: payments.MAX_SETTLEMENT_BYTES,
}
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
    guardians.blueprint,
    families.blueprint,
    reviews.blueprint,
    entitlements.blueprint,
    stock.blueprint,
    bureaux.blueprint,
    lendings.blueprint,
    provider_records.blueprint,
    providers.blueprint,
    terminal_orders.blueprint,
    accounts.blueprint,
    limits.blueprint,
    money.blueprint,
    payments.blueprint,
    looking.blueprint,
)
