"""`naive`: the same purpose as it is usually written, to compare with; no part of the service.

Flask, marshmallow and SQLAlchemy's ORM on gunicorn's threads: select the account, insert transaction and
transfer, update the balance, commit. No signature, no rules, no proof, no stored answer, no repeat: less than
the service does.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import UUID

import psycopg
import requests
from flask import Flask, request
from marshmallow import Schema, fields
from sqlalchemy import DateTime, ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from tests.benchmarks.report import Measurement
from tests.benchmarks.server import SLICES, BenchmarkFailed, administrator_url, checkpoint
from tests.support.databases import OWNER, PostgresServer
from tests.support.stack import free_port

KEY = "naive"
URL_VARIABLE = "NAIVE_DATABASE_URL"
ACCOUNTS = 100_000
THREADS, CONNECTIONS = 2, 32
START_TIMEOUT_S = 60.0


class Base(DeclarativeBase):
    """Of these tables."""


class Account(Base):
    """Who pays."""

    __tablename__ = "naive_account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance_minor: Mapped[int]


class Transaction(Base):
    """What happened."""

    __tablename__ = "naive_transaction"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id))
    posted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Transfer(Base):
    """What it cost."""

    __tablename__ = "naive_transfer"
    id: Mapped[int] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID] = mapped_column(ForeignKey(Transaction.id))
    amount_minor: Mapped[int]


class SaleSchema(Schema):
    """What is asked for."""

    id = fields.UUID(required=True)
    account = fields.Integer(required=True)
    amount_minor = fields.Integer(required=True)


def create() -> Flask:
    """The application, for gunicorn."""
    app, schema = Flask("naive"), SaleSchema()
    url = os.environ[URL_VARIABLE].replace("postgresql://", "postgresql+psycopg://")
    sessions = sessionmaker(create_engine(url, pool_size=10))

    @app.post("/sales")
    def post_sale() -> tuple[dict[str, object], int]:
        sale = schema.load(request.get_json())
        with sessions() as session:
            account = session.get_one(Account, sale["account"], with_for_update=True)
            if account.balance_minor < sale["amount_minor"]:
                return {"decision": "declined"}, 402
            account.balance_minor -= sale["amount_minor"]
            posted = Transaction(id=sale["id"], account_id=account.id, posted_at=datetime.now(UTC))
            session.add(posted)
            session.flush()
            session.add(Transfer(transaction_id=posted.id, amount_minor=sale["amount_minor"]))
            answer: dict[str, object] = {"decision": "approved", "balance_minor": account.balance_minor}
            session.commit()
        return answer, 200

    return app


def measure(server: PostgresServer, seconds: float, say: Callable[[str], None]) -> Measurement:
    """The median slice; raises BenchmarkFailed where the database does not hold what was answered."""
    url = server.url(server.create(), OWNER)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    Base.metadata.create_all(engine)
    engine.dispose()
    with psycopg.connect(url) as connection:
        fill = "INSERT INTO naive_account SELECT number, 100000000 FROM generate_series(1, %s) AS number"
        connection.execute(fill, (ACCOUNTS,))
    with tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder:
        slices = _served(url, Path(folder), seconds, say)
    return Measurement(
        key=KEY,
        what="Flask, marshmallow and SQLAlchemy's ORM on gunicorn's threads, as it is usually written: "
        "select for update, two inserts, an update, commit; no signatures, rules, proof, stored answer or "
        "repeat",
        rate=median(slices),
        detail={"slices, answers/s": [round(rate) for rate in slices]},
    )


def _served(url: str, folder: Path, seconds: float, say: Callable[[str], None]) -> list[float]:
    port, workers = free_port(), str((os.cpu_count() or 1) + 1)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", workers),
                *("--threads", "8", "--bind", f"127.0.0.1:{port}", "--no-control-socket"),
                "tests.benchmarks.naive:create()",
            ],
            env={**os.environ, URL_VARIABLE: url},
            stdout=log,
            stderr=log,
        )
    try:
        _await_start(port, process, folder / "log")
        slices, answered = [], 0
        for number in range(SLICES):
            checkpoint(administrator_url(url))
            found, microseconds = _wrk(port, seconds, number)
            answered += found
            slices.append(found / microseconds * 1e6)
            say(f"{KEY}: slice {number + 1}: {slices[-1]:,.0f} answers/s")
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)
    _require_stored(url, answered)
    return slices


def _await_start(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            requests.get(f"http://127.0.0.1:{port}/", timeout=5)
        except requests.ConnectionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkFailed(log.read_text()) from None
            time.sleep(0.1)
        else:
            return


def _wrk(port: int, seconds: float, seed: int) -> tuple[int, int]:
    script = Path(__file__).with_name("naive.lua")
    done = subprocess.run(
        [
            *("wrk", "-t", str(THREADS), "-c", str(CONNECTIONS), "-d", str(max(1, round(seconds)))),
            *("-s", str(script), f"http://127.0.0.1:{port}", "--", str(ACCOUNTS), str(seed)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("{")), None)
    if done.returncode != 0 or line is None:
        raise BenchmarkFailed(f"wrk did not end as expected:\n{done.stdout}\n{done.stderr}")
    found = json.loads(line)
    if found["refused"]:
        raise BenchmarkFailed(f"{KEY}: {found['refused']} other answers than 200")
    return found["answers"], found["microseconds"]


def _require_stored(url: str, answered: int) -> None:
    """What was under way when a slice ended is stored, too, and its answer was not counted."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM naive_transfer").fetchone()
    stored = 0 if row is None else row[0]
    if not answered <= stored <= answered + SLICES * CONNECTIONS:
        raise BenchmarkFailed(f"{KEY}: {answered} answers, {stored} transfers")
