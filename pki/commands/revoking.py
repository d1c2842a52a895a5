"""Revoking certificates, and publishing what is revoked."""

from datetime import datetime, timedelta

import click

from pki.authority import CRL_VALIDITY, REASONS
from pki.cli_support import answer, examples, now, on_scheme, parse_serial, time_text
from pki.errors import CertificateUnknown
from pki.profiles import ISSUING, ROOT
from pki.scheme import AUTHORITIES, ROOT_CRL_VALIDITY, Scheme


@click.command(
    epilog=examples(
        "pki revoke scheme --authority terminals --identity bus-12 --reason key_compromise",
        "pki revoke scheme --authority cards --serial 5f0c…",
    )
)
@click.option("--authority", type=click.Choice(AUTHORITIES), required=True)
@click.option("--serial", help="Which certificate, by its serial number in hexadecimal.")
@click.option("--identity", help="Every certificate of this card, terminal or program.")
@click.option("--reason", type=click.Choice(sorted(REASONS)), default="unspecified", show_default=True)
@on_scheme
def revoke(
    scheme: Scheme, authority: str, serial: str | None, identity: str | None, reason: str, as_json: bool
) -> None:
    """Revoke a certificate and publish a new list."""
    issuer = scheme.authority(authority)
    serials = _serials(scheme, authority, serial, identity)
    moment = now()
    for number in serials:
        issuer.revoke(number, moment, reason)
    _publish(scheme, authority, moment, None)
    revoked = [f"{number:x}" for number in serials]
    text = f"Revoked {', '.join(revoked)}. The new list is {scheme.public_dir / f'{issuer.issuer}.crl'}."
    answer(as_json, {"authority": authority, "revoked": revoked}, text)


@click.command(epilog=examples("pki crl scheme", "pki crl scheme --authority root --days 400"))
@click.option("--authority", type=click.Choice(AUTHORITIES), multiple=True, help="May be given again.")
@click.option("--days", type=click.IntRange(min=1), help="How long the list holds.")
@on_scheme
def crl(scheme: Scheme, authority: tuple[str, ...], days: int | None, as_json: bool) -> None:
    """Publish new revocation lists in DIR/public.

    By default of every issuing authority whose records are kept here: run it daily. The root's list holds
    for more than a year and needs the root's key: `--authority root`.
    """
    moment = now()
    validity = None if days is None else timedelta(days=days)
    names = authority or [name for name in ISSUING if name not in scheme.handed_over]
    facts = [fact for name in names for fact in _publish(scheme, name, moment, validity)]
    lines = [f"{fact['authority']}: to be renewed by {fact['next_update']}" for fact in facts]
    answer(as_json, {"crls": facts}, "\n".join(lines))


def _serials(scheme: Scheme, authority: str, serial: str | None, identity: str | None) -> list[int]:
    if serial is not None and identity is None:
        return [parse_serial(serial)]
    if identity is None or serial is not None:
        raise click.UsageError("give either --serial or --identity")
    found = scheme.records(authority).find_by_identity(authority, identity)
    open_ones = [issued.serial for issued in found if issued.revoked_at is None or issued.is_held]
    if not open_ones:
        raise CertificateUnknown(f"the authority {authority!r} has no certificate of {identity!r} to revoke")
    return open_ones


def _publish(scheme: Scheme, name: str, moment: datetime, validity: timedelta | None) -> list[dict[str, str]]:
    """Lists of each of the authority's keys, the present one first."""
    default = ROOT_CRL_VALIDITY if name == ROOT else CRL_VALIDITY
    facts = []
    for issuer, made in scheme.authority(name).make_crls(moment, validity or default).items():
        scheme.publish_crl(issuer, made)
        ends = made.next_update_utc or moment
        times = {"this_update": time_text(made.last_update_utc), "next_update": time_text(ends)}
        facts.append({"authority": issuer} | times)
    return facts


COMMANDS = (revoke, crl)
