"""Who is remembered, for how long, and how often the service is asked."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from reader_agent.daemon.errors import CardUnusable, RoleNotAllowed, Stopping
from reader_agent.daemon.holders import (
    KEPT_FOR,
    KEPT_HOLDERS,
    REFUSED_FOR,
    Holder,
    Holders,
    RememberedHolders,
)
from reader_agent.daemon.taps import Tap
from reader_agent.errors import ServiceUnreachable
from reader_agent.presentations import Presentation
from reader_agent.transport.slots import Slot
from tests.reader_agent.world import PUPIL, MovableClock, World

SECOND = timedelta(seconds=1)
AVA = Presentation("Ava Reed", "5B", ("milk",), None)


def a_tap() -> Tap:
    """A card has come."""
    return Tap(uuid4().hex, "Kiosk", Slot("Kiosk 00 00", True, 7, 0))


@dataclass(slots=True)
class Till:
    """The holders of a terminal, and what its keeper would say of the service."""

    world: World
    is_offline: bool = False
    holders: Holders = field(init=False)

    def __post_init__(self) -> None:
        self.holders = Holders(self.world.clock, lambda: self.is_offline)
        self.holders.start([self.world.agent.new_client()])

    def ask(self, card: UUID | None = None) -> Holder:
        """With a tap of its own."""
        return self.holders.ask(a_tap(), card or self.world.card).result(30)

    @property
    def asked(self) -> int:
        """How often the service was asked."""
        return self.world.service.paths.count("/v1/presentations")


@pytest.fixture
def till(world: World) -> Iterator[Till]:
    """The service knows the card's holder."""
    world.service.holders[world.card] = dict(PUPIL)
    made = Till(world)
    yield made
    made.holders.stop()


def test_holders_are_bounded() -> None:
    """The one that was used longest ago is forgotten."""
    remembered, now = RememberedHolders(), MovableClock()()
    cards = [uuid4() for _ in range(KEPT_HOLDERS + 1)]
    for card in cards[:-1]:
        remembered.keep(card, Holder(AVA, now, is_offline=False))
    assert remembered.find(cards[0], now) is not None
    remembered.keep(cards[-1], Holder(AVA, now, is_offline=False))
    assert len(remembered) == KEPT_HOLDERS
    assert remembered.find(cards[0], now) is not None
    assert remembered.find(cards[1], now) is None


@pytest.mark.parametrize(
    ("age", "is_known"), [(KEPT_FOR - SECOND, True), (KEPT_FOR, False), (-SECOND, False)], ids=str
)
def test_a_holder_is_remembered_for_a_day(till: Till, age: timedelta, is_known: bool) -> None:
    """Not a moment longer, and not by a clock that was set back."""
    said = till.ask()
    till.world.service.stop()
    till.world.clock.offset += age
    if not is_known:
        with pytest.raises(ServiceUnreachable):
            till.ask()
        return
    again = till.ask()
    assert (again.presentation, again.as_of, again.is_offline) == (said.presentation, said.as_of, True)


def test_a_day_ends_without_a_tap(till: Till) -> None:
    """The keeper's turns let go of them, too: nobody stays in memory over the holidays."""
    till.ask()
    till.world.clock.offset += KEPT_FOR
    till.holders.forget_old()
    assert len(till.holders._remembered) == 0


def test_nothing_names_the_card(till: Till) -> None:
    """Neither what is remembered nor its key, which another run makes anew; no `repr` shows a name."""
    holder = till.ask()
    card = till.world.card
    names = set(till.holders._remembered._holders)
    assert all(card.bytes not in name and len(name) == 32 for name in names)
    other = RememberedHolders()
    other.keep(card, holder)
    assert names.isdisjoint(other._holders)
    assert "Ava" not in repr(holder) + repr(holder.presentation)


def test_one_tap_asks_once(till: Till) -> None:
    """Ahead, by the face, and by the face again; another tap of the same card asks anew."""
    tap = a_tap()
    till.holders.card_read(tap, till.world.card)
    first = till.holders.asked(tap)
    assert first is not None
    assert first.result(30) is till.holders.ask(tap, till.world.card).result(30)
    assert till.asked == 1
    till.ask()
    assert till.asked == 2


def test_a_service_that_is_known_to_be_away_is_not_waited_for(till: Till) -> None:
    """What it said before is given at once; it is not asked."""
    till.ask()
    till.is_offline = True
    assert till.ask().is_offline
    with pytest.raises(ServiceUnreachable):
        till.ask(uuid4())
    assert till.asked == 1


def test_a_refused_terminal_asks_seldom(till: Till) -> None:
    """Not ahead any more; for a face after ten minutes, and then as before if it may."""
    till.ask()
    till.world.service.shows_holders = False
    for _ in range(2):
        with pytest.raises(RoleNotAllowed):
            till.ask()
    assert till.asked == 2
    assert len(till.holders._remembered) == 0
    till.world.service.shows_holders = True
    till.world.clock.offset += REFUSED_FOR
    ahead = a_tap()
    till.holders.card_read(ahead, till.world.card)
    assert till.holders.asked(ahead) is None
    assert till.ask().presentation.name == "Ava Reed"
    till.holders.card_read(ahead, till.world.card)
    assert till.holders.asked(ahead) is not None


def test_a_refused_card_is_forgotten(till: Till) -> None:
    """Revoked: not shown afterwards without the service either."""
    till.ask()
    till.world.service.holders[till.world.card] = "card_revoked"
    with pytest.raises(CardUnusable) as refused:
        till.ask()
    assert refused.value.reason == "card_revoked"
    till.is_offline = True
    with pytest.raises(ServiceUnreachable):
        till.ask()


def test_after_the_end_nobody_is_asked_for(till: Till) -> None:
    """And nobody is remembered."""
    till.ask()
    till.holders.stop()
    with pytest.raises(Stopping):
        till.ask()
    assert len(till.holders._remembered) == 0
