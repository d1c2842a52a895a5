"""`kiosk run`: what it says when it cannot."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.kiosk.agent import READER, Agent
from tests.support import warm


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    return warm.run(["kiosk", "run", *options], os.environ, timeout=60)


@pytest.fixture
def trip(tmp_path: Path) -> Path:
    """A trip's file."""
    path = tmp_path / "trip.json"
    path.write_text(json.dumps({"from_stop": "a", "to_stop": "b"}))
    return path


def test_a_taken_port_is_one_sentence(agent: Agent, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("till", "--agent", str(tmp_path), "--reader", READER, "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 cannot be used" in done.stderr
    assert done.stderr.strip().endswith("[port_taken]")
    assert "Traceback" not in done.stderr


def test_a_missing_token_is_one_sentence(tmp_path: Path) -> None:
    done = run("till", "--agent", str(tmp_path), "--reader", READER, "--port", "0")
    assert done.returncode == 1
    assert "start `reader-agent run` first" in done.stderr
    assert "[config_invalid]" in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:7410",
        "http://cards.example.org:7410",
        "http://127.0.0.1",
        "http://127.0.0.1:x",
        "x",
    ],
)
def test_the_token_goes_to_this_machine_alone(agent: Agent, tmp_path: Path, url: str) -> None:
    done = run("till", "--agent", str(tmp_path), "--agent-url", url, "--reader", READER, "--port", "0")
    assert done.returncode == 1
    assert "is not http://127.0.0.1:PORT" in done.stderr


@pytest.mark.parametrize("content", ["", "[]", '{"from_stop": "a"}', '{"from_stop": "a", "to_stop": 1}'])
def test_a_trip_that_is_none_is_one_sentence(agent: Agent, trip: Path, content: str) -> None:
    trip.write_text(content)
    done = run("validator", "--agent", str(trip.parent), "--reader", READER, "--trip", str(trip))
    assert done.returncode == 1
    assert str(trip) in done.stderr
    assert "[config_invalid]" in done.stderr


def test_the_token_is_named_once(trip: Path) -> None:
    for options in ((), ("--agent", "x", "--agent-token-file", "y")):
        done = run("validator", "--reader", READER, "--trip", str(trip), *options)
        assert done.returncode == 2
        assert "give either --agent or --agent-token-file" in done.stderr


def test_help_says_what_there_is() -> None:
    assert "validator" in run("--help").stdout
    assert "--section" in run("till", "--help").stdout
