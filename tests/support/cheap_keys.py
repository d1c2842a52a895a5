"""Key files that are opened at once.

What scrypt costs is for who guesses a stolen file's passphrase; a test opens hundreds. Each file says its own
cost, so that programs that tests start read what this process wrote; what they write has the full one.
"""

from collections.abc import Iterator

import pytest

from pki import pkcs8

CHEAP_COST = 2


@pytest.fixture(scope="session", autouse=True)
def cheap_key_files() -> Iterator[None]:
    """Key files that this process writes cost next to nothing to open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pkcs8, "current_cost", lambda: CHEAP_COST)
        yield


@pytest.fixture
def full_cost_key_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of this test cost what they cost everybody else."""
    monkeypatch.setattr(pkcs8, "current_cost", lambda: pkcs8.FULL_COST)
