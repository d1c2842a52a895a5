"""Which right each route needs that is not about people: blanks, bureaux, providers, terminals, money.

A part of the one table (`functions`), each with the right of the command that does the same.
"""

from collections.abc import Mapping

from cardservice.staff.roles import Right

_R = Right
_BATCH = "/v1/bureau-batches/<uuid:batch_id>"
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
}
