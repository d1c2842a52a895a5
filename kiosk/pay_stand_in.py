"""A payment provider's servers for where they cannot be reached: GOV.UK Pay's public API, in memory.

It answers as the published OpenAPI document says, for a service's own account with one key. What a person or
a bank does (paying, giving up, disputing) is a method; `fault` has it behave badly for the next request.
"""

import re
from datetime import date, datetime
from typing import Any

from flask import Flask, Response, jsonify, request

from kiosk.pay_account import Fault, Pay, Payment, Refund

__all__ = ["Fault", "Pay", "create_app"]

FINISHED = frozenset({"success", "failed", "cancelled", "error"})
MAX_AMOUNT = 10_000_000
# Marks what the stand-in asks of itself.
_INNER = "pay_stand_in.inner"
_KEY = re.compile(r"[a-zA-Z0-9-]*")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z")


def create_app(pay: Pay) -> Flask:
    """The account's HTTP API."""
    app = Flask("pay_stand_in", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024

    @app.before_request
    def check() -> Response | None:
        match None if _INNER in request.environ else pay.next_fault():
            case "away":
                return _error(500, "P0998")
            case "lost_answer":
                # It is done, and nobody hears of it.
                with app.test_client() as client:
                    client.open(
                        request.full_path,
                        method=request.method,
                        data=request.get_data(),
                        environ_overrides={_INNER: True},
                        headers={
                            name: value
                            for name, value in request.headers.items()
                            if name not in {"Host", "Content-Length"}
                        },
                    )
                return _error(500, "P0998")
            case "twice":
                if request.method == "POST" and request.path == "/v1/payments":
                    pay.create(dict(request.get_json()), None)
                return _error(500, "P0998")
        if request.path != "/v1/auth" and request.headers.get("Authorization") != f"Bearer {pay.key}":
            return Response(status=401)
        return None

    _payments(app, pay)
    _refunds(app, pay)
    _others(app, pay)
    return app


def _payments(app: Flask, pay: Pay) -> None:  # noqa: C901 - one small view after another
    @app.post("/v1/payments")
    def create() -> Response:
        asked, key = request.get_json(silent=True), request.headers.get("Idempotency-Key")
        if not isinstance(asked, dict):
            return _error(400, "P0100")
        wrong = _wrong(asked)
        if wrong is not None:
            return _error(422 if wrong[1] else 400, "P0102" if wrong[1] else "P0101", field=wrong[0])
        if key is not None and not _KEY.fullmatch(key):
            return _error(422, "P0102", header="Idempotency-Key")
        return _answer(_shown(pay, pay.create(asked, key)), 201)

    @app.get("/v1/payments")
    def search() -> Response:
        if (code := _bad_query()) is not None:
            return code
        wanted = request.args
        with pay.lock:
            found = [
                _shown(pay, each)
                for each in pay.payments.values()
                if wanted.get("reference", each.asked["reference"]) == each.asked["reference"]
                and wanted.get("state", each.status) == each.status
                and not _narrower(each)
            ]
        return _page(pay, "/v1/payments", found)

    @app.get("/v1/payments/<payment>")
    def one(payment: str) -> Response:
        found = pay.payments.get(payment)
        return _error(404, "P0200") if found is None else _answer(_shown(pay, found))

    @app.get("/v1/payments/<payment>/events")
    def events(payment: str) -> Response:
        found = pay.payments.get(payment)
        if found is None:
            return _error(404, "P0300")
        listed = [
            {"payment_id": payment, "state": _state(status), "updated": updated}
            for status, updated in found.history
        ]
        return _answer({"payment_id": payment, "events": listed})

    @app.post("/v1/payments/<payment>/cancel")
    def cancel(payment: str) -> Response:
        return _give_up(pay, payment, "cancelled")

    @app.post("/v1/payments/<payment>/capture")
    def capture(payment: str) -> Response:
        with pay.lock:
            found = pay.payments.get(payment)
            if found is None:
                return _error(404, "P1000")
            if found.status != "capturable":
                return _error(409, "P1003")
            pay.move(payment, "success")
        return Response(status=204)


def _refunds(app: Flask, pay: Pay) -> None:  # noqa: C901 - one small view after another
    @app.post("/v1/payments/<payment>/refunds")
    def refund(payment: str) -> Response:
        asked, found = request.get_json(silent=True), pay.payments.get(payment)
        amount = asked.get("amount") if isinstance(asked, dict) else None
        if found is None or not isinstance(asked, dict) or not isinstance(amount, int) or amount < 1:
            # The document knows no status for a malformed refund.
            return _error(404, "P0600")
        with pay.lock:
            available = asked.get("refund_amount_available", found.available)
            if available != found.available or amount > found.available:
                return Response(status=412)
            return _answer(_shown_refund(payment, pay.refund(found, amount)), 200)

    @app.get("/v1/payments/<payment>/refunds")
    def refunds(payment: str) -> Response:
        found = pay.payments.get(payment)
        if found is None:
            return _error(404, "P0500")
        listed = [_shown_refund(payment, each) for each in found.refunds]
        return _answer({"payment_id": payment, "_embedded": {"refunds": listed}})

    @app.get("/v1/payments/<payment>/refunds/<refund_id>")
    def one_refund(payment: str, refund_id: str) -> Response:
        found = pay.payments.get(payment)
        for each in found.refunds if found else ():
            if each.id == refund_id:
                return _answer(_shown_refund(payment, each))
        return _error(404, "P0700")

    @app.get("/v1/refunds")
    def all_refunds() -> Response:
        if (code := _bad_query()) is not None:
            return code
        with pay.lock:
            listed = [
                _shown_refund(each.id, refund) for each in pay.payments.values() for refund in each.refunds
            ]
        return _page(pay, "/v1/refunds", listed)


def _others(app: Flask, pay: Pay) -> None:
    @app.get("/v1/disputes")
    def disputes() -> Response:
        status = request.args.get("status")
        if status not in {None, "needs_response", "under_review", "lost", "won"}:
            return _error(422, "P0401", field="status")
        if (code := _bad_query()) is not None:
            return code
        with pay.lock:
            listed = [
                {
                    "dispute_id": each.id,
                    "payment_id": each.payment,
                    "amount": each.amount,
                    "status": each.status,
                    "created_date": each.created,
                }
                for each in pay.disputes
                if status in {None, each.status}
            ]
        return _page(pay, "/v1/disputes", listed)

    @app.get("/v1/agreements")
    def agreements() -> Response:
        return code if (code := _bad_query()) is not None else _page(pay, "/v1/agreements", [])

    # This account has neither agreements nor payments by telephone.
    @app.post("/v1/agreements")
    def no_agreement() -> Response:
        return _error(422, "P2103")

    @app.get("/v1/agreements/<agreement>")
    @app.post("/v1/agreements/<agreement>/cancel")
    def unknown_agreement(agreement: str) -> Response:
        del agreement
        return _error(404, "P2200")

    @app.post("/v1/auth")
    def no_telephone() -> Response:
        return _error(400, "P1211")


def _give_up(pay: Pay, payment: str, status: str) -> Response:
    with pay.lock:
        found = pay.payments.get(payment)
        if found is None:
            return _error(404, "P0500")
        if found.status in FINISHED:
            return _error(400, "P0501")
        pay.move(payment, status)
    return Response(status=204)


def _wrong(asked: dict[str, Any]) -> tuple[str, bool] | None:  # noqa: C901 - one field after another
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


def _bad_query() -> Response | None:
    for name in ("page", "display_size"):
        given = request.args.get(name)
        if given is not None and not (re.fullmatch(r"[1-9][0-9]{0,5}", given)):
            return _error(422, "P0401", field=name)
    if int(request.args.get("display_size", "500")) > 500:
        return _error(422, "P0401", field="display_size")
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
                return _error(422, "P0401", field=name)
        except ValueError:
            return _error(422, "P0401", field=name)
    return None


def _narrower(payment: Payment) -> bool:
    """Whether the search is by what this account's payments never have."""
    del payment
    unknown = ("email", "card_brand", "cardholder_name", "first_digits_card_number", "agreement_id")
    return any(request.args.get(name) for name in (*unknown, "last_digits_card_number"))


def _page(pay: Pay, path: str, found: list[dict[str, Any]]) -> Response:
    size, number = int(request.args.get("display_size", "500")), int(request.args.get("page", "1"))
    listed = found[(number - 1) * size : number * size]
    links = {"self": {"href": f"{pay.origin}{path}?page={number}"}}
    body = {"total": len(found), "count": len(listed), "page": number, "results": listed, "_links": links}
    return _answer(body)


def _state(status: str) -> dict[str, Any]:
    return {"status": status, "finished": status in FINISHED}


def _shown(pay: Pay, payment: Payment) -> dict[str, Any]:
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
        "state": _state(payment.status),
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


def _shown_refund(payment: str, refund: Refund) -> dict[str, Any]:
    return {
        "refund_id": refund.id,
        "payment_id": payment,
        "amount": refund.amount,
        "created_date": refund.created,
        "status": refund.status,
    }


def _answer(body: dict[str, Any], status: int = 200) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response


def _error(status: int, code: str, **members: str) -> Response:
    return _answer({"code": code, "description": "see the published list of codes", **members}, status)
