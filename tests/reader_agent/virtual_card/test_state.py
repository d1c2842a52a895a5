"""The card's file: whole at any moment, private, in one reader at a time."""

import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_agent.cardspec.piv import ObjectId
from reader_agent.virtual_card.errors import CardFileExists, CardFileUnusable, CardInUse
from reader_agent.virtual_card.memory import CardMemory, factory_memory
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.virtual_card.power import PowerLoss, power_lost_at
from tests.support.pcsc import wait_until

PROJECT = Path(__file__).parents[3]


def test_a_card_comes_back_from_its_file(card_file: Path) -> None:
    with CardState.load(card_file) as state:
        changed = state.memory.with_object(ObjectId.CHUID, b"\x34\x00").with_private_key(0x9E, b"\x30\x00")
        state.commit(changed)
        assert state.memory == changed
    with CardState.load(card_file) as state:
        assert state.memory == changed


def test_the_file_is_the_owners_and_the_only_one(card_file: Path) -> None:
    with CardState.load(card_file) as state:
        state.commit(state.memory.with_object(ObjectId.CHUID, b"\x34\x00"))
    assert stat.S_IMODE(card_file.stat().st_mode) == 0o600
    assert list(card_file.parent.iterdir()) == [card_file]


def test_secrets_are_not_in_what_is_printed(card_file: Path) -> None:
    memory = read_memory(card_file)
    shown = repr(memory)
    for secret in (memory.pin.value, memory.puk.value, memory.management_key):
        assert repr(secret) not in shown
        assert secret.hex() not in shown


def test_a_new_card_overwrites_none(card_file: Path) -> None:
    before = card_file.read_bytes()
    with pytest.raises(CardFileExists):
        CardState.create(card_file, factory_memory(os.urandom))
    assert card_file.read_bytes() == before
    assert list(card_file.parent.iterdir()) == [card_file]
    CardState.load(card_file).close()


def test_a_card_is_in_one_reader_at_a_time(card_file: Path) -> None:
    with CardState.load(card_file) as state:
        with pytest.raises(CardInUse):
            CardState.load(card_file)
        # The lock must not stay behind on the file that a change has replaced.
        state.commit(state.memory.with_object(ObjectId.CHUID, b"\x34\x00"))
        with pytest.raises(CardInUse):
            CardState.load(card_file)
        assert read_memory(card_file) == state.memory
    CardState.load(card_file).close()


def test_a_load_that_waits_at_the_replaced_file_looks_again(
    card_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking the card is changed and let go: the descriptor is that of the old file."""
    holder = CardState.load(card_file)
    real_open = os.open
    changed = holder.memory.with_object(ObjectId.CHUID, b"\x34\x01\x01")

    def open_then_change(*arguments: object) -> int:
        descriptor = real_open(*arguments)  # type: ignore[arg-type]  # passed on as they came
        monkeypatch.setattr(os, "open", real_open)
        holder.commit(changed)
        holder.close()
        return descriptor

    monkeypatch.setattr(os, "open", open_then_change)
    with CardState.load(card_file) as state:
        assert state.memory == changed
        with pytest.raises(CardInUse):
            CardState.load(card_file)


def test_a_torn_write_loses_nothing(card_file: Path) -> None:
    """At each call to the file system the power fails: the card is the old or the new one, never neither."""
    outcomes = []
    for call in range(1, 100):
        state = CardState.load(card_file)
        old = state.memory
        new = old.with_object(ObjectId.SECURITY_OBJECT, os.urandom(3000))
        with power_lost_at(call):
            try:
                state.commit(new)
                lost = False
            except PowerLoss:
                lost = True
        state.close()
        left = read_memory(card_file)
        assert left in (old, new)
        outcomes.append((lost, left == new))
        if not lost:
            break
    assert (True, False) in outcomes  # before the file was replaced
    assert (True, True) in outcomes  # after it was
    assert outcomes[-1] == (False, True)
    assert list(card_file.parent.iterdir()) == [card_file]


def test_a_card_that_is_half_made_is_none(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    memory = factory_memory(os.urandom)
    for call in range(1, 100):
        path.unlink(missing_ok=True)
        with power_lost_at(call):
            try:
                CardState.create(path, memory).close()
                break
            except PowerLoss:
                pass
        if path.exists():
            assert read_memory(path) == memory
            # Whatever else was left behind, the card changes well afterwards.
            with CardState.load(path) as state:
                state.commit(memory.with_object(ObjectId.CHUID, b"\x34\x00"))
            assert list(tmp_path.iterdir()) == [path]
    assert read_memory(path) == memory


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_changes_nothing(card_file: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with CardState.load(card_file) as state:
        before = state.memory
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(OSError, match="No space"):
                state.commit(before.with_object(ObjectId.CHUID, b"\x34\x00"))
        assert state.memory == before
        assert read_memory(card_file) == before
        state.commit(before.with_object(ObjectId.CHUID, b"\x34\x01\x01"))


def test_a_killed_process_leaves_a_whole_card(card_file: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from reader_agent.virtual_card.state import CardState\n"
        "state = CardState.load(pathlib.Path(sys.argv[1]))\n"
        "while True:\n"
        "    state.commit(state.memory.with_object(0x5FC106, os.urandom(9000)))\n"
    )
    for _ in range(3):
        inode = card_file.stat().st_ino
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(card_file)], env={**os.environ, "PYTHONPATH": str(PROJECT)}
        )
        try:
            wait_until(lambda before=inode: card_file.stat().st_ino != before, "a first change")  # type: ignore[misc]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        with CardState.load(card_file) as state:
            assert len(state.memory.objects[0x5FC106]) == 9000
            state.commit(state.memory.with_object(0x5FC106, b""))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "citizen-card/virtual-card/2"},
        {"uid": "xyz"},
        {"management": {"algorithm": "08", "key": "00" * 24}},
        {"management": {"algorithm": "03", "key": "00" * 24}},
        {"pin": {"value": "00" * 7, "tries_left": 1, "tries": 5}},
        {"pin": {"value": "00" * 8, "tries_left": 6, "tries": 5}},
        {"puk": {"value": "00" * 8, "tries_left": 16, "tries": 16}},
        {"objects": {"zz": "00"}},
        {"objects": []},
        {"private_keys": None},
        {"contactless_pin": "yes"},
    ],
    ids=str,
)
def test_a_file_that_is_no_card_is_refused(card_file: Path, change: dict[str, object]) -> None:
    document = {**json.loads(card_file.read_bytes()), **change}
    card_file.write_text(json.dumps(document))
    with pytest.raises(CardFileUnusable):
        CardState.load(card_file)
    with pytest.raises(CardFileUnusable):
        read_memory(card_file)


def test_a_card_of_before_the_choice_keeps_its_pin_to_the_contacts(card_file: Path) -> None:
    document = json.loads(card_file.read_bytes())
    del document["contactless_pin"]
    card_file.write_text(json.dumps(document))
    assert not read_memory(card_file).contactless_pin


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CardFileUnusable, match="No such file"):
        CardState.load(tmp_path / "none.json")
    with pytest.raises(CardFileUnusable, match="No such file"):
        CardState.create(tmp_path / "none" / "card.json", factory_memory(os.urandom))


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_file_is_a_card_or_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says: these bytes are no card
        CardMemory.from_json(raw)


def test_a_memory_is_what_it_was_after_json() -> None:
    memory = factory_memory(os.urandom, pin=b"123456\xff\xff")
    memory = replace(memory.with_private_key(0x9A, b"\x30\x01\x01"), pin=replace(memory.pin, tries_left=2))
    assert CardMemory.from_json(memory.to_json()) == memory
