"""What is asked and answered, in the published document's shapes."""

import re
from datetime import date, datetime
from typing import Any

from flask import Response, jsonify, request

from kiosk.pay_stand_in.account import FINISHED, Pay, Payment, Refund

MAX_AMOUNT = 10_000_000
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z")


def wrong_field(asked: dict[str, Any]) -> tuple[str, bool] | None:  # noqa: C901 - one field after another
    """The first field that is wrong, and whether it is there."""
    for name, longest in (("reference", 255), ("description", 255), ("return_url", 2000)):
        if name not in asked:
            return name, False
        if not isinstance(asked[name], str) or len(asked[name]) > longest:
            return name, True
    if "amount" not in asked:
        return "amount", False
    if not _is_amount(asked["amount"], 0):
        return "amount", True
    # What this account does not offer, or the document gives another shape.
    texts = ("email",)
    for name in texts:
        if not isinstance(asked.get(name, ""), str):
            return name, True
    choices = {"language": {"en", "cy"}, "authorisation_mode": {"web"}}
    for name, known in choices.items():
        if name in asked and asked[name] not in known:
            return name, True
    for name in ("delayed_capture", "moto"):
        if not isinstance(asked.get(name, False), bool):
            return name, True
    offered = {
        *choices,
        *texts,
        "reference",
        "description",
        "return_url",
        "amount",
        "delayed_capture",
        "moto",
    }
    return next(((name, True) for name in asked if name not in offered), None)


def _is_amount(amount: object, least: int) -> bool:
    return isinstance(amount, int) and not isinstance(amount, bool) and least <= amount <= MAX_AMOUNT


def bad_query() -> Response | None:
    for name in ("page", "display_size"):
        given = request.args.get(name)
        if given is not None and not (re.fullmatch(r"[1-9][0-9]{0,5}", given)):
            return problem(422, "P0401", field=name)
    if int(request.args.get("display_size", "500")) > 500:
        return problem(422, "P0401", field="display_size")
    for name in ("from_date", "to_date", "from_settled_date", "to_settled_date"):
        given = request.args.get(name)
        if given is None:
            continue
        try:
            if name.endswith("settled_date"):
                date.fromisoformat(given)
            elif _MOMENT.fullmatch(given):
                datetime.fromisoformat(given)
            else:
                return problem(422, "P0401", field=name)
        except ValueError:
            return problem(422, "P0401", field=name)
    return None


def is_narrower(payment: Payment) -> bool:
    """Whether the search is by what this account's payments never have."""
    del payment
    unknown = ("email", "card_brand", "cardholder_name", "first_digits_card_number", "agreement_id")
    return any(request.args.get(name) for name in (*unknown, "last_digits_card_number"))


def page(pay: Pay, path: str, found: list[dict[str, Any]]) -> Response:
    size, number = int(request.args.get("display_size", "500")), int(request.args.get("page", "1"))
    listed = found[(number - 1) * size : number * size]
    links = {"self": {"href": f"{pay.origin}{path}?page={number}"}}
    body = {"total": len(found), "count": len(listed), "page": number, "results": listed, "_links": links}
    return answer(body)


def state(status: str) -> dict[str, Any]:
    return {"status": status, "finished": status in FINISHED}


def shown(pay: Pay, payment: Payment) -> dict[str, Any]:
    own, base = payment.asked, f"{pay.origin}/v1/payments/{payment.id}"
    status = "full" if payment.status == "success" and payment.available == 0 else "available"
    links: dict[str, Any] = {
        "self": {"href": base, "method": "GET"},
        "events": {"href": f"{base}/events", "method": "GET"},
        "refunds": {"href": f"{base}/refunds", "method": "GET"},
    }
    if payment.status not in FINISHED:
        links["next_url"] = {"href": f"{pay.origin}/secure/{payment.id}", "method": "GET"}
        links["cancel"] = {"href": f"{base}/cancel", "method": "POST"}
    return {
        "payment_id": payment.id,
        "amount": payment.amount,
        "reference": own["reference"],
        "description": own["description"],
        "return_url": own["return_url"],
        "created_date": payment.created,
        "state": state(payment.status),
        "payment_provider": "sandbox",
        "language": own.get("language", "en"),
        "delayed_capture": own.get("delayed_capture", False),
        "moto": own.get("moto", False),
        "refund_summary": {
            "status": status if payment.status == "success" else "pending",
            "amount_available": payment.available,
            "amount_submitted": payment.amount - payment.available if payment.status == "success" else 0,
        },
        "_links": links,
    }


def shown_refund(payment: str, refund: Refund) -> dict[str, Any]:
    return {
        "refund_id": refund.id,
        "payment_id": payment,
        "amount": refund.amount,
        "created_date": refund.created,
        "status": refund.status,
    }


def answer(body: dict[str, Any], status: int = 200) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response


def problem(status: int, code: str, **members: str) -> Response:
    return answer({"code": code, "description": "see the published list of codes", **members}, status)
