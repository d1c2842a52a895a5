"""The `pki` command: make a scheme, issue, revoke, publish, verify."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.serialization import Encoding

from pki import files
from pki.authority import CRL_VALIDITY, REASONS
from pki.cli_support import (
    FILE,
    FOLDER,
    answer,
    certificate_facts,
    directory_argument,
    json_option,
    now,
    on_scheme,
    open_without_keys,
    parse_serial,
    parse_time,
    passphrase_options,
    passphrases,
    record_facts,
    speaking,
    time_text,
)
from pki.errors import CertificateUnknown, PkiError
from pki.profiles import EXAMPLE_ARC, ISSUING, PROFILES, ROOT
from pki.scheme import AUTHORITIES, ROOT_CRL_VALIDITY, Scheme, create_scheme
from pki.trust import TrustStore, load_certificate, load_csr
from pki.verification import Purpose, verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="citizen-card")
def main() -> None:
    """Keys and certificates of a citizen-card scheme."""


@main.command()
@directory_argument
@click.option("--scheme-id", required=True, help="Short and for ever: it is part of what cards sign.")
@click.option("--name", required=True, help="For people; stands in the authorities' certificates.")
@click.option("--oid-arc", default=EXAMPLE_ARC, show_default=True, help="Your own, for real use.")
@click.option("--public-url", help="Where certificates and lists will be fetched, such as https://…/pki.")
@passphrase_options
@json_option
@speaking
def init(
    directory: Path,
    scheme_id: str,
    name: str,
    oid_arc: str,
    public_url: str | None,
    passphrase_file: Path | None,
    root_passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make a scheme in DIR: a root, and authorities for cards, terminals and the service."""
    own, of_root = passphrases(passphrase_file, root_passphrase_file, confirm=True)
    scheme = create_scheme(
        directory, scheme_id, name, own, of_root, now(), oid_arc=oid_arc, public_url=public_url
    )
    facts = {"scheme": scheme.id, "name": scheme.name, "directory": str(directory)}
    answer(as_json, facts, f"Made the scheme {scheme.id!r} in {directory}. Keep {directory / ROOT} offline.")


@main.command()
@click.option("--profile", type=click.Choice(sorted(PROFILES)), required=True)
@click.option("--csr", type=FILE, required=True, help="The request, PEM or DER; only its key counts.")
@click.option("--identity", required=True, help="The card's UUID, or the id of the terminal or program.")
@click.option("--days", type=click.IntRange(min=1), help="Validity; by default the profile's.")
@click.option("--out", type=FILE, help="Write the certificate here instead of printing it.")
@on_scheme
def issue(
    scheme: Scheme, profile: str, csr: Path, identity: str, days: int | None, out: Path | None, as_json: bool
) -> None:
    """Issue a certificate for the key of a request."""
    chosen = PROFILES[profile]
    authority = scheme.authority(chosen.authority)
    certificate = authority.issue(load_csr(csr), chosen, identity, now(), days)
    pem = certificate.public_bytes(Encoding.PEM)
    if out is not None:
        files.replace(out, pem)
    facts = certificate_facts(certificate) | {"authority": authority.name, "profile": profile}
    text = pem.decode().strip() if out is None else f"Wrote {out}."
    answer(as_json, facts | {"identity": identity, "pem": pem.decode()}, text)


@main.command()
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
    text = f"Revoked {', '.join(revoked)}. The new list is {scheme.public_dir / f'{authority}.crl'}."
    answer(as_json, {"authority": authority, "revoked": revoked}, text)


@main.command()
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
    facts = [_publish(scheme, name, moment, validity) for name in names]
    lines = [f"{fact['authority']}: to be renewed by {fact['next_update']}" for fact in facts]
    answer(as_json, {"crls": facts}, "\n".join(lines))


@main.command(name="verify")
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


@main.command(name="list")
@directory_argument
@click.option("--authority", type=click.Choice(AUTHORITIES), multiple=True, help="May be given again.")
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


@main.command()
@directory_argument
@json_option
@speaking
def show(directory: Path, as_json: bool) -> None:
    """Show a scheme and its authorities. Needs no passphrase."""
    scheme = open_without_keys(directory)
    authorities = [
        {"name": name, "records": scheme.handed_over.get(name, "pki")} | certificate_facts(certificate)
        for name, certificate in scheme.certificates.items()
    ]
    facts = {"scheme": scheme.id, "name": scheme.name, "oid_arc": scheme.arc, "public_url": scheme.public_url}
    lines = [f"{scheme.name} ({scheme.id}), object identifiers below {scheme.arc}"]
    lines += [f"  {a['name']}: until {a['not_after']}, records kept by {a['records']}" for a in authorities]
    answer(as_json, facts | {"authorities": authorities}, "\n".join(lines))


def _serials(scheme: Scheme, authority: str, serial: str | None, identity: str | None) -> list[int]:
    if serial is not None and identity is None:
        return [parse_serial(serial)]
    if identity is None or serial is not None:
        raise click.UsageError("give either --serial or --identity")
    found = scheme.records(authority).find_by_identity(authority, identity)
    open_ones = [issued.serial for issued in found if issued.revoked_at is None]
    if not open_ones:
        raise CertificateUnknown(f"the authority {authority!r} has no certificate of {identity!r} to revoke")
    return open_ones


def _publish(scheme: Scheme, name: str, moment: datetime, validity: timedelta | None) -> dict[str, str]:
    default = ROOT_CRL_VALIDITY if name == ROOT else CRL_VALIDITY
    made = scheme.authority(name).make_crl(moment, validity or default)
    scheme.publish_crl(name, made)
    ends = made.next_update_utc or moment
    return {"authority": name, "this_update": time_text(made.last_update_utc), "next_update": time_text(ends)}


def _kept_here(scheme: Scheme) -> list[str]:
    """Every authority, but the root where it has been carried away."""
    return [name for name in AUTHORITIES if name != ROOT or (scheme.directory / ROOT).exists()]


def _line(fact: dict[str, Any]) -> str:
    until = f"until {fact['not_after']}"
    state = until if fact["revoked_at"] is None else f"revoked {fact['revoked_at']} ({fact['reason']})"
    return f"{fact['authority']} {fact['serial']} {fact['profile']} {fact['identity']}: {state}"
