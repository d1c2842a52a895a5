"""The authorities whose records the service keeps."""

import click

from cardservice.commands.common import Failure, command, json_option, opened, say
from cardservice.context import Context
from cardservice.pki_store.publication import OURS
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.auditing import Audited, audit
from pki.errors import AuditFailed, TrailBroken
from pki.trail import TrailHead


@click.group()
def pki() -> None:
    """The authorities whose records the service keeps."""


@pki.command("audit")
@click.option("--authority", type=click.Choice(OURS), multiple=True, help="May be given again.")
@click.option(
    "--reached",
    metavar="SEQUENCE:HASH",
    help="A head that an earlier audit of this one authority has printed; the trail must still hold it.",
)
@json_option
@command
def pki_audit(authority: tuple[str, ...], reached: str | None, as_json: bool) -> None:
    """Check the trails, and records and revocation lists against them; exit status 1 if anything is found.

    Note the heads elsewhere: with one of them, an audit also sees what was cut off with all its traces.
    """
    names = authority or OURS
    if reached is not None and len(names) != 1:
        raise click.UsageError("--reached is of one authority: give --authority")
    try:
        head = None if reached is None else TrailHead.parse(reached)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    with opened() as context:
        try:
            found = [_audit(context, name, head) for name in names]
        except (TrailBroken, AuditFailed) as error:
            raise Failure(str(error)) from error
    values = [
        {
            "authority": each.authority,
            "entries": each.entries,
            "certificates": each.certificates,
            "revoked": each.revoked,
            "head": None if each.head is None else str(each.head),
        }
        for each in found
    ]
    words = [
        f"{value['authority']}: {value['entries']} entries, {value['certificates']} certificates, "
        f"{value['revoked']} revoked; head {value['head']}"
        for value in values
    ]
    say("\n".join(words), {"authorities": values}, as_json=as_json)


def _audit(context: Context, name: str, reached: TrailHead | None) -> Audited:
    issuers = {issuer: context.certificates[issuer] for issuer in context.pki.issuers(name)}
    with context.database.begin() as connection:
        return audit(DatabaseCertificateStore(connection), name, issuers, reached)
