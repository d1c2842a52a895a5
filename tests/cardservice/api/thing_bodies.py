"""Bodies of the documented shape for the routes of blanks, bureaux, providers, terminals and money."""

from collections.abc import Mapping
from typing import Any

from tests.support.council import new_id

_SOMEBODY = str(new_id())
_BLANKS = {"product": "dual-8k", "place": "town-hall"}
_BATCH = "/v1/bureau-batches/<uuid:batch_id>"
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
}
