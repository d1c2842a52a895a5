"""The routes by which an office loads and approves tariffs; two of them, as one may not approve its own."""

import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context, signed_by, terminal_signed
from cardservice.api.fields import to_rfc3339
from cardservice.errors import Malformed
from cardservice.staff.acting import note_denied
from cardservice.staff.errors import NotTheirs
from cardservice.staff.roles import Right
from cardservice.staff.service import OfStaff
from cardservice.tariffs import desk, schemas
from cardservice.tariffs.drafts import open_drafts
from cardservice.tariffs.service import tariff_in_force, tariff_records
from cardservice.terminals.roles import Duty

blueprint = Blueprint("tariffs", "cardservice.tariffs", description="Tariffs and their drafts.")
DRAFTS_PATH = "/v1/tariff-drafts"


@blueprint.route(DRAFTS_PATH, methods=["POST"])
@blueprint.arguments(schemas.NewDraftSchema)
@blueprint.response(200, schemas.OfferedSchema)
@blueprint.problems(400, 401, 403, 404, 409, 413, 422)
@terminal_signed(duty=Duty.TARIFFS, or_staff=True)
def post_draft(body: dict[str, Any]) -> dict[str, Any]:
    """Load a tariff as a draft; what is wrong in it is refused with file, line and reason."""
    names = [file["name"] for file in body["files"]]
    if len(set(names)) < len(names):
        raise Malformed("two files have the same name")
    _require_theirs(body["service"])
    with tempfile.TemporaryDirectory(prefix="tariff-") as folder:
        paths = [Path(folder) / name for name in names]
        for path, file in zip(paths, body["files"], strict=True):
            path.write_bytes(file["content"])
        offered = desk.load(context(), body["service"], paths, actor=actor())
    values = schemas.offered_values(offered)
    if offered.draft is None:
        # The same is stored already, whoever loaded it.
        return {
            "draft": None,
            "service": body["service"],
            "version": offered.loaded.version,
            "valid_from": to_rfc3339(offered.loaded.valid_from),
            "source": ", ".join(names),
            "author": actor(),
            "state": "approved",
            "closed_by": None,
            "closed_because": None,
            **values,
        }
    return values


@blueprint.route(f"{DRAFTS_PATH}/<uuid:draft_id>")
@blueprint.tagged
@blueprint.response(200, schemas.OfferedSchema)
@blueprint.problems(401, 403, 404)
@terminal_signed(duty=Duty.TARIFFS, or_staff=True)
def get_draft(draft_id: UUID) -> dict[str, Any]:
    """A draft, and what it would change if it were approved now."""
    return schemas.offered_values(desk.look(context(), draft_id))


@blueprint.route(f"{DRAFTS_PATH}/<uuid:draft_id>/approval", methods=["POST"])
@blueprint.arguments(schemas.NoWordsSchema)
@blueprint.response(200, schemas.DraftSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@terminal_signed(duty=Duty.TARIFFS, or_staff=True)
def post_approval(body: dict[str, Any], draft_id: UUID) -> dict[str, Any]:
    """Put a draft in force that another has loaded."""
    del body
    return schemas.draft_values(desk.approve(context(), draft_id, actor=actor()))


@blueprint.route(f"{DRAFTS_PATH}/<uuid:draft_id>/withdrawal", methods=["POST"])
@blueprint.arguments(schemas.WithdrawalSchema)
@blueprint.response(200, schemas.DraftSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@terminal_signed(duty=Duty.TARIFFS, or_staff=True)
def post_withdrawal(body: dict[str, Any], draft_id: UUID) -> dict[str, Any]:
    """Close a draft that shall not be."""
    found = desk.look(context(), draft_id).draft
    if found is not None:
        _require_theirs(found.service)
    return schemas.draft_values(desk.withdraw(context(), draft_id, body["reason"], actor=actor()))


@blueprint.route("/v1/tariffs/<service>")
@blueprint.tagged
@blueprint.arguments(schemas.PageSchema, location="query")
@blueprint.response(200, schemas.TariffsSchema)
@blueprint.problems(400, 401, 403, 404)
@terminal_signed(duty=Duty.TARIFFS, or_staff=True)
def get_tariffs(page: dict[str, Any], service: str) -> dict[str, Any]:
    """The versions of a service's tariff, page by page, and the drafts that wait."""
    desk.service_of(context(), service)
    limit: int = page["limit"]
    with context().database.reading() as connection:
        # One more, to see whether there is a next page.
        found = tariff_records(connection, service, after=page["after"], limit=limit + 1)
        records = found[:limit]
        current = tariff_in_force(connection, service, context().now())
        waiting = open_drafts(connection, service)
    return {
        "versions": [
            {
                "version": record.version.version,
                "valid_from": to_rfc3339(record.version.valid_from),
                "recorded_at": to_rfc3339(record.recorded_at),
                "source": record.source,
                "author": record.author,
                "approved_by": record.approved_by,
                "in_force": record.version == current,
            }
            for record in records
        ],
        "next": records[-1].version.version if len(found) > limit else None,
        "drafts": [schemas.draft_values(draft) for draft in waiting],
    }


def _require_theirs(service: str) -> None:
    """Raises NotTheirs, which is in the audit trail, too."""
    signer = signed_by()
    if isinstance(signer, OfStaff):
        try:
            signer.person.require_service(Right.DRAFT_TARIFFS, service)
        except NotTheirs as refusal:
            moment = context().now()
            note_denied(context().database, signer.person.actor, f"draft {service}", refusal.code, moment)
            raise
