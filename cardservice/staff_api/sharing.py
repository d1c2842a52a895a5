"""What the routes of staff share: pages, what has changed meanwhile, requests that are sent again."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from flask import request
from marshmallow import ValidationError, fields
from marshmallow.validate import Range
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from cardservice.api.current import context
from cardservice.api.fields import Message, WireField, text
from cardservice.errors import Busy, Malformed
from cardservice.ledger.statements import Period
from cardservice.staff.credential_models import staff_request
from cardservice.staff.errors import ChangedMeanwhile, KeyMissing, KeyTaken, TagMissing
from cardservice.staff_api.access import me

# Ours: of a list, in one answer; and what leads to the next page.
MAX_PAGE, MAX_CURSOR = 100, 128
# Of an entry of a list, as both databases keep it.
MAX_NUMBER = 2**62
_DAYS = timedelta(days=30)
# Ours: for how long it is known what a request has come to.
REMEMBERED = timedelta(days=2)
KEY_HEADER, _KEY = "Idempotency-Key", re.compile(r"[!-~]{8,64}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
KEY_PARAMETER = {
    "name": KEY_HEADER,
    "in": "header",
    "required": True,
    "schema": {"type": "string", "pattern": "^[!-~]{8,64}$"},
    "description": "Drawn by whoever asks; the same again gets the same answer, and nothing is made twice",
}
MATCH_PARAMETER = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "pattern": '^"[0-9a-f]{40}"$'},
    "description": "The ETag of what was looked at; where it has changed since, nothing is done",
}
TAG = {"ETag": {"$ref": "#/components/headers/ETag"}}


class Day(WireField[date]):
    """A day, such as 2026-06-15 (RFC 3339, full-date)."""

    def to_wire(self, value: date) -> str:
        """See WireField."""
        return value.isoformat()

    def from_wire(self, wire: str) -> date:
        """See WireField."""
        try:
            value = date.fromisoformat(wire) if _DAY.fullmatch(wire) else None
        except ValueError:
            value = None
        if value is None:
            raise ValidationError("must be a day like 2026-06-15")
        return value


class NothingSchema(Message):
    """An order that says all by its address."""


class ReasonSchema(Message):
    """Why something is done; it is kept."""

    reason = text(200, required=True)


class StaffPageSchema(Message):
    """Which page of a list."""

    after = text(
        MAX_CURSOR, load_default=None, metadata={"description": "as `next` of the page before has it"}
    )
    limit = fields.Integer(load_default=MAX_PAGE, validate=Range(1, MAX_PAGE))


class NumberedPageSchema(Message):
    """Which page of a list whose entries have numbers."""

    after = fields.Integer(
        load_default=None,
        validate=Range(1, MAX_NUMBER),
        metadata={"description": "as `next` of the page before has it"},
    )
    limit = fields.Integer(load_default=MAX_PAGE, validate=Range(1, MAX_PAGE))


class DaysSchema(Message):
    """Days of settlement, both included; without them the last thirty."""

    first = Day(load_default=None)
    last = Day(load_default=None)


def days_of(asked: Mapping[str, Any]) -> Period:
    """The days that are asked for. Raises StatementInvalid where they end before they begin."""
    last = asked["last"] or context().now().date()
    # The calendar's first day is nobody's: of that there are no thirty before.
    first = asked["first"] or (last - _DAYS if last.toordinal() > _DAYS.days else date.min)
    return Period(first, last)


def next_number() -> fields.Integer:
    """What leads to the page that follows, of a list with numbers."""
    return fields.Integer(
        required=True, allow_none=True, metadata={"description": "`after` of the next page; null: none"}
    )


def next_field() -> fields.String:
    """What leads to the page that follows."""
    return fields.String(
        required=True, allow_none=True, metadata={"description": "`after` of the next page; null: none"}
    )


def cursor(after: str | None) -> UUID | None:
    """The identifier that a page begins after. Raises Malformed."""
    try:
        return None if after is None else UUID(after)
    except ValueError:
        raise Malformed("`after` is none that a page had as its `next`") from None


def once(connection: Connection, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What `make` answers, or has answered to this request before: it is done in the same transaction.

    The answer is kept for two days: it may hold identifiers alone. Raises KeyMissing, and KeyTaken where the
    key was another request's.
    """
    key = request.headers.get(KEY_HEADER, "")
    if not _KEY.fullmatch(key):
        raise KeyMissing
    own, moment = staff_request.c, context().now()
    asked = sha256(f"{request.method} {request.path}\n".encode() + request.get_data(cache=True)).digest()
    connection.execute(delete(staff_request).where(own.at < moment - REMEMBERED))
    row = connection.execute(
        select(staff_request).where(own.staff_id == me().id, own.key == key)
    ).one_or_none()
    if row is not None:
        if row.request_sha256 != asked:
            raise KeyTaken
        answer: Mapping[str, Any] = json.loads(row.answer)
        return answer
    made = make()
    values = {"staff_id": me().id, "key": key, "request_sha256": asked, "at": moment}
    # Two at once: the second waits here for the first, and is told to come again for its answer.
    try:
        connection.execute(insert(staff_request).values(**values, answer=json.dumps(made)))
    except IntegrityError as error:
        raise Busy("the same request is being answered; send it again") from error
    return made


def tag_of(values: Mapping[str, Any]) -> str:
    """The ETag of a record that may be changed: what it says, hashed, so that each change changes it."""
    said = json.dumps(values, sort_keys=True, default=str).encode()
    return f'"{sha256(said).hexdigest()[:40]}"'


def require_unchanged(values: Mapping[str, Any]) -> None:
    """That nobody has changed it since it was looked at (RFC 9110, 13.1.1).

    Raises TagMissing and ChangedMeanwhile.
    """
    tag = request.headers.get("If-Match")
    if tag is None:
        raise TagMissing
    if tag != tag_of(values):
        raise ChangedMeanwhile
