"""What somebody is found by without their name in the database: keyed hashes of words, sounds, dates.

A token says nothing without the key. Whoever has the tables alone sees which persons share one, and how many:
that somebody's name begins like those of many others, not how.
"""

import hmac
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import jellyfish
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# All ours. Beginnings of words from 3 to 8 characters, and the whole of each word, however long: who is asked
# for by their whole name is found by few tokens, whoever begins like them.
SHORTEST, LONGEST = 3, 8
TOKEN_BYTES = 16
_CONTEXT = b"citizen-card index\x00"
# England's unique pupil number: a check letter, 11 digits, and a digit or, of a temporary one, a letter
_UPN = re.compile(r"[A-Z]\d{11}[0-9A-Z]")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True, repr=False)
class Findable:
    """What a person is found by."""

    name: str
    # ISO 8601
    born_on: str | None = None
    postcode: str | None = None
    school: str | None = None
    # A unique pupil number, which goes with a pupil from school to school
    upn: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Wanted:
    """Whom somebody looks for: all of what is given must fit."""

    name: str | None = None
    # By the sound of the name's words, not by how they begin.
    sounds_like: bool = False
    born_on: str | None = None
    # A whole postcode, or its outward half.
    postcode: str | None = None


def tokens_of(key: bytes, known: Findable) -> frozenset[bytes]:
    """Every token that leads to somebody."""
    said = [f"begins {part}" for word in words(known.name) for part in _beginnings(word)]
    said += [f"whole {word}" for word in words(known.name)]
    said += [f"sounds {sound}" for word in words(known.name) if (sound := jellyfish.metaphone(word))]
    if known.born_on is not None:
        said.append(f"born {known.born_on}")
    if known.postcode is not None:
        whole = plain_postcode(known.postcode)
        # An inward half has three characters always.
        said += [f"postcode {whole}", f"postcode {whole[:-3]}"]
    if known.school is not None:
        said.append(f"school {known.school}")
    if known.upn is not None:
        said.append(f"upn {known.upn}")
    return frozenset(_tokens(key, said))


def school_token(key: bytes, school: str) -> bytes:
    """The token that all pupils of a school have."""
    return _tokens(key, [f"school {school}"])[0]


def upn_of(number: str) -> str | None:
    """What a school calls a pupil, if it is a unique pupil number and not the school's own."""
    return number if _UPN.fullmatch(number) else None


def upn_token(key: bytes, upn: str) -> bytes:
    """The token of whoever has this unique pupil number."""
    return _tokens(key, [f"upn {upn}"])[0]


def wanted_tokens(key: bytes, wanted: Wanted, *, whole: bool = False) -> frozenset[bytes]:
    """The tokens that somebody who is looked for must all have; none where too little is said.

    `whole`: who has the words of the name as they are given, not only words that begin so.
    """
    said: list[str] = []
    for word in words(wanted.name or ""):
        if wanted.sounds_like:
            said += [f"sounds {sound}"] if (sound := jellyfish.metaphone(word)) else []
        else:
            said.append(f"whole {word}" if whole else f"begins {word[:LONGEST]}")
    if wanted.born_on is not None:
        said.append(f"born {wanted.born_on}")
    if wanted.postcode is not None:
        said.append(f"postcode {plain_postcode(wanted.postcode)}")
    return frozenset(_tokens(key, said))


def fits(known: Findable, wanted: Wanted) -> bool:
    """Whether somebody is looked for: what tokens leave open is looked at in clear."""
    if wanted.name is None or wanted.sounds_like:
        return True
    own = words(known.name)
    return all(any(mine.startswith(word) for mine in own) for word in words(wanted.name))


def has_whole(known: Findable, wanted: Wanted) -> bool:
    """Whether the name that is looked for is in somebody's word for word."""
    return wanted.name is not None and set(words(wanted.name)) <= set(words(known.name))


def words(text: str) -> tuple[str, ...]:
    """The words of a name in small letters without accents, each once: `O'Neill-Peña` is o, neill, pena."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return tuple(dict.fromkeys(_WORD.findall(plain)))


def plain_postcode(text: str) -> str:
    """A postcode without spaces, in capitals."""
    return "".join(text.split()).upper()


def _beginnings(word: str) -> list[str]:
    """A short word is found as a whole alone."""
    return [word[:LONGEST]] + [word[:length] for length in range(SHORTEST, min(len(word), LONGEST))]


@lru_cache(maxsize=8)
def _derived(key: bytes) -> bytes:
    """For the versions of one key: kept in memory, as they are."""
    return HKDF(SHA256(), 32, salt=None, info=_CONTEXT).derive(key)


def _tokens(key: bytes, said: list[str]) -> list[bytes]:
    derived = _derived(key)
    return [hmac.digest(derived, each.encode(), sha256)[:TOKEN_BYTES] for each in said]
