"""Who of those that join a school is known already: by a unique pupil number, or by name and date of birth.

Nobody is taken for somebody else by a program: whoever imports decides, pupil by pupil or for all at once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from sqlalchemy import Connection, select

from cardservice.cardholders.finding import index_versions
from cardservice.cardholders.models import cardholder_token
from cardservice.cardholders.records import read_many
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.tokens import Wanted, upn_of, upn_token, wanted_tokens, words
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId
from cardservice.ledger.key_ring import KeyRing
from cardservice.pupils.reading import Pupil

_AT_ONCE = 200
_COMPARED = (Field.NAME, Field.BORN_ON, Field.PUPIL)


@dataclass(frozen=True, slots=True)
class Recognised:
    """That a pupil who joins may be somebody who has a record."""

    line: int
    number: str
    candidates: tuple[CardholderId, ...]


@dataclass(frozen=True, slots=True)
class Decisions:
    """What whoever imports says of those, by number: the same person, and who of several; or somebody new."""

    same: Mapping[str, CardholderId | None] = field(default_factory=lambda: MappingProxyType({}))
    new: frozenset[str] = frozenset()
    # Each of whom there is one candidate is that one.
    all_same: bool = False

    def of(self, found: Recognised) -> CardholderId | bool | None:
        """Who this is; False: somebody new; None: it is not decided. Raises OrderInvalid."""
        if found.number in self.new:
            return False
        chosen = self.same.get(found.number)
        if chosen is not None and chosen not in found.candidates:
            raise OrderInvalid(f"{found.number} is not recognised as {chosen}; see the dry run")
        decided = chosen is not None or found.number in self.same or self.all_same
        if not decided or (chosen is None and len(found.candidates) > 1):
            return None
        return chosen or found.candidates[0]

    def require_known(self, found: Collection[Recognised]) -> None:
        """Raises OrderInvalid where something is decided of a number that nobody asks about."""
        if unasked := sorted({*self.same, *self.new} - {each.number for each in found}):
            raise OrderInvalid(f"{unasked[0][:40]!r} is no number of a pupil who joins and may be known")


def recognise(
    connection: Connection, kek: KeyRing, pupils: Sequence[Pupil], excluded: Collection[CardholderId]
) -> dict[str, Recognised]:
    """Those of these pupils who may have a record, by number; `excluded` are others for sure."""
    found: dict[str, Recognised] = {}
    for first in range(0, len(pupils), _AT_ONCE):
        some = pupils[first : first + _AT_ONCE]
        for pupil, holders in _candidates(connection, kek, some).items():
            if candidates := tuple(sorted(holders - set(excluded))):
                found[pupil.number] = Recognised(pupil.line, pupil.number, candidates)
    return found


def _candidates(
    connection: Connection, kek: KeyRing, pupils: Sequence[Pupil]
) -> dict[Pupil, set[CardholderId]]:
    """Who has the tokens of each, and then fits in clear."""
    maybe: dict[Pupil, set[CardholderId]] = defaultdict(set)
    for version in index_versions(connection):
        key = kek.key(version)
        of_two = {pupil: _two_tokens(key, pupil) for pupil in pupils}
        having = _having(connection, of_two.values())
        numbers = {pupil: upn_token(key, upn) for pupil in pupils if (upn := upn_of(pupil.number))}
        numbered = _with_token(connection, numbers.values())
        for pupil in pupils:
            maybe[pupil] |= having.get(of_two[pupil], set())
            if pupil in numbers:
                maybe[pupil] |= numbered.get(numbers[pupil], set())
    everybody = set().union(*maybe.values())
    known = read_many(connection, kek, everybody, _COMPARED)
    return {
        pupil: {holder for holder in holders if holder in known and _is_same(pupil, known[holder])}
        for pupil, holders in maybe.items()
    }


def _two_tokens(key: bytes, pupil: Pupil) -> frozenset[bytes]:
    """Of the date of birth and of the longest word of the name, which fewest others share."""
    word = max(words(pupil.name), key=len, default=pupil.name)
    return wanted_tokens(key, Wanted(word, born_on=pupil.born_on.isoformat()))


def _having(
    connection: Connection, wanted: Iterable[frozenset[bytes]]
) -> dict[frozenset[bytes], set[CardholderId]]:
    """Who has both tokens of each pair, in one statement for all pairs."""
    pairs = {pair for pair in wanted if len(pair) == 2}
    single = sorted(frozenset[bytes]().union(*pairs))
    first, second = cardholder_token.alias(), cardholder_token.alias()
    rows = connection.execute(
        select(first.c.cardholder_id, first.c.token, second.c.token.label("other"))
        .join(second, first.c.cardholder_id == second.c.cardholder_id)
        .where(first.c.token.in_(single), second.c.token.in_(single), first.c.token < second.c.token)
    )
    found: dict[frozenset[bytes], set[CardholderId]] = defaultdict(set)
    for row in rows:
        if (pair := frozenset((bytes(row.token), bytes(row.other)))) in pairs:
            found[pair].add(CardholderId(row.cardholder_id))
    return found


def _with_token(connection: Connection, wanted: Iterable[bytes]) -> dict[bytes, set[CardholderId]]:
    own = cardholder_token.c
    rows = connection.execute(select(own.token, own.cardholder_id).where(own.token.in_(sorted(wanted))))
    found: dict[bytes, set[CardholderId]] = defaultdict(set)
    for row in rows:
        found[bytes(row.token)].add(CardholderId(row.cardholder_id))
    return found


def _is_same(pupil: Pupil, known: Mapping[Field, object]) -> bool:
    """The same unique number; or the same words of the name, in any order, and date of birth."""
    of_school = known.get(Field.PUPIL)
    number = of_school.get("number") if isinstance(of_school, dict) else None
    if upn_of(pupil.number) is not None and number == pupil.number:
        return True
    same_name = set(words(str(known.get(Field.NAME, "")))) == set(words(pupil.name))
    return same_name and known.get(Field.BORN_ON) == pupil.born_on.isoformat()
