"""The outbox by itself: durable at every step, encrypted, without gaps, and torn by nothing."""

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from reader_agent.errors import ConfigInvalid, OutboxConflict, OutboxDamaged
from reader_agent.outbox import Outbox
from reader_agent.outbox_entries import Draft, Entry, EntryKind, EntryState

NOW = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
KEY = bytes(range(32))
SECRET = b"a card's GUID, a journey"

# Run by test_killed_while_writing: says each id on standard output once the step that stored it has returned.
_WRITE_FOR_EVER = """
import sys
from pathlib import Path
from uuid import uuid4
from tests.reader_agent.test_outbox import KEY, NOW, draft
from reader_agent.outbox import Outbox

outbox = Outbox(Path(sys.argv[1]), KEY)
while True:
    entry = outbox.prepare(lambda _: draft(), NOW)
    outbox.sign(entry.id, b"x" * 500)
    print(entry.id, flush=True)
"""


def draft(kind: EntryKind = EntryKind.REQUEST, relates_to: UUID | None = None) -> Draft:
    """A new entry."""
    return Draft(uuid4(), kind, bytes(32), SECRET, relates_to)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the outbox lies."""
    return tmp_path / "outbox.sqlite"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    """An open, empty outbox."""
    outbox = Outbox(path, KEY)
    yield outbox
    outbox.close()


def prepared(outbox: Outbox, kind: EntryKind = EntryKind.REQUEST) -> Entry:
    """A stored entry that is not signed yet."""
    return outbox.prepare(lambda _: draft(kind), NOW)


def opened(outbox: Outbox, kind: EntryKind = EntryKind.REQUEST) -> Entry:
    """A stored entry that waits for its answer."""
    entry = prepared(outbox, kind)
    outbox.sign(entry.id, SECRET)
    return entry


def test_an_entry_goes_its_way(outbox: Outbox) -> None:
    """Prepared, open, answered, with what belongs to each."""
    entry = prepared(outbox)
    assert outbox.find(entry.id) == entry
    outbox.sign(entry.id, b"the HTTP body")
    outbox.answered(entry.id, {"decision": "approved"}, NOW + timedelta(seconds=1), NOW)
    (found,) = outbox.entries(EntryState.ANSWERED)
    assert found.settled_at == NOW + timedelta(seconds=1)
    content = outbox.content(entry.id)
    assert (content.message, content.answer) == (b"the HTTP body", {"decision": "approved"})
    assert outbox.signed_time() == NOW
    outbox.answered(opened(outbox).id, {}, NOW, NOW - timedelta(hours=1))
    assert outbox.signed_time() == NOW


def test_what_is_prepared_is_written_through_with_its_signature(outbox: Outbox) -> None:
    """Each time anew: until the card has signed nobody outside has heard of it."""

    def is_written_through() -> bool:
        # A new text each time: an answer of SQLite's to this question is compiled with it.
        return bool(outbox.connection.execute(f"PRAGMA synchronous -- {uuid4()}").fetchone()[0] >= 2)

    for _ in range(3):
        seen: list[bool] = []

        def build(_: int, seen: list[bool] = seen) -> Draft:
            seen.append(is_written_through())
            return draft()

        outbox.prepare(build, NOW)
        assert seen == [False]
        assert is_written_through()


def test_no_step_is_taken_twice_or_from_elsewhere(outbox: Outbox) -> None:
    """Each step starts from one state only."""
    entry = opened(outbox)
    outbox.answered(entry.id, {}, NOW, NOW)
    for step in (
        lambda: outbox.sign(entry.id, b""),
        lambda: outbox.void(entry.id, NOW),
        lambda: outbox.answered(entry.id, {}, NOW, NOW),
        lambda: outbox.refused(entry.id, "proof_invalid", NOW),
        lambda: outbox.close_request(entry.id, lambda _: draft(EntryKind.ANNUL), NOW),
    ):
        with pytest.raises(OutboxConflict):
            step()
    assert [found.state for found in outbox.entries()] == [EntryState.ANSWERED]


def test_a_request_is_closed_with_its_annulment_or_not_at_all(outbox: Outbox) -> None:
    """One transaction: where the annulment cannot be made, the request stays open."""
    entry = opened(outbox)

    def fail(_: int) -> Draft:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        outbox.close_request(entry.id, fail, NOW)
    assert [found.state for found in outbox.entries()] == [EntryState.OPEN]
    outbox.close_request(entry.id, lambda _: draft(EntryKind.ANNUL, entry.id), NOW)
    assert [(found.kind, found.state) for found in outbox.entries()] == [
        (EntryKind.REQUEST, EntryState.CLOSED),
        (EntryKind.ANNUL, EntryState.OPEN),
    ]


def test_the_sequence_has_no_gaps(outbox: Outbox, path: Path) -> None:
    """Not by a second process, not by a step that failed, not by a restart, not by what was deleted."""
    other = Outbox(path, KEY)
    numbers = [prepared(outbox).sequence, prepared(other).sequence]
    with pytest.raises(ZeroDivisionError):
        outbox.prepare(lambda _: 1 / 0, NOW)  # type: ignore[arg-type,return-value]  # fails before it returns
    numbers.append(opened(other).sequence)
    for entry in outbox.entries(EntryState.PREPARED):
        outbox.void(entry.id, NOW)
    outbox.purge(NOW + timedelta(days=100))
    other.close()
    again = Outbox(path, KEY)
    numbers.append(prepared(again).sequence)
    again.close()
    assert numbers == [1, 2, 3, 4]


def test_what_tells_about_a_card_is_encrypted(outbox: Outbox, path: Path) -> None:
    """Not in the file and not in its log."""
    entry = opened(outbox)
    outbox.answered(entry.id, {"message": SECRET.decode()}, NOW, NOW)
    for file in path.parent.iterdir():
        assert SECRET not in file.read_bytes()


def test_others_cannot_read_the_file(outbox: Outbox, path: Path) -> None:
    """Nor its log."""
    opened(outbox)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entry SET message = zeroblob(length(message))",
        "UPDATE entry SET message = zeroblob(3)",
        "UPDATE entry SET message = (SELECT message FROM entry AS other WHERE other.id <> entry.id)",
    ],
)
def test_changed_bytes_are_noticed(outbox: Outbox, damage: str) -> None:
    """Overwritten, cut off, or another entry's."""
    entry = opened(outbox)
    opened(outbox)
    outbox.connection.execute(damage)
    with pytest.raises(OutboxDamaged):
        outbox.content(entry.id)


def test_an_answer_is_no_message(outbox: Outbox) -> None:
    """A ciphertext is bound to its column, too."""
    entry = opened(outbox)
    outbox.answered(entry.id, {"decision": "approved"}, NOW, NOW)
    outbox.connection.execute("UPDATE entry SET message = answer")
    with pytest.raises(OutboxDamaged):
        outbox.content(entry.id)


def test_another_key_opens_nothing(outbox: Outbox, path: Path) -> None:
    """The file without the key."""
    entry = opened(outbox)
    other = Outbox(path, bytes(32))
    with pytest.raises(OutboxDamaged):
        other.content(entry.id)
    other.close()


def test_every_commit_is_synced_to_the_disk(outbox: Outbox) -> None:
    """SQLite's own word: FULL is 2, without which a commit in WAL mode is only in the machine's memory."""
    assert outbox.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert outbox.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_torn_log_loses_only_what_was_not_committed(outbox: Outbox, path: Path, tmp_path: Path) -> None:
    """The log is cut at every 509th byte, as a loss of power in the middle of a write leaves it.

    Whatever was committed while the log was that long is there, and nothing half of what came after.
    """
    log = path.with_name(f"{path.name}-wal")
    lengths: list[tuple[int, UUID]] = []
    for _ in range(4):
        entry = prepared(outbox)
        lengths.append((log.stat().st_size, entry.id))
    whole = log.read_bytes()
    torn_folder = tmp_path / "torn"
    for cut in range(0, len(whole) + 1, 509):
        torn_folder.mkdir()
        shutil.copy(path, torn_folder / path.name)
        (torn_folder / log.name).write_bytes(whole[:cut])
        torn = Outbox(torn_folder / path.name, KEY)
        found = {entry.id: entry for entry in torn.entries()}
        committed = {id_ for length, id_ in lengths if length <= cut}
        assert committed <= found.keys()
        for id_ in found:
            assert torn.content(id_).message == SECRET
        assert torn.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        torn.close()
        shutil.rmtree(torn_folder)


def test_killed_while_writing(path: Path) -> None:
    """SIGKILL at whatever moment: everything that was said to be stored is there, signed and readable."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITE_FOR_EVER, os.fspath(path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        said = [process.stdout.readline() for _ in range(25)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    process.wait(timeout=30)
    outbox = Outbox(path, KEY)
    found = {entry.id: entry.state for entry in outbox.entries()}
    ids = [UUID(line.strip()) for line in said if line.endswith("\n")]
    assert len(ids) >= 25
    assert all(found[id_] is EntryState.OPEN for id_ in ids)
    assert all(outbox.content(id_).message == b"x" * 500 for id_ in ids)
    # At most the one that was being written is more.
    assert len(found) <= len(ids) + 1
    outbox.close()


def test_a_file_that_is_none_is_refused(path: Path) -> None:
    """Somebody put something else there."""
    path.write_bytes(b"not a database, and longer than the header of one" * 10)
    with pytest.raises(ConfigInvalid):
        Outbox(path, KEY)


def test_a_file_of_another_version_is_refused(outbox: Outbox, path: Path) -> None:
    """Rather than written to by a program that does not know it."""
    outbox.connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigInvalid, match="another version"):
        Outbox(path, KEY)


def test_the_database_refuses_half_states(outbox: Outbox) -> None:
    """Constraints of the table, should a later change forget a column."""
    entry = opened(outbox)
    for change in ("state = 'answered'", "state = 'closed'", "state = 'gone'", "settled_at = 1"):
        with pytest.raises(sqlite3.IntegrityError):
            outbox.connection.execute(
                f"UPDATE entry SET {change} WHERE id = ?",  # noqa: S608 -- the constants above
                (entry.id.bytes,),
            )
