"""Looking for people: by name, sound, date of birth or postcode; that each was seen is noted."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, Select, func, select, union

from cardservice.audit.service import record_all
from cardservice.cardholders.models import cardholder, cardholder_token
from cardservice.cardholders.records import FINDABLE, findable, read_many
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.tokens import LONGEST, Wanted, fits, has_whole, wanted_tokens, words
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId
from cardservice.ledger.key_ring import KeyRing

# Ours: who wants more than this sees too many people.
MAX_FOUND = 25
NARROW_DOWN = (
    "There are more than are shown, or may be: say more of the name, or add a date of birth or a postcode."
)
# Who are looked at in clear to find them: tokens leave nothing open but the ends of long words.
_MAX_READ, _MAX_READ_LONG = 200, 1000
_TO_CHOOSE = (Field.NAME,)


@dataclass(frozen=True, slots=True, repr=False)
class Found:
    """Somebody who may be meant; as little as tells them apart."""

    id: CardholderId
    name: str
    born_on: str | None
    postcode: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Search:
    """Who was found, who has the name word for word first, and whether there may be others.

    Nobody is left out without `more`: it stands wherever not everybody who fits is shown.
    """

    people: tuple[Found, ...]
    more: bool

    @property
    def hint(self) -> str | None:
        """What to do about others; None: there are none."""
        return NARROW_DOWN if self.more else None


def find(connection: Connection, kek: KeyRing, wanted: Wanted, *, actor: str, moment: datetime) -> Search:
    """Who fits, by name, at most MAX_FOUND; each of them is noted as seen. Raises OrderInvalid."""
    holders, is_cut = _candidates(connection, kek, wanted)
    # Of many who are found few are shown: of those alone all is read that is shown.
    is_few = len(holders) <= MAX_FOUND or wanted.postcode is not None
    names = read_many(connection, kek, holders, FINDABLE if is_few else _TO_CHOOSE)
    chosen = [
        (not has_whole(each, wanted), each.name.casefold(), holder)
        for holder, each in ((holder, findable(values)) for holder, values in names.items())
        # Whose address was protected under a key of before is in the index by it still.
        if fits(each, wanted) and (wanted.postcode is None or each.postcode is not None)
    ]
    shown = [holder for *_, holder in sorted(chosen)[:MAX_FOUND]]
    known = names if is_few else read_many(connection, kek, shown, FINDABLE)
    people = ((holder, findable(known[holder])) for holder in shown if holder in known)
    found = tuple(Found(holder, each.name, each.born_on, each.postcode) for holder, each in people)
    record_all(connection, actor, "cardholder.find", [each.id for each in found], moment)
    return Search(found, is_cut or len(chosen) > MAX_FOUND)


def having_all(
    connection: Connection,
    kek: KeyRing,
    tokens: Callable[[bytes], Collection[bytes]],
    limit: int | None = None,
) -> list[CardholderId]:
    """Who has each of the tokens that this makes of a key, under whichever version of it theirs are.

    While a new version takes the place of another, nobody is missed: all versions are asked for in one
    statement, and again where one has come meanwhile.
    """
    found: list[CardholderId] = []
    asked: set[int] = set()
    while new := set(index_versions(connection)) - asked:
        asked |= new
        wanted = union(*(_with_all(sorted(tokens(kek.key(version)))) for version in sorted(asked)))
        found = [CardholderId(row) for row in connection.scalars(wanted.limit(limit))]
    return found


def _candidates(connection: Connection, kek: KeyRing, wanted: Wanted) -> tuple[list[CardholderId], bool]:
    """Who may fit, first those who have the whole name; and whether there are others."""
    if not wanted_tokens(kek.key(kek.newest), wanted):
        raise OrderInvalid("say whom you look for: a name, a date of birth, a postcode")
    own = words(wanted.name or "")
    by_name = bool(own) and not wanted.sounds_like
    limit = _MAX_READ_LONG if by_name and any(len(word) > LONGEST for word in own) else _MAX_READ
    found: dict[CardholderId, None] = {}
    for whole in (True, False) if by_name else (False,):
        tokens = partial(wanted_tokens, wanted=wanted, whole=whole)
        found |= dict.fromkeys(having_all(connection, kek, tokens, limit + 1))
        if len(found) > limit:
            return list(found)[:limit], True
    return list(found), False


def _with_all(tokens: Sequence[bytes]) -> Select[UUID]:
    """Who has each of these tokens."""
    first, *others = tokens
    own = cardholder_token.alias()
    wanted = select(own.c.cardholder_id).where(own.c.token == first)
    for token in others:
        other = cardholder_token.alias()
        wanted = wanted.join(other, (other.c.cardholder_id == own.c.cardholder_id) & (other.c.token == token))
    return wanted


def index_versions(connection: Connection) -> Sequence[int]:
    """Under which versions of the key there are tokens: one, or more while they are made anew."""
    found, column = [0], cardholder.c.index_version
    # From one to the next by the index, however many people there are.
    while (after := connection.scalar(select(func.min(column)).where(column > found[-1]))) is not None:
        found.append(after)
    return found[1:]
