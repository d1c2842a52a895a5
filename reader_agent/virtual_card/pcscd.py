"""A pcscd of our own with virtual readers, beside whatever the system runs; several side by side.

pcscd's socket lies at a fixed place, so it runs in a mount namespace in which /run is its own. As root that
needs nothing else; without root a user namespace is made first, where the system allows that. Nothing of it
is visible outside but the folder it was given.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from reader_agent.virtual_card.errors import ReadersUnavailable
from reader_agent.virtual_card.pcscd_client import PcscdUnreachable, ReaderState, read_states
from reader_agent.virtual_card.ports import PortClaim

SYSTEM_DRIVER: Final = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
SOCKET_VARIABLE: Final = "PCSCLITE_CSOCK_NAME"  # pcsc-lite's own

MAX_READERS: Final = 8  # pcscd holds 16 slots, and each of these readers has two
MAX_NAME_LENGTH: Final = 60  # ours; pcscd cuts names at 128 bytes with its own numbers
MAX_SOCKET_PATH_LENGTH: Final = 107  # unix(7): sun_path, without its final zero

START_TIMEOUT_S: Final = 5.0
STOP_TIMEOUT_S: Final = 5.0
START_ATTEMPTS: Final = 3
POLL_S: Final = 0.01

# $1 is our folder. It is entered before /run is covered, since it may lie below it; `.` still names it then.
# Inside, it lies at a place of our own choice: reader.conf knows no quotes around paths.
# PDEATHSIG: a pcscd does not outlive whoever started it.
_INSIDE: Final = Path("/run/virtual")
_LAUNCH: Final = """
set -e
cd "$1"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/virtual /run/pcscd
mount --no-canonicalize --bind . /run/virtual
mount --bind /run/virtual/run /run/pcscd
cd /
exec setpriv --pdeathsig KILL pcscd --foreground --config /run/virtual/readers
"""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things lie in the folder."""

    root: Path

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def readers(self) -> Path:
        return self.root / "readers"

    @property
    def drivers(self) -> Path:
        return self.root / "drivers"

    @property
    def hotplug(self) -> Path:
        """Stays empty: with no driver for USB this pcscd leaves real readers to the system's."""
        return self.root / "hotplug"

    @property
    def log(self) -> Path:
        return self.root / "pcscd.log"


class PrivatePcscd:
    """A pcscd with one virtual reader for each of `readers`, which are friendly names.

    pcscd adds numbers to a name: "Kiosk" is listed as "Kiosk 00 00", and its second slot, which stays empty,
    as "Kiosk 00 01". Clients take `environment` before their first call.
    """

    def __init__(self, directory: Path, readers: Sequence[str]) -> None:
        _require_names(readers)
        self._layout = _Layout(directory.resolve())
        self._names = tuple(readers)
        self._claims: dict[str, PortClaim] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._short: Path | None = None  # a link to the folder, where the socket's path would be too long

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes a process speak to this pcscd."""
        return {SOCKET_VARIABLE: str(self.socket_path)}

    @property
    def socket_path(self) -> Path:
        """Where clients connect."""
        path = self._layout.run / "pcscd.comm"
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH_LENGTH:
            return path
        if self._short is None:
            self._short = Path(tempfile.mkdtemp(prefix="pcscd-"))
            (self._short / "run").symlink_to(self._layout.run)
        return self._short / "run" / "pcscd.comm"

    @property
    def ports(self) -> Mapping[str, int]:
        """The TCP port at which each reader takes a card."""
        return {name: claim.port for name, claim in self._claims.items()}

    def port(self, reader: str) -> int:
        """The TCP port at which this reader takes a card; KeyError before the start or for another name."""
        return self._claims[reader].port

    def states(self) -> dict[str, ReaderState]:
        """What is in each reader now. Raises PcscdUnreachable."""
        first_slots = [state for state in read_states(self.socket_path) if state.name.endswith(" 00")]
        return {name: state for state in first_slots if (name := state.name[: -len(" 00 00")]) in self._names}

    def start(self) -> None:
        """Start it, and return once all its readers are listed. Raises ReadersUnavailable.

        A second start, after a stop, keeps the ports unless somebody else has taken them.
        """
        _require_programs()
        try:
            for _ in range(START_ATTEMPTS):
                self._claim_ports()
                self._write_files()
                self._launch()
                if self._wait_until_listed():
                    return
                self.stop()
                self._release_ports()
        except BaseException:
            self.close()
            raise
        raise ReadersUnavailable(
            f"pcscd did not list its readers in {START_TIMEOUT_S:.0f} s; it said:\n{self._said()}"
        )

    def stop(self) -> None:
        """End it; cards in its readers lose their power. May be started again."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def wait(self) -> int:
        """Wait until it ends by itself; its exit status."""
        if self._process is None:
            raise ReadersUnavailable("this pcscd was not started")
        return self._process.wait()

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """Stop it for good and give its ports back."""
        self.stop()
        self._release_ports()
        if self._short is not None:
            shutil.rmtree(self._short)
            self._short = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _claim_ports(self) -> None:
        if self._claims and all(claim.is_free for claim in self._claims.values()):
            return
        self._release_ports()
        for name in self._names:
            self._claims[name] = PortClaim.take()

    def _release_ports(self) -> None:
        for claim in self._claims.values():
            claim.close()
        self._claims.clear()

    def _write_files(self) -> None:
        layout = self._layout
        for folder in (layout.run, layout.readers, layout.drivers, layout.hotplug):
            folder.mkdir(parents=True, exist_ok=True)
        for leftover in layout.run.iterdir():
            leftover.unlink()  # a pcscd that was killed leaves its socket, and the next one gives up at it
        entries = []
        for number, (name, claim) in enumerate(self._claims.items()):
            # A real copy each: the dynamic loader takes one file for one driver, whose slots all readers
            # would then share.
            shutil.copyfile(SYSTEM_DRIVER, layout.drivers / f"{number}.so")
            entries.append(_entry(name, claim.port, _INSIDE / "drivers" / f"{number}.so"))
        (layout.readers / "readers.conf").write_text("\n".join(entries))

    def _launch(self) -> None:
        command = ["unshare", *_namespaces(), "sh", "-c", _LAUNCH, "pcscd", str(self._layout.root)]
        with self._layout.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C ends us, and we end it
                env={**os.environ, "PCSCLITE_HP_DROPDIR": str(_INSIDE / "hotplug"), "LC_ALL": "C"},
            )

    def _wait_until_listed(self) -> bool:
        """False when the time is over with readers missing. The socket's existence says nothing."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.is_running:
                self._process = None
                raise ReadersUnavailable(f"pcscd ended at once; it said:\n{self._said()}")
            try:
                if set(self.states()) == set(self._names):
                    return True
            except PcscdUnreachable:
                pass  # not yet
            time.sleep(POLL_S)
        return False

    def _said(self) -> str:
        return self._layout.log.read_text(errors="replace").strip()


def _entry(name: str, port: int, driver: Path) -> str:
    """One reader of reader.conf(5); the number after the colon is the first slot's port."""
    return f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:{port}\nLIBPATH {driver}\nCHANNELID {port}\n'


def _require_names(readers: Sequence[str]) -> None:
    if not 1 <= len(readers) <= MAX_READERS or len(set(readers)) != len(readers):
        raise ReadersUnavailable(f"name 1 to {MAX_READERS} readers, each once")
    for name in readers:
        if (
            not name.isascii()
            or not name.isprintable()
            or '"' in name
            or not 0 < len(name) <= MAX_NAME_LENGTH
        ):
            raise ReadersUnavailable(
                f"{name!r} is no reader's name: take printable ASCII without quotation marks"
            )


def _require_programs() -> None:
    missing = [name for name in ("pcscd", "unshare", "setpriv", "mount") if _find(name) is None]
    if missing or not SYSTEM_DRIVER.exists():
        lacking = ", ".join([*missing, *([] if SYSTEM_DRIVER.exists() else [str(SYSTEM_DRIVER)])])
        raise ReadersUnavailable(
            f"{lacking}: not installed; on Debian: apt-get install pcscd vsmartcard-vpcd util-linux"
        )


def _find(program: str) -> str | None:
    # Daemons lie in /usr/sbin, which is not on everybody's PATH.
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def _namespaces() -> tuple[str, ...]:
    """What makes unshare(1) work here: as root a mount namespace alone, else one in a user namespace."""
    mount = ("--mount", "--propagation", "private")
    in_user_namespace = ("--map-root-user", *mount)
    for way in (mount, in_user_namespace) if os.geteuid() == 0 else (in_user_namespace,):
        probe = subprocess.run(
            ["unshare", *way, "mount", "-t", "tmpfs", "tmpfs", "/run"],
            capture_output=True,
            text=True,
            check=False,
        )
        if probe.returncode == 0:
            return way
    raise ReadersUnavailable(
        "a private pcscd needs a namespace of its own, and this system makes none for this user: run as root,"
        " or have an administrator allow user namespaces (sysctl kernel.unprivileged_userns_clone,"
        f" user.max_user_namespaces). It said: {probe.stderr.strip()}"
    )
