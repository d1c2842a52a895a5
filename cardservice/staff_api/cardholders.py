"""The routes of cardholders: found, shown, changed, exported, erased. Each read is noted with who reads."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.audit.service import record
from cardservice.cardholders import details
from cardservice.cardholders.accesses import Place, accesses
from cardservice.cardholders.consenting import consent
from cardservice.cardholders.details import Address, Contact, Noting
from cardservice.cardholders.erasure import erase_cardholder, plan_erasure
from cardservice.cardholders.export import export_person
from cardservice.cardholders.finding import find
from cardservice.cardholders.guardians import May
from cardservice.cardholders.photos import prepared
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import (
    NewCardholder,
    Profile,
    add_cardholder,
    lock_cardholder,
    require_cardholder,
    set_allergens,
    set_form,
    set_name,
    set_photo,
)
from cardservice.cardholders.showing import MORE, look, show, show_photo
from cardservice.cardholders.tokens import Wanted
from cardservice.errors import Malformed
from cardservice.ids import CardholderId
from cardservice.staff_api import cardholder_schemas as schemas
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.serving import serving
from cardservice.staff_api.sharing import (
    KEY_PARAMETER,
    MATCH_PARAMETER,
    TAG,
    StaffPageSchema,
    once,
    require_unchanged,
    tag_of,
)

blueprint = Blueprint("staff-cardholders", "cardservice.staff_api.cardholders", description="Cardholders.")
ONE = "/v1/cardholders/<uuid:cardholder_id>"
PHOTO = f"{ONE}/photo"


@blueprint.route("/v1/cardholders/search", methods=["POST"])
@blueprint.arguments(schemas.SearchPeopleSchema)
@blueprint.response(200, schemas.FoundAllSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_search(body: dict[str, Any]) -> dict[str, Any]:
    """Find cardholders; each who is found is noted as seen. By POST: no name stands in an address."""
    born_on = None if body["born_on"] is None else body["born_on"].isoformat()
    wanted = Wanted(body["name"], body["sounds_like"], born_on, body["postcode"])
    with context().database.begin() as connection:
        kek = context().keys.cardholder_kek
        found = find(connection, kek, wanted, actor=actor(), moment=context().now())
    listed = [
        {"cardholder": each.id, "name": each.name, "born_on": each.born_on, "postcode": each.postcode}
        for each in found.people
    ]
    return {"cardholders": listed, "more": found.more, "hint": found.hint}


@blueprint.route("/v1/cardholders", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(schemas.NewCardholderSchema)
@blueprint.response(200, schemas.MadeCardholderSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_cardholder(body: dict[str, Any]) -> Any:
    """Register a person, who pays for themself until another payer is assigned."""
    with context().database.begin() as connection:

        def make() -> dict[str, Any]:
            new = NewCardholder(body["name"], body["category"], body["form"], body["allergens"])
            currency, kek = context().scheme.currency, context().keys.cardholder_kek
            holder, payer = add_cardholder(
                connection, new, currency, kek, actor=actor(), moment=context().now()
            )
            return {"cardholder": str(holder), "payer": str(payer)}

        return once(connection, make)


@blueprint.route(ONE)
@blueprint.response(200, schemas.RecordSchema, headers=TAG)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_cardholder(cardholder_id: UUID) -> Any:
    """A record; that it was read is noted. Its ETag goes with what is changed of it."""
    with context().database.begin() as connection:
        values = _shown(connection, cardholder_id)
    return values, 200, {"ETag": tag_of(values)}


@blueprint.route(f"{ONE}/protected-address", methods=["POST"])
@blueprint.arguments(schemas.BecauseSchema)
@blueprint.response(200, schemas.RecordSchema)
@blueprint.problems(400, 401, 403, 404)
@staff_alone
def post_protected(body: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """A record with an address that is protected; why it must be seen is noted."""
    with context().database.begin() as connection:
        return _shown(connection, cardholder_id, body["because"])


@blueprint.route(f"{ONE}/changes", methods=["POST"])
@blueprint.doc(parameters=[MATCH_PARAMETER])
@blueprint.arguments(schemas.ChangesSchema)
@blueprint.response(200, schemas.RecordSchema, headers=TAG)
@blueprint.problems(400, 401, 403, 404, 412, 422, 428)
@staff_alone
def post_changes(body: dict[str, Any], cardholder_id: UUID) -> Any:
    """Note what has changed of somebody, all or nothing, if nobody else has changed the record since."""
    with context().database.begin() as connection:
        noting = _unchanged(connection, cardholder_id)
        for name, value in body.items():
            _CHANGES[name](connection, noting, value)
        values = _shown(connection, cardholder_id)
    return values, 200, {"ETag": tag_of(values)}


@blueprint.route(PHOTO)
@blueprint.response(200, schemas.PhotoSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_photo(cardholder_id: UUID) -> dict[str, Any]:
    """Somebody's photo alone; that it was seen is noted."""
    with context().database.begin() as connection:
        holder = require_cardholder(connection, cardholder_id)
        who: dict[str, Any] = {"actor": actor(), "moment": context().now()}
        return {"photo": show_photo(connection, context().keys.cardholder_kek, holder, **who)}


@blueprint.route(PHOTO, methods=["POST"])
@blueprint.doc(parameters=[MATCH_PARAMETER])
@blueprint.arguments(schemas.NewPhotoSchema)
@blueprint.response(200, schemas.RecordSchema, headers=TAG)
@blueprint.problems(400, 401, 403, 404, 412, 422, 428)
@staff_alone
def post_photo(body: dict[str, Any], cardholder_id: UUID) -> Any:
    """Keep a photo in place of an earlier one, or none any more; of it a small picture is kept alone."""
    # Before the transaction: a large picture takes the processor a while, and nobody waits for it.
    jpeg = None if body["photo"] is None else prepared(body["photo"])
    with context().database.begin() as connection:
        noting = _unchanged(connection, cardholder_id)
        who: dict[str, Any] = {"actor": noting.actor, "moment": noting.moment}
        set_photo(connection, noting.kek, noting.holder, jpeg, **who)
        values = _shown(connection, cardholder_id)
    return values, 200, {"ETag": tag_of(values)}


@blueprint.route(f"{ONE}/accesses")
@blueprint.arguments(StaffPageSchema, location="query")
@blueprint.response(200, schemas.AccessesSchema)
@blueprint.problems(400, 401, 403, 404)
@staff_alone
def get_accesses(page: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """Who has seen or changed somebody's record, and done something with their cards; for that person."""
    limit: int = page["limit"]
    with context().database.begin() as connection:
        holder = require_cardholder(connection, cardholder_id)
        found = accesses(connection, holder, after=_place(page["after"]), limit=limit + 1)
        record(connection, actor(), "cardholder.accesses", holder, context().now())
    shown = found[:limit]
    listed = [
        {
            "at": each.at,
            "actor": each.actor,
            "action": each.action,
            "changed": each.changed,
            "read": each.is_read,
        }
        for each in shown
    ]
    return {"accesses": listed, "next": str(shown[-1].place) if len(found) > limit else None}


@blueprint.route(f"{ONE}/export", methods=["POST"])
@blueprint.arguments(schemas.ExportOrderSchema)
@blueprint.response(200, schemas.ExportSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_export(body: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """All that is kept of a person, for that person (subject access); others are left out.

    `asked_by` says who asks: a guardian is told no protected address, nor of others.
    """
    asker = None if body["asked_by"] is None else CardholderId(body["asked_by"])
    with serving(cardholder_id, asker, May.SEE) as (connection, holder):
        exported = export_person(context(), connection, holder, actor=actor(), asker=asker)
    return {"record": exported}


@blueprint.route(f"{ONE}/erasure")
@blueprint.response(200, schemas.PlanSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_erasure(cardholder_id: UUID) -> dict[str, Any]:
    """What erasing a person would come to, and what stands against it."""
    with context().database.reading() as connection:
        return plan_erasure(connection, cardholder_id, context().now()).to_json()


@blueprint.route(f"{ONE}/erasure", methods=["POST"])
@blueprint.arguments(schemas.ErasureSchema)
@blueprint.response(200, schemas.PlanSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_erasure(body: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """Erase a person for good: cards, record, details, proofs. Amounts stay, under nobody's name."""
    if body["erase"] != cardholder_id:
        raise Malformed("`erase` names another person than the address")
    return erase_cardholder(context(), cardholder_id, actor=actor()).to_json()


def _place(after: str | None) -> Place | None:
    try:
        return None if after is None else Place.of_text(after)
    except (ValueError, OverflowError):
        raise Malformed("`after` is none that a page had as its `next`") from None


def _unchanged(connection: Connection, cardholder_id: UUID) -> Noting:
    """Who notes something of somebody, whose record is as it was looked at. Raises as `require_unchanged`."""
    holder, kek = require_cardholder(connection, cardholder_id), context().keys.cardholder_kek
    lock_cardholder(connection, holder)
    require_unchanged(_values(cardholder_id, *look(connection, kek, holder)))
    return Noting(kek, holder, actor(), context().now(), context().zone)


def _shown(connection: Connection, cardholder_id: UUID, because: str | None = None) -> dict[str, Any]:
    holder = require_cardholder(connection, cardholder_id)
    who: dict[str, Any] = {"actor": actor(), "moment": context().now(), "because": because}
    profile, more = show(connection, context().keys.cardholder_kek, holder, **who)
    return _values(cardholder_id, profile, more)


def _values(cardholder_id: UUID, profile: Profile, more: Mapping[Field, Any]) -> dict[str, Any]:
    return {
        "cardholder": cardholder_id,
        "name": profile.name,
        "category": profile.category,
        "form": profile.form,
        "allergens": list(profile.allergens),
        "photo": profile.photo,
        **{field.value: more.get(field) for field in MORE},
    }


def _name(connection: Connection, noting: Noting, value: str) -> None:
    who: dict[str, Any] = {"actor": noting.actor, "moment": noting.moment}
    set_name(connection, noting.kek, noting.holder, value, **who)


def _form(connection: Connection, noting: Noting, value: str | None) -> None:
    who: dict[str, Any] = {"actor": noting.actor, "moment": noting.moment}
    set_form(connection, noting.kek, noting.holder, value, **who)


def _allergens(connection: Connection, noting: Noting, value: list[str]) -> None:
    who: dict[str, Any] = {"actor": noting.actor, "moment": noting.moment}
    set_allergens(connection, noting.kek, noting.holder, value, **who)


def _address(connection: Connection, noting: Noting, value: dict[str, str | None] | None) -> None:
    details.set_address(connection, noting, None if value is None else Address(**value))


def _contact(connection: Connection, noting: Noting, value: dict[str, str | None] | None) -> None:
    details.set_contact(connection, noting, None if value is None else Contact(**value))


def _preferences(connection: Connection, noting: Noting, value: dict[str, Any]) -> None:
    details.set_preferences(connection, noting, frozenset(value["wanted"]), value["language"])


def _flags(connection: Connection, noting: Noting, value: dict[str, bool]) -> None:
    for flag, is_on in value.items():
        details.set_flag(connection, noting, flag, on=is_on)


def _consents(connection: Connection, noting: Noting, value: dict[str, dict[str, Any]]) -> None:
    for purpose, said in value.items():
        consent(connection, noting, purpose, said["wording"], given=said["given"])


_CHANGES: Mapping[str, Callable[..., None]] = {
    "name": _name,
    "form": _form,
    "allergens": _allergens,
    "born_on": details.set_born_on,
    "address": _address,
    "contact": _contact,
    "preferences": _preferences,
    "flags": _flags,
    "consents": _consents,
}
