"""Status lists for terminals, as files."""

from pathlib import Path

import click

from pki import files
from pki.cli_support import FILE, answer, examples, on_scheme, time_text
from pki.clock import clock_from_environment
from pki.errors import SchemeInvalid
from pki.published import publish
from pki.scheme import Scheme
from pki.status_list import CardStatus


@click.command(
    name="status-list",
    epilog=examples(
        "pki status-list scheme",
        "pki status-list scheme --number 1 --out status-1.cwt",
        "pki status-list scheme --json",
    ),
)
@click.option("--number", type=click.IntRange(min=0), default=0, show_default=True, help="Which list.")
@click.option("--out", type=FILE, help="Where to write it; by default DIR/public/status-NUMBER.cwt.")
@on_scheme
def status_list(scheme: Scheme, number: int, out: Path | None, as_json: bool) -> None:
    """Write the signed status list of the cards (Token Status List, CWT), as terminals fetch it.

    `pki serve` and `cardservice` sign it by themselves whenever it is asked for.
    """
    if scheme.public_url is None:
        raise SchemeInvalid(
            "a status list bears its address, and this scheme has no public URL: make one with --public-url"
        )
    signed = publish(scheme, clock_from_environment()).status_list(number)
    if signed is None:
        raise SchemeInvalid(f"there is no status list {number}: no card has a place in it")
    path = out or scheme.public_dir / f"status-{number}.cwt"
    files.replace(path, signed.raw)
    counts = signed.token.statuses.counts()
    facts = {
        "uri": signed.token.uri,
        "path": str(path),
        "bytes": len(signed.raw),
        "issued_at": time_text(signed.token.issued_at),
        "expires_at": time_text(signed.token.expires_at),
        "revoked": counts[CardStatus.INVALID],
        "suspended": counts[CardStatus.SUSPENDED],
    }
    text = f"Wrote {path}: {len(signed.raw)} bytes, to be renewed by {time_text(signed.token.expires_at)}."
    answer(as_json, facts, text)


COMMANDS = (status_list,)
