"""What the commands of `pki` share: options, passphrases, what is said on failure, and an answer's forms."""

import getpass
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, wraps
from pathlib import Path
from typing import Any

import click
from cryptography import x509

from pki.clock import clock_from_environment, require_aware
from pki.commands.custodians import ROOT_PASSPHRASE_VARIABLE, RootSecret
from pki.errors import PkiError
from pki.keys import passphrase_from
from pki.scheme import Scheme, open_scheme
from pki.store import IssuedCertificate

PASSPHRASE_VARIABLE = "PKI_PASSPHRASE"  # noqa: S105 -- the name of a variable

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

EXIT_STATUS = (
    "Exit status: 0 done; 1 it could not be done, or what was checked does not hold: a sentence on standard "
    "error says what; 2 a wrong call."
)

Command = Callable[..., None]

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
directory_argument = click.argument("directory", metavar="DIR", type=FOLDER)


def passphrase_options(command: Command) -> Command:
    """The files that passphrases are read from; never the passphrases themselves."""
    own = click.option(
        "--passphrase-file",
        type=FILE,
        help=f"The keys' passphrase, or their token's PIN. Else ${PASSPHRASE_VARIABLE}, else you are asked.",
    )
    root = click.option(
        "--root-passphrase-file",
        type=FILE,
        help=f"The root's, if it has its own. Else ${ROOT_PASSPHRASE_VARIABLE}, else the same.",
    )
    return own(root(command))


def custodian_option(command: Command) -> Command:
    """The files of those who keep the root's key together."""
    return click.option(
        "--custodian-file",
        "custodian_files",
        metavar="NAME=FILE",
        multiple=True,
        help="Where a custodian's passphrase is; several. Else they are asked, if the root has custodians.",
    )(command)


def speaking(command: Command) -> Command:
    """What goes wrong becomes one sentence on stderr and exit status 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (PkiError, OSError) as error:
            click.echo(f"{click.get_current_context().command_path}: {error}", err=True)
            sys.exit(1)

    return wrapped


def on_scheme(command: Command) -> Command:
    """A command on the scheme in DIR whose keys it needs: called with the open `scheme`.

    Passphrases are asked for when a key is first used, and no sooner.
    """

    @wraps(command)
    def wrapped(
        directory: Path,
        passphrase_file: Path | None,
        root_passphrase_file: Path | None,
        custodian_files: tuple[str, ...],
        **kwargs: Any,
    ) -> None:
        own, root = secrets_of(directory, passphrase_file, root_passphrase_file, custodian_files)
        command(scheme=open_scheme(directory, own, root, actor()), **kwargs)

    return directory_argument(passphrase_options(custodian_option(json_option(speaking(wrapped)))))


def secrets_of(
    directory: Path, file: Path | None, root_file: Path | None, custodian_files: Sequence[str]
) -> tuple[Callable[[], bytes], RootSecret]:
    """What asks for the passphrase of the issuing authorities' keys, and for that of the root's."""
    own = cache(lambda: own_passphrase(file, confirm=False))
    return own, RootSecret(directory, own, root_file, custodian_files)


def own_passphrase(file: Path | None, *, confirm: bool) -> bytes:
    """The passphrase of the issuing authorities' keys, or their token's PIN. Raises PassphraseMissing."""

    def ask() -> str:
        return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))

    return passphrase_from(file, PASSPHRASE_VARIABLE, ask if sys.stdin.isatty() else None)


def open_without_keys(directory: Path) -> Scheme:
    """The scheme in DIR for what needs no passphrase."""
    return open_scheme(directory, b"no key is read")


def actor() -> str:
    """Who gives the command, as the trail names them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def examples(*lines: str) -> str:
    """The end of a command's help, with what its exit statuses mean."""
    shown = "\n".join(f"  {line}" for line in lines)
    return f"\b\nExamples:\n{shown}\n\n{EXIT_STATUS}"


def answer(as_json: bool, facts: dict[str, Any], text: str) -> None:
    """Print the facts for a script, or the text for a person."""
    click.echo(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else text)


def now() -> datetime:
    """The present moment."""
    try:
        return clock_from_environment()()
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def parse_time(text: str) -> datetime:
    """RFC 3339. Raises BadParameter."""
    try:
        return require_aware(datetime.fromisoformat(text))
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is not a time with its zone, such as 2026-11-24T08:15:00Z"
        ) from error


def parse_serial(text: str) -> int:
    """Hexadecimal, with or without the colons of openssl. Raises BadParameter."""
    try:
        return int(text.replace(":", ""), 16)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a serial number in hexadecimal") from error


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def certificate_facts(certificate: x509.Certificate) -> dict[str, Any]:
    """What is told of a certificate."""
    return {
        "serial": f"{certificate.serial_number:x}",
        "subject": certificate.subject.rfc4514_string(),
        "not_before": time_text(certificate.not_valid_before_utc),
        "not_after": time_text(certificate.not_valid_after_utc),
    }


def record_facts(issued: IssuedCertificate) -> dict[str, Any]:
    """What is told of a record."""
    return {
        "authority": issued.authority,
        "serial": f"{issued.serial:x}",
        "profile": issued.profile,
        "identity": issued.identity,
        "not_before": time_text(issued.not_before),
        "not_after": time_text(issued.not_after),
        "revoked_at": None if issued.revoked_at is None else time_text(issued.revoked_at),
        "reason": issued.reason,
    }
