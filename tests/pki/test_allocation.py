"""Places in the status list: drawn, never given twice, and telling nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pki.sqlite_store import SqliteCertificateStore
from pki.status_list import MAX_INDEXES, allocation
from pki.status_list.allocation import LIST_SIZE, free_index, free_indexes, place


def draws(*values: int) -> Iterator[int]:
    yield from values


def test_what_is_free_is_taken_as_drawn() -> None:
    drawn = draws(7, 7, 9)
    assert free_index(None, lambda index: index == 7, lambda _: next(drawn)) == 9


def test_what_is_drawn_is_of_the_whole_list() -> None:
    bounds = []

    def draw(size: int) -> int:
        bounds.append(size)
        return size - 1

    assert free_index(3, lambda _: False, draw) == LIST_SIZE - 1
    assert bounds == [LIST_SIZE]
    assert LIST_SIZE <= MAX_INDEXES


@pytest.mark.parametrize(
    ("highest", "first"),
    [(None, 0), (0, 0), (LIST_SIZE - 1, 0), (LIST_SIZE, LIST_SIZE), (5 * LIST_SIZE + 3, 5 * LIST_SIZE)],
)
def test_the_list_of_the_highest_place_is_filled(highest: int | None, first: int) -> None:
    assert free_index(highest, lambda _: False, lambda _: 17) == first + 17


def test_where_nothing_is_free_the_next_list_is_begun() -> None:
    asked: list[int] = []

    def is_taken(index: int) -> bool:
        asked.append(index)
        return True

    assert free_index(LIST_SIZE + 1, is_taken, lambda _: 5) == 2 * LIST_SIZE + 5
    assert len(asked) == 256
    assert set(asked) == {LIST_SIZE + 5}


def test_several_are_drawn_at_once_and_none_of_them_twice() -> None:
    asked: list[list[int]] = []

    def taken(some: Sequence[int]) -> list[int]:
        asked.append(list(some))
        return [index for index in some if index == 7]

    drawn = draws(7, 8, 8, 9, 7, 9, 10, 11)
    assert free_indexes(3, 4, taken, lambda _: next(drawn)) == [8, 9, 10, 11]
    assert asked[0] == [7, 8, 9]  # all together; then one by one what was wanting
    assert free_indexes(3, 0, taken) == []


def test_several_begin_the_next_list_together() -> None:
    def taken(some: Sequence[int]) -> list[int]:
        return [index for index in some if index < LIST_SIZE]

    given = free_indexes(5, 3, taken)
    assert len(set(given)) == 3
    assert all(LIST_SIZE <= index < 2 * LIST_SIZE for index in given)


@pytest.mark.parametrize(
    ("status_index", "expected"),
    [(0, (0, 0)), (LIST_SIZE - 1, (0, LIST_SIZE - 1)), (LIST_SIZE, (1, 0)), (3 * LIST_SIZE + 4, (3, 4))],
)
def test_list_and_index_of_a_place(status_index: int, expected: tuple[int, int]) -> None:
    assert place(status_index) == expected


def test_a_crowded_list_is_filled_without_giving_a_place_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists of 32 places: 100 cards take four of them, and every place once."""
    monkeypatch.setattr(allocation, "LIST_SIZE", 32)
    store = SqliteCertificateStore(tmp_path / "certificates.sqlite")
    with store.transaction() as records:
        given = [records.status_index("cards", str(number)) for number in range(100)]
    assert len(set(given)) == 100
    assert store.highest_status_index("cards") == max(given) < 5 * 32
    assert given != sorted(given)
