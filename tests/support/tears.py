"""How many moments the power was cut at, printed at the end: a test that cuts nowhere would pass, too."""

import pytest

PROPERTY = "tear points"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the numbers that tests have recorded under PROPERTY."""
    counts = {
        report.nodeid.rpartition("::")[2]: value
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    }
    if counts:
        terminalreporter.section("moments that the power was cut at")
    for test, count in sorted(counts.items()):
        terminalreporter.write_line(f"{count!s:>8}  {test}")
