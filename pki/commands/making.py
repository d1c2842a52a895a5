"""Making a scheme for trying out and development, and succeeding an authority's key."""

import re
from pathlib import Path

import click

from pki.ceremony import People, hold_rollover
from pki.cli_support import (
    FILE,
    actor,
    answer,
    certificate_facts,
    custodian_option,
    directory_argument,
    examples,
    json_option,
    now,
    own_passphrase,
    passphrase_options,
    secrets_of,
    speaking,
)
from pki.commands.custodians import ROOT_PASSPHRASE_VARIABLE
from pki.errors import SchemeInvalid
from pki.keys import optional_passphrase
from pki.profiles import EXAMPLE_ARC, ISSUING, ROOT
from pki.scheme import TokenPlace, create_scheme, open_scheme


@click.command(
    epilog=examples(
        "pki init scheme",
        'pki init /srv/cards/scheme --scheme-id ashcombe --name "Ashcombe Card" \\',
        "    --public-url https://cards.example/pki --passphrase-file passphrase",
        "pki init scheme --pkcs11-module /usr/lib/softhsm/libsofthsm2.so --token scheme",
    )
)
@directory_argument
@click.option(
    "--scheme-id",
    help="Short and for ever: it is part of what cards sign. By default made of the directory's name.",
)
@click.option(
    "--name", help="For people; stands in the authorities' certificates. By default made of the id."
)
@click.option("--oid-arc", default=EXAMPLE_ARC, show_default=True, help="Your own, for real use.")
@click.option("--public-url", help="Where certificates and lists will be fetched, such as https://…/pki.")
@click.option("--pkcs11-module", type=FILE, help="The library of the token that shall hold the keys.")
@click.option("--token", "token_label", help="The token's label.")
@click.option("--root-token", "root_token_label", help="That of the root's token, if it has its own.")
@passphrase_options
@json_option
@speaking
def init(  # noqa: PLR0917 -- click calls it by names
    directory: Path,
    scheme_id: str | None,
    name: str | None,
    oid_arc: str,
    public_url: str | None,
    pkcs11_module: Path | None,
    token_label: str | None,
    root_token_label: str | None,
    passphrase_file: Path | None,
    root_passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make a scheme in DIR: a root, and authorities for cards, terminals and the service.

    All at once and by one person: for real use begin with `pki ceremony root` instead.
    """
    own = own_passphrase(passphrase_file, confirm=True)
    of_root = optional_passphrase(root_passphrase_file, ROOT_PASSPHRASE_VARIABLE)
    chosen_id = scheme_id or _default_id(directory)
    scheme = create_scheme(
        *(directory, chosen_id, name or chosen_id.replace("-", " ").title(), own, of_root, now()),
        oid_arc=oid_arc,
        public_url=public_url,
        token=token_place(pkcs11_module, token_label, root_token_label),
        actor=actor(),
    )
    facts = {"scheme": scheme.id, "name": scheme.name, "directory": str(directory)}
    answer(as_json, facts, f"Made the scheme {scheme.id!r} in {directory}. Keep {directory / ROOT} offline.")


@click.command(
    epilog=examples(
        "pki rollover scheme --authority cards",
        "pki rollover scheme --authority cards --custodian-file ann=ann.txt --custodian-file ben=ben.txt",
    )
)
@directory_argument
@click.option("--authority", type=click.Choice(ISSUING), required=True, help="Whose key is succeeded.")
@click.option("--witness", "witnesses", multiple=True, help="Who looked on; may be given again.")
@passphrase_options
@custodian_option
@json_option
@speaking
def rollover(
    directory: Path,
    authority: str,
    witnesses: tuple[str, ...],
    passphrase_file: Path | None,
    root_passphrase_file: Path | None,
    custodian_files: tuple[str, ...],
    as_json: bool,
) -> None:
    """Give an issuing authority a new key; it issues from now on.

    The former key signs revocation lists of what it has issued until its certificate ends. Needs the root.
    """
    own, of_root = secrets_of(directory, passphrase_file, root_passphrase_file, custodian_files)
    scheme = open_scheme(directory, own, of_root, actor())
    scheme.root_key_store.private_key(ROOT)  # so that it is known who has opened it
    people = People(operator=actor(), custodians=of_root.present, witnesses=witnesses)
    succeeded, record = hold_rollover(scheme, authority, people, now())
    issuer = succeeded.issuers(authority)[-1]
    facts = {"authority": authority, "issuer": issuer, "record": str(record)}
    text = f"{issuer} issues from now on. The record is {record}; print {record.with_suffix('.txt')}."
    if authority in succeeded.handed_over:
        text += f" Restart {succeeded.handed_over[authority]}."
    answer(as_json, facts | certificate_facts(succeeded.certificate_of(issuer)), text)


def token_place(module: Path | None, label: str | None, root_label: str | None) -> TokenPlace | None:
    """Where the keys are to be, by the options; None for files. Raises UsageError."""
    if module is None and label is None and root_label is None:
        return None
    if module is None or label is None:
        raise click.UsageError("a token is named by --pkcs11-module and --token together")
    return TokenPlace(module=module.absolute(), label=label, root_label=root_label or label)


def _default_id(directory: Path) -> str:
    found = re.sub(r"[^a-z0-9]+", "-", directory.absolute().name.lower()).strip("-")[:32]
    if not found:
        raise SchemeInvalid(f"{directory} makes no id for a scheme; give --scheme-id")
    return found


COMMANDS = (init, rollover)
