"""Bodies of the documented shape for the routes of blanks, bureaux, providers, terminals and money."""

from collections.abc import Mapping
from typing import Any

from tests.support.council import new_id

_SOMEBODY = str(new_id())
_BLANKS = {"product": "dual-8k", "place": "town-hall"}
_BATCH = "/v1/bureau-batches/<uuid:batch_id>"
_CARD, _HOLDER = "/v1/cards/<uuid:card_id>", "/v1/cardholders/<uuid:cardholder_id>"
_PAYER, _PAYMENT = "/v1/payers/<uuid:payer_id>", "/v1/payments/<uuid:payment_id>"
_TERMINAL = {"terminal": "bus-9", "provider": "vale-buses", "role": "validator"}
_MOVED = {"id": _SOMEBODY, "amount_minor": 500}
THING_BODIES: Mapping[str, Any] = {
    "/v1/blank-places": {"place": "town-hall", "name": "Town hall"},
    "/v1/blank-deliveries": {**_BLANKS, "supplier": "Vale Cards", "count": 500},
    "/v1/blank-movements": {"product": "dual-8k", "from": "town-hall", "to": "library", "count": 5},
    "/v1/spoiled-blanks": {**_BLANKS, "count": 1, "reason": "bent"},
    "/v1/blank-counts": {**_BLANKS, "counted": 499, "reason": "end of the month"},
    "/v1/blank-warnings": {**_BLANKS, "low_below": 50},
    "/v1/blank-desks": {**_BLANKS, "terminal": "desk-1"},
    "/v1/card-bureaux": {
        "bureau": "vale-cards",
        "name": "Vale Cards",
        "signing_key": "-----BEGIN PUBLIC KEY-----",
        "sealing_key": "-----BEGIN PUBLIC KEY-----",
    },
    "/v1/card-bureaux/<bureau_id>/results": {"content": "AAAA", "dry_run": True},
    "/v1/bureau-batches": {"bureau": "vale-cards", "orders": [_SOMEBODY]},
    f"{_BATCH}/order-file": {},
    f"{_BATCH}/letters": {"again": True},
    f"{_CARD}/lending": {"until": "2026-06-16T16:00:00.000Z"},
    f"{_CARD}/taking-back": {},
    f"{_CARD}/told-loss": {"channel": "phone", "answers": {"postcode": "AB1 2CD"}},
    "/v1/providers/<provider_id>/name": {"name": "Vale Coaches"},
    "/v1/providers/<provider_id>/closing": {"reason": "contract over", "from": None},
    "/v1/providers/<provider_id>/reopening": {"reason": "contract renewed"},
    "/v1/providers/<provider_id>/services": {"service": "meals", "sells": True},
    "/v1/providers/<provider_id>/card-keys": {"application": "F5C011", "key": 1, "granted": True},
    "/v1/terminals": {**_TERMINAL, "csr": "-----BEGIN CERTIFICATE REQUEST-----"},
    "/v1/terminal-invitations": {**_TERMINAL, "minutes": 30},
    "/v1/terminal-invitations/<terminal_id>/withdrawal": {},
    "/v1/terminals/<terminal_id>/invitation": {"minutes": 30},
    "/v1/terminals/<terminal_id>/name": {"name": "High Street, lane 2"},
    "/v1/terminals/<terminal_id>/terms": {"role": "validator", "offline_limit_minor": 500},
    f"{_HOLDER}/account/closing": {"why": "asked"},
    f"{_HOLDER}/account/giving-back": {"by": "cash"},
    f"{_HOLDER}/account/notice": {},
    f"{_HOLDER}/limits": {"rule": "meals.day", "most": 350},
    f"{_HOLDER}/services": {"service": "meals", "on": False},
    f"{_HOLDER}/top-ups": {**_MOVED, "method": "cash"},
    f"{_PAYER}/carry-over": {**_MOVED, "to": _SOMEBODY},
    f"{_PAYER}/goodwill": _MOVED,
    f"{_PAYER}/redemption": _MOVED,
    "/v1/payouts/<uuid:payout_id>/approval": {},
    f"{_PAYMENT}/refund": _MOVED,
    f"{_PAYMENT}/repayment": _MOVED,
    f"{_PAYMENT}/chargeback": _MOVED,
    "/v1/payment-exceptions/<int:number>/closing": {"reason": "seen to"},
    "/v1/settlement-files": {"name": "day.csv", "content": "AAAA"},
    "/v1/settlement-matching": {},
    "/v1/quarantine/<int:number>/dismissal": {"reason": "seen to"},
}
