"""Staff of a council, each signed in."""

from collections.abc import Callable

import pytest

from cardservice.staff.roles import Role
from tests.cardservice.staff.browsing import Browsing, signed_in
from tests.cardservice.staff.people import add
from tests.support.council import Council

Come = Callable[..., Browsing]


@pytest.fixture
def come(council: Council) -> Come:
    """Somebody with these roles, signed in; Ann is the administrator whom each scheme has first."""
    add(council.context, "ann", Role.ADMINISTRATOR)

    def come(name: str, *roles: Role, provider: str | None = None) -> Browsing:
        if name != "ann":
            add(council.context, name, *roles, provider=provider)
        return signed_in(council, name)

    return come
