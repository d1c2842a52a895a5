"""Which right each route needs that is not about people: blanks, bureaux, providers, terminals, money.

A part of the one table (`functions`), each with the right of the command that does the same.
"""

from collections.abc import Mapping

from cardservice.staff.roles import Right

_R = Right
_BATCH = "/v1/bureau-batches/<uuid:batch_id>"
_CARD, _HOLDER = "/v1/cards/<uuid:card_id>", "/v1/cardholders/<uuid:cardholder_id>"
_PROVIDER, _TERMINAL = "/v1/providers/<provider_id>", "/v1/terminals/<terminal_id>"
_PAYER, _PAYMENT = "/v1/payers/<uuid:payer_id>", "/v1/payments/<uuid:payment_id>"
THING_ROUTES: Mapping[tuple[str, str], Right] = {
    ("GET", "/v1/blank-places"): _R.SEE_CARDS,
    ("POST", "/v1/blank-places"): _R.ISSUE_CARDS,
    ("GET", "/v1/blank-stock"): _R.SEE_CARDS,
    ("POST", "/v1/blank-deliveries"): _R.ISSUE_CARDS,
    ("POST", "/v1/blank-movements"): _R.ISSUE_CARDS,
    ("POST", "/v1/spoiled-blanks"): _R.ISSUE_CARDS,
    ("POST", "/v1/blank-counts"): _R.ISSUE_CARDS,
    ("POST", "/v1/blank-warnings"): _R.ISSUE_CARDS,
    ("POST", "/v1/blank-desks"): _R.ISSUE_CARDS,
    ("GET", "/v1/card-bureaux"): _R.ISSUE_CARDS,
    ("POST", "/v1/card-bureaux"): _R.ISSUE_CARDS,
    ("POST", "/v1/card-bureaux/<bureau_id>/results"): _R.ISSUE_CARDS,
    ("POST", "/v1/bureau-batches"): _R.ISSUE_CARDS,
    ("GET", _BATCH): _R.ISSUE_CARDS,
    ("POST", f"{_BATCH}/order-file"): _R.ISSUE_CARDS,
    ("GET", f"{_BATCH}/certificates-file"): _R.ISSUE_CARDS,
    ("POST", f"{_BATCH}/letters"): _R.ISSUE_CARDS,
    ("POST", f"{_CARD}/lending"): _R.STOP_CARDS,
    ("GET", "/v1/lent-cards"): _R.SEE_CARDS,
    ("POST", f"{_CARD}/taking-back"): _R.STOP_CARDS,
    ("POST", f"{_CARD}/told-loss"): _R.STOP_CARDS,
    ("GET", f"{_PROVIDER}/services"): _R.SEE_PROVIDERS,
    ("POST", f"{_PROVIDER}/services"): _R.KEEP_PROVIDERS,
    ("POST", f"{_PROVIDER}/card-keys"): _R.KEEP_PROVIDERS,
    ("GET", f"{_PROVIDER}/statement"): _R.SEE_PROVIDERS,
    ("GET", f"{_PROVIDER}/sales"): _R.SEE_PROVIDERS,
    ("POST", "/v1/terminals"): _R.KEEP_TERMINALS,
    ("POST", "/v1/terminal-invitations"): _R.KEEP_TERMINALS,
    ("POST", "/v1/terminal-invitations/<terminal_id>/withdrawal"): _R.KEEP_TERMINALS,
    ("POST", f"{_TERMINAL}/invitation"): _R.KEEP_TERMINALS,
    ("GET", f"{_TERMINAL}/terms"): _R.SEE_TERMINALS,
    ("POST", f"{_TERMINAL}/terms"): _R.KEEP_TERMINALS,
    ("GET", f"{_TERMINAL}/gaps"): _R.SEE_TERMINALS,
    ("GET", f"{_HOLDER}/account"): _R.SEE_MONEY,
    ("POST", f"{_HOLDER}/account/closing"): _R.ISSUE_CARDS,
    ("POST", f"{_HOLDER}/account/giving-back"): _R.REFUND,
    ("POST", f"{_HOLDER}/account/notice"): _R.ISSUE_CARDS,
    ("GET", "/v1/dormant-cardholders"): _R.ISSUE_CARDS,
    ("GET", "/v1/limit-rules"): _R.SEE_TARIFFS,
    ("POST", f"{_HOLDER}/limits"): _R.SET_LIMITS,
    ("POST", f"{_HOLDER}/services"): _R.SET_LIMITS,
    ("GET", f"{_HOLDER}/balance"): _R.SEE_MONEY,
    ("POST", f"{_HOLDER}/top-ups"): _R.TAKE_MONEY,
    ("GET", f"{_HOLDER}/statement"): _R.SEE_MONEY,
    ("GET", f"{_PAYER}/statement"): _R.SEE_MONEY,
    ("POST", f"{_PAYER}/carry-over"): _R.KEEP_BOOKS,
    ("POST", f"{_PAYER}/goodwill"): _R.KEEP_BOOKS,
    ("POST", f"{_PAYER}/redemption"): _R.KEEP_BOOKS,
    ("POST", "/v1/payouts/<uuid:payout_id>/approval"): _R.KEEP_BOOKS,
    ("GET", "/v1/payments"): _R.SEE_MONEY,
    ("POST", f"{_PAYMENT}/refund"): _R.KEEP_BOOKS,
    ("POST", f"{_PAYMENT}/repayment"): _R.KEEP_BOOKS,
    ("POST", f"{_PAYMENT}/chargeback"): _R.KEEP_BOOKS,
    ("GET", "/v1/payment-exceptions"): _R.SEE_MONEY,
    ("POST", "/v1/payment-exceptions/<int:number>/closing"): _R.KEEP_BOOKS,
    ("POST", "/v1/settlement-files"): _R.KEEP_BOOKS,
    ("POST", "/v1/settlement-matching"): _R.KEEP_BOOKS,
    ("GET", "/v1/settlement-report"): _R.SEE_MONEY,
    ("GET", "/v1/advice-losses"): _R.SEE_MONEY,
    ("GET", "/v1/concession-claims/<service>"): _R.KEEP_BOOKS,
    ("GET", "/v1/transactions/<uuid:transaction_id>/explanation"): _R.EXPLAIN,
    ("GET", f"{_HOLDER}/days/<service>/<day>"): _R.EXPLAIN,
    ("GET", "/v1/quarantine"): _R.SEE_SECURITY,
    ("GET", "/v1/quarantine/<int:number>"): _R.QUARANTINE,
    ("POST", "/v1/quarantine/<int:number>/dismissal"): _R.QUARANTINE,
    ("GET", "/v1/security-events"): _R.SEE_SECURITY,
}
