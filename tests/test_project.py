"""The project keeps its own promises: documents lead somewhere, modules stay small, commands are named."""

import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

PROJECT = Path(__file__).parents[1]
PACKAGES = ("pki", "reader_agent", "cardservice", "kiosk")
DOCUMENTS = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
# The errors of a package stand in one file, and each is a few lines.
MAX_LINES = 400
SCRIPTS = ("cardservice", "kiosk", "pki", "reader-agent")
# They serve until they are ended, or print nothing but JSON.
WITHOUT_JSON = {
    *("cardservice serve", "cardservice sip2 serve", "kiosk demo", "reader-agent virtual-readers run"),
    *("cardservice ledger heads", "cardservice tariff holidays", "reader-agent outbox show"),
}


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


@pytest.mark.parametrize("script", SCRIPTS)
def test_commands_say_what_they_and_their_options_are_for(script: str) -> None:
    """And print JSON for a script where one may want it."""
    [found] = entry_points(group="console_scripts", name=script)
    for path, command in _commands(found.load(), script):
        options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
        assert command.help, path
        assert [one.opts for one in options if not one.help] == [], path
        assert any("--json" in one.opts for one in options) == (path not in WITHOUT_JSON), path


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _commands(found, f"{path} {name}")


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
