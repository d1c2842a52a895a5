"""Verifying a certificate."""

import json
from pathlib import Path

import click

from pki.cli_support import FILE, FOLDER, answer, examples, json_option, now, parse_time, speaking, time_text
from pki.errors import PkiError
from pki.trust import TrustStore, load_certificate
from pki.verification import Purpose, verify


@click.command(
    name="verify",
    epilog=examples(
        "pki verify bus-12.crt --purpose terminal --trust scheme/public",
        "pki verify card.crt --purpose card-authentication --trust scheme/public --at 2026-11-24T08:15:00Z",
    ),
)
@click.argument("certificate", metavar="FILE", type=FILE)
@click.option("--purpose", type=click.Choice([purpose.value for purpose in Purpose]), required=True)
@click.option("--trust", type=FOLDER, required=True, help="A folder such as DIR/public.")
@click.option("--at", "moment", metavar="TIME", help="RFC 3339, such as 2026-11-24T08:15:00Z; default now.")
@click.option("--no-status", is_flag=True, help="Say nothing of revocation.")
@json_option
@speaking
def verify_command(
    certificate: Path, purpose: str, trust: Path, moment: str | None, no_status: bool, as_json: bool
) -> None:
    """Verify a certificate for a purpose at a moment; exit status 1 where it does not hold."""
    at = now() if moment is None else parse_time(moment)
    leaf, store = load_certificate(certificate), TrustStore.from_directory(trust)
    try:
        verified = verify(leaf, Purpose(purpose), at, store, require_status=not no_status)
    except PkiError as error:
        if as_json:
            click.echo(json.dumps({"valid": False, "code": error.code, "message": str(error)}, indent=2))
        raise
    facts = {"valid": True, "identity": verified.identity, "purpose": purpose, "at": time_text(at)}
    answer(as_json, facts, f"{verified.identity}: valid for {purpose} at {time_text(at)}")


COMMANDS = (verify_command,)
