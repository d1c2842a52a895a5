"""The account's HTTP API: a view for each operation of the published document."""

import re

from flask import Flask, Response, request

from kiosk.pay_stand_in.account import FINISHED, Pay
from kiosk.pay_stand_in.page import PAGE, add_page
from kiosk.pay_stand_in.wire import (
    answer,
    bad_query,
    is_narrower,
    page,
    problem,
    shown,
    shown_refund,
    state,
    wrong_field,
)

# Marks what the stand-in asks of itself.
_INNER = "pay_stand_in.inner"
_KEY = re.compile(r"[a-zA-Z0-9-]*")


def create_app(pay: Pay) -> Flask:
    """The account's HTTP API."""
    app = Flask("pay_stand_in", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024

    @app.before_request
    def check() -> Response | None:
        is_apis = _INNER not in request.environ and not request.path.startswith(PAGE)
        match pay.next_fault() if is_apis else None:
            case "away":
                return problem(500, "P0998")
            case "lost_answer" | "slow" as fault:
                # It is done, and nobody hears of it, or too late.
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
                if fault == "slow":
                    pay.hold()
                return problem(500, "P0998")
            case "twice":
                if request.method == "POST" and request.path == "/v1/payments":
                    pay.create(dict(request.get_json()), None)
                return problem(500, "P0998")
        if request.path.startswith(PAGE):
            # A person's browser has no key.
            return None
        if request.path != "/v1/auth" and request.headers.get("Authorization") != f"Bearer {pay.key}":
            return Response(status=401)
        return None

    _payments(app, pay)
    _refunds(app, pay)
    _others(app, pay)
    add_page(app, pay)
    return app


def _payments(app: Flask, pay: Pay) -> None:  # noqa: C901 - one small view after another
    @app.post("/v1/payments")
    def create() -> Response:
        asked, key = request.get_json(silent=True), request.headers.get("Idempotency-Key")
        if not isinstance(asked, dict):
            return problem(400, "P0100")
        wrong = wrong_field(asked)
        if wrong is not None:
            return problem(422 if wrong[1] else 400, "P0102" if wrong[1] else "P0101", field=wrong[0])
        if key is not None and not _KEY.fullmatch(key):
            return problem(422, "P0102", header="Idempotency-Key")
        return answer(shown(pay, pay.create(asked, key)), 201)

    @app.get("/v1/payments")
    def search() -> Response:
        if (code := bad_query()) is not None:
            return code
        wanted = request.args
        with pay.lock:
            found = [
                shown(pay, each)
                for each in pay.payments.values()
                if wanted.get("reference", each.asked["reference"]) == each.asked["reference"]
                and wanted.get("state", each.status) == each.status
                and not is_narrower(each)
            ]
        return page(pay, "/v1/payments", found)

    @app.get("/v1/payments/<payment>")
    def one(payment: str) -> Response:
        found = pay.payments.get(payment)
        return problem(404, "P0200") if found is None else answer(shown(pay, found))

    @app.get("/v1/payments/<payment>/events")
    def events(payment: str) -> Response:
        found = pay.payments.get(payment)
        if found is None:
            return problem(404, "P0300")
        listed = [
            {"payment_id": payment, "state": state(status), "updated": updated}
            for status, updated in found.history
        ]
        return answer({"payment_id": payment, "events": listed})

    @app.post("/v1/payments/<payment>/cancel")
    def cancel(payment: str) -> Response:
        return _give_up(pay, payment, "cancelled")

    @app.post("/v1/payments/<payment>/capture")
    def capture(payment: str) -> Response:
        with pay.lock:
            found = pay.payments.get(payment)
            if found is None:
                return problem(404, "P1000")
            if found.status != "capturable":
                return problem(409, "P1003")
            pay.move(payment, "success")
        return Response(status=204)


def _refunds(app: Flask, pay: Pay) -> None:  # noqa: C901 - one small view after another
    @app.post("/v1/payments/<payment>/refunds")
    def refund(payment: str) -> Response:
        asked, found = request.get_json(silent=True), pay.payments.get(payment)
        amount = asked.get("amount") if isinstance(asked, dict) else None
        if found is None or not isinstance(asked, dict) or not isinstance(amount, int) or amount < 1:
            # The document knows no status for a malformed refund.
            return problem(404, "P0600")
        with pay.lock:
            available = asked.get("refund_amount_available", found.available)
            if available != found.available or amount > found.available:
                return Response(status=412)
            return answer(shown_refund(payment, pay.refund(found, amount)), 200)

    @app.get("/v1/payments/<payment>/refunds")
    def refunds(payment: str) -> Response:
        found = pay.payments.get(payment)
        if found is None:
            return problem(404, "P0500")
        listed = [shown_refund(payment, each) for each in found.refunds]
        return answer({"payment_id": payment, "_embedded": {"refunds": listed}})

    @app.get("/v1/payments/<payment>/refunds/<refund_id>")
    def one_refund(payment: str, refund_id: str) -> Response:
        found = pay.payments.get(payment)
        for each in found.refunds if found else ():
            if each.id == refund_id:
                return answer(shown_refund(payment, each))
        return problem(404, "P0700")

    @app.get("/v1/refunds")
    def all_refunds() -> Response:
        if (code := bad_query()) is not None:
            return code
        with pay.lock:
            listed = [
                shown_refund(each.id, refund) for each in pay.payments.values() for refund in each.refunds
            ]
        return page(pay, "/v1/refunds", listed)


def _others(app: Flask, pay: Pay) -> None:
    @app.get("/v1/disputes")
    def disputes() -> Response:
        status = request.args.get("status")
        if status not in {None, "needs_response", "under_review", "lost", "won"}:
            return problem(422, "P0401", field="status")
        if (code := bad_query()) is not None:
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
        return page(pay, "/v1/disputes", listed)

    @app.get("/v1/agreements")
    def agreements() -> Response:
        return code if (code := bad_query()) is not None else page(pay, "/v1/agreements", [])

    # This account has neither agreements nor payments by telephone.
    @app.post("/v1/agreements")
    def no_agreement() -> Response:
        return problem(422, "P2103")

    @app.get("/v1/agreements/<agreement>")
    @app.post("/v1/agreements/<agreement>/cancel")
    def unknown_agreement(agreement: str) -> Response:
        del agreement
        return problem(404, "P2200")

    @app.post("/v1/auth")
    def no_telephone() -> Response:
        return problem(400, "P1211")


def _give_up(pay: Pay, payment: str, status: str) -> Response:
    with pay.lock:
        found = pay.payments.get(payment)
        if found is None:
            return problem(404, "P0500")
        if found.status in FINISHED:
            return problem(400, "P0501")
        pay.move(payment, status)
    return Response(status=204)
