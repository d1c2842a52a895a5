"""`--asked-by`: for whom staff do something, where it is somebody's guardian who asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import click
from sqlalchemy import Connection

from cardservice.cardholders import asking
from cardservice.cardholders.asking import Asked, require_asker
from cardservice.cardholders.guardians import May
from cardservice.commands.common import actor, identifier
from cardservice.context import Context
from cardservice.ids import CardholderId

asked_by_option = click.option(
    "--asked-by",
    metavar="PERSON",
    help="Who asks for it: this person or a guardian, who needs the right to.",
)


def asked_here(context: Context) -> Asked:
    """Who is at the keyboard, now, by the rules of this scheme."""
    return asking.asking(context, actor())


@contextmanager
def asked_of(context: Context, holder: UUID) -> Iterator[Connection]:
    """A transaction about somebody, in which it is looked at who asks; what is refused is noted."""
    with asking.asked_of(context, actor(), holder) as connection:
        yield connection


def check_asker(
    context: Context, connection: Connection, holder: CardholderId, asked_by: str | None, may: May
) -> CardholderId | None:
    """Who asks, where that is said. Raises as `require_asker`."""
    if asked_by is None:
        return None
    return require_asker(connection, asked_here(context), holder, identifier(asked_by), may)
