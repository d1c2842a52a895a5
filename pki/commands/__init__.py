"""The commands of `pki`, a module for each kind. What a module lists in COMMANDS is found by its folder."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

import click


def discover() -> Iterator[click.Command]:
    """Every command of this folder's modules."""
    for module in iter_modules(__path__, f"{__name__}."):
        yield from getattr(import_module(module.name), "COMMANDS", ())
