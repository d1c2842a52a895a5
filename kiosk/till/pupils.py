"""Who stands at the till: remembered while their card is there, so that their record is read once a tap.

Each question to the service is noted in its audit log as a read of a person's record; the photo is asked
for by the page in a second request, which must not make a second note. Nothing is written anywhere.
"""

import base64
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from kiosk.agent import AgentAway, AgentClient, Event

KEPT_PUPILS = 4
# As long as the agent keeps a tap that nobody asks about
LIFETIME_S = 600.0
# ISO/IEC 10918-1, B.1.1.3: start of image
_JPEG_START = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class Pupil:
    """What the till shows of a person."""

    name: str
    form: str | None
    allergens: tuple[str, ...]
    photo: bytes | None
    as_of: str
    is_offline: bool

    def to_json(self) -> Mapping[str, object]:
        """For the page, which fetches the photo by itself."""
        return {
            "name": self.name,
            "form": self.form,
            "allergens": list(self.allergens),
            "has_photo": self.photo is not None,
            "as_of": self.as_of,
            "offline": self.is_offline,
        }


@dataclass(slots=True)
class _Place:
    """A tap's place: who asks first fills it, the others wait."""

    since: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    pupil: Pupil | None = None


class Pupils:
    """The pupils of the living taps, for any number of threads."""

    def __init__(self, agent: AgentClient, seconds: Callable[[], float] = monotonic) -> None:
        self._agent, self._seconds = agent, seconds
        self._lock = threading.Lock()
        self._places: OrderedDict[str, _Place] = OrderedDict()

    def find(self, tap: str) -> Pupil:
        """The pupil of a tap. Raises AgentAway, AgentProblem."""
        place = self._place(tap)
        with place.lock:
            if place.pupil is None:
                place.pupil = _pupil(self._agent.holder(tap))
            return place.pupil

    def photo(self, tap: str) -> bytes | None:
        """The photo of a pupil who was asked for before."""
        with self._lock:
            place = self._places.get(tap)
        return None if place is None or place.pupil is None else place.pupil.photo

    def notice(self, event: Event) -> None:
        """Forget whose card is gone."""
        match event.kind:
            case "card.removed":
                with self._lock:
                    self._places.pop(str(event.fields.get("tap")), None)
            case "agent.lost":
                with self._lock:
                    self._places.clear()

    def _place(self, tap: str) -> _Place:
        now = self._seconds()
        with self._lock:
            for old in [key for key, place in self._places.items() if now - place.since > LIFETIME_S]:
                del self._places[old]
            place = self._places.setdefault(tap, _Place(now))
            while len(self._places) > KEPT_PUPILS:
                self._places.popitem(last=False)
            return place


def _pupil(holder: Mapping[str, Any]) -> Pupil:
    """Raises AgentAway for what is not as documented."""
    try:
        return Pupil(
            str(holder["name"]),
            None if holder["form"] is None else str(holder["form"]),
            tuple(str(allergen) for allergen in holder["allergens"]),
            _photo(holder["photo"]),
            str(holder["as_of"]),
            bool(holder["offline"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AgentAway("not a holder", was_sent=True) from error


def _photo(text: str | None) -> bytes | None:
    if text is None:
        return None
    photo = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return photo if photo.startswith(_JPEG_START) else None
