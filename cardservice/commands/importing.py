"""What is taken over from files of others: pupils of a school."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from cardservice.applications.renewals import COLUMNS as RENEWED
from cardservice.applications.renewals import import_renewals
from cardservice.commands.applying import deciding
from cardservice.commands.common import actor, command, identifier, json_option, opened, say
from cardservice.ids import CardholderId
from cardservice.pupils.knowing import Decisions
from cardservice.pupils.reading import COLUMNS
from cardservice.pupils.runs import list_imports, undo_and_erase
from cardservice.pupils.service import Plan, import_pupils

_SHOWN, _LISTED = 20, 200


@click.group("import")
def import_() -> None:
    """What is taken over from files of others."""


# What the command is called is no name that Python takes.
globals()["import"] = import_


@import_.command(
    "pupils",
    help=f"""Take over the roll of a school, all of it or nothing.

    FILE is CSV in UTF-8, its first line the columns {", ".join(COLUMNS)} in any order. The last may be
    absent; its cells are such as milk;nuts. Who is not in the file has left the school: form and school are
    taken from the record.

    \b
    For example:
      cardservice import pupils roll.csv --school ashcombe-primary --dry-run
    """,
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--school", required=True, help="What the school is called here, such as ashcombe-primary.")
@click.option("--dry-run", is_flag=True, help="Say what it would come to, and change nothing.")
@click.option(
    "--same",
    multiple=True,
    metavar="NUMBER[=CARDHOLDER]",
    help="This pupil, who joins, is who is known already; once for each.",
)
@click.option("--all-same", is_flag=True, help="So is each of whom it may be one person alone.")
@click.option("--new", multiple=True, metavar="NUMBER", help="This one is somebody else, and new.")
@click.option("--many-leave", is_flag=True, help="Yes, more than a quarter of the pupils have left.")
@json_option
@command
def import_pupils_(
    file: Path,
    school: str,
    dry_run: bool,
    same: tuple[str, ...],
    all_same: bool,
    new: tuple[str, ...],
    many_leave: bool,
    as_json: bool,
) -> None:
    """Take over the roll of a school."""
    decisions = Decisions(dict(map(_same, same)), frozenset(new), all_same)
    with opened() as context:
        run, plan = import_pupils(
            context,
            file,
            school,
            actor=actor(),
            dry_run=dry_run,
            many_leave=many_leave,
            decisions=decisions,
        )
    values: dict[str, Any] = {
        "import": None if run is None else str(run),
        "dry_run": dry_run,
        "joined": [{"line": plan.lines[holder], "cardholder": str(holder)} for holder in plan.joiners],
        "changed": [
            {
                "line": plan.lines[change.holder],
                "cardholder": str(change.holder),
                "fields": sorted(field.value for field in change.after),
            }
            for change in plan.changes
        ],
        "left": [{"cardholder": str(change.holder)} for change in plan.leavers],
        "unchanged": plan.unchanged,
        "to_decide": [
            {"line": each.line, "number": each.number, "cardholders": list(map(str, each.candidates))}
            for each in plan.undecided
        ],
    }
    say("\n".join(_words(plan, values, dry_run=dry_run)), values, as_json=as_json)


@import_.command(
    "proofs",
    help=f"""Note renewed proofs from a file, all of it or nothing.

    FILE is CSV in UTF-8, its first line the columns {", ".join(RENEWED)} in any order; review_on may be
    empty for what counts for good. Each takes the place of the person's earlier proof of that kind.

    \b
    For example:
      cardservice import proofs renewed.csv --dry-run
    """,
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say whether it can be taken, and change nothing.")
@json_option
@command
def import_proofs(file: Path, dry_run: bool, as_json: bool) -> None:
    """Note renewed proofs from a file."""
    with opened() as context:
        count = import_renewals(context, file, deciding(context), dry_run=dry_run)
    verb = "could be noted" if dry_run else "are noted"
    say(f"{count} proofs {verb}.", {"proofs": count, "dry_run": dry_run}, as_json=as_json)


@import_.command("list")
@json_option
@command
def import_list(as_json: bool) -> None:
    """List what was imported, the newest first."""
    with opened() as context, context.database.reading() as connection:
        rows = list_imports(connection, limit=_LISTED)
    values = [
        {
            "import": str(row.id),
            "at": row.at.isoformat(),
            "school": row.school,
            "file": row.file,
            "by": row.actor,
            "joined": row.joined,
            "changed": row.changed,
            "left": row.left,
            "undone_by": row.undone_by,
        }
        for row in rows
    ]
    lines = [
        f"{one['import']}  {one['at']}  {one['school']}  +{one['joined']} ~{one['changed']} -{one['left']}"
        + (f"  undone by {one['undone_by']}" if one["undone_by"] else "")
        for one in values
    ]
    say("\n".join(lines) or "Nothing was imported.", {"imports": values}, as_json=as_json)


@import_.command("undo")
@click.argument("import_id")
@json_option
@command
def import_undo(import_id: str, as_json: bool) -> None:
    """Put back what the newest import of a school has changed, and erase those who joined with it.

    Who has money, or for whom a family pays, is not erased, but named.
    """
    with opened() as context:
        undone = undo_and_erase(context, identifier(import_id), actor=actor())
    kept = [{"cardholder": str(each.holder), "reason": each.reason} for each in undone.kept]
    values = {"import": import_id, "erased": undone.erased, "kept": kept}
    words = [f"Undone; {values['erased']} of those who joined are erased."]
    words += [f"not erased: {one['cardholder']}: {one['reason']}" for one in kept]
    say("\n".join(words), values, as_json=as_json)


def _same(text: str) -> tuple[str, CardholderId | None]:
    number, _, holder = text.partition("=")
    return number, CardholderId(identifier(holder)) if holder else None


def _shown(lines: list[str]) -> Iterable[str]:
    yield from (f"  {each}" for each in lines[:_SHOWN])
    if len(lines) > _SHOWN:
        yield f"  and {len(lines) - _SHOWN} more: --json names them all"


def _words(plan: Plan, values: dict[str, Any], *, dry_run: bool) -> Iterable[str]:
    verb = "would " if dry_run else ""
    yield (
        f"{len(plan.joiners)} {verb}join, {len(plan.changes)} {verb}change, {len(plan.leavers)} {verb}leave,"
        f" {plan.unchanged} stay as they are."
    )
    # Who joins in a dry run has no record yet that could be named.
    yield from _shown([f"line {one['line']}: joins" for one in values["joined"]])
    changed = [
        f"line {one['line']}: {one['cardholder']}: {', '.join(one['fields'])}" for one in values["changed"]
    ]
    yield from _shown(changed)
    yield from _shown([f"leaves: {one['cardholder']}" for one in values["left"]])
    if values["to_decide"]:
        yield "Who joins and may be known already; say --same NUMBER, --all-same or --new NUMBER:"
    for one in values["to_decide"]:
        yield f"  line {one['line']}: {one['number']}: {', '.join(one['cardholders'])}"
    if values["import"] is not None:
        yield f"To undo it: cardservice import undo {values['import']}"
