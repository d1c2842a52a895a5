"""What a machine has for smart cards: pcscd, its drivers, readers that are plugged in, and who may use them.

Looked at from outside, since pcscd cannot say why it does not answer. Every finding says what to do.
"""

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# pcsc-lite: where clients find the service, unless this variable names another place (pcscd(8))
SOCKET_VARIABLE: Final = "PCSCLITE_CSOCK_NAME"
_SOCKET: Final = Path("/run/pcscd/pcscd.comm")
_PROGRAMS: Final = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
_DRIVERS: Final = Path("/usr/lib/pcsc/drivers")
_USB: Final = Path("/sys/bus/usb/devices")
# USB.org, defined class codes: smart card
_SMART_CARD_CLASS: Final = "0b"
_PATIENCE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Machine:
    """Where to look."""

    socket: Path
    program_path: str = _PROGRAMS
    drivers: Path = _DRIVERS
    usb: Path = _USB

    @classmethod
    def this(cls) -> "Machine":
        """The one that this runs on."""
        return cls(Path(os.environ.get(SOCKET_VARIABLE, _SOCKET)))

    def trouble_with_service(self) -> str | None:
        """Why pcscd cannot be reached, and what to do; None if it listens."""
        try:
            mode = self.socket.stat().st_mode
        except FileNotFoundError:
            return self._trouble_without_socket()
        except PermissionError:
            return f"you may not look into {self.socket.parent}; run this as the agent's user"
        if not stat.S_ISSOCK(mode):
            return f"{self.socket} is no socket; move it away and restart pcscd"
        return self._trouble_with_socket()

    def _trouble_without_socket(self) -> str:
        if shutil.which("pcscd", path=self.program_path) is None:
            return "pcscd is not installed; apt-get install pcscd libccid"
        return f"pcscd does not run (there is no {self.socket}); systemctl enable --now pcscd.socket"

    def _trouble_with_socket(self) -> str | None:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(_PATIENCE_S)
                client.connect(str(self.socket))
        except PermissionError:
            group = _group(self.socket)
            return (
                f"you may not use {self.socket}; have your user added to the group {group}, and log in again"
            )
        except OSError as error:
            return f"nobody answers at {self.socket} ({error.strerror}); systemctl restart pcscd.socket pcscd"
        return None

    @property
    def is_open_to_all(self) -> bool:
        """Whether every user of the machine may use every card: so it is where nothing was done about it."""
        return bool(self.socket.stat().st_mode & stat.S_IWOTH)

    def trouble_with_readers(self) -> str:
        """Why pcscd, which answers, has no readers, and what to do."""
        plugged = list(self._plugged())
        if not plugged:
            return "no reader is connected; plug one in, and look at its cable"
        names = ", ".join(plugged)
        if not any(self.drivers.glob("*.bundle")):
            return f"a reader is plugged in ({names}), but there is no driver; apt-get install libccid"
        return (
            f"a reader is plugged in ({names}), but pcscd does not take it: its driver may be missing;"
            " unplug it, plug it in again, and see what journalctl -u pcscd says"
        )

    def _plugged(self) -> Iterator[str]:
        """What on USB says that it is a reader, as vendor:product."""
        for interface in sorted(self.usb.glob("*:*")):
            if _text(interface / "bInterfaceClass") != _SMART_CARD_CLASS:
                continue
            device = self.usb / interface.name.partition(":")[0]
            ids = f"{_text(device / 'idVendor')}:{_text(device / 'idProduct')}"
            name = _text(device / "product")
            yield f"{name} {ids}" if name else ids


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _group(path: Path) -> str:
    try:
        return path.group()
    except (KeyError, OSError):
        return str(path.stat().st_gid)
