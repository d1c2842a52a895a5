"""The project keeps its own promises: documents lead somewhere, modules stay small, commands are named."""

import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGES = ("pki", "reader_agent", "cardservice", "kiosk")
DOCUMENTS = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
# The errors of a package stand in one file, and each is a few lines.
MAX_LINES = 400


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = [target for target in LINK.findall(document.read_text("utf-8")) if "://" not in target]
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


def test_modules_stay_small() -> None:
    modules = [module for package in PACKAGES for module in (PROJECT / package).rglob("*.py")]
    assert len(modules) > 100
    sizes = {
        str(module.relative_to(PROJECT)): len(module.read_text("utf-8").splitlines()) for module in modules
    }
    assert {name: size for name, size in sizes.items() if size > MAX_LINES} == {}


def test_make_help_names_the_commands() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert {"setup", "demo", "test", "lint", "bench"} <= set(re.findall(r"make ([a-z-]+)", shown.stdout))


def test_the_lock_file_pins_and_hashes_everything() -> None:
    lock = (PROJECT / "requirements.lock").read_text("utf-8")
    pinned = re.findall(
        r"^([a-z0-9._-]+(?:\[[a-z,]+\])?)==([^ ]+) \\\n    --hash=sha256:", lock, re.MULTILINE
    )
    named = [line for line in lock.splitlines() if re.match(r"[a-z0-9]", line)]
    assert len(pinned) == len(named) > 50
