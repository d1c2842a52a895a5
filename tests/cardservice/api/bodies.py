"""A request of the documented shape for every route."""

import re
from typing import Any

from tests.cardservice.api.thing_bodies import THING_BODIES
from tests.support.council import new_id

_NOTICE = {
    "id": str(new_id()),
    "sequence": 1,
    "card": str(new_id()),
    "annuls": str(new_id()),
    "time": "2026-06-15T10:00:00.000Z",
}
_SOMEBODY = str(new_id())
# A body of the documented shape for every route that takes one: what is refused is the missing signature.
BODIES: dict[str, Any] = {
    "/v1/quotes": {"service": "transport", "action": "single-fare", "card": None, "details": {}},
    "/v1/authorisations": {"annul": _NOTICE},
    "/v1/look-ups": {"service": "parking", "details": {}},
    "/v1/refunds": {"id": _NOTICE["id"], "sale": _NOTICE["annuls"], "card": _NOTICE["card"]},
    "/v1/payments": {
        "id": "0197a4c2-0000-7000-8000-000000000000",
        "card": _SOMEBODY,
        "amount_minor": 2000,
        "return_url": "https://cards.ashcombe.example/",
    },
    "/v1/payments/<uuid:payment_id>/cancellation": {},
    "/v1/authorisations/bulk": {"messages": [{"annul": _NOTICE}]},
    "/v1/recovery/messages": {"messages": [], "complete": True},
    "/v1/presentations": {"card": str(new_id())},
    "/v1/tariff-drafts": {"service": "meals", "files": [{"name": "menu.json", "content": "AAAA"}]},
    "/v1/tariff-drafts/<uuid:draft_id>/approval": {},
    "/v1/tariff-drafts/<uuid:draft_id>/withdrawal": {"reason": "a slip"},
    "/v1/card-puks": {"card": _SOMEBODY},
    "/v1/health": {
        "time": "2026-06-15T10:00:00.000Z",
        "waiting": 0,
        "oldest_waiting_at": None,
        "trust_fetched_at": None,
        "lists_end_at": None,
        "version": "1",
        "tariffs": {},
    },
    "/v1/terminal-certificate": {"csr": "AAAA"},
    "/v1/told-losses": {"name": "Morgan Reed", "born_on": "1987-06-15", "postcode": "AB1 2CD"},
    "/v1/card-keys": {"key": "BA" + "A" * 85},
    "/v1/personalisation-orders/<uuid:order_id>/certificate": {"csr": "AAAA"},
    "/v1/personalisation-orders/<uuid:order_id>/result": {"outcome": "done"},
    "/v1/staff/sign-out": {},
    "/v1/staff/sessions/<uuid:session_id>/end": {},
    "/v1/staff/passkeys": {"name": "mine", "client_data": "AAAA", "attestation": "AAAA"},
    "/v1/staff/passkeys/offer": {},
    "/v1/staff/passkeys/<uuid:passkey_id>/removal": {},
    "/v1/staff/password": {"password": "twelve and more"},
    "/v1/staff/password/confirmation": {"code": "123456"},
    "/v1/card-orders": {"cardholder": _SOMEBODY, "kind": "citizen"},
    "/v1/cards/<uuid:card_id>/replacement": {},
    "/v1/cards/<uuid:card_id>/dispatch": {},
    "/v1/cards/<uuid:card_id>/activation": {"code": "2345-6789"},
    "/v1/cards/<uuid:card_id>/suspension": {"reason": "found on a bus"},
    "/v1/cards/<uuid:card_id>/release": {"reason": "it was hers"},
    "/v1/cards/<uuid:card_id>/report": {"what": "lost", "reason": "left on the bus"},
    "/v1/cards/<uuid:card_id>/revocation": {"reason": "withdrawn"},
    "/v1/card-revocations": {"cards": [_SOMEBODY], "reason": "stolen"},
    "/v1/cardholders": {"name": "Ann Other"},
    "/v1/cardholders/search": {"name": "mor"},
    "/v1/cardholders/<uuid:cardholder_id>/protected-address": {"because": "a letter was returned"},
    "/v1/cardholders/<uuid:cardholder_id>/changes": {"form": "5B"},
    "/v1/cardholders/<uuid:cardholder_id>/export": {},
    "/v1/cardholders/<uuid:cardholder_id>/erasure": {"erase": _SOMEBODY},
    "/v1/cardholders/<uuid:cardholder_id>/proofs": {"kind": "identity", "reference": "passport ending 471"},
    "/v1/applications": {"kind": "citizen", "name": "Ann Other"},
    "/v1/applications/<uuid:application_id>/approval": {},
    "/v1/applications/<uuid:application_id>/refusal": {"reason": "lives in another town"},
    "/v1/applications/<uuid:application_id>/withdrawal": {},
    "/v1/terminals/<terminal_id>/revocation": {"reason": "out of service"},
    "/v1/providers": {"provider": "new-buses", "name": "New Buses"},
    "/v1/staff/members": {"staff": "dee", "name": "Dee"},
    "/v1/staff/members/<staff_id>/roles": {"role": "desk"},
    "/v1/staff/members/<staff_id>/roles/removal": {"role": "desk"},
    "/v1/staff/members/<staff_id>/access": {"active": True},
    "/v1/staff/members/<staff_id>/invitation": {},
    "/v1/staff/members/<staff_id>/recovery": {},
    "/v1/audit/search": {"action": "card."},
    "/v1/second-person/<uuid:asked_id>/agreement": {},
    "/v1/second-person/<uuid:asked_id>/withdrawal": {},
    "/v1/staff/refunds": {"id": _NOTICE["id"], "sale": _NOTICE["annuls"]},
    "/v1/pupil-imports": {"school": "ashcombe-primary", "content": "AAAA", "dry_run": True},
    "/v1/pupil-imports/<uuid:import_id>/undoing": {},
    "/v1/cardholders/<uuid:cardholder_id>/guardians": {"person": _SOMEBODY, "may": ["pay"]},
    "/v1/cardholders/<uuid:cardholder_id>/guardians/<uuid:guardianship_id>/end": {},
    "/v1/cardholders/<uuid:cardholder_id>/bars": {"person": _SOMEBODY, "order": "Family Court 17/2026"},
    "/v1/cardholders/<uuid:cardholder_id>/photo": {"photo": None},
    "/v1/cardholders/<uuid:cardholder_id>/payers": {"payer": _SOMEBODY},
    "/v1/payers": {"kind": "family"},
    "/v1/cardholders/<uuid:cardholder_id>/proofs/end": {"kind": "residence"},
    "/v1/proof-imports": {"content": "AAAA", "dry_run": True},
    "/v1/card-reviews": {"limit": 1},
    "/v1/coming-of-age": {"limit": 1, "dry_run": True},
    "/v1/cards/<uuid:card_id>/entitlements": {},
    **THING_BODIES,
}


def path_of(rule: str) -> str:
    """An address of a route, of what is not there."""
    path = re.sub(r"<uuid:\w+>", str(new_id()), rule).replace("<service>", "transport")
    return re.sub(r"<\w+>", "nobody", path.replace("<int:number>", "0"))
