"""Fixtures that every test may ask for."""

pytest_plugins = (
    "tests.support.browsers",
    "tests.support.budget",
    "tests.support.databases",
    "tests.support.interrupts",
    "tests.support.softhsm",
    "tests.support.tears",
)
