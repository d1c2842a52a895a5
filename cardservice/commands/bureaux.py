"""Card bureaux: orders out, certificates out, results in, letters."""

import os
from pathlib import Path
from uuid import UUID

import click

from cardservice.bureau import orders
from cardservice.bureau.letters import write_letters
from cardservice.bureau.results import take_results
from cardservice.commands.common import actor, command, identifier, json_option, opened, say
from cardservice.errors import OrderInvalid

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_out = click.argument("out", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def bureau() -> None:
    """Card bureaux, which make cards by the batch."""


@bureau.command("add")
@click.argument("bureau_id")
@click.option("--name", required=True, help="What people call it.")
@click.option("--signing-key", type=_file, required=True, help="Its public key (PEM) that signs its results.")
@click.option(
    "--sealing-key", type=_file, required=True, help="Its public key (PEM) that orders are sealed for."
)
@click.option("--place", help="Where its blanks are counted, if they are ours.")
@click.option("--product", help="Which blanks.")
@json_option
@command
def bureau_add(
    bureau_id: str,
    name: str,
    signing_key: Path,
    sealing_key: Path,
    place: str | None,
    product: str | None,
    as_json: bool,
) -> None:
    """Register a bureau under an identifier of your choice, such as vale-cards.

    Make sure that the keys are the bureau's: what is sealed for them makes its cards.
    """
    if (place is None) != (product is None):
        raise OrderInvalid("give --place and --product, or neither")
    blanks = None if place is None or product is None else (place, product)
    with opened() as context, context.database.begin() as connection:
        keys = signing_key.read_bytes(), sealing_key.read_bytes()
        orders.add_bureau(connection, bureau_id, name, *keys, blanks, actor=actor(), moment=context.now())
    say(f"Registered {bureau_id}.", {"bureau": bureau_id}, as_json=as_json)


@bureau.command("batch")
@click.argument("bureau_id")
@click.option(
    "--send-to",
    type=click.Choice(orders.SENT_TO),
    default=orders.HOLDER,
    show_default=True,
    help="Where the bureau sends the cards.",
)
@click.option(
    "--orders", "file", type=_file, help="The orders, one a line; without it all that wait for the post."
)
@json_option
@command
def bureau_batch(bureau_id: str, send_to: str, file: Path | None, as_json: bool) -> None:
    """Give a bureau the orders of cards that are to be sent (card order --by-post).

    No desk makes them then.
    """
    with opened() as context, context.database.begin() as connection:
        chosen = orders.waiting_orders(connection) if file is None else _orders(file)
        made = orders.make_batch(connection, bureau_id, chosen, send_to, actor=actor(), moment=context.now())
    values = {"batch": str(made.id), "cards": len(chosen)}
    say(f"Batch {made.id} of {len(chosen)} cards; write its file with bureau order.", values, as_json=as_json)


@bureau.command("order")
@click.argument("batch_id")
@_out
@json_option
@command
def bureau_order(batch_id: str, out: Path, as_json: bool) -> None:
    """Write the file with what the bureau is to make; the secrets of each card are sealed for it alone."""
    with opened() as context, context.database.begin() as connection:
        batch = orders.require_batch(connection, identifier(batch_id))
        _write(out, orders.order_file(context, connection, batch, actor=actor()))
    say(f"{out} is for {batch.bureau_id}.", {"batch": batch_id, "file": str(out)}, as_json=as_json)


@bureau.command("take")
@click.argument("bureau_id")
@click.argument("file", type=_file)
@click.option("--dry-run", is_flag=True, help="Say what it comes to, and change nothing.")
@json_option
@command
def bureau_take(bureau_id: str, file: Path, dry_run: bool, as_json: bool) -> None:
    """Take a bureau's file: what its cards have for keys, or what became of them. All of it, or nothing.

    After the keys, write the certificates for them (bureau certificates).
    """
    with opened() as context:
        taken = take_results(context, bureau_id, file.read_bytes(), actor=actor(), dry_run=dry_run)
    counts = {"keys": taken.keys, "made": taken.made, "failed": taken.failed, "known": taken.known}
    words = ", ".join(f"{count} {name}" for name, count in counts.items())
    say(words, {"batch": str(taken.batch), **counts, "dry_run": dry_run}, as_json=as_json)


@bureau.command("certificates")
@click.argument("batch_id")
@_out
@json_option
@command
def bureau_certificates(batch_id: str, out: Path, as_json: bool) -> None:
    """Write the file with the certificates for the keys that a batch's cards have made."""
    with opened() as context, context.database.reading() as connection:
        batch = orders.require_batch(connection, identifier(batch_id))
        _write(out, orders.certificates_file(context, connection, batch))
    say(f"{out} is for {batch.bureau_id}.", {"batch": batch_id, "file": str(out)}, as_json=as_json)


@bureau.command("letters")
@click.argument("batch_id")
@_out
@click.option("--again", is_flag=True, help="Also for cards that were sent; their former codes are void.")
@json_option
@command
def bureau_letters(batch_id: str, out: Path, again: bool, as_json: bool) -> None:
    """Send what is made of a batch: write letters with the codes that activate the cards, a page each.

    Print the file, and delete it: the codes stand nowhere else.
    """
    with opened() as context:
        with context.database.reading() as connection:
            batch = orders.require_batch(connection, identifier(batch_id))
        done = write_letters(context, batch, out, actor=actor(), again=again)
    values = {"batch": batch_id, "letters": done.written, "at_desk": done.at_desk}
    say(
        f"{done.written} letters, {done.at_desk} of them for the desk, are in {out}.", values, as_json=as_json
    )


def _orders(file: Path) -> list[UUID]:
    found = []
    for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), start=1):
        try:
            found.append(UUID(line.strip()))
        except ValueError:
            raise OrderInvalid(f"{file.name}:{number}: is no order's identifier") from None
    return found


def _write(out: Path, data: bytes) -> None:
    # Names cards, and in the order's case whoever gets them, though sealed: the owner's alone.
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
