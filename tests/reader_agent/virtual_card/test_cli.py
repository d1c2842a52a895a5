"""The commands, as programs of their own: what they print, what they return, how they end."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reader_agent.cardspec import piv
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.pcscd_client import read_states
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.virtual_card.host import GUID
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers, wait_until

PROJECT = Path(__file__).parents[3]
PROGRAM = "from reader_agent.cli import main; main(prog_name='reader-agent')"
TIMEOUT_S = 20.0


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT)}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, check=False)


@contextmanager
def running(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that stays, and the first line that it prints."""
    process = subprocess.Popen(
        command(*arguments), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], TIMEOUT_S)[0], "it printed nothing"
            yield process, process.stdout.readline()
        finally:
            process.kill()


def test_a_new_card_is_a_stock_card(tmp_path: Path) -> None:
    assert run("virtual-card", "new", tmp_path / "card.json").returncode == 0
    memory = read_memory(tmp_path / "card.json")
    assert memory.management_key == piv.WELL_KNOWN_TRANSPORT_KEY
    assert (memory.pin.tries_left, memory.private_keys) == (0, {})


def test_a_new_card_takes_its_secrets_from_files(tmp_path: Path) -> None:
    secrets = {
        "--transport-key-file": "00" * 32 + "\n",
        "--pin-file": "4711001\n",
        "--puk-file": "12345678\n",
    }
    options: list[str | Path] = []
    for option, text in secrets.items():
        (tmp_path / option).write_text(text)
        options += [option, tmp_path / option]
    assert run("virtual-card", "new", tmp_path / "card.json", *options).returncode == 0
    memory = read_memory(tmp_path / "card.json")
    assert (memory.management_key, memory.management_algorithm) == (bytes(32), piv.Algorithm.AES_256)
    assert (memory.pin.value, memory.pin.tries_left, memory.puk.value) == (b"4711001\xff", 5, b"12345678")


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--transport-key-file", "00" * 15),
        ("--transport-key-file", "no hex"),
        ("--pin-file", "12345"),
        ("--puk-file", "1234567"),
    ],
)
def test_secrets_that_cannot_be_are_told(tmp_path: Path, option: str, text: str) -> None:
    (tmp_path / "secret").write_text(text)
    done = run("virtual-card", "new", tmp_path / "card.json", option, tmp_path / "secret")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("reader-agent virtual-card new: ")
    assert text not in done.stderr
    assert not (tmp_path / "card.json").exists()


def test_a_card_is_not_overwritten(card_file: Path) -> None:
    before = card_file.read_bytes()
    done = run("virtual-card", "new", card_file)
    assert (done.returncode, card_file.read_bytes()) == (1, before)
    assert "exists" in done.stderr


def test_show_tells_what_is_there_and_no_secret(personalised: Path) -> None:
    done = run("virtual-card", "show", personalised, "--json")
    facts = json.loads(done.stdout)
    assert (facts["guid"], facts["keys"], facts["pin"]) == (str(GUID), ["9E"], "5 of 5 tries")
    memory = read_memory(personalised)
    for secret in (memory.management_key, memory.pin.value, memory.private_keys[0x9E]):
        assert secret.hex().upper() not in done.stdout.upper()
    assert str(GUID) in run("virtual-card", "show", personalised).stdout


def test_show_of_what_is_no_card(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    done = run("virtual-card", "show", tmp_path / "card.json")
    assert done.returncode == 1
    assert done.stderr.startswith("reader-agent virtual-card show: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_card_stays_in_until_a_signal_pulls_it(
    readers: Readers, personalised: Path, number: signal.Signals
) -> None:
    port = str(readers.port(CONTACTLESS_READER))
    with running("virtual-card", "insert", personalised, "--port", port, "--face", "contactless") as (
        process,
        _,
    ):
        wait_until(lambda: readers.state(CONTACTLESS_READER).has_card, "the card")
        assert run("virtual-card", "insert", personalised, "--port", port).returncode == 1  # it is in use
        process.send_signal(number)
        assert process.wait(TIMEOUT_S) == 0
        wait_until(lambda: not readers.state(CONTACTLESS_READER).has_card, "no card")
    CardState.load(personalised).close()


def test_no_reader_at_the_port(personalised: Path) -> None:
    done = run("virtual-card", "insert", personalised, "--port", "9")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "reader-agent virtual-card insert: no virtual reader listens on 127.0.0.1:9"
    )


def test_virtual_readers_say_when_they_are_there(tmp_path: Path, personalised: Path) -> None:
    folder = tmp_path / "pcscd"
    arguments = ("--dir", folder, "--reader", "Issuing desk", "--reader", "Bus")
    with running("virtual-readers", "run", *arguments) as (process, line):
        ready = json.loads(line)
        assert set(ready) == {"socket", "environment", "readers"}
        assert ready["environment"] == {"PCSCLITE_CSOCK_NAME": ready["socket"]}
        assert list(ready["readers"]) == ["Issuing desk", "Bus"]
        names = [state.name for state in read_states(Path(ready["socket"]))]
        assert names == ["Issuing desk 00 00", "Issuing desk 00 01", "Bus 00 00", "Bus 00 01"]
        with running("virtual-card", "insert", personalised, "--port", str(ready["readers"]["Bus"])) as (
            card,
            _,
        ):
            process.terminate()
            assert process.wait(TIMEOUT_S) == 0
            assert card.wait(TIMEOUT_S) == 0  # its reader went away


def test_virtual_readers_say_when_pcscd_ends(tmp_path: Path) -> None:
    with running("virtual-readers", "run", "--dir", tmp_path, "--reader", "Kiosk") as (process, _):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        assert process.wait(TIMEOUT_S) == 1
        assert process.stderr is not None
        assert process.stderr.read().startswith("reader-agent virtual-readers run: pcscd ended")


def test_the_contact_reader_is_not_disturbed(readers: Readers, tmp_path: Path) -> None:
    CardState.create(tmp_path / "card.json", factory_memory(os.urandom)).close()
    readers.insert(CONTACT_READER, tmp_path / "card.json")
    assert not readers.state(CONTACTLESS_READER).has_card
