"""The page on which a person pays: ours, and of the provider's only where it leads and what comes of it."""

from html import escape

from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as Answer

from kiosk.pay_stand_in.account import FINISHED, Pay

# Where payments are made, by people.
PAGE = "/secure/"
# What each button comes to.
_BUTTONS = {"pay": "success", "decline": "failed", "cancel": "cancelled"}
_PAGE = """<!doctype html>
<html lang="en-GB"><head><meta charset="utf-8"><title>Pay: a stand-in</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ max-width: 40rem; margin: 3rem auto; padding: 0 1.5rem; font: 1.2rem/1.5 sans-serif; color: #0b0c0c }}
button {{ min-height: 3.5rem; margin: 1rem .5rem 0 0; padding: 0 1.5rem; font: inherit }}
</style></head>
<body><main><h1>Pay £{amount}</h1><p>{description}</p>
<p>This page stands in for a payment provider's. No card is asked for, and no money is taken.</p>
<form method="post">
<button name="do" value="pay">Pay now</button>
<button name="do" value="decline">Be declined</button>
<button name="do" value="cancel">Cancel payment</button>
</form></main></body></html>
"""


def add_page(app: Flask, pay: Pay) -> None:
    """Add the page to the account's application."""

    @app.get("/secure/<payment>")
    def shown(payment: str) -> Answer:
        found = pay.payments.get(payment)
        if found is None:
            return Response(status=404)
        if found.status in FINISHED:
            return redirect(str(found.asked["return_url"]), 303)
        amount = f"{found.amount // 100}.{found.amount % 100:02}"
        page = _PAGE.format(amount=amount, description=escape(str(found.asked["description"])))
        return Response(page, content_type="text/html; charset=utf-8")

    @app.post("/secure/<payment>")
    def pressed(payment: str) -> Answer:
        found, status = pay.payments.get(payment), _BUTTONS.get(request.form.get("do", ""))
        if found is None or status is None:
            return Response(status=404)
        with pay.lock:
            if found.status not in FINISHED:
                pay.move(payment, status)
        return redirect(str(found.asked["return_url"]), 303)
