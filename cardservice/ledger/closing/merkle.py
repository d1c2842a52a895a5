"""The Merkle tree of RFC 9162, section 2.1, over hashes that come one after the other; memory stays flat."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

# RFC 9162, 2.1.1: what tells a leaf from a node
_LEAF, _NODE = b"\x00", b"\x01"
EMPTY_ROOT = sha256().digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf. RFC 9162, 2.1.1."""
    return sha256(_LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees. RFC 9162, 2.1.1."""
    return sha256(_NODE + left + right).digest()


def root_of(hashes: Iterable[bytes]) -> bytes:
    """The tree's head over these leaves' hashes. RFC 9162, 2.1.2: a stack of complete subtrees."""
    stack: list[bytes] = []
    for size, found in enumerate(hashes):
        stack.append(found)
        merged = size
        while merged & 1:
            right = stack.pop()
            stack.append(node_hash(stack.pop(), right))
            merged >>= 1
    while len(stack) > 1:
        right = stack.pop()
        stack.append(node_hash(stack.pop(), right))
    return stack[0] if stack else EMPTY_ROOT


def inclusion_path(index: int, size: int, root: Callable[[int, int], bytes]) -> list[bytes]:
    """What leads from a leaf to the head; `root` tells that of a range of leaves. RFC 9162, 2.1.3.1."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has none at {index}")
    begin, end = 0, size
    path = []
    while end - begin > 1:
        # The largest power of two that is smaller than the number of leaves
        middle = begin + (1 << ((end - begin - 1).bit_length() - 1))
        if index < middle:
            path.append(root(middle, end))
            end = middle
        else:
            path.append(root(begin, middle))
            begin = middle
    return path[::-1]


def root_by_path(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """The head that a path leads to; None where it is no path of this leaf. RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        place >>= 1
        last >>= 1
    return found if last == 0 else None
