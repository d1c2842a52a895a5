"""For whom staff do something over HTTP: the person, or a guardian of theirs who may."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Connection

from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier
from cardservice.cardholders.asking import asked_of, asking, require_asker
from cardservice.cardholders.guardians import May
from cardservice.cardholders.service import require_cardholder
from cardservice.ids import CardholderId


def asked_by_field() -> Identifier:
    """Who asks for it, where that is said."""
    words = "who asks for it: this person, or a guardian, who needs the right to"
    return Identifier(load_default=None, allow_none=True, metadata={"description": words})


@contextmanager
def serving(holder: UUID, asked_by: UUID | None, may: May) -> Iterator[tuple[Connection, CardholderId]]:
    """A transaction about somebody, in which it was looked at who asks; what is refused is noted.

    Raises CardholderUnknown, and AskerRefused as `require_asker` does.
    """
    with asked_of(context(), actor(), holder) as connection:
        person = require_cardholder(connection, holder)
        if asked_by is not None:
            require_asker(connection, asking(context(), actor()), person, asked_by, may)
        yield connection, person
