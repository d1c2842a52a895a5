"""Numbers that tests tell, printed at the end: one that killed nothing would pass, too."""

import pytest

PROPERTY = "told"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have recorded under PROPERTY."""
    lines = [
        f"{value}  ({report.nodeid.rpartition('::')[2]})"
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if lines:
        terminalreporter.section("what was killed, reloaded and restored under load")
    for line in sorted(lines):
        terminalreporter.write_line(line)
