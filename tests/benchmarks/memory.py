"""How much memory a process has had."""

from pathlib import Path


def peak_mib() -> float:
    """The most that this process had in memory since its program began, MiB.

    `VmHWM` of proc(5): `getrusage` begins with what the process had that started this one.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(value) / 1024  # it is in kB
