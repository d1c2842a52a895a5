"""Ceremonies: a scheme for real use begins with them."""

from pathlib import Path

import click

from pki.ceremony import People, hold_issuing_ceremony, hold_root_ceremony
from pki.cli_support import (
    FILE,
    actor,
    answer,
    custodian_option,
    directory_argument,
    examples,
    json_option,
    now,
    passphrase_options,
    secrets_of,
    speaking,
)
from pki.commands.custodians import ROOT_PASSPHRASE_VARIABLE, new_custodians
from pki.commands.making import token_place
from pki.description import Description
from pki.keys import passphrase_from
from pki.profiles import ROOT
from pki.scheme import open_scheme


@click.group(
    epilog="The root is made once, offline. Then the issuing authorities are made below it; then the root's "
    "folder goes into a safe. A new key for an authority: `pki rollover`."
)
def ceremony() -> None:
    """Make the root and the issuing authorities of a scheme for real use, several people together."""


@ceremony.command(
    epilog=examples(
        'pki ceremony root /media/root/scheme --scheme-id ashcombe --name "Ashcombe Card" \\',
        "    --oid-arc 1.3.6.1.4.1.YOUR-NUMBER --public-url https://cards.example/pki \\",
        '    --custodian "Ann Field" --custodian "Ben Hill" --custodian "Cy Moor" --witness "Di Lake"',
    )
)
@directory_argument
@click.option("--scheme-id", required=True, help="Short and for ever: it is part of what cards sign.")
@click.option("--name", required=True, help="For people; stands in the authorities' certificates.")
@click.option("--oid-arc", required=True, help="Your own; that for examples is refused.")
@click.option("--public-url", help="Where certificates and lists will be fetched, such as https://…/pki.")
@click.option("--custodian", "custodians", multiple=True, help="Who shall keep the root's key; several.")
@click.option("--needed", type=int, default=2, show_default=True, help="How many of them open it together.")
@click.option("--witness", "witnesses", multiple=True, help="Who looks on; may be given again.")
@click.option("--pkcs11-module", type=FILE, help="The library of the tokens that shall hold the keys.")
@click.option("--token", "token_label", help="The label of the issuing authorities' token.")
@click.option("--root-token", "root_token_label", help="That of the root's token; its PIN is changed.")
@click.option(
    "--root-pin-file", type=FILE, help=f"The PIN that it has so far; else ${ROOT_PASSPHRASE_VARIABLE}."
)
@custodian_option
@json_option
@speaking
def root(  # noqa: PLR0917 -- click calls it by names
    directory: Path,
    scheme_id: str,
    name: str,
    oid_arc: str,
    public_url: str | None,
    custodians: tuple[str, ...],
    needed: int,
    witnesses: tuple[str, ...],
    pkcs11_module: Path | None,
    token_label: str | None,
    root_token_label: str | None,
    root_pin_file: Path | None,
    custodian_files: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make the root of a scheme in DIR, whose key so many of the custodians open together."""
    place = token_place(pkcs11_module, token_label, root_token_label)
    if place is not None and place.root_label == place.label:
        raise click.UsageError("the root's token is one of its own, since nobody alone shall know its PIN")
    described = Description(id=scheme_id, name=name, oid_arc=oid_arc, public_url=public_url, token=place)
    passphrases = new_custodians(custodians, custodian_files)
    pin = None if place is None else passphrase_from(root_pin_file, ROOT_PASSPHRASE_VARIABLE)
    people = People(operator=actor(), custodians=tuple(sorted(passphrases)), witnesses=witnesses)
    record = hold_root_ceremony(directory, described, passphrases, needed, people, now(), pin)
    _tell(as_json, f"Made the root of {scheme_id!r} in {directory}.", record)


@ceremony.command(
    epilog=examples(
        "pki ceremony issuing /media/root/scheme --passphrase-file passphrase",
        "pki ceremony issuing scheme --custodian-file ann=ann.txt --custodian-file ben=ben.txt",
    )
)
@directory_argument
@click.option("--witness", "witnesses", multiple=True, help="Who looks on; may be given again.")
@passphrase_options
@custodian_option
@json_option
@speaking
def issuing(
    directory: Path,
    witnesses: tuple[str, ...],
    passphrase_file: Path | None,
    root_passphrase_file: Path | None,
    custodian_files: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make the authorities for cards, terminals and the service, below a root that custodians open."""
    own, of_root = secrets_of(directory, passphrase_file, root_passphrase_file, custodian_files)
    scheme = open_scheme(directory, own, of_root, actor())
    scheme.root_key_store.private_key(ROOT)  # so that it is known who has opened it
    people = People(operator=actor(), custodians=of_root.present, witnesses=witnesses)
    record = hold_issuing_ceremony(scheme, people, now())
    _tell(as_json, f"Made the issuing authorities in {directory}. Take {directory / ROOT} offline.", record)


def _tell(as_json: bool, sentence: str, record: Path) -> None:
    readable = record.with_suffix(".txt")
    facts = {"record": str(record), "readable": str(readable)}
    answer(as_json, facts, f"{sentence} The record is {record}; print {readable} and sign it.")


COMMANDS = (ceremony,)
