"""Who may have which kind of card, and what proofs let a card say of them. Pure rules; all of it ours."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

CITIZEN, YOUNG, VISITOR = "citizen", "young-citizen", "visitor"

# What staff can have seen, and what it shows.
PROOFS: Mapping[str, str] = {
    "identity": "who this person is and when they were born",
    "residence": "that they live here",
    "student": "that they study",
    "older": "that they have a concession for age",
    "disability": "that they have a concession for a disability",
    "companion": "that somebody may go with them",
}
# What the card then says (`pki.statements.predicates`). Identity alone says nothing but an age.
STATED_BY: Mapping[str, str] = {
    "residence": "resident",
    "student": "student",
    "older": "concession:older",
    "disability": "concession:disabled",
    "companion": "companion",
}
NEEDED: Mapping[str, tuple[str, ...]] = {
    CITIZEN: ("identity", "residence"),
    YOUNG: ("identity", "residence"),
    VISITOR: ("identity",),
}
# What prices go by, of those who had no card before.
CATEGORY_OF: Mapping[str, str] = {CITIZEN: "adult", YOUNG: "young", VISITOR: "adult"}
APPLICANT, DECEASED = "applicant", "deceased"
LONGEST_VISIT = timedelta(days=366)
_OF_AGE = 18


@dataclass(frozen=True, slots=True)
class Ages:
    """From which age somebody has a young citizen's card, and from which a citizen's."""

    young: int
    adult: int


@dataclass(frozen=True, slots=True)
class Visit:
    """The first and the last day of a visitor's card."""

    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of somebody who is to have a card."""

    born_on: date | None
    # The kinds of proof that stand, each with the first day on which it counts no more
    proofs: Mapping[str, date | None]
    flags: Collection[str] = ()

    def counts(self, kind: str, day: date) -> bool:
        """Whether there is a proof of this kind that counts on a day."""
        review_on = self.proofs.get(kind)
        return kind in self.proofs and (review_on is None or day < review_on)


def age_on(born_on: date, day: date) -> int:
    """Years; who was born on a 29th of February is a year older on the 1st of March."""
    return day.year - born_on.year - ((day.month, day.day) < (born_on.month, born_on.day))


def missing(kind: str, known: Known, ages: Ages, day: date, visit: Visit | None = None) -> tuple[str, ...]:
    """All that stands against a card of this kind on a day, in words; nothing: it can be had."""
    return tuple(_missing(kind, known, ages, day, visit))


def _missing(kind: str, known: Known, ages: Ages, day: date, visit: Visit | None) -> Iterator[str]:
    if DECEASED in known.flags:
        yield "this person has died"
    for needed in NEEDED[kind]:
        if not known.counts(needed, day):
            yield f"no proof of {needed} counts"
    if visit is not None and visit.last_day < day:
        yield "the visit is over"
    if kind != VISITOR:
        yield from _of_another_age(kind, known.born_on, ages, day)


def _of_another_age(kind: str, born_on: date | None, ages: Ages, day: date) -> Iterator[str]:
    if born_on is None:
        yield "no date of birth is noted"
        return
    age = age_on(born_on, day)
    if kind == CITIZEN and age < ages.adult:
        yield f"a citizen's card is had from the age of {ages.adult}"
    if kind == YOUNG and not ages.young <= age < ages.adult:
        yield f"a young citizen's card is had from the age of {ages.young} until that of {ages.adult}"


def stated(known: Known, ages: Ages, day: date) -> dict[str, date | None]:
    """What a card may say of its holder, each with the first day on which it holds no more."""
    said: dict[str, date | None] = {
        predicate: known.proofs[kind] for kind, predicate in STATED_BY.items() if known.counts(kind, day)
    }
    if known.born_on is not None and known.counts("identity", day):
        age = age_on(known.born_on, day)
        said.update({f"age_over_{each}": None for each in sorted({ages.adult, _OF_AGE}) if age >= each})
    return said
