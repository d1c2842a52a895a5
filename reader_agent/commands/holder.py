"""`info`, `pin` and `sign`: what a holder does with a card, without terminal, service or scheme.

A PIN is typed, or comes from a file; it is never an argument, which other users of the machine could read.
"""

import hashlib
from pathlib import Path

import click
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from reader_agent.cardspec.piv import KeyReference
from reader_agent.commands import at_reader, common
from reader_agent.errors import CardDataMissing, KeyUnsuitable
from reader_agent.piv import signing
from reader_agent.piv.inventory import Inventory, take_inventory
from reader_agent.piv.session import CardPublicKey, PivSession
from reader_agent.tapping.card import identify
from reader_agent.transport.uid import is_kept, read_uid


@click.command()
@common.reader_option
@common.wait_option
@common.as_json_option
@common.telling_errors
def info(reader: str, wait_s: float, as_json: bool) -> None:
    """Tell what card is on the reader. Nothing is verified, and no PIN is needed."""
    with at_reader.connected(reader, wait_s) as (session, connection):
        with session.exclusive():
            uid = read_uid(connection)
        found = take_inventory(session)
    common.show(as_json, _info_json(found, uid), _info_lines(found, uid))


@click.group()
def pin() -> None:
    """Change the card's PIN, or unblock it with the PUK."""


@pin.command()
@common.reader_option
@at_reader.pin_file_option
@at_reader.new_pin_file_option
@at_reader.pin_pad_option
@common.wait_option
@common.as_json_option
@common.telling_errors
def change(
    *,
    reader: str,
    pin_file: Path | None,
    new_pin_file: Path | None,
    pin_pad: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Replace the PIN by another one."""
    with at_reader.connected(reader, wait_s) as (session, pad):
        entry = at_reader.pin_entry(pad, pin_file, new_pin_file, on_reader=pin_pad)
        entry.prepare_change()
        with session.exclusive():
            entry.change(session)
    common.show(as_json, {"changed": "pin"}, ["The PIN is changed."])


@pin.command()
@common.reader_option
@click.option("--puk-file", type=at_reader.secret_file, help="has the PUK (default: it is asked for)")
@click.option(
    "--desk",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="the folder of an issuing desk's agent: the card service tells it the PUK",
)
@at_reader.new_pin_file_option
@common.wait_option
@common.as_json_option
@common.telling_errors
def unblock(
    *,
    reader: str,
    puk_file: Path | None,
    desk: Path | None,
    new_pin_file: Path | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Set a new PIN by the PUK; all attempts are there again."""
    if puk_file is not None and desk is not None:
        raise click.UsageError("give --puk-file or --desk")
    with at_reader.session(reader, wait_s) as session:
        puk = at_reader.secret("PUK", puk_file) if desk is None else _told_puk(session, desk)
        new = at_reader.new_pin(new_pin_file)
        with session.exclusive():
            session.unblock_pin(puk, new)
    common.show(as_json, {"changed": "pin"}, ["The PIN is unblocked, and changed."])


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@common.reader_option
@at_reader.pin_file_option
@at_reader.pin_pad_option
@click.option("--out", type=click.Path(path_type=Path), help="of the signature (default: FILE.sig)")
@click.option(
    "--pss", is_flag=True, help="pad by PSS, where the card's key is of RSA (default: PKCS #1 v1.5)"
)
@click.option("--certificate-out", type=click.Path(path_type=Path), help="also write the certificate, as PEM")
@common.wait_option
@common.as_json_option
@common.telling_errors
def sign(
    file: Path,
    *,
    reader: str,
    pin_file: Path | None,
    pin_pad: bool,
    out: Path | None,
    pss: bool,
    certificate_out: Path | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Have the holder sign FILE with the card's key for signatures (9C).

    The signature is ECDSA over SHA-256, DER: openssl dgst -sha256 -verify KEY -signature FILE.sig FILE. A
    card of somebody else may have a key of P-384, which goes with SHA-384, or of RSA.
    """
    target = out or file.with_name(f"{file.name}.sig")
    for path in (target, certificate_out):
        if path is not None:
            at_reader.require_new(path)
    with at_reader.connected(reader, wait_s) as (session, pad):
        entry = at_reader.pin_entry(pad, pin_file, None, on_reader=pin_pad)
        certificate, key = _certified_key(session)
        with file.open("rb") as content:
            hashed = hashlib.file_digest(content, signing.hash_of(key).name)
        # Asked for between two transactions, so that nobody else waits for a person.
        entry.prepare()
        with session.exclusive_showing(entry.verify):
            signature = signing.sign(session, KeyReference.DIGITAL_SIGNATURE, key, hashed.digest(), pss=pss)
    at_reader.write(target, signature)
    if certificate_out is not None:
        at_reader.write(certificate_out, certificate.public_bytes(Encoding.PEM))
    value = {
        "signature": target,
        "hash": hashed.name,
        "digest": hashed.hexdigest(),
        "subject": certificate.subject.rfc4514_string(),
        "certificate": certificate.public_bytes(Encoding.PEM).decode(),
    }
    common.show(as_json, value, [f"Signed by {value['subject']}: {target}"])


def _certified_key(session: PivSession) -> tuple[x509.Certificate, CardPublicKey]:
    """The certificate of 9C and its key. Raises KeyUnsuitable where there is none that can sign."""
    with session.exclusive():
        try:
            certificate = session.certificate(KeyReference.DIGITAL_SIGNATURE)
        except CardDataMissing as error:
            raise KeyUnsuitable("the card has no key for signatures (9C); have one issued") from error
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnsuitable("the card's certificate has a key that cannot be read") from error
    return certificate, signing.require_suitable(key)


def _told_puk(session: PivSession, desk: Path) -> str:
    """The PUK of a card that has proved to be the one it says it is: a false one would learn another's."""
    with common.open_agent(desk) as agent:
        card = identify(session, agent.trust(), agent.now(), agent.known_cards)
        card.prove_presence()
        return agent.client.puk(card.card)


def _info_json(found: Inventory, uid: bytes | None) -> dict[str, object]:
    return {
        "card": found.card,
        "uid": None if uid is None else uid.hex(),
        "expires_on": found.expires_on,
        "pin": "global" if found.discovery.prefers_global_pin else "application",
        "pin_attempts": found.pin_attempts,
        "certificates": {
            f"{key:02X}": {
                "subject": certificate.subject.rfc4514_string(),
                "issuer": certificate.issuer.rfc4514_string(),
                "not_after": certificate.not_valid_after_utc,
                "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
            }
            for key, certificate in found.certificates.items()
        },
        "objects": {f"{object_id:06X}": presence for object_id, presence in found.objects.items()},
    }


def _info_lines(found: Inventory, uid: bytes | None) -> list[str]:
    lines = [f"card         {found.card or 'not personalised'}"]
    if uid is not None:
        lines.append(f"UID          {uid.hex()}{'' if is_kept(uid) else ', another one each time'}")
    if found.expires_on:
        lines.append(f"expires      {found.expires_on}")
    lines.append(f"PIN          {_attempts(found.pin_attempts)}")
    for key, certificate in found.certificates.items():
        until = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        lines.append(f"key {key:02X}       {certificate.subject.rfc4514_string()}, until {until}")
    lines += [
        f"object {object_id:06X} {object_id.name.lower().replace('_', ' ')}, {presence}"
        for object_id, presence in found.objects.items()
    ]
    return lines


def _attempts(left: int | None) -> str:
    match left:
        case None:
            return "not told here"
        case 0:
            return "blocked"
        case 1:
            return "one attempt is left"
    return f"{left} attempts are left"
