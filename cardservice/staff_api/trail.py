"""The routes of the audit trail, and of what waits for a second person."""

from typing import Any
from uuid import UUID

from marshmallow import fields
from marshmallow.validate import Range

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier, Message, Moment, text
from cardservice.audit.searching import Wanted, search
from cardservice.audit.service import record
from cardservice.authorisation.refunding import Wish
from cardservice.authorisation.refunds import Refund
from cardservice.ids import TransactionId
from cardservice.staff import agreeing, second_person
from cardservice.staff.second_person import Asked
from cardservice.staff.small_refunds import give_within_limit
from cardservice.staff_api.access import acting, staff_alone
from cardservice.staff_api.sharing import MAX_PAGE, NothingSchema

blueprint = Blueprint("staff-trail", "cardservice.staff_api.trail", description="Trail and second persons.")
_WAITING = "/v1/second-person"
_MAX_ID = 2**62


class SearchTrailSchema(Message):
    """Which entries of the trail; what is not given is any. Times include the first and not the last."""

    actor = text(100, load_default=None, metadata={"description": "such as staff:ann, terminal:till-1"})
    action = text(
        100, load_default=None, metadata={"description": "such as card.revoke; all of card. with the dot"}
    )
    subject = text(200, load_default=None, metadata={"description": "a card, a cardholder, a function"})
    since = Moment(load_default=None)
    before = Moment(load_default=None)
    after = fields.Integer(
        load_default=None,
        strict=True,
        validate=Range(1, _MAX_ID),
        metadata={"description": "as `next` of the page before has it"},
    )
    limit = fields.Integer(load_default=MAX_PAGE, strict=True, validate=Range(1, MAX_PAGE))


class EntrySchema(Message):
    """An entry; `link` is its place in the chain, null where it is not linked yet."""

    id = fields.Integer(required=True)
    at = Moment(required=True)
    actor = fields.String(required=True)
    action = fields.String(required=True)
    subject = fields.String(required=True)
    detail = fields.Dict(required=True)
    link = fields.Integer(required=True, allow_none=True)


class EntriesSchema(Message):
    """A page of entries, the newest first."""

    entries = fields.List(fields.Nested(EntrySchema), required=True)
    next = fields.Integer(required=True, allow_none=True)


class WaitingSchema(Message):
    """What somebody has asked for; of a long list how long it is."""

    id = Identifier(required=True)
    action = fields.String(required=True)
    asked_by = fields.String(required=True)
    asked_at = Moment(required=True)
    state = fields.String(required=True)
    about = fields.Dict(required=True)


class WaitingAllSchema(Message):
    """What waits, the oldest first."""

    waiting = fields.List(fields.Nested(WaitingSchema), required=True)


class DoneSchema(WaitingSchema):
    """What agreeing has come to; of the last three what there is of the action."""

    cards = fields.Integer(required=True, allow_none=True)
    amount_minor = fields.Integer(required=True, allow_none=True)
    half = fields.String(
        required=True, allow_none=True, metadata={"description": "the second half of an enrolment code"}
    )


class NewRefundSchema(Message):
    """A sale, a line of its receipt or a part of it that goes back to where it came from."""

    id = Identifier(required=True, metadata={"description": "the refund's own: given back once"})
    sale = Identifier(required=True)
    line = fields.Integer(load_default=None, strict=True, validate=Range(1, 1000))
    amount_minor = fields.Integer(load_default=None, strict=True, validate=Range(1, _MAX_ID))


class RefundSchema(Message):
    """What was given back; or, where `waits` is not null, what a second person is to agree to."""

    id = Identifier(required=True)
    amount_minor = fields.Integer(required=True)
    waits = Identifier(required=True, allow_none=True)
    repeated = fields.Boolean(required=True)


@blueprint.route("/v1/audit/search", methods=["POST"])
@blueprint.arguments(SearchTrailSchema)
@blueprint.response(200, EntriesSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def post_search(body: dict[str, Any]) -> dict[str, Any]:
    """Entries of the audit trail, page by page; that it was searched is one of them."""
    wanted = Wanted(
        body["actor"],
        body["action"],
        body["subject"],
        body["since"],
        body["before"],
        body["limit"] + 1,
        body["after"],
    )
    with context().database.reading() as connection:
        found = list(search(connection, wanted))
    with context().database.begin() as connection:
        record(connection, actor(), "audit.search", wanted.subject or "all", context().now())
    shown = found[: body["limit"]]
    entries = [
        {
            "id": each.id,
            "at": each.at,
            "actor": each.actor,
            "action": each.action,
            "subject": each.subject,
            "detail": each.detail,
            "link": each.sequence,
        }
        for each in shown
    ]
    return {"entries": entries, "next": shown[-1].id if len(found) > len(shown) else None}


@blueprint.route(_WAITING)
@blueprint.response(200, WaitingAllSchema)
@blueprint.problems(401, 403)
@staff_alone
def get_waiting() -> dict[str, Any]:
    """What waits for a second person."""
    with context().database.reading() as connection:
        return {"waiting": [_asked(each) for each in second_person.waiting(connection)]}


@blueprint.route(f"{_WAITING}/<uuid:asked_id>/agreement", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, DoneSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_agreement(body: dict[str, Any], asked_id: UUID) -> dict[str, Any]:
    """Agree to what another has asked for: it is done now. What broke off goes on by asking again."""
    del body
    done = agreeing.agree(context(), asked_id, acting())
    more = {"cards": done.cards, "amount_minor": done.amount_minor, "half": done.half}
    return {**_asked(done.asked), **more}


@blueprint.route(f"{_WAITING}/<uuid:asked_id>/withdrawal", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, WaitingSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_withdrawal(body: dict[str, Any], asked_id: UUID) -> dict[str, Any]:
    """Close what shall not be; whoever has asked for it may."""
    del body
    return _asked(agreeing.withdraw(context(), asked_id, acting()))


@blueprint.route("/v1/staff/refunds", methods=["POST"])
@blueprint.arguments(NewRefundSchema)
@blueprint.response(200, RefundSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_refund(body: dict[str, Any]) -> dict[str, Any]:
    """Give back what a card paid; what is above the limit waits for a second person."""
    wish = Wish(TransactionId(body["sale"]), body["line"], body["amount_minor"])
    given = give_within_limit(context(), Refund(wish, TransactionId(body["id"])), acting())
    if isinstance(given, Asked):
        amount_minor = given.detail["amount_minor"]
        return {"id": body["id"], "amount_minor": amount_minor, "waits": given.id, "repeated": False}
    return {
        "id": body["id"],
        "amount_minor": given.amount_minor,
        "waits": None,
        "repeated": given.repeated,
    }


def _asked(each: Asked) -> dict[str, Any]:
    return {
        "id": each.id,
        "action": each.action,
        "asked_by": each.asked_by,
        "asked_at": each.asked_at,
        "state": each.state,
        "about": agreeing.about(each),
    }
