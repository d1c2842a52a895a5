"""What doctor finds wrong with a machine, and says to do; and what is shipped to set one up."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import reader_agent
from reader_agent.cli import main
from reader_agent.commands.looking import changes
from reader_agent.machine import Machine
from reader_agent.transport.slots import Slot
from tests.reader_agent.world import blank_card
from tests.support.pcsc import CONTACT_READER, Readers

PACKAGING = Path(reader_agent.__file__).parent / "packaging"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without anything."""
    for name in ("bin", "drivers", "usb"):
        (tmp_path / name).mkdir()
    return Machine(tmp_path / "pcscd.comm", str(tmp_path / "bin"), tmp_path / "drivers", tmp_path / "usb")


@pytest.fixture
def listening(machine: Machine) -> Iterator[socket.socket]:
    """Somebody at the socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(machine.socket))
        server.listen()
        yield server


def plug_in(machine: Machine, interface_class: str = "0b") -> None:
    """A device of this class on USB, as the kernel shows it."""
    device, interface = machine.usb / "1-2", machine.usb / "1-2:1.0"
    device.mkdir()
    interface.mkdir()
    (device / "idVendor").write_text("08e6\n")
    (device / "idProduct").write_text("3437\n")
    (device / "product").write_text("USB SmartCard Reader\n")
    (interface / "bInterfaceClass").write_text(f"{interface_class}\n")


def test_pcscd_is_not_installed(machine: Machine) -> None:
    assert "apt-get install pcscd" in str(machine.trouble_with_service())


def test_pcscd_does_not_run(machine: Machine) -> None:
    program = Path(machine.program_path) / "pcscd"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert "systemctl enable --now pcscd.socket" in str(machine.trouble_with_service())


def test_nobody_answers_at_the_socket(machine: Machine, listening: socket.socket) -> None:
    """It has died, and left its socket behind."""
    listening.close()
    assert "systemctl restart pcscd" in str(machine.trouble_with_service())


def test_something_else_lies_there(machine: Machine) -> None:
    machine.socket.write_text("")
    assert "is no socket" in str(machine.trouble_with_service())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
def test_not_allowed(machine: Machine, listening: socket.socket) -> None:
    machine.socket.chmod(0o000)
    assert "added to the group" in str(machine.trouble_with_service())


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_another_user_is_not_allowed(machine: Machine, listening: socket.socket, tmp_path: Path) -> None:
    """As nobody, in a process of its own."""
    machine.socket.chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        os._exit(0 if "added to the group" in str(machine.trouble_with_service()) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_all_is_well(machine: Machine, listening: socket.socket) -> None:
    """And who may use it is told."""
    assert machine.trouble_with_service() is None
    machine.socket.chmod(0o660)
    assert not machine.is_open_to_all
    machine.socket.chmod(0o666)
    assert machine.is_open_to_all


def test_no_reader_is_plugged_in(machine: Machine) -> None:
    """A keyboard is none."""
    plug_in(machine, "03")
    assert "plug one in" in machine.trouble_with_readers()


def test_a_reader_without_a_driver(machine: Machine) -> None:
    plug_in(machine)
    trouble = machine.trouble_with_readers()
    assert "USB SmartCard Reader 08e6:3437" in trouble
    assert "apt-get install libccid" in trouble


def test_a_reader_that_pcscd_does_not_take(machine: Machine) -> None:
    plug_in(machine)
    (machine.drivers / "ifd-ccid.bundle").mkdir()
    assert "journalctl -u pcscd" in machine.trouble_with_readers()


def test_doctor_looks_at_the_machine_alone(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an agent's folder; and says it when pcscd has died."""
    monkeypatch.delenv("READER_AGENT_DIR", raising=False)
    done = CliRunner().invoke(main, ["doctor", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    findings = {each["what"]: each for each in json.loads(done.stdout)["findings"]}
    assert set(findings) == {"smart card service", "readers"}
    assert CONTACT_READER in findings["readers"]["detail"]
    readers.pcscd.close()
    done = CliRunner().invoke(main, ["doctor"], catch_exceptions=False)
    assert done.exit_code == 1
    assert "BAD smart card service" in done.stdout


def test_readers_are_listed(readers: Readers, tmp_path: Path) -> None:
    """With what is in them."""
    readers.insert(CONTACT_READER, blank_card(tmp_path / "card.json"))
    done = CliRunner().invoke(main, ["readers", "--json"], catch_exceptions=False)
    found = {each["reader"]: each for each in json.loads(done.stdout)["readers"]}
    name = readers.full_name(CONTACT_READER)
    atr = "3B8B800180F9A00000030800001000C8"
    assert found[name] == {"reader": name, "card": True, "atr": atr, "pin_pad": False}
    assert f"{name}: a card, ATR {atr}" in CliRunner().invoke(main, ["readers"]).stdout


def test_what_is_watched_is_printed(readers: Readers, tmp_path: Path) -> None:
    """What is there at the beginning is told, too."""
    readers.insert(CONTACT_READER, blank_card(tmp_path / "card.json"))
    done = CliRunner().invoke(main, ["watch", "--for", "0.1", "--json"], catch_exceptions=False)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    name = readers.full_name(CONTACT_READER)
    assert [each["event"] for each in told if each["reader"] == name] == ["reader_found", "card_inserted"]


def slot(count: int, has_card: bool) -> Slot:
    """A look at a reader."""
    return Slot("r", has_card, count, 0)


@pytest.mark.parametrize(
    ("before", "now", "events"),
    [
        (None, slot(0, False), ["reader found"]),
        (None, slot(1, True), ["reader found", "card inserted"]),
        (slot(0, False), slot(1, True), ["card inserted"]),
        (slot(1, True), slot(2, False), ["card removed"]),
        (slot(1, True), slot(1, True), []),
        (slot(1, True), slot(3, True), ["card removed", "card inserted"]),
        (slot(1, True), None, ["reader lost"]),
        (slot(0, False), slot(2, False), []),
    ],
    ids=str,
)
def test_what_happened_between_two_looks(before: Slot | None, now: Slot | None, events: list[str]) -> None:
    """A card that was swapped has another count of events."""
    found = changes({"r": before} if before else {}, {"r": now} if now else {})
    assert [event for _, event in found] == events


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """As it is but for the program, which is not installed there."""
    unit = tmp_path / "reader-agent.service"
    text = (PACKAGING / "reader-agent.service").read_text()
    unit.write_text(text.replace("/opt/citizen-card/bin/reader-agent", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "reader-agent.service" in line]
    # Where systemd does not run it cannot know our user; everything else it can.
    assert not [line for line in ours if "pcscd.socket" not in line], done.stderr


PCSCD_UNITS = Path("/lib/systemd/system")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_what_is_added_to_pcscds_socket(tmp_path: Path) -> None:
    """Beside Debian's own units."""
    for name in ("pcscd.socket", "pcscd.service"):
        shutil.copy(PCSCD_UNITS / name, tmp_path)
    added = tmp_path / "pcscd.socket.d"
    added.mkdir()
    shutil.copy(PACKAGING / "pcscd-socket.conf", added / "card-readers.conf")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / "pcscd.socket")],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:{PCSCD_UNITS}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "card-readers.conf" in done.stderr) == (0, False), done.stderr


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd is not here")
def test_systemd_takes_the_users(tmp_path: Path) -> None:
    """Made in a root of the test's own: the user is in the group of those who may use readers."""
    (tmp_path / "etc").mkdir()
    command = ["systemd-sysusers", f"--root={tmp_path}", str(PACKAGING / "reader-agent.sysusers")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    groups = (tmp_path / "etc" / "group").read_text().splitlines()
    assert any(line.startswith("card-readers:") and line.endswith(":reader-agent") for line in groups)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no JavaScript here")
@pytest.mark.parametrize(
    ("action", "groups", "user", "result"),
    [
        ("org.debian.pcsc-lite.access_pcsc", ["card-readers"], "reader-agent", "YES"),
        ("org.debian.pcsc-lite.access_card", [], "mallory", "NO"),
        ("org.debian.pcsc-lite.access_card", [], "root", "YES"),
        ("org.freedesktop.login1.reboot", [], "mallory", "NOT_HANDLED"),
    ],
)
def test_the_polkit_rule_decides(action: str, groups: list[str], user: str, result: str) -> None:
    """Run as polkit would run it, by another engine of the same language."""
    rule = (PACKAGING / "60-card-readers.rules").read_text()
    subject = f"{{user: {json.dumps(user)}, isInGroup: g => {json.dumps(groups)}.includes(g)}}"
    program = (
        "const polkit = {Result: {YES: 'YES', NO: 'NO', NOT_HANDLED: 'NOT_HANDLED'}, addRule: f => rule = f};"
        f"let rule; {rule}\nconsole.log(rule({{id: {json.dumps(action)}}}, {subject}));"
    )
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == result
