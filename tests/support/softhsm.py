"""A PKCS#11 token of the test's own: SoftHSM with its own folder and configuration."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pkcs11
import pytest

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
OFFICER_PIN = "00000000"


@dataclass(frozen=True)
class SoftHsm:
    """Where the tokens are; the environment says it to the library."""

    folder: Path
    configuration: Path

    @property
    def variables(self) -> dict[str, str]:
        """What a program needs in its environment."""
        return {"SOFTHSM2_CONF": str(self.configuration)}

    def make_token(self, label: str, pin: str) -> None:
        """A new, empty token."""
        subprocess.run(
            [
                *("softhsm2-util", "--init-token", "--free", "--label", label),
                *("--so-pin", OFFICER_PIN, "--pin", pin),
            ],
            env={"PATH": "/usr/bin:/bin", **self.variables},
            check=True,
            capture_output=True,
        )

    def pull_out(self) -> None:
        """What happens when somebody takes the token away."""
        self.folder.rename(self.folder.with_name("pulled out"))
        self.folder.mkdir()

    def put_back(self) -> None:
        """The same tokens again."""
        shutil.rmtree(self.folder)
        self.folder.with_name("pulled out").rename(self.folder)


@pytest.fixture
def softhsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsm]:
    """Tokens that are gone with the test."""
    folder, configuration = tmp_path / "tokens", tmp_path / "softhsm2.conf"
    folder.mkdir()
    configuration.write_text(
        f"directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    # A library that another test has loaded still reads that one's folder.
    pkcs11.lib(str(MODULE)).reinitialize()
    yield SoftHsm(folder, configuration)
    pkcs11.lib(str(MODULE)).finalize()
