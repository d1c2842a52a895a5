"""Catalogues and presentations as the service may answer them: read whole, or refused."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_agent.catalogues import MAX_AGE, MAX_ITEMS, Catalogue, StoredCatalogue, read_catalogue
from reader_agent.errors import ServiceAnswerInvalid
from reader_agent.presentations import MAX_PHOTO_BYTES, read_presentation
from reader_agent.wire import Document, to_base64url
from tests.reader_agent.card_service import Menu
from tests.reader_agent.world import LUNCH, PHOTO, PUPIL

MOMENT = datetime(2026, 6, 15, 12, tzinfo=UTC)
CARD = UUID("00000000-0000-4000-8000-000000000001")
DAY = timedelta(days=1)
PRESENTED: dict[str, Any] = {"card": str(CARD), **PUPIL}


def answer() -> dict[str, Any]:
    """A right one, of two days."""
    return copy.deepcopy(Menu(list(LUNCH), periods=(DAY, DAY)).answer("meals", MOMENT))


def read(value: object) -> Catalogue:
    """As the client does."""
    return read_catalogue(Document(value, "catalogue"), "meals")


def test_what_was_read_can_be_stored_and_read_again() -> None:
    """Word for word."""
    assert read(answer()).to_json() == answer()
    assert read(json.loads(json.dumps(read(answer()).to_json()))) == read(answer())


def first_item(value: dict[str, Any]) -> dict[str, Any]:
    """The first item of the first period."""
    found: dict[str, Any] = value["periods"][0]["sections"][0]["items"][0]
    return found


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: value.update(service="transport"),
        lambda value: value.update(currency="gbp"),
        lambda value: value.update(action=""),
        lambda value: value.update(action="sale\n"),
        lambda value: value.update(tariff_version="a\u0000"),
        lambda value: value.update(tariff_version="x" * 129),
        lambda value: value.update(offline_limit_minor=-1),
        lambda value: value.update(offline_limit_minor=True),
        lambda value: value.update(offline_limit_minor=10**15),
        lambda value: value.update(periods=[]),
        lambda value: value.update(periods=value["periods"] * 300),
        lambda value: value.update(periods=value["periods"][::-1]),
        lambda value: value.update(periods=value["periods"][:1]),
        lambda value: value["periods"][1].update(value["periods"][0]),
        lambda value: value["periods"][0].update(until=value["periods"][0]["from"]),
        lambda value: value["periods"][0].update(until="2026-06-16T11:59:59.999Z"),
        lambda value: value["periods"][0]["sections"].append(value["periods"][0]["sections"][0]),
        lambda value: value["periods"][0]["sections"][0]["items"].append(first_item(value)),
        lambda value: value["periods"][0]["sections"][0].update(items=[first_item(value)] * (MAX_ITEMS + 1)),
        lambda value: first_item(value).update(amount_minor=2.6),
        lambda value: first_item(value).update(amount_minor="260"),
        lambda value: first_item(value).update(amount_minor=-260),
        lambda value: first_item(value).update(label="Pasta\u202e"),
        lambda value: first_item(value).update(label=" " * 201),
        lambda value: first_item(value).update(key="Pasta"),
        lambda value: first_item(value).update(contains=None),
        lambda value: first_item(value).update(contains=["milk"] * 33),
        lambda value: first_item(value).update(may_contain=[["milk"]]),
    ],
)
def test_a_wrong_catalogue_is_refused(spoil: Callable[[dict[str, Any]], None]) -> None:
    """One thing is wrong with it: none of it is taken."""
    value = answer()
    read(value)
    spoil(value)
    with pytest.raises(ServiceAnswerInvalid):
        read(value)


@pytest.mark.parametrize(
    ("wrong", "is_refused"),
    [
        ({"name": "Zoë O'Neill-Łuk"}, False),
        ({"name": None}, True),
        ({"name": "x" * 201}, True),
        ({"card": "00000000-0000-4000-8000-000000000002"}, True),
        ({"allergens": ["lupin", "kiwi"]}, False),
        ({"allergens": ["Lupin"]}, True),
        ({"allergens": None}, True),
        ({"photo": to_base64url(PHOTO.ljust(MAX_PHOTO_BYTES, b"x"))}, False),
        ({"photo": to_base64url(PHOTO.ljust(MAX_PHOTO_BYTES + 1, b"x"))}, True),
        ({"photo": to_base64url(b"\x89PNG")}, True),
        ({"photo": "/9j="}, True),
        ({"form": ""}, True),
    ],
    ids=[str(number) for number in range(12)],
)
def test_a_presentation(wrong: dict[str, object], is_refused: bool) -> None:
    """Of another card, or not as documented: refused. An allergen that is unknown here is kept."""
    document = Document({**PRESENTED, **wrong}, "presentation")
    if is_refused:
        with pytest.raises(ServiceAnswerInvalid) as refused:
            read_presentation(document, CARD)
        assert "Ava" not in str(refused.value)
    else:
        assert "Ava" not in repr(read_presentation(document, CARD))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.data(), JSON)
def test_any_json_is_refused_or_read(data: st.DataObject, strange: object) -> None:
    """Something strange anywhere in an answer, or instead of it: never another error than the one."""
    for value, take in (
        (answer(), read),
        (copy.deepcopy(PRESENTED), lambda found: read_presentation(Document(found, "presentation"), CARD)),
    ):
        spoilt = put_somewhere(data, value, strange)
        try:
            found = take(spoilt)
        except ServiceAnswerInvalid:
            continue
        if isinstance(found, Catalogue):
            assert read(found.to_json()) == found
            found.period_at(MOMENT)
            StoredCatalogue(found, MOMENT).is_worn(MOMENT)


def put_somewhere(data: st.DataObject, value: Any, strange: object) -> Any:
    """The same value, with one of its parts replaced."""
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 3)) == 0:
        return strange
    key = data.draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
    value[key] = put_somewhere(data, value[key], strange)
    return value


@pytest.mark.parametrize(
    ("age", "is_worn"),
    [
        (timedelta(0), False),
        (MAX_AGE - timedelta(seconds=1), False),
        (MAX_AGE, True),
        # Set back: nobody can say how old it is.
        (-timedelta(seconds=1), True),
    ],
    ids=str,
)
def test_when_a_catalogue_is_asked_for_again(age: timedelta, is_worn: bool) -> None:
    """After four minutes at the latest."""
    assert StoredCatalogue(read(answer()), MOMENT).is_worn(MOMENT + age) is is_worn


@pytest.mark.parametrize(
    ("periods", "after_s", "is_worn"),
    [
        ((60, 60), 59, False),
        ((60, 60), 60, True),
        ((60, 600), 59, False),
        ((60, 600), 60, True),
        ((119,), 59, False),
        ((119,), 60, True),
    ],
)
def test_a_short_catalogue_is_asked_for_earlier(
    periods: tuple[int, ...], after_s: int, is_worn: bool
) -> None:
    """When half of its time has gone, and when another period has begun."""
    menu = Menu(list(LUNCH), periods=tuple(timedelta(seconds=length) for length in periods))
    stored = StoredCatalogue(read(menu.answer("meals", MOMENT)), MOMENT)
    assert stored.is_worn(MOMENT + timedelta(seconds=after_s)) is is_worn
