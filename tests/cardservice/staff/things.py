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
_CARD, _HOLDER = "/v1/cards/<uuid:card_id>", "/v1/cardholders/<uuid:cardholder_id>"
_PROVIDER, _TERMINAL = "/v1/providers/<provider_id>", "/v1/terminals/<terminal_id>"
_PAYER, _PAYMENT = "/v1/payers/<uuid:payer_id>", "/v1/payments/<uuid:payment_id>"
_LENT_SEEN = {"GET /v1/lent-cards"}
_LENT = {*_LENT_SEEN, *(f"POST {_CARD}/{what}" for what in ("lending", "taking-back", "told-loss"))}
_PROVIDERS_SEEN = {
    f"GET {_PROVIDER}",
    *(f"GET {_PROVIDER}/{what}" for what in ("services", "statement", "sales")),
}
_PROVIDERS_KEPT = {
    f"POST {_PROVIDER}/{what}" for what in ("services", "card-keys", "name", "closing", "reopening")
}
_TERMINALS_SEEN = {
    *(f"GET {_TERMINAL}/{what}" for what in ("terms", "gaps")),
    "GET /v1/terminal-invitations",
}
_TERMINALS_KEPT = {
    *("POST /v1/terminals", "POST /v1/terminal-invitations", f"POST {_TERMINAL}/invitation"),
    *("POST /v1/terminal-invitations/<terminal_id>/withdrawal", f"POST {_TERMINAL}/terms"),
    f"POST {_TERMINAL}/name",
}
_CLOSING = {
    *(f"POST {_HOLDER}/account/closing", f"POST {_HOLDER}/account/notice"),
    "GET /v1/dormant-cardholders",
}
_RULES_SEEN, _LIMITS = {"GET /v1/limit-rules"}, {f"POST {_HOLDER}/limits", f"POST {_HOLDER}/services"}
_GIVEN_BACK = {f"POST {_HOLDER}/account/giving-back"}
_MONEY_SEEN = {
    *(f"GET {_HOLDER}/{what}" for what in ("account", "balance", "statement")),
    f"GET {_PAYER}/statement",
    *("GET /v1/payments", "GET /v1/payment-exceptions", "GET /v1/settlement-report"),
    "GET /v1/advice-losses",
}
_MONEY_TAKEN = {f"POST {_HOLDER}/top-ups"}
_BOOKS = {
    *(f"POST {_PAYER}/{what}" for what in ("carry-over", "goodwill", "redemption")),
    *(f"POST {_PAYMENT}/{what}" for what in ("refund", "repayment", "chargeback")),
    *("POST /v1/payouts/<uuid:payout_id>/approval", "POST /v1/payment-exceptions/<int:number>/closing"),
    *("POST /v1/settlement-files", "POST /v1/settlement-matching"),
    "GET /v1/concession-claims/<service>",
}
_EXPLAINED = {
    "GET /v1/transactions/<uuid:transaction_id>/explanation",
    f"GET {_HOLDER}/days/<service>/<day>",
}
_SECURITY = {"GET /v1/quarantine", "GET /v1/security-events"}
_QUARANTINE = {"GET /v1/quarantine/<int:number>", "POST /v1/quarantine/<int:number>/dismissal"}
THINGS_OF: Mapping[Role, set[str]] = {
    Role.ADMINISTRATOR: {
        *(*_STOCK_SEEN, *_LENT_SEEN, *_PROVIDERS_SEEN, *_PROVIDERS_KEPT, *_TERMINALS_SEEN, *_TERMINALS_KEPT),
        *(*_RULES_SEEN, *_SECURITY),
    },
    Role.ISSUER: {
        *(*_STOCK_SEEN, *_STOCK_KEPT, *_BUREAUX, *_LENT, *_CLOSING),
    },
    Role.DESK: {
        *(*_STOCK_SEEN, *_LENT, *_RULES_SEEN, *_LIMITS, *_GIVEN_BACK, *_MONEY_SEEN, *_MONEY_TAKEN),
    },
    Role.FINANCE: {
        *(*_PROVIDERS_SEEN, *_RULES_SEEN, *_GIVEN_BACK, *_MONEY_SEEN, *_MONEY_TAKEN, *_BOOKS),
        *(*_EXPLAINED, *_QUARANTINE),
    },
    Role.PROVIDER: {*_PROVIDERS_SEEN, *_TERMINALS_SEEN},
    Role.KITCHEN: _RULES_SEEN,
    Role.AUDITOR: {
        *(*_STOCK_SEEN, *_LENT_SEEN, *_PROVIDERS_SEEN, *_TERMINALS_SEEN, *_RULES_SEEN, *_MONEY_SEEN),
        *(*_EXPLAINED, *_SECURITY),
    },
    Role.OPERATOR: set(),
}
