"""`cardservice serve`: gunicorn as it runs in production, on both databases."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import requests
from psycopg import sql
from sqlalchemy import make_url

from tests.support.databases import ADMINISTRATOR, DatabaseUrls
from tests.support.stack import free_port

TIMEOUT_S = 60.0


@contextmanager
def served(environment: dict[str, str], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The service, running, and its address."""
    port = free_port()
    home = folder / "home"
    home.mkdir()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "cardservice", "serve", "--bind", f"127.0.0.1:{port}"],
            env={**os.environ, **environment, "HOME": str(home), "CARDSERVICE_WORKERS": "2"},
            cwd=home,
            stdout=log,
            stderr=log,
        )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def until(found: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + TIMEOUT_S
    while not found():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether the service is ready."""
    try:
        return requests.get(f"{url}/healthz/ready", timeout=5).ok
    except requests.RequestException:
        return False


def is_refused(url: str, address: str) -> bool:
    """Whether somebody has asked too often."""
    asked = requests.get(f"{url}/pki/root.crt", timeout=TIMEOUT_S, headers={"X-Forwarded-For": address})
    return asked.status_code == 429 and int(asked.headers["Retry-After"]) > 0


def workers(process: subprocess.Popen[bytes]) -> int:
    """How many processes gunicorn has started."""
    return len(children(process))


def children(process: subprocess.Popen[bytes]) -> set[str]:
    """gunicorn's processes beside the first."""
    return set(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())


def test_served(environment: dict[str, str], database_urls: DatabaseUrls, tmp_path: Path) -> None:
    """One process writes to SQLite, several to PostgreSQL; SIGTERM ends it in order, and nothing is left."""
    admin = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "numbers").mkdir()
    environment |= {"CARDSERVICE_ADMIN_BIND": admin[7:], "TMPDIR": str(tmp_path / "numbers")}
    environment["CARDSERVICE_ADDRESS_LIMIT"] = "1"
    with served(environment, tmp_path) as (process, url):
        until(lambda: answers(url), process, tmp_path / "log")
        expected = 1 if database_urls.kind == "sqlite" else 2
        until(lambda: workers(process) == expected, process, tmp_path / "log")
        for _ in range(5):
            refused = requests.get(f"{url}/v1/nonce", timeout=5)
            assert refused.json()["code"] == "request_signature_missing"
        # Whichever process counted, whichever is asked: here, and at no other address.
        told = requests.get(f"{admin}/metrics", timeout=5).text
        assert 'cardservice_requests_total{method="GET",route="/v1/nonce",status="401"} 5.0' in told
        assert requests.get(f"{url}/metrics", timeout=5, headers={"Host": admin[7:]}).status_code == 404
        assert answers(admin)
        assert requests.get(f"{admin}/v1/nonce", timeout=5).status_code == 404
        # Whoever is behind the proxy; this machine itself was not counted.
        until(lambda: is_refused(url, "203.0.113.9"), process, tmp_path / "log")
        numbers = Path(environment["TMPDIR"])
        assert list(numbers.glob("cardservice-numbers-*/*.db"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
    assert list((tmp_path / "home").iterdir()) == list(numbers.iterdir()) == []


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_the_old_serve_until_the_new_can(
    environment: dict[str, str], database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    """A reload while no new process can open the service, since its database lets nobody new in."""
    url = make_url(database_urls.owner)
    name = sql.Identifier(str(url.database))
    log = tmp_path / "log"
    with (
        psycopg.connect(
            host=str(url.query["host"]), user=ADMINISTRATOR, dbname="postgres", autocommit=True
        ) as server,
        served(environment, tmp_path) as (process, address),
    ):
        until(lambda: answers(address), process, log)
        until(lambda: workers(process) == 2, process, log)
        old = children(process)
        server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        process.send_signal(signal.SIGHUP)
        # For longer than an old one takes to notice that it is told to end.
        until(lambda: log.read_text().count("the database does not answer") >= 12, process, log)
        for _ in range(3):
            assert requests.get(f"{address}/healthz/live", timeout=TIMEOUT_S).ok
        assert old < children(process)
        server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        until(lambda: not old & children(process), process, log)
        until(lambda: answers(address), process, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
