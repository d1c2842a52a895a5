"""Tokens of a real SoftHSM2, in a folder of the tests' own."""

import os
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from pki.token import Token

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = b"1234-of-the-tests"
_CONFIGURATION = "SOFTHSM2_CONF"


@pytest.fixture(scope="session")
def new_token(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Token]:
    """Makes a new, empty token each time it is called.

    The library reads its configuration once in a process, so all of them lie in one folder.
    """
    folder = tmp_path_factory.mktemp("softhsm")
    if _CONFIGURATION not in os.environ:
        (folder / "tokens").mkdir()
        configuration = folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
        os.environ[_CONFIGURATION] = str(configuration)
    numbers = count()

    def make() -> Token:
        label = f"{folder.name}-{next(numbers)}"
        pins = ["--so-pin", "officer-of-the-tests", "--pin", PIN.decode()]
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, *pins],
            check=True,
            capture_output=True,
        )
        return Token(MODULE, label, PIN)

    return make
