"""How the root's secret comes to a command: from one passphrase, or from several people's together."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from pki.ceremony import custody_of
from pki.custody import custodians, join
from pki.errors import PassphraseMissing
from pki.keys import passphrase_from

ROOT_PASSPHRASE_VARIABLE = "PKI_ROOT_PASSPHRASE"  # noqa: S105 -- the name of a variable
# No passphrase of a custodian comes from the environment: several people's would lie there together.
_NO_VARIABLE = "PKI_NO_SUCH_VARIABLE"


class RootSecret:
    """Asks for what opens the root's key when it is first needed; `present` says who has given it."""

    def __init__(
        self,
        directory: Path,
        own: Callable[[], bytes],
        root_file: Path | None,
        custodian_files: Sequence[str],
    ) -> None:
        self._directory = directory
        self._own = own
        self._root_file = root_file
        self._custodian_files = custodian_files
        self.present: tuple[str, ...] = ()

    def __call__(self) -> bytes:
        """The passphrase of the root's key. Raises PassphraseMissing and CustodyRefused."""
        custody = custody_of(self._directory)
        if custody is None:
            if self._root_file is None and ROOT_PASSPHRASE_VARIABLE not in os.environ:
                return self._own()
            return passphrase_from(self._root_file, ROOT_PASSPHRASE_VARIABLE)
        given = custodian_passphrases(self._custodian_files)
        names, needed = custodians(custody)
        if not given and sys.stdin.isatty():
            click.echo(f"The root's key is opened by {needed} of {', '.join(names)}.", err=True)
            while len(given) < needed:
                name = click.prompt(
                    "Custodian", type=click.Choice([n for n in names if n not in given]), err=True
                )
                given[name] = _ask(name, confirm=False)
        secret = join(custody, given)
        self.present = tuple(sorted(given))
        return secret


def custodian_passphrases(files: Sequence[str]) -> dict[str, bytes]:
    """By name, from options NAME=FILE. Raises PassphraseMissing, and BadParameter for another form."""
    given: dict[str, bytes] = {}
    for option in files:
        name, separator, path = option.partition("=")
        if not separator or not name or not path:
            raise click.BadParameter(f"{option!r} is not NAME=FILE")
        if name in given:
            raise click.BadParameter(f"{name} is named twice")
        given[name] = passphrase_from(Path(path), _NO_VARIABLE)
    return given


def new_custodians(names: Sequence[str], files: Sequence[str]) -> dict[str, bytes]:
    """The passphrases of people who will keep a root's key: from files, else each is asked twice."""
    given = custodian_passphrases(files)
    for name in names:
        if name not in given:
            if not sys.stdin.isatty():
                raise PassphraseMissing(f'no passphrase of {name}: give --custodian-file "{name}=FILE"')
            given[name] = _ask(name, confirm=True)
    return given


def _ask(name: str, *, confirm: bool) -> bytes:
    prompt = f"Passphrase of {name}"
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)).encode()
