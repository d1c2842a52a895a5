"""What is noted of a cardholder: the sensitive parts apart, replaced as a whole, by one after the other."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest
from sqlalchemy import select

from cardservice.allergens import ALLERGENS
from cardservice.cardholders.models import record_field
from cardservice.cardholders.photos import MAX_BYTES
from cardservice.cardholders.service import (
    NewCardholder,
    Profile,
    profile_of,
    set_allergens,
    set_form,
    set_photo,
)
from cardservice.errors import CardholderUnknown, OrderInvalid, PhotoRefused
from cardservice.ids import CardholderId
from tests.support.council import ACTOR, Council, new_id


@pytest.fixture
def ava(council: Council) -> CardholderId:
    """Somebody with a form and an allergen."""
    return council.card("pupil", form="5B", allergens=["milk"]).holder


def profile(council: Council, holder: CardholderId) -> Profile:
    """The record as it is now."""
    with council.context.database.reading() as connection:
        return profile_of(connection, council.kek, holder)


def note(council: Council, holder: CardholderId, *allergens: str) -> None:
    """Note allergens in a transaction of their own."""
    with council.context.database.begin() as connection:
        set_allergens(
            connection,
            council.kek,
            holder,
            allergens,
            actor=ACTOR,
            moment=council.clock(),
        )


def test_every_allergen_can_be_noted(council: Council, ava: CardholderId) -> None:
    """All fourteen, told in the order of the law; one that is named twice is there once."""
    note(council, ava, *reversed(list(ALLERGENS)), "milk")
    assert profile(council, ava).allergens == tuple(ALLERGENS)
    note(council, ava)
    assert profile(council, ava).allergens == ()


def test_what_is_none_of_the_fourteen_is_refused(council: Council, ava: CardholderId) -> None:
    """In words, before anything is changed."""
    with pytest.raises(OrderInvalid, match="'strawberries' is none of the 14 allergens: gluten, "):
        note(council, ava, "eggs", "strawberries")
    assert profile(council, ava).allergens == ("milk",)


@pytest.mark.parametrize("form", ["5", "Reception", "Year 12 / Bio-2", "Löwen"])
def test_forms(council: Council, ava: CardholderId, form: str) -> None:
    """Whatever a school calls them."""
    with council.context.database.begin() as connection:
        set_form(connection, council.kek, ava, form, actor=ACTOR, moment=council.clock())
    assert profile(council, ava).form == form


@pytest.mark.parametrize(
    "form", ["", " ", "5B ", "the fifth form, B", "5\nB", "5\x1b[2J", "5\x00", "5\udc80"]
)
def test_forms_that_no_screen_should_show(council: Council, ava: CardholderId, form: str) -> None:
    """Refused in a sentence that can itself be printed."""
    with pytest.raises(OrderInvalid) as refused, council.context.database.begin() as connection:
        set_form(connection, council.kek, ava, form, actor=ACTOR, moment=council.clock())
    assert str(refused.value).isprintable()
    assert profile(council, ava).form == "5B"


@pytest.mark.parametrize("size", [0, MAX_BYTES + 1])
def test_photos_stay_small(council: Council, ava: CardholderId, size: int) -> None:
    """Whatever made them; the largest is taken by the table, too."""
    photo(council, ava, bytes(MAX_BYTES))
    with pytest.raises(PhotoRefused, match="up to 40000 bytes"):
        photo(council, ava, bytes(size))
    assert profile(council, ava).photo == bytes(MAX_BYTES)


def photo(council: Council, holder: CardholderId, jpeg: bytes) -> None:
    """Keep a photo in a transaction of its own."""
    with council.context.database.begin() as connection:
        set_photo(connection, council.kek, holder, jpeg, actor=ACTOR, moment=council.clock())


def test_two_who_note_at_once(council: Council, ava: CardholderId) -> None:
    """One after the other: what is there in the end is what one of them said, not half of each."""
    said = [("milk", "eggs"), ("eggs", "nuts"), ("nuts",), ("celery", "milk")] * 3
    with ThreadPoolExecutor(len(said)) as pool:
        list(pool.map(lambda allergens: note(council, ava, *allergens), said))
    found = set(profile(council, ava).allergens)
    assert found in [set(allergens) for allergens in said]


def test_of_what_nobody_has_there_is_no_row(council: Council, ava: CardholderId) -> None:
    """Each field stands by itself."""
    nobody = council.card().holder
    with council.context.database.reading() as connection:
        rows = connection.execute(select(record_field.c.cardholder_id, record_field.c.field)).all()
    of = {holder: {row.field for row in rows if row.cardholder_id == holder} for holder in (ava, nobody)}
    assert of == {ava: {"name", "form", "allergens"}, nobody: {"name"}}
    assert profile(council, nobody).allergens == ()


def test_nobody(council: Council) -> None:
    """There is no such record."""
    with pytest.raises(CardholderUnknown):
        profile(council, CardholderId(new_id()))


def test_what_is_known_of_a_person_is_not_printed_by_accident(council: Council, ava: CardholderId) -> None:
    """In a traceback or a log."""
    known = profile(council, ava)
    for value in (known, NewCardholder("Ava Reed", "pupil", "5B", ["milk"])):
        assert asdict(value)["form"] == "5B"
        assert [word for word in ("Ava", "Morgan", "5B", "milk") if word in repr(value)] == []
