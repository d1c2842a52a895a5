"""What the OpenAPI document says of all routes alike, and of the PKI's, which are no blueprint of ours."""

from collections.abc import Iterable, Mapping
from typing import Any

from apispec import APISpec
from marshmallow import fields
from werkzeug.routing import Rule

from cardservice.api.fields import Bytes, Identifier, Moment
from cardservice.api.problems import CHALLENGE, MEDIA_TYPE, PROBLEMS, RETRIED, RETRY_AFTER_S, UNAUTHORISED
from cardservice.api.request_log import REQUEST_ID
from cardservice.staff.carrying import COOKIE

# The mark of a view that a terminal signs its requests to; it is among flask-smorest's own notes, too.
SIGNED = "terminal_signed"
# Marks of a view that staff may ask, too, and of one that nobody else may.
OR_STAFF, STAFF_ALONE = "or_staff", "staff_alone"
# RFC 9421, 4: both headers, on every request below /v1. There is no name for this among OpenAPI's schemes.
SIGNATURE: Mapping[str, list[str]] = {"Signature": [], "Signature-Input": []}
# A session of staff: a token that programs carry (RFC 6750, 2.1), or the cookie of a browser.
SESSIONS: Mapping[str, dict[str, str]] = {
    "StaffToken": {"type": "http", "scheme": "bearer", "description": "The token of a session"},
    "StaffCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A browser's session; what changes anything comes from pages of the service's origin",
    },
}
# The mark of a view that may be asked without a limit.
UNLIMITED = "unlimited"
# Whatever is asked, it can be too often, the service can fail, and its database be away.
_ALWAYS = (429, 500, 503)
# What the body's reader answers before the view is asked.
_WITH_BODY = (400, 413, 415)
_BASE64URL = "^[A-Za-z0-9_-]*$"
_CANONICAL_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_UTC = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
_REQUEST_ID = {REQUEST_ID: {"$ref": "#/components/headers/RequestId"}}
TAGGED = {"ETag": {"$ref": "#/components/headers/ETag"}}
_OCSP_REQUEST, _OCSP_RESPONSE = "application/ocsp-request", "application/ocsp-response"
_BINARY = {"type": "string", "format": "binary"}
UNCHANGED = "What you have is what there is."


def problem_name(status: int) -> str:
    """What the answer with a problem document of this status is called in the document."""
    return f"Problem{status}"


def describe(spec: APISpec, problem_schema: object) -> None:
    """Put what all routes share into the document."""
    spec.components.header(
        "RequestId",
        {
            "description": "The request's own number, as in the service's log: tell it with a fault",
            "required": True,
            "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        },
    )
    spec.components.header(
        "ETag",
        {
            "description": "For If-None-Match: what has not changed is answered with 304. RFC 9110, 8.8.3",
            "required": True,
            "schema": {"type": "string"},
        },
    )
    spec.components.header(
        "Challenge",
        {
            "description": "What staff may send; a terminal signs. RFC 9110, 11.6.1",
            "required": True,
            "schema": {"type": "string", "enum": [CHALLENGE]},
        },
    )
    spec.components.header(
        "RetryAfter",
        {
            "description": "After how many seconds the same request may be sent again. RFC 9110, 10.2.3",
            "required": True,
            "schema": {"type": "integer", "minimum": RETRY_AFTER_S},
        },
    )
    for status in sorted({kind.status for kind in PROBLEMS.values()}):
        spec.components.response(problem_name(status), _problem_answer(status, problem_schema))
    for name in SIGNATURE:
        scheme = {
            "type": "apiKey",
            "in": "header",
            "name": name,
            "description": "The terminal's signature (RFC 9421), in the profile of docs/api.md",
        }
        spec.components.security_scheme(name, scheme)
    for name, session in SESSIONS.items():
        spec.components.security_scheme(name, session)


def _problem_answer(status: int, schema: object) -> dict[str, Any]:
    codes = [f"`{code}`: {kind.title}." for code, kind in PROBLEMS.items() if kind.status == status]
    headers: dict[str, Any] = dict(_REQUEST_ID)
    if status == UNAUTHORISED:
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/Challenge"}
    if status in RETRIED:
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    return {
        "description": "\n".join(codes),
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": schema}},
    }


def complete(operation: dict[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """An operation with what every route answers; `info` is what flask-smorest keeps of its decorators."""
    body = "requestBody" in operation or "requestBody" in info.get("manual_doc", {})
    responses = operation.setdefault("responses", {})
    for answer in responses.values():
        if isinstance(answer, dict):
            answer["headers"] = {**_REQUEST_ID, **answer.get("headers", {})}
    if "304" in responses:
        responses["200"]["headers"] |= TAGGED
    for status in (*_ALWAYS, *(_WITH_BODY if body else ())):
        responses.setdefault(str(status), problem_name(status))
    if info.get(UNLIMITED):
        del responses["429"]
    if info.get(SIGNED):
        operation["security"] = [dict(SIGNATURE)]
    if info.get(OR_STAFF):
        operation["security"] += [{name: []} for name in SESSIONS]
    return operation


def of_field(_: object, field: fields.Field[Any], **known: Any) -> dict[str, Any]:
    """What the wire format of a field allows, beyond what apispec knows of marshmallow's own."""
    match field:
        case Bytes():
            exact = field.exactly
            length = {} if exact is None else dict.fromkeys(("minLength", "maxLength"), _written(exact))
            return {"pattern": _BASE64URL, **length}
        case Identifier():
            return {"pattern": _CANONICAL_UUID}
        case Moment():
            return {"pattern": _UTC}
        case fields.Dict():
            # apispec counts the members of an object like the characters of a text.
            most = known["ret"].pop("maxLength", None)
            return {} if most is None else {"maxProperties": most}
    return {}


def _written(length: int) -> int:
    """How many characters so many bytes have in base64url without padding."""
    return (length * 4 + 2) // 3


def describe_pki(spec: APISpec, rules: Iterable[Rule], prefix: str) -> None:
    """The routes of `pki.http` below `prefix`. Raises KeyError for one that is not described here."""
    described = _pki_operations()
    for rule in rules:
        if rule.endpoint.startswith("pki."):
            spec.path(rule=rule, operations=described[rule.rule.removeprefix(prefix)])


def _pki_operations() -> Mapping[str, dict[str, Any]]:
    crl = "application/pkix-crl"
    by_post = _read("The status of certificates (OCSP).", _OCSP_RESPONSE, 413, 415, tagged=False)
    by_post["requestBody"] = {"required": True, "content": {_OCSP_REQUEST: {"schema": _BINARY}}}
    by_get = _read("The status of a certificate (OCSP).", _OCSP_RESPONSE, 404, 413, tagged=False)
    # Of an answer that others may keep. What has a nonce, or is a refusal, has no tag.
    by_get["responses"]["304"] = {"description": UNCHANGED, "headers": {**_REQUEST_ID, **TAGGED}}
    status_list = _read(
        "The status of up to a million cards, signed.", "application/statuslist+cwt", 404, 406, 501
    )
    status_list["parameters"] = [
        {
            "name": "time",
            "in": "query",
            "schema": {"type": "string"},
            "description": "A moment in the past: not told (501). Token Status List, 8.4",
        }
    ]
    return {
        "/<issuer>.crt": {"get": _read("An authority's certificate (DER).", "application/pkix-cert")},
        "/<issuer>.crl": {"get": _read("Its revocation list (DER).", crl)},
        "/<issuer>/delta.crl": {"get": _read("What has changed since that list.", crl)},
        "/<issuer>/<int:shard>.crl": {"get": _read("The revocation list of a shard.", crl)},
        "/<issuer>/<int:shard>-delta.crl": {"get": _read("What has changed since in a shard.", crl)},
        "/status/<int:number>": {"get": status_list},
        "/ocsp/<path:encoded>": {"get": by_get},
        "/ocsp": {"post": by_post},
    }


def _read(summary: str, media_type: str, *problems: int, tagged: bool = True) -> dict[str, Any]:
    """An operation that anybody may ask for, and, where it is `tagged`, keep."""
    headers = {**_REQUEST_ID, **(TAGGED if tagged else {})}
    answered = {"description": "OK", "headers": headers, "content": {media_type: {"schema": _BINARY}}}
    responses: dict[str, Any] = {"200": answered}
    if tagged:
        responses["304"] = {"description": UNCHANGED, "headers": headers}
    for status in (*(problems or (404,)), *_ALWAYS):
        responses[str(status)] = problem_name(status)
    return {"summary": summary, "tags": ["pki"], "responses": responses}
