"""What a status word says besides yes and no (ISO/IEC 7816-4:2020, 5.6)."""

import pytest

from reader_agent.cardspec.status import StatusWord, bytes_waiting, exact_length, tries_left


@pytest.mark.parametrize(
    ("sw", "tries"), [(0x63C0, 0), (0x63C5, 5), (0x63CF, 15), (0x6300, None), (0x63D0, None), (0x9000, None)]
)
def test_tries_left(sw: int, tries: int | None) -> None:
    assert tries_left(sw) == tries


@pytest.mark.parametrize(
    ("sw", "count"), [(0x6101, 1), (0x61FF, 255), (0x6100, 256), (0x6C05, None), (0x9000, None)]
)
def test_bytes_waiting(sw: int, count: int | None) -> None:
    assert bytes_waiting(sw) == count


@pytest.mark.parametrize(("sw", "count"), [(0x6C01, 1), (0x6CFF, 255), (0x6C00, 256), (0x6105, None)])
def test_exact_length(sw: int, count: int | None) -> None:
    assert exact_length(sw) == count


def test_a_number_from_a_card_becomes_its_name() -> None:
    assert StatusWord(0x6982) is StatusWord.SECURITY_STATUS_NOT_SATISFIED
