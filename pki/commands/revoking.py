"""Revoking, suspending and releasing certificates, and publishing what is revoked."""

from collections.abc import Callable
from datetime import datetime, timedelta

import click

from pki.authority import CRL_VALIDITY, REASONS, Authority
from pki.cli_support import answer, examples, now, on_scheme, parse_serial, time_text
from pki.errors import CertificateUnknown, NotHeld
from pki.profiles import ISSUING, ROOT
from pki.publishing import publish_lists
from pki.scheme import AUTHORITIES, ROOT_CRL_VALIDITY, Scheme
from pki.store import IssuedCertificate, StoredCrl

Command = Callable[..., None]


def _of_certificates(command: Command) -> Command:
    """Which certificates are meant."""
    authority = click.option(
        "--authority", type=click.Choice(AUTHORITIES), required=True, help="Which one has issued it."
    )
    serial = click.option("--serial", help="Which certificate, by its serial number in hexadecimal.")
    identity = click.option("--identity", help="Every certificate of this card, terminal or program.")
    return authority(serial(identity(command)))


@click.command(
    epilog=examples(
        "pki revoke scheme --authority terminals --identity bus-12 --reason key_compromise",
        "pki revoke scheme --authority cards --serial 5f0c…",
    )
)
@_of_certificates
@click.option(
    "--reason",
    type=click.Choice(sorted(REASONS)),
    default="unspecified",
    show_default=True,
    help="What the revocation list says.",
)
@on_scheme
def revoke(
    scheme: Scheme, authority: str, serial: str | None, identity: str | None, reason: str, as_json: bool
) -> None:
    """Revoke a certificate for good, suspended or not, and publish a new list."""
    found = _serials(
        scheme, authority, serial, identity, lambda issued: issued.is_held or issued.revoked_at is None
    )
    if not found:
        raise CertificateUnknown(f"the authority {authority!r} has no certificate of {identity!r} to revoke")
    moment = now()
    _change(
        *(scheme, authority, found, lambda issuer, number: issuer.revoke(number, moment, reason)),
        *(moment, "revoked", as_json),
    )


@click.command(
    epilog=examples(
        "pki suspend scheme --authority cards --identity 0192f0a1-7b3c-4d5e-8f90-a1b2c3d4e5f6",
        "pki suspend scheme --authority terminals --serial 5f0c… --json",
    )
)
@_of_certificates
@on_scheme
def suspend(scheme: Scheme, authority: str, serial: str | None, identity: str | None, as_json: bool) -> None:
    """Suspend a certificate (certificateHold) until it is released or revoked, and publish a new list."""
    found = _serials(scheme, authority, serial, identity, lambda issued: issued.revoked_at is None)
    if not found:
        raise CertificateUnknown(f"the authority {authority!r} has no certificate of {identity!r} to suspend")
    moment = now()
    _change(
        *(scheme, authority, found, lambda issuer, number: issuer.suspend(number, moment)),
        *(moment, "suspended", as_json),
    )


@click.command(
    epilog=examples(
        "pki release scheme --authority cards --identity 0192f0a1-7b3c-4d5e-8f90-a1b2c3d4e5f6",
        "pki release scheme --authority terminals --serial 5f0c…",
    )
)
@_of_certificates
@on_scheme
def release(scheme: Scheme, authority: str, serial: str | None, identity: str | None, as_json: bool) -> None:
    """End the suspension of a certificate, and publish a new list. What was revoked stays revoked."""
    found = _serials(scheme, authority, serial, identity, lambda issued: issued.is_held)
    if not found:
        raise NotHeld(f"no certificate of {identity!r} is suspended, so none can be released")
    moment = now()
    _change(
        *(scheme, authority, found, lambda issuer, number: issuer.release(number, moment)),
        *(moment, "released", as_json),
    )


@click.command(
    epilog=examples(
        "pki crl scheme",
        "pki crl scheme --delta",
        "pki crl scheme --authority cards --all-shards",
        "pki crl scheme --authority root --days 400",
    )
)
@click.option("--authority", type=click.Choice(AUTHORITIES), multiple=True, help="May be given again.")
@click.option("--days", type=click.IntRange(min=1), help="How long the list holds.")
@click.option("--delta", is_flag=True, help="Only what has changed since the last complete list.")
@click.option("--all-shards", is_flag=True, help="Also the lists of each shard; they need a public URL.")
@on_scheme
def crl(
    scheme: Scheme,
    authority: tuple[str, ...],
    days: int | None,
    delta: bool,
    all_shards: bool,
    as_json: bool,
) -> None:
    """Publish new revocation lists in DIR/public.

    By default of every issuing authority whose records are kept here: run it daily. The root's list holds
    for more than a year and needs the root's key: `--authority root`. Delta lists and shards are put into a
    folder called like the authority.
    """
    moment = now()
    names = authority or [name for name in ISSUING if name not in scheme.handed_over]
    made = []
    for name in names:
        validity = _validity(name, days)
        opened = scheme.authority(name)
        made += publish_lists(scheme, opened, moment, validity, delta=delta, all_shards=all_shards)
    facts = [_fact(each) for each in made]
    lines = [f"{each.issuer}{_scope(each)}: to be renewed by {time_text(each.next_update)}" for each in made]
    answer(as_json, {"crls": facts}, "\n".join(lines))


def _serials(
    scheme: Scheme,
    authority: str,
    serial: str | None,
    identity: str | None,
    wanted: Callable[[IssuedCertificate], bool],
) -> list[int]:
    """The certificate of this serial number, or those of the identity that are `wanted`."""
    if serial is not None and identity is None:
        return [parse_serial(serial)]
    if identity is None or serial is not None:
        raise click.UsageError("give either --serial or --identity")
    found = scheme.records(authority).find_by_identity(authority, identity)
    return [issued.serial for issued in found if wanted(issued)]


def _change(
    scheme: Scheme,
    authority: str,
    serials: list[int],
    change: Callable[[Authority, int], None],
    moment: datetime,
    done: str,
    as_json: bool,
) -> None:
    """Change the status of them all in one commit, then publish."""
    opened = scheme.authority(authority)
    with opened.store.transaction() as store:
        for serial in serials:
            change(opened.bound(store), serial)
    publish_lists(scheme, opened, moment, _validity(authority, None))
    told = [f"{serial:x}" for serial in serials]
    path = scheme.public_dir / f"{opened.issuer}.crl"
    text = f"{done.capitalize()} {', '.join(told)}. The new list is {path}."
    answer(as_json, {"authority": authority, done: told}, text)


def _validity(name: str, days: int | None) -> timedelta:
    if days is not None:
        return timedelta(days=days)
    return ROOT_CRL_VALIDITY if name == ROOT else CRL_VALIDITY


def _fact(made: StoredCrl) -> dict[str, object]:
    return {
        "authority": made.issuer,
        "number": made.number,
        "shard": made.shard,
        "base_number": made.base_number,
        "this_update": time_text(made.this_update),
        "next_update": time_text(made.next_update),
    }


def _scope(made: StoredCrl) -> str:
    shard = "" if made.shard is None else f", shard {made.shard}"
    return shard if made.base_number is None else f"{shard}, changes since list {made.base_number}"


COMMANDS = (revoke, suspend, release, crl)
