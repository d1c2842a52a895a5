"""Private pcscds: side by side, in awkward places, after crashes, without root, and gone without a trace."""

import json
import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from reader_agent.virtual_card import pcscd as pcscd_module
from reader_agent.virtual_card.errors import ReadersUnavailable
from reader_agent.virtual_card.pcscd import PrivatePcscd
from reader_agent.virtual_card.pcscd_client import PcscdUnreachable, read_states
from reader_agent.virtual_card.ports import FIRST, LAST, PortClaim
from reader_agent.virtual_card.state import CardState
from tests.support.pcsc import start_readers, wait_until

PROJECT = Path(__file__).parents[3]


def listed(environment: dict[str, str]) -> list[str]:
    """What PC/SC lists, asked in a process of its own: libpcsclite keeps its first socket for life."""
    program = "from smartcard.System import readers\nfor reader in readers(): print(reader)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_readers_are_listed_by_the_time_it_has_started(tmp_path: Path) -> None:
    with PrivatePcscd(tmp_path, ["Issuing desk", "Kiosk"]) as pcscd:
        names = listed(dict(pcscd.environment))
        assert names == ["Issuing desk 00 00", "Issuing desk 00 01", "Kiosk 00 00", "Kiosk 00 01"]
        assert set(pcscd.states()) == {"Issuing desk", "Kiosk"}
        assert all(FIRST <= port < LAST for port in pcscd.ports.values())


def test_two_side_by_side_keep_their_cards_apart(tmp_path: Path, personalised: Path) -> None:
    with (
        start_readers(tmp_path / "a", ["Kiosk", "Till"]) as first,
        start_readers(tmp_path / "b", ["Kiosk", "Till"]) as second,
    ):
        assert set(first.pcscd.ports.values()).isdisjoint(second.pcscd.ports.values())
        first.insert("Till", personalised)
        assert [first.state("Kiosk").has_card, first.state("Till").has_card] == [False, True]
        assert [second.state("Kiosk").has_card, second.state("Till").has_card] == [False, False]


def test_it_ends_with_its_readers_and_leaves_nothing_outside(tmp_path: Path) -> None:
    was_there = Path("/run/pcscd").exists()
    with PrivatePcscd(tmp_path, ["Kiosk"]) as pcscd:
        socket_path, port = pcscd.socket_path, pcscd.port("Kiosk")
        assert Path("/run/pcscd").exists() == was_there
        assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    with pytest.raises(PcscdUnreachable):
        read_states(socket_path)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_it_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys\n"
        "from reader_agent.virtual_card.pcscd import PrivatePcscd\n"
        "pcscd = PrivatePcscd(pathlib.Path(sys.argv[1]), ['Kiosk'])\n"
        "pcscd.start()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=environment, check=False)

    def unreachable() -> bool:
        try:
            return read_states(tmp_path / "run" / "pcscd.comm") is None
        except PcscdUnreachable:
            return True

    wait_until(unreachable, "the orphaned pcscd to end")


def test_a_crashed_one_starts_again_at_the_same_place(tmp_path: Path, personalised: Path) -> None:
    with start_readers(tmp_path, ["Kiosk"]) as readers:
        readers.insert("Kiosk", personalised)
        socket_path = readers.pcscd.socket_path
        readers.pcscd.kill()
        assert socket_path.exists()  # what makes pcscd itself refuse to start
        readers.pull("Kiosk")
        readers.pcscd.start()
        assert readers.pcscd.socket_path == socket_path
        readers.insert("Kiosk", personalised)
        assert readers.state("Kiosk").has_card


def test_what_a_killed_one_left_stops_nobody(tmp_path: Path) -> None:
    """pcscd gives up where it finds a socket and the number of a living process, whoever that is by now."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "pcscd.pid").write_text(f"{os.getpid()}\n")
    (tmp_path / "run" / "pcscd.comm").touch()
    with PrivatePcscd(tmp_path, ["Kiosk"]) as pcscd:
        assert set(pcscd.states()) == {"Kiosk"}


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    pcscd = PrivatePcscd(folder, ["Kiosk"])
    with pcscd:
        short = pcscd.socket_path
        assert len(os.fsencode(short)) <= 107
        assert listed(dict(pcscd.environment)) == ["Kiosk 00 00", "Kiosk 00 01"]
    assert not short.parent.parent.exists()


def test_its_folder_may_have_any_name(tmp_path: Path) -> None:
    with PrivatePcscd(tmp_path / "a folder, 'quoted' $HOME", ["Kiosk"]) as pcscd:
        assert set(pcscd.states()) == {"Kiosk"}


@pytest.mark.skipif(not os.access("/run", os.W_OK), reason="only root writes to /run")
def test_its_folder_may_lie_below_run() -> None:
    with (
        tempfile.TemporaryDirectory(dir="/run") as folder,
        PrivatePcscd(Path(folder) / "pcscd", ["Kiosk"]) as pcscd,
    ):
        assert set(pcscd.states()) == {"Kiosk"}


def test_a_taken_port_is_seen_and_another_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is lost after it was looked at, before pcscd opens it: pcscd runs, its reader is missing."""
    real_take = PortClaim.take
    thieves: list[socket.socket] = []

    def take_a_stolen_one() -> PortClaim:
        claim = real_take()
        thieves.append(socket.create_server(("0.0.0.0", claim.port)))  # noqa: S104 - as vpcd listens
        monkeypatch.setattr(PortClaim, "take", real_take)
        return claim

    monkeypatch.setattr(PortClaim, "take", take_a_stolen_one)
    monkeypatch.setattr(pcscd_module, "START_TIMEOUT_S", 1.0)
    with PrivatePcscd(tmp_path, ["Kiosk"]) as pcscd:
        assert pcscd.port("Kiosk") != thieves[0].getsockname()[1]
        assert set(pcscd.states()) == {"Kiosk"}
    thieves[0].close()


def test_claimed_ports_are_not_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "sample", lambda ports, count: list(ports)[:count])
    with PortClaim.take() as first:
        with PortClaim.take() as second:
            assert second.port >= first.port + 2
        with PortClaim.take() as again:
            assert again.port == second.port


def test_a_port_that_somebody_listens_on_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "sample", lambda ports, count: list(ports)[:count])
    with PortClaim.take() as first:
        port = first.port
    with socket.create_server(("127.0.0.1", port + 1)), PortClaim.take() as second:  # its second slot's
        assert second.port != port


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["Kiosk", "Kiosk"],
        ['a "b"'],
        ["Käsekiosk"],
        ["a\nb"],
        [""],
        ["x" * 61],
        [f"R{n}" for n in range(9)],
    ],
    ids=str,
)
def test_names_that_cannot_be_readers(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(ReadersUnavailable):
        PrivatePcscd(tmp_path, names)


def test_eight_readers_fit(tmp_path: Path) -> None:
    with PrivatePcscd(tmp_path, [f"Reader {number}" for number in range(8)]) as pcscd:
        assert len(pcscd.states()) == 8


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcscd_module, "SYSTEM_DRIVER", tmp_path / "libifdvpcd.so")
    with pytest.raises(ReadersUnavailable, match=r"apt-get install .*vsmartcard-vpcd"):
        PrivatePcscd(tmp_path, ["Kiosk"]).start()


def test_without_namespaces_it_says_what_to_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "bin" / "unshare"
    refusing.parent.mkdir()
    refusing.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{refusing.parent}:{os.environ['PATH']}")
    with pytest.raises(ReadersUnavailable, match=r"user namespaces.*Operation not permitted"):
        PrivatePcscd(tmp_path / "pcscd", ["Kiosk"]).start()


def _as_nobody(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", *command],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="everything here runs without root anyway")
def test_it_runs_without_root_where_user_namespaces_are_allowed() -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
    if _as_nobody("unshare", "-rm", "true").returncode != 0:
        pytest.skip("this machine lets nobody make a user namespace")
    if _as_nobody(sys.executable, "-c", "import reader_agent", env=environment, cwd="/").returncode != 0:
        pytest.skip("nobody may not read this checkout")
    program = (
        "import json, pathlib, sys\n"
        "from reader_agent.virtual_card.pcscd import PrivatePcscd\n"
        "with PrivatePcscd(pathlib.Path(sys.argv[1]), ['Kiosk']) as pcscd:\n"
        "    print(json.dumps(list(pcscd.states())))\n"
    )
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="nobody-", dir="/tmp"))
    try:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        done = _as_nobody(sys.executable, "-c", program, str(folder), env=environment, cwd="/")
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["Kiosk"]


def test_the_card_is_free_again_after_it_was_pulled(tmp_path: Path, personalised: Path) -> None:
    with start_readers(tmp_path, ["Kiosk"]) as readers:
        for _ in range(2):
            readers.insert("Kiosk", personalised)
            readers.pull("Kiosk")
        CardState.load(personalised).close()
        assert readers.state("Kiosk").event_count == 4
