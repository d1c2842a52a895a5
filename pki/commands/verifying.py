"""Verifying a certificate."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from pki.cli_support import FILE, FOLDER, answer, examples, json_option, now, parse_time, speaking, time_text
from pki.errors import PkiError
from pki.trust import TrustStore, load_certificate, load_crl
from pki.trust_list import open_trust_list, verify_trust_list
from pki.verification import HARD_FAIL, NOT_REQUIRED, Purpose, RecognisingVerifier, Verifier


@click.command(
    name="verify",
    epilog=examples(
        "pki verify bus-12.crt --purpose terminal --trust scheme/public",
        "pki verify card.crt --purpose card-authentication --trust scheme/public --at 2026-11-24T08:15:00Z",
        "pki verify guest.crt --purpose card-authentication --trust scheme/public \\",
        "    --trust-list scheme/public/trust-list.cose --crl beckford-cards.crl",
    ),
)
@click.argument("certificate", metavar="FILE", type=FILE)
@click.option(
    "--purpose",
    type=click.Choice([purpose.value for purpose in Purpose]),
    required=True,
    help="What it is shown for.",
)
@click.option("--trust", type=FOLDER, required=True, help="A folder such as DIR/public.")
@click.option("--at", "moment", metavar="TIME", help="RFC 3339, such as 2026-11-24T08:15:00Z; default now.")
@click.option(
    "--trust-list",
    type=FILE,
    help="The scheme's signed list: certificates of other schemes count for what it says.",
)
@click.option("--crl", "crls", type=FILE, multiple=True, help="Another revocation list; may be given again.")
@click.option("--no-status", is_flag=True, help="Say nothing of revocation.")
@json_option
@speaking
def verify_command(
    certificate: Path,
    purpose: str,
    trust: Path,
    moment: str | None,
    trust_list: Path | None,
    crls: tuple[Path, ...],
    no_status: bool,
    as_json: bool,
) -> None:
    """Verify a certificate for a purpose at a moment; exit status 1 where it does not hold."""
    at = now() if moment is None else parse_time(moment)
    leaf, policy = load_certificate(certificate), NOT_REQUIRED if no_status else HARD_FAIL
    try:
        verifier = _verifier(TrustStore.from_directory(trust), trust_list, crls, at)
        verified = verifier.verify(leaf, Purpose(purpose), at, policy)
    except PkiError as error:
        if as_json:
            click.echo(json.dumps({"valid": False, "code": error.code, "message": str(error)}, indent=2))
        raise
    facts = {"valid": True, "identity": verified.identity, "purpose": purpose, "at": time_text(at)}
    whose = "" if verified.recognised is None else f" of {verified.recognised}"
    answer(
        as_json,
        facts | {"recognised": verified.recognised},
        f"{verified.identity}{whose}: valid for {purpose} at {time_text(at)}",
    )


def _verifier(
    trust: TrustStore, trust_list: Path | None, crls: tuple[Path, ...], moment: datetime
) -> Verifier | RecognisingVerifier:
    """One that acts on the trust list, if there is one. The list's root says whose it is."""
    lists = (*trust.crls, *map(load_crl, crls))
    own = Verifier(replace(trust, crls=lists))
    if trust_list is None:
        return own
    data = trust_list.read_bytes()
    scheme = open_trust_list(data).trust_list.scheme
    return RecognisingVerifier(own, verify_trust_list(data, scheme, moment, trust), lists)


COMMANDS = (verify_command,)
