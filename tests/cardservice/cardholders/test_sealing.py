"""A sealed field opens as what it was, for whom it was sealed, and nowhere else; tokens do not tell."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardservice.cardholders.errors import RecordUnreadable
from cardservice.cardholders.sealing import Field, RecordKey
from cardservice.cardholders.tokens import Findable, Wanted, fits, tokens_of, wanted_tokens, words
from cardservice.ids import CardholderId, KeyId, new_id, new_random_id
from cardservice.ledger.privacy import OpenKey

MOMENT = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
OWN, HOLDER = OpenKey(KeyId(new_random_id()), bytes(range(32))), CardholderId(new_id())
KEY = RecordKey(OWN, HOLDER)
INDEX = bytes(range(32, 64))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=5,
)


@given(value=JSON)
def test_what_is_sealed_opens(value: Any) -> None:
    """Whatever JSON can say; twice the same is never the same twice."""
    sealed = KEY.seal(Field.ADDRESS, value)
    assert KEY.open(Field.ADDRESS, sealed) == value
    assert KEY.seal(Field.ADDRESS, value) != sealed


@given(jpeg=st.binary(min_size=1))
def test_a_photo_is_bytes(jpeg: bytes) -> None:
    """As they are."""
    assert KEY.open(Field.PHOTO, KEY.seal(Field.PHOTO, jpeg)) == jpeg


@given(text=st.text("abcdefgh", max_size=60))
def test_a_length_tells_little(text: str) -> None:
    """Every name of up to 62 bytes takes as much."""
    assert len(KEY.seal(Field.NAME, text)) == 1 + 12 + 64 + 16


@given(place=st.integers(0, 92), bit=st.integers(0, 7))
def test_what_was_changed_does_not_open(place: int, bit: int) -> None:
    """Not by one bit, wherever."""
    sealed = bytearray(KEY.seal(Field.NAME, "Morgan Reed"))
    sealed[place] ^= 1 << bit
    with pytest.raises(RecordUnreadable):
        KEY.open(Field.NAME, bytes(sealed))


@pytest.mark.parametrize("length", [0, 1, 12, 13, 28, 92])
def test_what_was_cut_does_not_open(length: int) -> None:
    """An error of ours, whatever is missing."""
    with pytest.raises(RecordUnreadable):
        KEY.open(Field.NAME, KEY.seal(Field.NAME, "Morgan Reed")[:length])


def test_what_was_moved_does_not_open() -> None:
    """To another field, another person, or from under another key."""
    sealed = KEY.seal(Field.NAME, "Morgan Reed")
    other_key = OpenKey(OWN.id, bytes(32))
    for key, field in (
        (KEY, Field.FORM),
        (RecordKey(OWN, CardholderId(new_id())), Field.NAME),
        (RecordKey(other_key, HOLDER), Field.NAME),
        (RecordKey(OpenKey(KeyId(new_random_id()), OWN.key), HOLDER), Field.NAME),
    ):
        with pytest.raises(RecordUnreadable):
            key.open(field, sealed)


def found(known: Findable, wanted: Wanted) -> bool:
    """Whether one is found by the other, as the database does it."""
    return wanted_tokens(INDEX, wanted) <= tokens_of(INDEX, known) and fits(known, wanted)


CATHERINE = Findable("Catherine O'Neill-Peña", "2009-04-30", "AB12 3CD")


@pytest.mark.parametrize(
    ("wanted", "is_found"),
    [
        (Wanted("Catherine"), True),
        (Wanted("cat"), True),
        (Wanted("CATHER nei"), True),
        (Wanted("pena"), True),
        (Wanted("peña"), True),
        (Wanted("o'neill"), True),
        (Wanted("o"), True),
        (Wanted("ca"), False),  # too little to look for
        (Wanted("catherines"), False),
        (Wanted("catherinf"), False),  # alike in what the tables know of it
        (Wanted("atherine"), False),
        (Wanted("Kathryn", sounds_like=True), True),
        (Wanted("Kathryn Neal", sounds_like=True), True),
        (Wanted("Kathryn Smith", sounds_like=True), False),
        (Wanted("Kathryn"), False),
        (Wanted(born_on="2009-04-30"), True),
        (Wanted(born_on="2009-04-29"), False),
        (Wanted("cath", born_on="2009-04-30", postcode="ab12"), True),
        (Wanted("cath", born_on="2009-04-30", postcode="ab12 3cd"), True),
        (Wanted(postcode="AB1"), False),
        (Wanted("cath", postcode="AB12 3CE"), False),
    ],
)
def test_who_is_found(wanted: Wanted, is_found: bool) -> None:
    """By beginnings, by sound, by date and place; all of it must fit."""
    assert found(CATHERINE, wanted) is is_found


@given(name=st.text(max_size=40))
def test_everybody_is_found_by_each_word_of_their_name(name: str) -> None:
    """Whatever letters it has."""
    for word in words(name):
        assert found(Findable(name), Wanted(word))


def test_a_token_is_nothing_without_its_key() -> None:
    """Under another key the same person has other tokens, all of them."""
    assert tokens_of(INDEX, CATHERINE).isdisjoint(tokens_of(bytes(32), CATHERINE))
    assert {len(each) for each in tokens_of(INDEX, CATHERINE)} == {16}
    assert wanted_tokens(INDEX, Wanted("--")) == frozenset()
