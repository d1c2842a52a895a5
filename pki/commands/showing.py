"""Looking at a scheme, at what was issued, and at whether its trail holds. None needs a passphrase."""

import json
from pathlib import Path
from typing import Any

import click

from pki.auditing import Audited, audit
from pki.cli_support import (
    answer,
    certificate_facts,
    directory_argument,
    examples,
    json_option,
    open_without_keys,
    record_facts,
    speaking,
)
from pki.errors import PkiError
from pki.profiles import ROOT
from pki.scheme import AUTHORITIES, Scheme
from pki.trail import TrailHead

_authority_option = click.option(
    "--authority", type=click.Choice(AUTHORITIES), multiple=True, help="May be given again."
)


@click.command(name="list", epilog=examples("pki list scheme", "pki list scheme --authority cards --json"))
@directory_argument
@_authority_option
@json_option
@speaking
def list_command(directory: Path, authority: tuple[str, ...], as_json: bool) -> None:
    """List what the authorities have issued. Needs no passphrase.

    Of an authority that was handed over, what it had issued until then.
    """
    scheme = open_without_keys(directory)
    names = authority or _kept_here(scheme)
    facts = [record_facts(issued) for name in names for issued in scheme.records(name).issued(name)]
    answer(as_json, {"certificates": facts}, "\n".join(map(_line, facts)) or "Nothing has been issued.")


@click.command(epilog=examples("pki show scheme", "pki show scheme --json"))
@directory_argument
@json_option
@speaking
def show(directory: Path, as_json: bool) -> None:
    """Show a scheme and its authorities, former keys too. Needs no passphrase."""
    scheme = open_without_keys(directory)
    authorities = [
        {"name": issuer, "authority": name, "records": scheme.handed_over.get(name, "pki")}
        | certificate_facts(scheme.certificate_of(issuer))
        for name in AUTHORITIES
        if (scheme.public_dir / f"{name}.crt").exists()  # the issuing ceremony may be still to come
        for issuer in scheme.issuers(name)
    ]
    facts = {"scheme": scheme.id, "name": scheme.name, "oid_arc": scheme.arc, "public_url": scheme.public_url}
    lines = [f"{scheme.name} ({scheme.id}), object identifiers below {scheme.arc}"]
    lines += [f"  {a['name']}: until {a['not_after']}, records kept by {a['records']}" for a in authorities]
    answer(as_json, facts | {"authorities": authorities}, "\n".join(lines))


@click.command(
    name="audit",
    epilog=examples(
        "pki audit scheme",
        "pki audit scheme --authority cards --reached 1042:9f86d0…",
    ),
)
@directory_argument
@_authority_option
@click.option(
    "--reached",
    metavar="SEQUENCE:HASH",
    help="A head that an earlier audit of this one authority has printed; the trail must still hold it.",
)
@json_option
@speaking
def audit_command(directory: Path, authority: tuple[str, ...], reached: str | None, as_json: bool) -> None:
    """Check the trails, and records and lists against them; exit status 1 where something does not hold.

    Note the heads that it prints elsewhere: with one of them, the next audit also sees what was cut off
    together with its traces. Needs no passphrase.
    """
    scheme = open_without_keys(directory)
    names = authority or [name for name in _kept_here(scheme) if name not in scheme.handed_over]
    try:
        head = None if reached is None else TrailHead.parse(reached)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if reached is not None and len(names) != 1:
        raise click.UsageError("--reached is of one authority: give --authority")
    try:
        found = [_audit(scheme, name, head) for name in names]
    except PkiError as error:
        if as_json:
            click.echo(json.dumps({"valid": False, "code": error.code, "message": str(error)}, indent=2))
        raise
    facts = [each.to_json() for each in found]
    answer(as_json, {"valid": True, "authorities": facts}, "\n".join(map(str, found)))


def _audit(scheme: Scheme, name: str, reached: TrailHead | None) -> Audited:
    issuers = {issuer: scheme.certificate_of(issuer) for issuer in scheme.issuers(name)}
    return audit(scheme.records(name), name, issuers, reached)


def _kept_here(scheme: Scheme) -> list[str]:
    """Every authority, but the root where it has been carried away."""
    return [name for name in AUTHORITIES if name != ROOT or (scheme.directory / ROOT).exists()]


def _line(fact: dict[str, Any]) -> str:
    until = f"until {fact['not_after']}"
    state = until if fact["revoked_at"] is None else f"revoked {fact['revoked_at']} ({fact['reason']})"
    return f"{fact['authority']} {fact['serial']} {fact['profile']} {fact['identity']}: {state}"


COMMANDS = (list_command, show, audit_command)
