"""RFC 9162, 2.1, by the roots that Certificate Transparency publishes, and by its definition."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardservice.ledger.closing.merkle import (
    EMPTY_ROOT,
    inclusion_path,
    leaf_hash,
    root_by_path,
    root_of,
)

# The leaves and roots of google/certificate-transparency's and transparency-dev/merkle's tests.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        *("", "00", "10", "2021", "3031", "40414243"),
        *("5051525354555657", "606162636465666768696a6b6c6d6e6f"),
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


# Of these leaves in a tree of eight, the paths that the same tests publish.
PATHS = {
    0: (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    5: (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
}


def by_definition(entries: Sequence[bytes]) -> bytes:
    """MTH of 2.1.1."""
    if not entries:
        return sha256().digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha256(b"\x01" + by_definition(entries[:k]) + by_definition(entries[k:])).digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size: int) -> None:
    assert root_of(map(leaf_hash, LEAVES[:size])).hex() == ROOTS[size - 1]


@pytest.mark.parametrize("index", PATHS)
def test_published_paths(index: int) -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    path = inclusion_path(index, len(hashes), lambda begin, end: root_of(hashes[begin:end]))
    assert tuple(each.hex() for each in path) == PATHS[index]
    assert root_by_path(index, len(hashes), hashes[index], path) == root_of(hashes)


def test_the_root_of_nothing() -> None:
    assert root_of([]) == EMPTY_ROOT == by_definition([])


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_root_is_that_of_the_definition(entries: list[bytes]) -> None:
    assert root_of(map(leaf_hash, entries)) == by_definition(entries)


@given(st.data())
def test_a_path_leads_from_its_leaf_to_the_root_and_from_no_other(data: st.DataObject) -> None:
    entries = data.draw(st.lists(st.binary(max_size=4), min_size=1, max_size=70, unique=True))
    index = data.draw(st.integers(0, len(entries) - 1))
    hashes = [leaf_hash(entry) for entry in entries]
    path = inclusion_path(index, len(entries), lambda begin, end: root_of(hashes[begin:end]))
    root = root_of(hashes)
    assert root_by_path(index, len(entries), hashes[index], path) == root
    other = data.draw(st.integers(0, len(entries)))
    if other != index:
        assert root_by_path(other, len(entries), hashes[index], path) != root
    assert root_by_path(index, len(entries), leaf_hash(b"another"), path) != root
    assert root_by_path(index, len(entries), hashes[index], [*path, root]) is None
    if path:
        assert root_by_path(index, len(entries), hashes[index], path[:-1]) != root


def test_no_path_of_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="none at 3"):
        inclusion_path(3, 3, lambda *_: b"")
    assert root_by_path(0, 0, b"", []) is None
