"""Proving that a transaction is in its sealed day, and checking such a proof on any machine."""

from pathlib import Path

import click

from cardservice.authorisation.inclusions import prove_inclusion
from cardservice.cardholders.transaction_reads import note_transaction_read
from cardservice.commands.closing import ledger
from cardservice.commands.common import Failure, actor, command, identifier, json_option, opened, say
from cardservice.errors import OrderInvalid
from cardservice.ids import TransactionId
from cardservice.ledger.closing.inclusion import (
    MAX_FILE_BYTES,
    check_inclusion,
    read_inclusion,
    write_inclusion,
)
from pki.cli_support import examples
from pki.trust import load_certificate

__all__ = ["ledger"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@ledger.command(
    "prove",
    epilog=examples(
        "cardservice ledger prove 0198c1d2-7a4e-7b11-9d3c-5e2f60a7b8c9 --out inclusion.json",
        "cardservice ledger check-proof inclusion.json --root root.crt",
    ),
)
@click.argument("transaction_id", metavar="TRANSACTION")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A new file; else print it.")
@json_option
@command
def ledger_prove(transaction_id: str, out: Path | None, as_json: bool) -> None:
    """Write the proof that a transaction is in its sealed day, to be checked without the service."""
    wanted = identifier(transaction_id)
    if out is not None and out.exists():
        raise OrderInvalid(f"{out} exists already; name a new file")
    with opened() as context:
        # A proof tells what was paid where: that somebody reads it is noted first.
        with context.database.begin() as connection:
            note_transaction_read(connection, wanted, "ledger.prove", actor=actor(), moment=context.now())
        try:
            proof = prove_inclusion(context, TransactionId(wanted))
        except LookupError as error:
            raise Failure(f"the day's head cannot be proven: {error}") from error
    if out is None:
        click.echo(write_inclusion(proof), nl=False)
        return
    with out.open("x", encoding="utf-8") as file:
        file.write(write_inclusion(proof))
    say(
        f"Wrote {out}; cardservice ledger check-proof {out} --root ROOT.CRT checks it.",
        {"file": str(out), "transaction": str(wanted), "sequence": proof.sequence},
        as_json=as_json,
    )


@ledger.command(
    "check-proof", epilog=examples("cardservice ledger check-proof inclusion.json --root root.crt --json")
)
@click.argument("file", type=_FILE)
@click.option("--root", type=_FILE, required=True, help="The scheme's root, got elsewhere than the proof.")
@json_option
@command
def ledger_check_proof(file: Path, root: Path, as_json: bool) -> None:
    """Check a proof of `ledger prove`, without database or settings; exit status 1 if it does not hold."""
    with file.open("rb") as opened_file:
        proof = read_inclusion(opened_file.read(MAX_FILE_BYTES + 1))
    head = check_inclusion(proof, load_certificate(root))
    say(
        f"{proof.transaction_id} is entry {proof.sequence} of the ledger of {proof.scheme}, in the seal of"
        f" {head.day} (number {head.number}, root {head.root.hex()}).",
        {
            "transaction": str(proof.transaction_id),
            "scheme": proof.scheme,
            "sequence": proof.sequence,
            "day": head.day.isoformat(),
            "number": head.number,
            "root": head.root.hex(),
        },
        as_json=as_json,
    )
