"""`make demo`, run as a person runs it: it says where its pages are and what to do next; Ctrl-C ends all."""

import fcntl
import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import astuple
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from PIL import Image

from cardservice.services import discover
from kiosk.demo import town
from kiosk.demo.farewell import ENVIRONMENT_FILE, READY, STATE_FILE
from kiosk.demo.place import choose_ports
from tests.support.demonstration import LAST_LINE, PROJECT, Demonstration, Town

# What the card service takes
PHOTO_BYTES, PHOTO_SIZE = 40 * 1024, (480, 640)


@pytest.fixture
def demonstration(tmp_path: Path) -> Iterator[Demonstration]:
    """A demonstration in a folder of its own."""
    running = Demonstration(tmp_path / "demo")
    yield running
    if running.process.poll() is None:
        running.end()


def commands_to_go_on_with(said: str) -> list[str]:
    """The commands that the demonstration prints, each under a line that says what it is for."""
    lines = said.splitlines()
    return [after.strip() for line, after in pairwise(lines) if line.startswith("  # ")]


def test_the_demonstration_says_where_its_pages_are_and_its_commands_go_on_from_there(
    demonstration: Demonstration,
) -> None:
    said = demonstration.read_until(LAST_LINE)
    assert READY in said
    found = Town.of(demonstration.folder)
    for page in ("wallet", "till", "validator", "kiosk"):
        assert found.url(page) in said
        assert requests.get(found.url(page), timeout=30).status_code == 200
    for name in (STATE_FILE, ENVIRONMENT_FILE, "passphrase", "payment-key"):
        assert stat.S_IMODE((demonstration.folder / name).stat().st_mode) == 0o600, "for its owner alone"

    script = "\n".join(["set -e", *commands_to_go_on_with(said)])
    done = subprocess.run(
        ["bash", "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "prepaid: 20.00 GBP" in done.stdout
    assert "prepaid: 25.00 GBP" in done.stdout, "5.00 more"
    assert "meals.day at most 3.50 GBP" in done.stdout
    assert "2.40 GBP" in done.stdout, "what a fare costs"
    assert "is revoked" in done.stdout

    assert demonstration.end() == 0
    assert demonstration.programs() == []


def test_once_it_pays_a_fare_without_pages_and_ends(tmp_path: Path) -> None:
    running = Demonstration(tmp_path / "demo", ["--once"])
    said = running.read_until("All ended")
    assert "APPROVED  2.40 GBP" in said
    assert running.wait() == 0
    assert running.programs() == []


def test_it_can_be_ended_at_any_time(demonstration: Demonstration) -> None:
    demonstration.read_until("Enrolling terminals")
    # As a terminal does that is closed
    assert demonstration.end(signal.SIGHUP) == 0
    assert demonstration.programs() == []


def test_a_folder_that_is_not_a_demonstrations_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = demo_in(tmp_path)
    assert done.returncode == 1
    assert "not a demonstration's folder" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = demo_in(tmp_path)
    assert done.returncode == 1
    assert "is running" in done.stderr


def demo_in(folder: Path) -> subprocess.CompletedProcess[str]:
    """A demonstration that should refuse to start."""
    command = [sys.executable, "-m", "kiosk.demo", "--once", "--dir", str(folder)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)


def test_ports_in_use_are_left_to_others() -> None:
    with_usual = choose_ports(None, usual=True)
    others = choose_ports(with_usual.card_service, usual=False)
    assert others.card_service == with_usual.card_service
    chosen = astuple(others)
    assert len(set(chosen)) == len(chosen)


@pytest.mark.parametrize("today", [date(2026, 2, 28), date(2031, 12, 31)])
def test_the_menu_is_in_force_whenever_the_demonstration_starts(tmp_path: Path, today: date) -> None:
    file = tmp_path / "menu.json"
    file.write_text(json.dumps(town.menu(today)))
    loaded = discover()["meals"].load([file], currency=town.CURRENCY)
    assert loaded.valid_from.date() in {today, date.fromordinal(today.toordinal() - 1)}
    assert set(town.menu(today)["services"]) == {"break", "lunch"}


@pytest.mark.parametrize("person", town.PEOPLE, ids=lambda person: person.key)
def test_portraits_are_as_the_card_service_takes_them(person: town.Person) -> None:
    picture = town.portrait(person)
    assert picture.stat().st_size <= PHOTO_BYTES
    with Image.open(picture) as image:
        assert image.format == "JPEG"
        assert image.size[0] <= PHOTO_SIZE[0]
        assert image.size[1] <= PHOTO_SIZE[1]
        assert not image.getexif()
    assert picture.with_suffix(".svg").exists(), "the source lies beside it"
