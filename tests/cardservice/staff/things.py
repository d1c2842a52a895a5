"""Who may ask the routes of blanks, bureaux, providers, terminals, money: written down once more, by hand."""

from collections.abc import Mapping

from cardservice.staff.roles import Role

_BATCH = "/v1/bureau-batches/<uuid:batch_id>"
_STOCK_SEEN = {"GET /v1/blank-places", "GET /v1/blank-stock"}
_STOCK_KEPT = {
    "POST /v1/blank-places",
    *(f"POST /v1/blank-{what}" for what in ("deliveries", "movements", "counts", "warnings", "desks")),
    "POST /v1/spoiled-blanks",
}
_BUREAUX = {
    *("GET /v1/card-bureaux", "POST /v1/card-bureaux", "POST /v1/card-bureaux/<bureau_id>/results"),
    *("POST /v1/bureau-batches", f"GET {_BATCH}", f"GET {_BATCH}/certificates-file"),
    *(f"POST {_BATCH}/order-file", f"POST {_BATCH}/letters"),
}
THINGS_OF: Mapping[Role, set[str]] = {
    Role.ADMINISTRATOR: {*_STOCK_SEEN},
    Role.ISSUER: {*_STOCK_SEEN, *_STOCK_KEPT, *_BUREAUX},
    Role.DESK: {*_STOCK_SEEN},
    Role.FINANCE: set(),
    Role.PROVIDER: set(),
    Role.KITCHEN: set(),
    Role.AUDITOR: {*_STOCK_SEEN},
    Role.OPERATOR: set(),
}
