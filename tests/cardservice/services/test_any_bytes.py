"""No file can do more than be refused."""

import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardservice.services.seam import TariffError
from tests.cardservice.services.feeds import FEED, changed, transport, write_folder, write_map

# Files that are read, with what a row may do to them: pieces of a feed, shuffled, cut, and given other bytes.
NAMES = st.sampled_from([*FEED, "networks.txt", "route_networks.txt", "calendar.txt", "calendar_dates.txt"])
PIECES = sorted({piece for content in FEED.values() for piece in content.replace("\n", ",").split(",")})
CELLS = st.one_of(
    st.sampled_from(PIECES), st.text(max_size=6), st.sampled_from(['"', '""', "-1", "9" * 30, "\ufeff"])
)
TABLES = st.lists(st.lists(CELLS, max_size=6).map(",".join), max_size=6).map(
    lambda rows: "\n".join(rows).encode("utf-8", "surrogatepass")
)
HEADED = st.builds(
    lambda name, rows: (name, FEED[name].split("\n", 1)[0].encode() + b"\n" + rows),
    st.sampled_from([*FEED]),
    TABLES,
)
CHANGES = st.lists(
    st.one_of(st.tuples(NAMES, st.binary(max_size=60)), st.tuples(NAMES, TABLES), HEADED),
    min_size=1,
    max_size=3,
)


def load_or_refuse(path: Path, folder: Path) -> None:
    try:
        loaded = transport().load([path, write_map(folder / "map.json")], currency="GBP")
    except TariffError as refused:
        assert refused.reason  # noqa: PT017  # either outcome is right; the reason must be there
        assert refused.line is None or refused.line >= 1  # noqa: PT017
    else:
        transport().prepare(loaded.content)


@settings(max_examples=300, deadline=None)
@given(CHANGES)
def test_any_files_are_loaded_or_refused(changes: list[tuple[str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        load_or_refuse(write_folder(Path(name) / "feed", changed(dict(changes))), Path(name))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_instead_of_an_archive_are_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "feed.zip"
        path.write_bytes(content)
        with pytest.raises(TariffError):
            transport().load([path, write_map(Path(name) / "map.json")], currency="GBP")


@settings(max_examples=300, deadline=None)
@given(
    st.data(),
    st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
)
def test_an_archive_with_bytes_changed_is_loaded_or_refused(data: st.DataObject, method: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "feed.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for file, content in changed({}).items():
                archive.writestr(file, content)
        harmed = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            harmed[data.draw(st.integers(0, len(harmed) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(harmed)
        load_or_refuse(path, Path(name))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_instead_of_a_map_are_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        feed = write_folder(Path(name) / "feed", changed({}))
        path = Path(name) / "map.json"
        path.write_bytes(content)
        with pytest.raises(TariffError):
            transport().load([feed, path], currency="GBP")
