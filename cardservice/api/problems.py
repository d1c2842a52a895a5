"""Errors become problem documents (RFC 9457) here, and nowhere else.

`type` is `urn:citizen-card:problem:<code>`; the code is stable and is what a program should look at.
`docs/api.md` explains the codes to integrators.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any

import psycopg
from flask import Flask, Response, g, json
from gunicorn.http.errors import NoMoreData, ParseException
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from cardservice.applications.errors import NotEligible
from cardservice.bureau.errors import BureauFileRefused
from cardservice.cardholders.errors import AskerRefused
from cardservice.cards.errors import ActivationRefused
from cardservice.errors import (
    CardServiceError,
    CardUnusable,
    ErasureRefused,
    Malformed,
    QuoteRefused,
    RefundRefused,
    TooManyRequests,
)
from cardservice.ledger.nodes import named_in
from cardservice.pupils.errors import ImportRefused
from cardservice.services.seam import TariffError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"  # RFC 9457, 3
RETRY_AFTER_S = 1
UNAUTHORISED = 401
# What has no answer without one: RFC 9110, 11.6.1. Staff send a token; for signatures there is no scheme.
CHALLENGE = "Bearer"  # RFC 6750, 3
# Of these it is said when to send the same request again.
RETRIED = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Kind:
    """What a problem code means over HTTP."""

    status: int
    title: str


PROBLEMS: Mapping[str, Kind] = {
    # The request itself.
    "malformed": Kind(400, "The request does not have the documented shape"),
    "not_found": Kind(404, "There is nothing at this address"),
    "method_not_allowed": Kind(405, "This address does not take this method"),
    "not_acceptable": Kind(406, "There is this in no form that the request accepts"),
    "not_implemented": Kind(501, "The service does not do this"),
    "too_large": Kind(413, "The request is too large"),
    "address_too_long": Kind(414, "The request's address is too long"),
    "headers_too_large": Kind(431, "The request's headers are too large"),
    "unsupported_media_type": Kind(415, "The request body is not of the documented media type"),
    "too_many_requests": Kind(429, "More is asked than may be in a minute"),
    # What a payment provider sends.
    "notification_refused": Kind(401, "The notification is not signed by the payment provider"),
    # Paying in.
    "payments_missing": Kind(404, "The service has no payment provider"),
    "payment_unknown": Kind(404, "There is no such payment"),
    "payment_refused": Kind(422, "The payment provider refuses this"),
    "payment_provider_away": Kind(503, "The payment provider does not answer; send the same request again"),
    # The terminal.
    "request_signature_missing": Kind(401, "The request carries no signature, and no session"),
    "request_signature_invalid": Kind(401, "The terminal signature does not verify"),
    "request_signature_malformed": Kind(401, "The terminal signature is not written by the profile"),
    "request_signature_keyid_malformed": Kind(401, "The key identifier cannot be a terminal's"),
    "request_signature_components": Kind(401, "The terminal signature covers other parts than the profile's"),
    "request_digest_mismatch": Kind(401, "The request body is not the one that was signed"),
    "request_signature_stale": Kind(401, "The terminal signature is too old or in the future"),
    "terminal_unknown": Kind(401, "The terminal is not registered"),
    "terminal_revoked": Kind(403, "The terminal was revoked, or its provider closed"),
    "role_not_allowed": Kind(403, "The terminal's role does not cover this"),
    "right_missing": Kind(403, "The roles of this member of staff do not cover this"),
    "not_theirs": Kind(403, "This member of staff does this for their own alone"),
    # Staff.
    "sign_in_refused": Kind(401, "Nobody is signed in by this"),
    "session_invalid": Kind(401, "The request names no session that goes on"),
    "sign_in_again": Kind(403, "The session is too old for this"),
    "enrolment_alone": Kind(403, "An enrolment code is for setting up what to sign in with"),
    "credential_refused": Kind(422, "This is not kept to sign in with"),
    "staff_unknown": Kind(404, "There is no such account of staff"),
    "session_unknown": Kind(404, "There is no such session"),
    "order_invalid": Kind(422, "This cannot be carried out as it was given"),
    "already_exists": Kind(409, "The identifier is taken"),
    "provider_unknown": Kind(404, "There is no such provider"),
    "cardholder_unknown": Kind(404, "There is no such cardholder"),
    "card_missing": Kind(404, "The scheme has no such card"),
    "terminal_missing": Kind(404, "The scheme has no such terminal"),
    "state_change_refused": Kind(409, "The card's state does not lead there"),
    "card_too_early": Kind(409, "The card is for a visit that has not begun"),
    "activation_refused": Kind(422, "The card is not activated"),
    "application_unknown": Kind(404, "There is no such application"),
    "application_closed": Kind(409, "The application was decided, or there is an open one"),
    "not_eligible": Kind(409, "Something stands against this card"),
    "guardianship_unknown": Kind(404, "There is no such guardianship of this person"),
    "payer_unknown": Kind(404, "There is no such payer"),
    "backdated_payer": Kind(422, "Nobody pays from before now, or before the last change"),
    "photo_refused": Kind(422, "The file is no photo that can be kept"),
    "nothing_to_state": Kind(409, "No statements are made for this card"),
    "asker_refused": Kind(409, "It is not told who asks, or they may not"),
    "erasure_refused": Kind(409, "This person cannot be erased yet"),
    "import_refused": Kind(422, "Nothing of the file was taken"),
    "undo_refused": Kind(409, "This import cannot be undone"),
    "second_person_refused": Kind(409, "This does not close what waits"),
    "transaction_unknown": Kind(404, "There is no such transaction"),
    "idempotency_key_missing": Kind(400, "The request has no Idempotency-Key"),
    "idempotency_key_taken": Kind(422, "The Idempotency-Key was another request's"),
    "if_match_missing": Kind(428, "The request does not say what it changes"),
    "changed_meanwhile": Kind(412, "It has changed since it was looked at"),
    # What there is of blanks, bureaux, terminals, accounts and payments.
    "stock_too_low": Kind(409, "Fewer blanks lie there than are to be taken"),
    "delivery_refused": Kind(422, "The delivery is not what its numbers say, or was taken in before"),
    "bureau_unknown": Kind(404, "There is no such card bureau"),
    "batch_unknown": Kind(404, "There is no such batch"),
    "batch_refused": Kind(409, "No batch is made of these orders"),
    "bureau_file_refused": Kind(422, "Nothing of the bureau's file was taken"),
    "invitation_unknown": Kind(404, "No terminal of this identifier is invited"),
    "lending_refused": Kind(409, "The card is not lent, or not taken back"),
    "loss_refused": Kind(409, "The report is not taken from afar any more"),
    "closing_refused": Kind(409, "The account is not closed, or not yet"),
    "statement_invalid": Kind(422, "There is no such statement, or no such page of it"),
    "explanation_missing": Kind(409, "What the decision was reached by is not there any more"),
    "quarantine_unknown": Kind(404, "Nothing of this number is held"),
    "quarantine_unreadable": Kind(409, "The held message cannot be read any more"),
    "service_of_another_provider": Kind(403, "The terminal's provider does not sell this service"),
    # The transaction.
    "id_conflict": Kind(409, "The transaction id is taken by another message"),
    "id_of_another_terminal": Kind(409, "The transaction id is another terminal's"),
    "erased": Kind(410, "The transaction's details were erased"),
    "statement_malformed": Kind(422, "The signed statement is malformed"),
    "amount_negative": Kind(422, "The signed amount is below zero"),
    "amount_too_large": Kind(422, "The signed amount is too large"),
    "scheme_mismatch": Kind(422, "The statement was made for another scheme"),
    "terminal_mismatch": Kind(422, "The statement names another terminal"),
    "details_mismatch": Kind(422, "The details are not those that the card signed"),
    "card_unknown": Kind(422, "The card is not of this scheme"),
    "proof_invalid": Kind(422, "The card's proof does not verify"),
    "proof_of_another_use": Kind(422, "The card signed this for another use"),
    "proof_of_another_card": Kind(422, "Another card made this proof"),
    "answer_missing": Kind(422, "The request comes back without its answer"),
    "answer_invalid": Kind(422, "This is not the service's answer to the request"),
    "refund_refused": Kind(422, "Nothing is given back"),
    # Prices and what is offered.
    "quote_refused": Kind(422, "There is no price for this"),
    "catalogue_missing": Kind(404, "The service has no catalogue"),
    # Whose card it is.
    "card_revoked": Kind(422, "The card was revoked"),
    "card_expired": Kind(422, "The card has expired"),
    "card_suspended": Kind(422, "The card is suspended"),
    "card_not_active": Kind(422, "The card is not active yet"),
    # Tariffs.
    "service_unknown": Kind(404, "There is no such service"),
    "tariff_invalid": Kind(422, "The tariff is refused"),
    "tariff_exists": Kind(409, "Another tariff has this version"),
    "resource_invalid": Kind(409, "More of a resource is taken than the tariff has"),
    "draft_unknown": Kind(404, "There is no such draft"),
    "draft_closed": Kind(409, "The draft was approved or withdrawn"),
    "approval_refused": Kind(403, "Somebody else must approve this draft"),
    # Issuing.
    "order_unknown": Kind(404, "There is no such personalisation order"),
    "order_closed": Kind(409, "The personalisation order is closed"),
    "card_in_use": Kind(409, "The holder has another card of this kind in use"),
    "certificate_missing": Kind(409, "The card has no certificate yet"),
    "uid_refused": Kind(409, "A card cannot have this UID"),
    "enrolment_refused": Kind(403, "The code does not enrol the terminal"),
    "certificate_request_refused": Kind(422, "The certificate signing request is refused"),
    # The service.
    "recovering": Kind(503, "The ledger is being recovered; send the same request again"),
    "not_recovering": Kind(409, "The ledger is not being recovered"),
    "busy": Kind(503, "The service is busy; send the same request again"),
    "not_initialised": Kind(503, "The service is not set up"),
    "unavailable": Kind(503, "The service cannot reach its database; send the same request again"),
    "internal_error": Kind(500, "The service failed; send the same request again"),
}

_HTTP_CODES = {
    400: "malformed",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    414: "address_too_long",
    431: "headers_too_large",
    415: "unsupported_media_type",
    501: "not_implemented",
}


def problem(code: str, detail: str, members: Mapping[str, object] | None = None) -> Response:
    """The problem of `code` as an answer; a code of a service's own rules counts as a refused quote."""
    return _answered(_document(code, detail, members))


def written(code: str, detail: str) -> tuple[int, bytes]:
    """The status and the body of a problem, for whoever answers without Flask."""
    document = _document(code, detail)
    return int(document["status"]), dumps(document).encode()


def document_of(error: Exception) -> dict[str, Any]:
    """The problem document that an error leaves as, and a line in the log where it is a fault of ours."""
    match error:
        case QuoteRefused() | CardUnusable():
            return _document(error.reason, str(error), _members(error))
        case CardServiceError() if error.code in PROBLEMS:
            return _document(error.code, str(error), _members(error))
        case HTTPException():
            return _of_http(error)
        case ParseException() | NoMoreData():
            # A body in chunks that are none, or that broke off: gunicorn reads it when it is asked for.
            return _document("malformed", "The body does not come as its headers say.")
        case OperationalError() | psycopg.OperationalError():
            log.error("the database does not answer", exc_info=error)
            node = named_in(getattr(error, "orig", error))
            away = "" if node is None else f"The ledger's node {node} does not answer. "
            return _document("unavailable", f"{away}Nothing is lost by sending the same request again.")
    # The traceback goes to the log, whose reader may see it; the answer says nothing of the inside.
    log.error("unexpected error", exc_info=error)
    return _document(
        "internal_error", "The service's log has the error; nothing is lost by sending it again."
    )


def _members(error: CardServiceError) -> Mapping[str, object] | None:
    """What a problem says beside its sentence."""
    match error:
        case RefundRefused():
            return {"reason": error.reason, "left_minor": error.left_minor}
        case TooManyRequests():
            return {"retry_after_s": error.retry_after_s}
        case Malformed(fields=fields) if fields:
            return {"fields": fields}
    data = _data(error)
    return {"data": data} if data else None


def _data(error: CardServiceError) -> object:
    """What the rules that were asked add."""
    match error:
        case QuoteRefused():
            return error.data
        case NotEligible():
            return {"missing": list(error.missing)}
        case ErasureRefused() | AskerRefused():
            return {"reason": error.reason}
        case ActivationRefused():
            return {"attempts_left": error.attempts_left}
        case BureauFileRefused():
            return {"problems": [{"line": each.line, "reason": each.reason} for each in error.lines]}
        case ImportRefused():
            return {"problems": [{"line": each.line, "reason": each.reason} for each in error.problems]}
        case TariffError():
            return {"file": error.file, "line": error.line, "reason": error.reason}
    return None


def _document(code: str, detail: str, members: Mapping[str, object] | None = None) -> dict[str, Any]:
    kind = PROBLEMS.get(code, PROBLEMS["quote_refused"])
    return {
        "type": f"urn:citizen-card:problem:{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": code,
        **(members or {}),
    }


def _answered(document: Mapping[str, Any]) -> Response:
    g.problem_code = document["code"]
    response = Response(json.dumps(document), document["status"], content_type=MEDIA_TYPE)
    response.headers.extend(headers_of(document))
    return response


def headers_of(document: Mapping[str, Any]) -> Mapping[str, str]:
    """Its headers: when to send the same again (RFC 9110, 10.2.3), or how one is let in."""
    if document["status"] == UNAUTHORISED:
        return {"WWW-Authenticate": CHALLENGE}
    if document["status"] not in RETRIED:
        return {}
    return {"Retry-After": str(document.get("retry_after_s", RETRY_AFTER_S))}


def register(app: Flask) -> None:
    """Let every error of this application leave as a problem document."""

    def leave(error: Exception) -> Response:
        response = _answered(document_of(error))
        if isinstance(error, MethodNotAllowed):
            # RFC 9110, 15.5.6
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response

    # The first for its subclasses, which Flask would otherwise answer itself.
    app.register_error_handler(HTTPException, leave)
    app.register_error_handler(Exception, leave)


def _of_http(error: HTTPException) -> dict[str, Any]:
    code = _HTTP_CODES.get(error.code or 500)
    if code is None:
        return _document("internal_error" if (error.code or 500) >= 500 else "malformed", "see the status")
    return _document(code, PROBLEMS[code].title)
