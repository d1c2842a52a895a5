"""What is charged without the service: by a quote, by a catalogue, by the fresher word where both speak."""

from datetime import UTC, datetime, timedelta

import pytest

from reader_agent.catalogues import Catalogue, Item, Period, Section, StoredCatalogue
from reader_agent.offline_prices import MAX_LINES, MAX_QUANTITY, Said, offline_price, price_by
from reader_agent.service_client import Price

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 6, 16, tzinfo=UTC)
END = MIDNIGHT + timedelta(hours=12)
SECOND = timedelta(seconds=1)


def item(key: str, amount_minor: int) -> Item:
    """Something on a key."""
    return Item(key, key.title(), "main", amount_minor, (), ())


TODAY = Period(NOON, MIDNIGHT, (Section("lunch", "Lunch", (item("pasta", 260), item("water", 0))),))
TOMORROW = Period(MIDNIGHT, END, (Section("lunch", "Lunch", (item("pasta", 270), item("curry", 300))),))


def catalogue(limit_minor: int | None = 1000, version: str = "one") -> Catalogue:
    """Two days."""
    return Catalogue("meals", "sale", version, "GBP", END, limit_minor, (TODAY, TOMORROW))


def basket(*lines: tuple[str, int], section: str = "lunch") -> dict[str, object]:
    """So many of each."""
    return {"service": section, "items": [{"item": key, "quantity": number} for key, number in lines]}


@pytest.mark.parametrize(
    ("details", "moment", "amount_minor"),
    [
        (basket(("pasta", 1)), NOON, 260),
        (basket(("pasta", 2), ("water", 1)), NOON, 520),
        (basket(("pasta", 1), ("pasta", 2)), NOON, 780),
        (basket(("water", MAX_QUANTITY)), NOON, 0),
        (basket(*[("water", 1)] * MAX_LINES), NOON, 0),
        # By the period that contains the moment, and no other
        (basket(("pasta", 1)), MIDNIGHT - SECOND, 260),
        (basket(("pasta", 1)), MIDNIGHT, 270),
        (basket(("water", 1)), MIDNIGHT, None),
        (basket(("curry", 1)), NOON, None),
        (basket(("curry", 1)), END - SECOND, 300),
        (basket(("curry", 1)), END, None),
        # The service's clock may be a little ahead; a day ahead it says nothing.
        (basket(("pasta", 1)), NOON - 30 * SECOND, 260),
        (basket(("pasta", 1)), NOON - 31 * SECOND, None),
        # Nothing but the documented shape
        (basket(), NOON, None),
        (basket(("pasta", 1), section="breakfast"), NOON, None),
        (basket(("pasta", 0)), NOON, None),
        (basket(("pasta", -1)), NOON, None),
        (basket(("pasta", MAX_QUANTITY + 1)), NOON, None),
        (basket(*[("water", 1)] * (MAX_LINES + 1)), NOON, None),
        (basket(("pasta", True)), NOON, None),
        (basket(("pasta", 1), ("cake", 1)), NOON, None),
        ({**basket(("pasta", 1)), "note": "hot"}, NOON, None),
        ({"service": "lunch"}, NOON, None),
        ({"service": ["lunch"], "items": [{"item": "pasta", "quantity": 1}]}, NOON, None),
        ({"service": "lunch", "items": {"item": "pasta", "quantity": 1}}, NOON, None),
        ({"service": "lunch", "items": ["pasta"]}, NOON, None),
        ({"service": "lunch", "items": [{"item": "pasta"}]}, NOON, None),
        ({"service": "lunch", "items": [{"item": ["pasta"], "quantity": 1}]}, NOON, None),
        ({"service": "lunch", "items": [{"item": "pasta", "quantity": 1, "price": 1}]}, NOON, None),
        ({"service": "lunch", "items": [{"item": "pasta", "quantity": "1"}]}, NOON, None),
    ],
)
def test_a_basket(details: dict[str, object], moment: datetime, amount_minor: int | None) -> None:
    """The sum of its lines at that moment, or nothing."""
    price = price_by(catalogue(), "sale", details, moment)
    assert (None if price is None else price.amount_minor) == amount_minor


@pytest.mark.parametrize(
    ("limit_minor", "may"), [(None, False), (0, False), (519, False), (520, True)], ids=str
)
def test_the_limit_of_a_terminal(limit_minor: int | None, may: bool) -> None:
    """Two meals are 5.20."""
    price = price_by(catalogue(limit_minor), "sale", basket(("pasta", 2)), NOON)
    assert (price is not None) is may


def test_a_price_says_where_it_is_from() -> None:
    """Currency and tariff of the catalogue, until the period ends."""
    assert price_by(catalogue(), "sale", basket(("pasta", 1)), NOON) == Price(260, "GBP", "one", MIDNIGHT)
    assert price_by(catalogue(), "refund", basket(("pasta", 1)), NOON) is None


OLDER, SAME, NEWER = NOON - SECOND, NOON, NOON + SECOND
LATER = NOON + timedelta(hours=1)
QUOTED, OF_THE_NEXT_TARIFF = Price(250, "GBP", "one", END), Price(280, "GBP", "two", END)
ENDED = Price(250, "GBP", "one", LATER)


@pytest.mark.parametrize(
    ("said", "is_stored", "moment", "amount_minor"),
    [
        (None, False, LATER, None),
        (Said(QUOTED, OLDER), False, LATER, 250),
        (Said(None, OLDER), False, LATER, None),
        (None, True, LATER, 260),
        # Both speak: the fresher, whichever tariff it is of.
        (Said(QUOTED, OLDER), True, LATER, 260),
        (Said(QUOTED, SAME), True, LATER, 250),
        (Said(OF_THE_NEXT_TARIFF, NEWER), True, LATER, 280),
        (Said(OF_THE_NEXT_TARIFF, OLDER), True, LATER, 260),
        # A refusal is a word, too.
        (Said(None, NEWER), True, LATER, None),
        (Said(None, OLDER), True, LATER, 260),
        # What has ended says nothing: not the quote (its last moment is before its end), not the catalogue.
        (Said(ENDED, NEWER), True, LATER, 260),
        (Said(ENDED, NEWER), True, LATER - SECOND, 250),
        (Said(Price(250, "GBP", "one", END + 2 * SECOND), OLDER), True, END, 250),
        (Said(QUOTED, NEWER), True, END, None),
    ],
)
def test_the_fresher_word_counts(
    said: Said | None, is_stored: bool, moment: datetime, amount_minor: int | None
) -> None:
    """A quote said this, the catalogue of noon says 2.60; what is charged at a moment."""
    stored = StoredCatalogue(catalogue(), NOON) if is_stored else None
    price = offline_price(said, stored, "sale", basket(("pasta", 1)), moment)
    assert (None if price is None else price.amount_minor) == amount_minor


def test_a_fresher_catalogue_ends_what_is_not_in_it() -> None:
    """Quoted yesterday, off the menu today: not sold. Of another action it says nothing."""
    stored = StoredCatalogue(catalogue(), NOON)
    assert offline_price(Said(QUOTED, OLDER), stored, "sale", basket(("cake", 1)), LATER) is None
    assert offline_price(Said(QUOTED, OLDER), stored, "refund", basket(("cake", 1)), LATER) == QUOTED
