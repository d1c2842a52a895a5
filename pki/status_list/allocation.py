"""Which place of the status list a card gets.

At random: places that were given one after the other would tell whoever reads two cards which is the older
one, and how many there are.
"""

import secrets
from collections.abc import Callable, Collection, Sequence

# Ours: the places of one list, of which there are as many as cards need. Always all of them are published.
LIST_SIZE = 1 << 20
# Ours. A list counts as full when so many places in a row are taken: when some 97 of 100 are.
_DRAWS = 256


def drawn(below: int) -> int:
    """A number from 0 on, below a power of two: `secrets.randbelow` would throw half of its draws away."""
    return secrets.randbits(below.bit_length() - 1)


def place(status_index: int) -> tuple[int, int]:
    """The number of the list that a card's place is in, and the index there."""
    return divmod(status_index, LIST_SIZE)


def free_index(
    highest: int | None, is_taken: Callable[[int], bool], draw: Callable[[int], int] = drawn
) -> int:
    """A place that is free, in the list that is being filled: that of the `highest` place given so far.

    Whoever calls keeps others from giving the same place until it is recorded.
    """
    start = 0 if highest is None else highest - highest % LIST_SIZE
    for _ in range(_DRAWS):
        index = start + draw(LIST_SIZE)
        if not is_taken(index):
            return index
    return start + LIST_SIZE + draw(LIST_SIZE)


def free_indexes(
    highest: int | None,
    wanted: int,
    taken: Callable[[Sequence[int]], Collection[int]],
    draw: Callable[[int], int] = drawn,
) -> list[int]:
    """So many places that are free, as `free_index` gives them one by one; `taken` says which are not.

    Nearly always it is asked once, for all of them together.
    """
    start = 0 if highest is None else highest - highest % LIST_SIZE
    candidates = list(dict.fromkeys(start + draw(LIST_SIZE) for _ in range(wanted)))
    given_before = set(taken(candidates)) if candidates else set()
    given = [index for index in candidates if index not in given_before]
    while len(given) < wanted:
        index = free_index(highest, lambda index: index in given or bool(taken([index])), draw)
        given.append(index)
        highest = max(index, highest or 0)
    return given
