"""Where the payment provider says that something has changed: signed, and believed in nothing but that."""

from flask import request

from cardservice.api.blueprints import Blueprint, strict_json
from cardservice.api.current import context
from cardservice.api.fields import MAX_TEXT
from cardservice.errors import NotificationRefused
from cardservice.payments.govuk_pay import NAME, is_signed
from cardservice.payments.polling import notified

blueprint = Blueprint("notifications", "cardservice.payments", description="Signed by a payment provider.")
_KINDS = frozenset({"payment", "refund", "dispute"})


# The provider says what it sends; of that this is all that is looked at.
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "resource_type": {"type": "string"},
                    "resource_id": {"type": "string"},
                    "resource": {"type": "object", "properties": {"payment_id": {"type": "string"}}},
                },
            }
        }
    },
}
_SIGNATURE = {
    "name": "Pay-Signature",
    "in": "header",
    "required": True,
    "schema": {"type": "string"},
    "description": "HMAC-SHA-256 of the body in hex",
}


@blueprint.route("/notifications/payments", methods=["POST"])
@blueprint.doc(requestBody=_BODY, parameters=[_SIGNATURE])
@blueprint.response(204)
@blueprint.problems(401)
def payments() -> None:
    """A payment, refund or dispute has changed; the worker asks the provider what it is now."""
    service, body = context(), request.get_data(cache=True)
    path = service.settings.pay_secret_file
    secret = b"" if path is None else path.read_bytes().strip()
    if not secret or not is_signed(body, request.headers.get("Pay-Signature", ""), secret):
        raise NotificationRefused("the signature does not verify; send it as the provider's webhooks do")
    sent = strict_json(body)
    kind, payment = _subject(sent)
    # What is of no kind that we know is taken and forgotten: the provider would only send it again.
    if kind in _KINDS and payment:
        notified(service, NAME, kind, payment)


def _subject(sent: object) -> tuple[str, str]:
    """What kind of thing has changed, and of which payment; "" where the message does not say."""
    if not isinstance(sent, dict):
        return "", ""
    kind, resource = sent.get("resource_type"), sent.get("resource")
    named = resource.get("payment_id") if isinstance(resource, dict) else None
    payment = sent.get("resource_id") if kind == "payment" else named
    is_text = isinstance(kind, str) and isinstance(payment, str) and 0 < len(payment) <= MAX_TEXT
    return (str(kind), str(payment)) if is_text else ("", "")
