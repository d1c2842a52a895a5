"""The authorities whose records the service keeps."""

from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.audit.service import record
from cardservice.commands.common import Failure, actor, command, json_option, opened, say
from cardservice.context import Context
from cardservice.pki_store.publication import OURS
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.auditing import Audited, audit
from pki.authority import REASONS
from pki.errors import AuditFailed, CertificateUnknown, TrailBroken
from pki.profiles import PROFILES, SERVICE
from pki.trail import TrailHead
from pki.trust import load_csr

AUTHORITY = "service"
# Cards and terminals have commands of their own, and the service's own certificate is made by `init`.
_ISSUED_HERE = tuple(
    sorted(
        name
        for name, profile in PROFILES.items()
        if profile.authorities == (AUTHORITY,) and profile is not SERVICE
    )
)


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
    values = [each.to_json() for each in found]
    say("\n".join(map(str, found)), {"authorities": values}, as_json=as_json)


@pki.command("issue")
@click.option(
    "--profile", type=click.Choice(_ISSUED_HERE), required=True, help="What the certificate is for."
)
@click.option(
    "--csr",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The signing request; only its key counts.",
)
@click.option("--identity", required=True, help="The member of staff, program or host.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Where the certificate goes.",
)
@json_option
@command
def pki_issue(profile: str, csr: Path, identity: str, out: Path, as_json: bool) -> None:
    """Certify the key of a request: of staff, of a signer, of a server."""
    request = load_csr(csr)
    with opened() as context, context.database.begin() as connection:
        moment = context.now()
        certificate = context.authority(AUTHORITY, connection).issue(
            request, PROFILES[profile], identity, moment
        )
        record(connection, actor(), "pki.issue", identity, moment, profile=profile)
    out.write_bytes(certificate.public_bytes(Encoding.PEM))
    serial = f"{certificate.serial_number:x}"
    say(f"Wrote {out}.", {"serial": serial, "identity": identity, "file": str(out)}, as_json=as_json)


@pki.command("revoke")
@click.option("--identity", required=True, help="Every certificate of this member of staff, program or host.")
@click.option(
    "--reason",
    type=click.Choice(sorted(REASONS)),
    default="unspecified",
    show_default=True,
    help="What the revocation list says.",
)
@json_option
@command
def pki_revoke(identity: str, reason: str, as_json: bool) -> None:
    """Revoke what `pki issue` has issued, with a fresh revocation list."""
    with opened() as context, context.database.begin() as connection:
        moment, authority = context.now(), context.authority(AUTHORITY, connection)
        found = [
            issued.serial
            for issued in DatabaseCertificateStore(connection).find_by_identity(AUTHORITY, identity)
            if issued.profile in _ISSUED_HERE and (issued.revoked_at is None or issued.is_held)
        ]
        if not found:
            raise CertificateUnknown(f"there is no certificate of {identity!r} to revoke here")
        for serial in found:
            authority.revoke(serial, moment, reason)
        authority.make_crls(moment)
        record(connection, actor(), "pki.revoke", identity, moment, reason=reason)
    revoked = [f"{serial:x}" for serial in found]
    say(f"Revoked {', '.join(revoked)}.", {"revoked": revoked}, as_json=as_json)


def _audit(context: Context, name: str, reached: TrailHead | None) -> Audited:
    issuers = {issuer: context.certificates[issuer] for issuer in context.pki.issuers(name)}
    with context.database.begin() as connection:
        return audit(DatabaseCertificateStore(connection), name, issuers, reached)
