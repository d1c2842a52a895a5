"""A wallet of named cards, as a person uses it: made, put in, listed, taken out, by a program each."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.errors import CardNameUnusable, CardNotInserted
from reader_agent.virtual_card.state import CardState, read_memory
from reader_agent.virtual_card.wallet import Insertion, Wallet
from tests.reader_agent.virtual_card.test_cli import run, running
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers, wait_until


@pytest.fixture
def wallet(tmp_path: Path) -> Path:
    """A folder with two cards from their maker."""
    folder = tmp_path / "wallet"
    for name in ("morgan", "sam"):
        done = run("virtual-card", "create", name, "--wallet", folder, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"card": str(folder / f"{name}.json")}
    return folder


@pytest.fixture
def folder(readers: Readers, tmp_path: Path) -> Path:
    """What `virtual-readers run` leaves in its folder, of the readers that run here."""
    ports = {name: readers.port(name) for name in (CONTACT_READER, CONTACTLESS_READER)}
    (tmp_path / "readers.json").write_text(json.dumps({"readers": ports}))
    return tmp_path


def places(wallet: Path) -> dict[str, dict[str, object] | None]:
    """What `list` says."""
    places: dict[str, dict[str, object] | None] = json.loads(
        run("virtual-card", "list", "--wallet", wallet, "--json").stdout
    )
    return places


def test_a_card_goes_in_and_comes_out_by_its_name(readers: Readers, wallet: Path, folder: Path) -> None:
    where = ("--wallet", wallet, "--readers", folder)
    done = run(
        "virtual-card",
        "insert",
        "morgan",
        *where,
        "--reader",
        CONTACTLESS_READER,
        "--contactless",
        "--detach",
    )
    assert done.returncode == 0, done.stderr
    wait_until(lambda: readers.state(CONTACTLESS_READER).has_card, "the card")
    found = places(wallet)
    assert found["sam"] is None
    assert found["morgan"] is not None
    assert (found["morgan"]["reader"], found["morgan"]["face"]) == (CONTACTLESS_READER, "contactless")
    assert "in the wallet" in run("virtual-card", "list", "--wallet", wallet).stdout
    again = run(
        "virtual-card", "insert", "morgan", *where, "--reader", CONTACT_READER, "--contact", "--detach"
    )
    assert (again.returncode, again.stdout) == (1, "")
    assert "is on a reader" in again.stderr
    assert run("virtual-card", "remove", "morgan", "--wallet", wallet).returncode == 0
    wait_until(lambda: not readers.state(CONTACTLESS_READER).has_card, "no card")
    assert places(wallet) == {"morgan": None, "sam": None}
    assert sorted(path.name for path in wallet.iterdir()) == ["morgan.json", "sam.json"]
    CardState.load(wallet / "morgan.json").close()


def test_remove_ends_an_insert_in_the_foreground(readers: Readers, wallet: Path, folder: Path) -> None:
    arguments = ("--wallet", wallet, "--readers", folder, "--reader", CONTACT_READER)
    with running("virtual-card", "insert", "sam", *arguments, "--json") as (process, line):
        place = {"card": str(wallet / "sam.json"), "reader": CONTACT_READER, "face": "contact"}
        assert json.loads(line) == {**place, "silicon": False}
        removed = run("virtual-card", "remove", "sam", "--wallet", wallet, "--json")
        assert json.loads(removed.stdout) == {"removed": "sam"}
        assert process.wait(10) == 0
    wait_until(lambda: not readers.state(CONTACT_READER).has_card, "no card")


def test_what_a_killed_process_leaves_behind_is_no_card_in_a_reader(
    readers: Readers, wallet: Path, folder: Path
) -> None:
    arguments = ("--wallet", wallet, "--readers", folder, "--reader", CONTACT_READER)
    with running("virtual-card", "insert", "sam", *arguments) as (process, _):
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert (wallet / ".sam.inserted").exists()
    assert Wallet(wallet).insertion("sam") is None
    done = run("virtual-card", "remove", "sam", "--wallet", wallet)
    assert (done.returncode, "is on no reader" in done.stderr) == (1, True)
    wait_until(lambda: not readers.state(CONTACT_READER).has_card, "no card")
    with running("virtual-card", "insert", "sam", *arguments):
        assert Wallet(wallet).insertion("sam") is not None
    wait_until(lambda: not readers.state(CONTACT_READER).has_card, "no card")


def test_a_card_that_may_be_used_with_its_pin_without_contact(tmp_path: Path) -> None:
    done = run("virtual-card", "create", "key", "--wallet", tmp_path, "--contactless-pin")
    assert done.returncode == 0, done.stderr
    assert read_memory(tmp_path / "key.json").contactless_pin
    assert json.loads(run("virtual-card", "show", "key", "--wallet", tmp_path, "--json").stdout)[
        "contactless_pin"
    ]


@pytest.mark.parametrize("name", ["", "../morgan", "Morgan", "-m", "a/b", "a.b", "x" * 65, "morgan\n"])
def test_names_that_are_no_files_of_the_wallet(tmp_path: Path, name: str) -> None:
    with pytest.raises(CardNameUnusable):
        Wallet(tmp_path).path(name)


def test_a_file_stays_a_file_where_a_wallet_is_set(wallet: Path, card_file: Path) -> None:
    """As it is for who has READER_AGENT_WALLET in the environment, and scripts that name files."""
    done = run("virtual-card", "show", card_file, "--wallet", wallet, "--json")
    assert json.loads(done.stdout)["pin"] == "5 of 5 tries"
    assert "gone.json" in failing("show", "gone.json", "--wallet", wallet)


def test_other_files_are_no_cards(tmp_path: Path) -> None:
    for name in ("UPPER.json", ".hidden.json", "notes.txt"):
        (tmp_path / name).touch()
    assert Wallet(tmp_path).names() == ()


def test_a_note_in_the_making_is_no_insertion_yet(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path)
    with wallet.inserted("sam", "Desk", Face.CONTACT):
        found = wallet.insertion("sam")
        assert isinstance(found, Insertion)
        assert (found.reader, found.face) == ("Desk", Face.CONTACT)
        (tmp_path / ".sam.inserted").write_text("")
        assert wallet.insertion("sam") is None
    with pytest.raises(CardNotInserted):
        wallet.remove("sam")


def failing(*arguments: str | Path) -> str:
    """What a command that fails says."""
    done: subprocess.CompletedProcess[str] = run("virtual-card", *arguments)
    assert done.returncode in (1, 2)
    return done.stderr


def test_readers_that_are_not_there_are_told(wallet: Path, tmp_path: Path) -> None:
    assert "--port" in failing("insert", "sam", "--wallet", wallet)
    assert "virtual-readers run" in failing("insert", "sam", "--wallet", wallet, "--readers", tmp_path)
    (tmp_path / "readers.json").write_text('{"readers": {"Desk": 9, "Bus": 11}}')
    arguments = ("insert", "sam", "--wallet", wallet, "--readers", tmp_path)
    assert "'Desk', 'Bus'" in failing(*arguments)
    assert "no reader 'Till'" in failing(*arguments, "--reader", "Till")
    assert "no virtual reader listens" in failing(*arguments, "--reader", "Desk")
    assert "only one" in failing(*arguments, "--reader", "Desk", "--face", "contact", "--contactless")
    assert "--wallet" in failing("insert", wallet / "sam.json", "--port", "9", "--detach")
