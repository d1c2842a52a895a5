"""A group of commands that are imported when they are called: each starts with what it needs, and no more."""

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group over `modules`: each command's name, and the module in which it is a variable.

    The variable is called like the command, with `_` for `-`, unless `MODULE:VARIABLE` says another. Help
    that lists the commands imports them all.
    """

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in order."""
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now; None if there is none."""
        where = self._modules.get(cmd_name)
        if where is None:
            return super().get_command(ctx, cmd_name)
        module, _, variable = where.partition(":")
        found = getattr(importlib.import_module(module), variable or cmd_name.replace("-", "_"))
        if not isinstance(found, click.Command):
            raise TypeError(f"{where} is no command")
        return found
