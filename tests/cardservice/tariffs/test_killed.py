"""A process that is killed while it loads: each tariff is there with all that it names, or not at all."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from cardservice.audit.models import audit
from cardservice.database import connect
from cardservice.ledger.event_models import resource
from cardservice.tariffs.models import tariff, tariff_draft
from tests.cardservice.services import leisure_tariffs

TARIFFS, PLACES = 400, 60
# The command itself, again and again in one process, so that a kill comes in the middle of one.
PROGRAM = """
import sys
from cardservice.cli import main
for file in sys.argv[1:]:
    main(["load", "leisure", file, "--approve"], standalone_mode=False)
"""


@pytest.mark.parametrize("kills", [2, pytest.param(25, marks=pytest.mark.long)])
def test_all_or_nothing(environment: dict[str, str], tmp_path: Path, kills: int) -> None:
    """Sessions, tariff, draft and trail of a load are there together; the next process goes on."""
    files = [str(_tariff(tmp_path, number)) for number in range(TARIFFS)]
    chance = random.Random(20261127)  # noqa: S311 - when to kill, no secret
    settings = os.environ | environment | {"CARDSERVICE_TARIFF_APPROVAL": "one-person"}
    loaded = 0
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *files[loaded:]],
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        assert process.stdout.readline(), "it has loaded something"
        time.sleep(chance.uniform(0, 0.5))  # the moment of the kill, not a wait for anything
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        before, loaded = loaded, _check(environment["CARDSERVICE_DATABASE_URL"])
        assert loaded > before
        if loaded > TARIFFS - 40:
            break


def _tariff(folder: Path, number: int) -> Path:
    own = folder / f"{number}"
    own.mkdir()
    first = leisure_tariffs.TARIFF["sessions"][0]
    sessions = [{**first, "key": f"s{number}-{place}"} for place in range(PLACES)]
    path = own / "leisure.json"
    path.write_text(json.dumps(leisure_tariffs.TARIFF | {"sessions": sessions}), encoding="utf-8")
    return path


def _check(url: str) -> int:
    """How many tariffs are there, each of them whole."""
    database = connect(url)
    try:
        with database.reading() as connection:
            contents = connection.execute(select(tariff.c.content)).scalars().all()
            states = connection.execute(select(tariff_draft.c.state)).scalars().all()
            made = set(connection.execute(select(resource.c.key)).scalars())
            trail = select(func.count()).where(audit.c.action == "tariff.approve")
            assert connection.scalar(trail) == len(contents)
    finally:
        database.dispose()
    wanted = {session["key"] for content in contents for session in json.loads(content)["sessions"]}
    assert made == wanted
    assert states == ["approved"] * len(contents)
    return len(contents)
