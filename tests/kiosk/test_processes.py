"""The programs of a launcher: noted when they die, started again, and none of them left behind."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.processes import Interrupted, ProgramFailed, Programs
from tests.support.pcsc import wait_until

SLEEPER = ("python", "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
# It leaves a child behind when it is killed.
PARENT = (
    "python",
    "-c",
    "import os, time; os.fork(); print(os.getpid(), flush=True); time.sleep(600)",
)


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """A launcher's programs, ended at the end."""
    made = Programs(tmp_path, {})
    yield made
    made.close()


def started(programs: Programs, name: str, command: tuple[str, ...], lines: int = 1) -> set[int]:
    """Start a program; the process ids that it prints."""
    begins_at = programs.start(name, *command)

    def printed() -> set[int] | None:
        said = programs.output(name, begins_at).split()
        return {int(pid) for pid in said} if len(said) >= lines else None

    return programs.wait_until(name, printed)


def is_running(pid: int) -> bool:
    """Whether a process works; one that only waits to be noticed does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_one_that_died_is_noted_until_it_is_started_again(programs: Programs) -> None:
    [pid] = started(programs, "sleeper", SLEEPER)
    assert programs.deaths() == ()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: programs.deaths() != (), "its death")
    [death] = programs.deaths()
    assert (death.name, death.status, death.log) == ("sleeper", -9, programs.log_path("sleeper"))

    [again] = started(programs, "sleeper", SLEEPER)
    assert again != pid
    assert programs.deaths() == ()
    assert programs.stop("sleeper")
    assert not programs.stop("sleeper"), "there was none any more"
    assert not is_running(again)
    assert programs.deaths() == (), "it was asked to end"


def test_what_one_that_died_has_left_behind_ends_with_it(programs: Programs) -> None:
    left = started(programs, "parent", PARENT, lines=2)
    parent = next(pid for pid in left if os.getpgid(pid) == pid)
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: programs.deaths() != (), "its death")
    programs.stop("parent")
    wait_until(lambda: not any(is_running(pid) for pid in left), "both gone")


def test_one_that_dies_while_it_is_waited_for_is_told_with_what_it_said(programs: Programs) -> None:
    programs.start("failing", "python", "-c", "raise SystemExit('no such reader')")
    with pytest.raises(ProgramFailed, match="no such reader") as failure:
        programs.wait_until("failing", lambda: None)
    assert failure.value.status == 1


def test_what_a_failed_program_said_is_told(programs: Programs) -> None:
    with pytest.raises(ProgramFailed, match="No such command") as failure:
        programs.run("cardservice", "no-such-command")
    assert failure.value.status == 2


def test_after_the_end_nothing_is_started_and_nothing_goes_on(programs: Programs) -> None:
    [pid] = started(programs, "sleeper", SLEEPER)
    outcomes: list[str] = []

    def errand() -> None:
        try:
            programs.run(*SLEEPER)
        except Interrupted:
            outcomes.append("interrupted")

    thread = threading.Thread(target=errand)
    thread.start()
    wait_until(lambda: bool(programs._errands), "an errand under way")
    programs.close()
    thread.join(60)
    assert outcomes == ["interrupted"]
    assert not is_running(pid)
    with pytest.raises(Interrupted):
        programs.start("another", *SLEEPER)
    with pytest.raises(Interrupted):
        programs.run(*SLEEPER)
