"""The list of other schemes' authorities that are recognised here."""

import json
from pathlib import Path
from typing import Any

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from pki import files
from pki.cli_support import (
    FILE,
    FOLDER,
    answer,
    certificate_facts,
    examples,
    json_option,
    now,
    on_scheme,
    parse_time,
    speaking,
    time_text,
)
from pki.errors import KeyNotFound, TrustListRefused
from pki.profiles import ROOT, TRUST_LIST_SIGNER
from pki.scheme import Scheme
from pki.trust import TrustStore, load_certificate
from pki.trust_list import (
    VALIDITY,
    Recognised,
    TrustList,
    open_trust_list,
    sign_trust_list,
    verify_trust_list,
)

KEY = TRUST_LIST_SIGNER.name
LIST_FILE = "trust-list.cose"


@click.group(name="trust-list")
def trust_list() -> None:
    """Say which other schemes' authorities are recognised, and for what."""


@trust_list.command(epilog=examples("pki trust-list signer scheme"))
@on_scheme
def signer(scheme: Scheme, as_json: bool) -> None:
    """Make the key that signs the list, and have the root certify it; again when its certificate ends."""
    keys = scheme.key_store
    try:
        key = keys.private_key(KEY)
    except KeyNotFound:
        key = keys.generate(KEY)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, KEY)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    certificate = scheme.authority(ROOT).issue(request, TRUST_LIST_SIGNER, KEY, now())
    files.replace(_certificate_file(scheme), certificate.public_bytes(Encoding.PEM))
    answer(as_json, certificate_facts(certificate), f"The key {KEY} signs the scheme's trust lists.")


@trust_list.command(
    epilog=examples(
        "pki trust-list sign scheme --from recognised.json",
        "",
        "recognised.json: [{",
        '  "scheme": "beckford", "name": "Beckford Card", "certificate": "beckford-cards.crt",',
        '  "purposes": ["card-authentication"], "crl_url": "https://beckford.example/pki/cards.crl"',
        "}]",
    )
)
@click.option("--from", "entries", type=FILE, required=True, help="The authorities, in JSON as below.")
@click.option(
    "--days",
    type=click.IntRange(min=1),
    default=VALIDITY.days,
    show_default=True,
    help="How long the list holds.",
)
@on_scheme
def sign(scheme: Scheme, entries: Path, days: int, as_json: bool) -> None:
    """Sign the list of the authorities in a file, and publish it in DIR/public."""
    moment = now().replace(microsecond=0)
    path = scheme.public_dir / LIST_FILE
    number = open_trust_list(path.read_bytes()).trust_list.number + 1 if path.exists() else 1
    made = TrustList(
        scheme=scheme.id,
        number=number,
        issued=moment,
        expires=moment + VALIDITY * days / VALIDITY.days,
        recognised=_read_entries(entries),
    )
    key = scheme.key_store.private_key(KEY)
    files.replace(path, sign_trust_list(made, load_certificate(_certificate_file(scheme)), key))
    answer(as_json, _facts(made), f"Wrote {path}: number {number}, {len(made.recognised)} authorities.")


@trust_list.command(
    name="verify",
    epilog=examples(
        "pki trust-list verify scheme/public/trust-list.cose --scheme ashcombe --trust scheme/public"
    ),
)
@click.argument("file", metavar="FILE", type=FILE)
@click.option("--scheme", "scheme_id", required=True, help="Whose list it is.")
@click.option("--trust", type=FOLDER, required=True, help="A folder such as DIR/public.")
@click.option("--at", "moment", metavar="TIME", help="RFC 3339; default now.")
@json_option
@speaking
def verify_command(file: Path, scheme_id: str, trust: Path, moment: str | None, as_json: bool) -> None:
    """Verify a list by the scheme's root, and say what is in it."""
    at = now() if moment is None else parse_time(moment)
    found = verify_trust_list(file.read_bytes(), scheme_id, at, TrustStore.from_directory(trust))
    lines = [f"{found.scheme}, number {found.number}, until {time_text(found.expires)}"]
    lines += [f"  {entry.scheme} ({entry.name}): {', '.join(entry.purposes)}" for entry in found.recognised]
    answer(as_json, _facts(found), "\n".join(lines))


def _certificate_file(scheme: Scheme) -> Path:
    return scheme.directory / "authorities" / f"{KEY}.crt"


def _read_entries(path: Path) -> tuple[Recognised, ...]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            Recognised(
                scheme=entry["scheme"],
                name=entry["name"],
                certificate=load_certificate(path.parent / entry["certificate"]),
                purposes=tuple(sorted(entry["purposes"])),
                crl_url=entry.get("crl_url"),
            )
            for entry in content
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrustListRefused(
            f"{path} is not a list of authorities ({error!r}); `pki trust-list sign --help` shows one"
        ) from error


def _facts(found: TrustList) -> dict[str, Any]:
    return {
        "scheme": found.scheme,
        "number": found.number,
        "issued": time_text(found.issued),
        "expires": time_text(found.expires),
        "recognised": [
            {
                "scheme": entry.scheme,
                "name": entry.name,
                "subject": entry.certificate.subject.rfc4514_string(),
                "sha256": entry.certificate.fingerprint(hashes.SHA256()).hex(),
                "purposes": list(entry.purposes),
                "crl_url": entry.crl_url,
            }
            for entry in found.recognised
        ],
    }


COMMANDS = (trust_list,)
