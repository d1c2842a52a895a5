"""What each part of the tests takes, printed at the end: processor-minutes are a budget, too."""

from collections import defaultdict
from pathlib import PurePosixPath

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seconds of each part, set-up and tear-down of its fixtures included."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[part_of(report.nodeid)] += report.duration
    terminalreporter.section("seconds by part, of all workers together")
    for part, total in sorted(seconds.items()):
        terminalreporter.write_line(f"{total:8.1f}  {part}")


def part_of(nodeid: str) -> str:
    """The package's folder, and its room where there is one: `cardservice/ledger`."""
    folders = PurePosixPath(nodeid.partition("::")[0]).parent.parts[1:3]
    return "/".join(folders) or "tests"
