"""The routes of imports: a school's roll taken over, tried, listed, undone; and proofs that were renewed."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from marshmallow import fields

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Bytes, Identifier, Message, Moment, text
from cardservice.applications.applicants import by_settings
from cardservice.applications.renewals import import_renewals
from cardservice.ids import CardholderId
from cardservice.pupils.knowing import Decisions
from cardservice.pupils.runs import Run, list_imports, undo_and_erase
from cardservice.pupils.service import MAX_SCHOOL, Plan, import_pupils
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.sharing import NothingSchema, StaffPageSchema, cursor, next_field

blueprint = Blueprint("staff-imports", "cardservice.staff_api.imports", description="Pupils of schools.")
PATH, PROOFS_PATH = "/v1/pupil-imports", "/v1/proof-imports"
# Ours: some 40,000 pupils, and some 2,500 proofs, each of which is looked at by itself; what is longer is
# imported at the keyboard.
MAX_FILE_BYTES, MAX_IMPORT_BYTES = 4 << 20, 6 << 20
MAX_PROOFS_BYTES, MAX_PROOF_IMPORT_BYTES = 256 << 10, 384 << 10


class NewImportSchema(Message):
    """A roll: CSV in UTF-8, the same as `cardservice import pupils` takes."""

    school = text(MAX_SCHOOL, required=True)
    content = Bytes(required=True, max_length=MAX_FILE_BYTES)
    dry_run = fields.Boolean(load_default=False)
    many_leave = fields.Boolean(
        load_default=False, metadata={"description": "yes, more than a quarter have left"}
    )
    same = fields.Dict(
        keys=fields.String(),
        values=Identifier(allow_none=True),
        load_default=dict,
        metadata={"description": "by number: who joins is known; which of several, or null: the only one"},
    )
    all_same = fields.Boolean(
        load_default=False, metadata={"description": "so is each of whom it may be one person alone"}
    )
    new = fields.List(
        fields.String(), load_default=list, metadata={"description": "by number: somebody else, and new"}
    )


class PupilSchema(Message):
    """Somebody of the file, and what changes of them."""

    line = fields.Integer(required=True, allow_none=True)
    cardholder = Identifier(required=True)
    fields_ = fields.List(fields.String(), required=True, data_key="fields")


class ToDecideSchema(Message):
    """Somebody who joins and may be known already: say in `same` or `new` whether they are."""

    line = fields.Integer(required=True)
    number = fields.String(required=True)
    cardholders = fields.List(Identifier(), required=True)


class ImportReportSchema(Message):
    """What a file comes to; `import` is null of one that was tried alone."""

    import_ = Identifier(required=True, allow_none=True, data_key="import")
    dry_run = fields.Boolean(required=True)
    joined = fields.List(fields.Nested(PupilSchema), required=True)
    changed = fields.List(fields.Nested(PupilSchema), required=True)
    left = fields.List(fields.Nested(PupilSchema), required=True)
    unchanged = fields.Integer(required=True)
    to_decide = fields.List(fields.Nested(ToDecideSchema), required=True)


class RunSchema(Message):
    """An import that was made, in numbers."""

    import_ = Identifier(required=True, data_key="import")
    at = Moment(required=True)
    school = fields.String(required=True)
    by = fields.String(required=True)
    joined = fields.Integer(required=True)
    changed = fields.Integer(required=True)
    left = fields.Integer(required=True)
    undone_by = fields.String(required=True, allow_none=True)


class RunsSchema(Message):
    """A page of imports, the newest first."""

    imports = fields.List(fields.Nested(RunSchema), required=True)
    next = next_field()


class NewProofImportSchema(Message):
    """Renewed proofs: CSV in UTF-8, the same as `cardservice import proofs` takes."""

    content = Bytes(required=True, max_length=MAX_PROOFS_BYTES)
    dry_run = fields.Boolean(load_default=False)


class ProofImportSchema(Message):
    """How many proofs were noted, or could be."""

    proofs = fields.Integer(required=True)
    dry_run = fields.Boolean(required=True)


class KeptSchema(Message):
    """Somebody who joined by it and cannot be erased, and why."""

    cardholder = Identifier(required=True)
    reason = fields.String(required=True)


class UndoneSchema(Message):
    """What undoing came to."""

    erased = fields.Integer(required=True)
    kept = fields.List(fields.Nested(KeptSchema), required=True)


@blueprint.route(PATH, methods=["POST"])
@blueprint.arguments(NewImportSchema)
@blueprint.response(200, ImportReportSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_import(body: dict[str, Any]) -> dict[str, Any]:
    """Take a roll over, all of it or nothing; with `dry_run` it is only said what that comes to."""
    same = {
        number: None if holder is None else CardholderId(holder) for number, holder in body["same"].items()
    }
    decisions = Decisions(same, frozenset(body["new"]), body["all_same"])
    how: dict[str, Any] = {"dry_run": body["dry_run"], "many_leave": body["many_leave"]}
    with _as_file("roll.csv", body["content"]) as path:
        run, plan = import_pupils(context(), path, body["school"], actor=actor(), decisions=decisions, **how)
    return {"import_": run, "dry_run": body["dry_run"], **_report(plan)}


@blueprint.route(PATH)
@blueprint.arguments(StaffPageSchema, location="query")
@blueprint.response(200, RunsSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def get_imports(page: dict[str, Any]) -> dict[str, Any]:
    """What was imported, page by page."""
    limit: int = page["limit"]
    with context().database.reading() as connection:
        found = list_imports(connection, after=cursor(page["after"]), limit=limit + 1)
    shown = found[:limit]
    imports = [_run(each) for each in shown]
    return {"imports": imports, "next": str(shown[-1].id) if len(found) > limit else None}


@blueprint.route(f"{PATH}/<uuid:import_id>/undoing", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, UndoneSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_undoing(body: dict[str, Any], import_id: UUID) -> dict[str, Any]:
    """Put back what the newest import of a school has changed, and erase those who joined with it."""
    del body
    undone = undo_and_erase(context(), import_id, actor=actor())
    kept = [{"cardholder": each.holder, "reason": each.reason} for each in undone.kept]
    return {"erased": undone.erased, "kept": kept}


@blueprint.route(PROOFS_PATH, methods=["POST"])
@blueprint.arguments(NewProofImportSchema)
@blueprint.response(200, ProofImportSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_proofs(body: dict[str, Any]) -> dict[str, Any]:
    """Note renewed proofs from a file, all of it or nothing; with `dry_run` it is only said whether."""
    by = by_settings(context(), actor())
    with _as_file("proofs.csv", body["content"]) as path:
        count = import_renewals(context(), path, by, dry_run=body["dry_run"])
    return {"proofs": count, "dry_run": body["dry_run"]}


@contextmanager
def _as_file(name: str, content: bytes) -> Iterator[Path]:
    """What was sent as the file that a command would be given, for as long as it is read."""
    with tempfile.TemporaryDirectory(prefix="import-") as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


def _report(plan: Plan) -> dict[str, Any]:
    return {
        "joined": [
            {"line": plan.lines[holder], "cardholder": holder, "fields_": []} for holder in plan.joiners
        ],
        "changed": [
            {
                "line": plan.lines[each.holder],
                "cardholder": each.holder,
                "fields_": sorted(field.value for field in each.after),
            }
            for each in plan.changes
        ],
        "left": [{"line": None, "cardholder": each.holder, "fields_": []} for each in plan.leavers],
        "unchanged": plan.unchanged,
        "to_decide": [
            {"line": each.line, "number": each.number, "cardholders": each.candidates}
            for each in plan.undecided
        ],
    }


def _run(each: Run) -> dict[str, Any]:
    return {
        "import_": each.id,
        "at": each.at,
        "school": each.school,
        "by": each.actor,
        "joined": each.joined,
        "changed": each.changed,
        "left": each.left,
        "undone_by": each.undone_by,
    }
