"""The library of the circulation's tests, with accounts and an open port."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cardservice.sip2.accounts import Account, add_account
from cardservice.sip2.profiles import Profile
from cardservice.sip2.server import Limits
from cardservice.sip2.serving import SessionMaker
from tests.cardservice.circulation.conftest import Town, town
from tests.cardservice.sip2.acs import Acs, Machine, serving

__all__ = ["town"]
LIMITS = Limits(connections=250, strangers=20, login_s=600.0, message_s=600.0, threads=2)


@dataclass(slots=True)
class Desk:
    """A port over a library."""

    town: Town
    acs: Acs
    passwords: dict[str, str]

    def account(self, name: str, profile: Profile, place: str = "central") -> str:
        """A new account's password."""
        new = Account(name, "tmkodb", place, profile)
        self.passwords[name] = add_account(self.town.context, self.town.pins, new, actor="test")
        return self.passwords[name]

    def machine(self, name: str = "kiosk") -> Machine:
        """A machine that has logged in."""
        made = Machine(self.acs.port)
        assert made.log_in(name, self.passwords[name]).fixed == ("1",)
        return made


@pytest.fixture
def desk(town: Town) -> Iterator[Desk]:
    """A self-check machine's account, and the port."""
    with serving(SessionMaker(town.context), LIMITS) as acs:
        made = Desk(town, acs, {})
        made.account("kiosk", Profile())
        yield made
