"""Closing and verifying the ledger: numbers, seals, published heads."""

from datetime import datetime
from typing import Any

import click

from cardservice.api.fields import to_base64url
from cardservice.authorisation.export import fault_of_proof
from cardservice.authorisation.tree_heads import TreeHeads
from cardservice.commands.common import Failure, actor, command, json_option, opened, say
from cardservice.commands.progress import ProgressLine
from cardservice.ledger.closing.seals import Seal, read_seals, seal_days
from cardservice.ledger.closing.sequencing import begin_epoch, sequence
from cardservice.ledger.verify import Report, verify
from cardservice.upkeep import calendar_of
from pki.cli_support import examples


@click.group()
def ledger() -> None:
    """The whole ledger."""


@ledger.command("sequence")
@json_option
@command
def ledger_sequence(as_json: bool) -> None:
    """Number what has been committed since, and add it to the providers' and the scheme's sums."""
    with opened() as context:
        numbered = sequence(context.database, calendar_of(context))
    say(f"{numbered} transactions have their number.", {"numbered": numbered}, as_json=as_json)


@ledger.command(
    "seal",
    epilog=examples("cardservice ledger seal", "cardservice ledger seal --day 2026-05-31 --json"),
)
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Through this day; otherwise yesterday.")
@json_option
@command
def ledger_seal(day: datetime | None, as_json: bool) -> None:
    """Seal every day that is over; run again, it seals nothing twice."""
    through = None if day is None else day.date()
    with opened() as context:
        sealed = seal_days(
            context.database, calendar_of(context), context.scheme.id, context.keys, through=through
        )
    words = [f"{seal.day}: {seal.size} entries, root {seal.root.hex()}" for seal in sealed]
    say("\n".join(words) or "No day is to be sealed.", {"sealed": _seals(sealed)}, as_json=as_json)


@ledger.command("heads")
@click.option("--after", type=click.IntRange(0), default=0, show_default=True, help="Only those after it.")
@command
def ledger_heads(after: int) -> None:
    """Print the signed heads of all sealed days as JSON, to be published and kept elsewhere."""
    with opened() as context, context.database.reading() as connection:
        say("", {"heads": _seals(list(read_seals(connection, after=after)))}, as_json=True)


@ledger.command("begin-epoch")
@click.option("--reason", required=True, help="Such as: restored from the backup of 3 May.")
@json_option
@command
def ledger_begin_epoch(reason: str, as_json: bool) -> None:
    """After a restore: number anew from one. Nothing may be posting meanwhile."""
    with opened() as context, context.database.begin() as connection:
        epoch = begin_epoch(connection, calendar_of(context), reason=reason, actor=actor())
    say(f"Epoch {epoch} has begun.", {"epoch": epoch}, as_json=as_json)


@ledger.command(
    "verify",
    epilog=examples("cardservice ledger verify", "cardservice ledger verify --whole --json"),
)
@click.option("--whole", is_flag=True, help="All of it, not only the last sealed day and what came after.")
@json_option
@command
def ledger_verify(whole: bool, as_json: bool) -> None:
    """Check balances, sums, numbers, seals and every card's proof; exit status 1 if anything is found.

    Without --whole: the last sealed day, what came after it, and all of the payers concerned.
    """
    with opened() as context:
        report = verify(
            context.database,
            lambda connection, payer, transaction: fault_of_proof(context, connection, payer, transaction),
            whole=whole,
            check_head=(signed := TreeHeads(context)),
            check_tombstone=signed.tombstone,
            progress=ProgressLine(),
        )
    say("\n".join(_words(report)), _values(report), as_json=as_json)
    if not report.is_clean:
        raise Failure("the ledger is not as it should be")


def _seals(seals: list[Seal]) -> list[dict[str, object]]:
    return [
        {
            "shard": seal.shard,
            "number": seal.number,
            "epoch": seal.epoch,
            "day": seal.day.isoformat(),
            "size": seal.size,
            "root": seal.root.hex(),
            "signed": to_base64url(seal.signed),
        }
        for seal in seals
    ]


def _words(report: Report) -> list[str]:
    since = "The whole ledger" if report.since is None else f"Since the seal of {report.since.day}"
    verdict = "nothing wrong." if report.is_clean else f"{len(report.findings)} findings."
    erased = [
        f"  {count} {what} erased on {day}"
        for what, days in (("proofs", report.erased_on), ("leaves", report.leaves_erased_on))
        for day, count in sorted(days.items())
    ]
    summary = (
        f"{since}: {report.transactions} transactions, {report.transfers} transfers, {report.proofs_checked} "
        f"proofs, of which {report.proofs_erased} erased, {report.seals_checked} seals with "
        f"{report.leaves_checked} leaves, of which {report.leaves_erased} erased: {verdict}"
    )
    return [
        summary,
        *erased,
        *(f"  {finding.code}: {finding.transaction_id} {finding.detail}" for finding in report.findings),
    ]


def _values(report: Report) -> dict[str, Any]:
    return {
        "since": None if report.since is None else report.since.day.isoformat(),
        "transactions": report.transactions,
        "transfers": report.transfers,
        "proofs_checked": report.proofs_checked,
        "proofs_erased": report.proofs_erased,
        "seals_checked": report.seals_checked,
        "leaves_checked": report.leaves_checked,
        "leaves_erased": report.leaves_erased,
        "erased_on": {str(day): count for day, count in sorted(report.erased_on.items())},
        "leaves_erased_on": {str(day): count for day, count in sorted(report.leaves_erased_on.items())},
        "findings": [
            {
                "code": finding.code,
                "payer": None if finding.payer_id is None else str(finding.payer_id),
                "transaction": None if finding.transaction_id is None else str(finding.transaction_id),
                "detail": finding.detail,
            }
            for finding in report.findings
        ],
    }
