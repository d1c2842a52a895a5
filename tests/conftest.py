"""Fixtures that every test may ask for."""

pytest_plugins = (
    "tests.support.browsers",
    "tests.support.budget",
    "tests.support.cheap_keys",
    "tests.support.databases",
    "tests.support.interrupts",
    "tests.support.scratch",
    "tests.support.softhsm",
    "tests.support.tears",
    "tests.support.told",
)
