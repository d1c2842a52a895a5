"""Bodies of authorisations as they nearly always are, read without a schema; all others are left to theirs.

A schema looks at every field in a way that fits any, which takes ten times as long. What is accepted here is
what `AuthorisationRequestSchema` and `BulkRequestSchema` accept, as they load it (a test compares both); what
is not goes to them, so that every error is theirs.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from cardservice.api.fields import Bytes
from cardservice.authorisation.schemas import (
    MAX_BULK,
    MAX_DETAILS,
    SALT_BYTES,
    AuthorisationRequestSchema,
    BulkRequestSchema,
)

_STATEMENT, _SALT = Bytes(), Bytes(exactly=SALT_BYTES)
_SALE = {"statement", "details", "details_salt"}
_ONE, _MANY = AuthorisationRequestSchema(), BulkRequestSchema()


def message_body(document: object) -> Mapping[str, Any]:
    """A message's body as its schema loads it. Raises ValidationError."""
    body = _sale(document)
    if body is not None:
        return body
    loaded: Mapping[str, Any] = _ONE.load(document)  # type: ignore[arg-type]  # whatever JSON has: it is refused
    return loaded


def bulk_body(document: object) -> Mapping[str, Any]:
    """The body of several messages as its schema loads it. Raises ValidationError."""
    if isinstance(document, dict) and document.keys() == {"messages"}:
        messages = document["messages"]
        if isinstance(messages, list) and 1 <= len(messages) <= MAX_BULK:
            bodies = [_sale(message) for message in messages]
            if None not in bodies:
                return {"messages": bodies}
    loaded: Mapping[str, Any] = _MANY.load(document)  # type: ignore[arg-type]  # as above
    return loaded


def _sale(document: object) -> dict[str, Any] | None:
    """The body of a statement; None where it is anything else, or anything is wrong with it."""
    if not isinstance(document, dict) or document.keys() != _SALE:
        return None
    statement, details, salt = document["statement"], document["details"], document["details_salt"]
    if not (isinstance(details, dict) and len(details) <= MAX_DETAILS):
        return None
    if not (isinstance(statement, str) and isinstance(salt, str)):
        return None
    try:
        return {
            "statement": _STATEMENT.from_wire(statement),
            "details": details,
            "details_salt": _SALT.from_wire(salt),
        }
    except ValidationError:
        return None
