"""The worker beside the service: what it does in a round, by whom it is held back, and how it ends."""

import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

from sqlalchemy import func, select

from cardservice.context import Context
from cardservice.database import connect
from cardservice.ledger.closing.holding import held_back
from cardservice.ledger.closing.models import day_seal, ledger_sequence
from cardservice.ledger.payers import create_payer
from cardservice.ledger.posting import post, post_on
from cardservice.upkeep import Round, calendar_of, keep_on, keep_up
from tests.cardservice.ledger.postings import MOMENT, topup
from tests.support.databases import DatabaseUrls

LIMIT_S = 60.0


def numbered(context: Context) -> int:
    """How many transactions have a number."""
    with context.database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(ledger_sequence)).scalar_one())


def test_a_round_numbers_and_seals_and_the_next_has_nothing_to_do(context: Context) -> None:
    with context.database.begin() as connection:
        payer = create_payer(connection, "person", "GBP", MOMENT)
    post(context.database, [topup(payer, 0, 500)])
    first = keep_up(context)
    assert (first.numbered, first.held) == (1, None)
    assert numbered(context) == 1
    second = keep_up(context)
    assert (second.numbered, second.sealed, second.confirmed, second.released) == (0, (), 0, 0)
    with context.database.reading() as connection:
        seals = int(connection.execute(select(func.count()).select_from(day_seal)).scalar_one())
    assert seals == len(first.sealed)


def test_it_goes_on_until_it_is_told_to_stop(context: Context) -> None:
    stop, rounds = Event(), list[Round]()

    def done(one: Round) -> None:
        rounds.append(one)
        if len(rounds) == 3:
            stop.set()

    keep_on(context, 0.01, stop, done)
    assert len(rounds) == 3


def test_who_holds_numbers_back_is_named(context: Context, database_urls: DatabaseUrls) -> None:
    """A session that has written and does not end: on PostgreSQL nothing above it can be numbered."""
    if context.database.dialect == "sqlite":
        assert held_back(context.database, calendar_of(context)) is None
        return
    with context.database.begin() as connection:
        held, other = (create_payer(connection, "person", "GBP", MOMENT) for _ in range(2))
    forgotten = connect(database_urls.service)
    try:
        with forgotten.begin() as connection:
            post_on(connection, [topup(held, 0, 500)])
            pid = connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
            post(context.database, [topup(other, 0, 500)])
            assert keep_up(context).numbered == 0
            days = calendar_of(context)
            found = held_back(context.database, replace(days, now=MOMENT + timedelta(seconds=61)))
            assert found is not None
            assert (found.pid, found.since) == (pid, MOMENT)
            assert held_back(context.database, replace(days, now=MOMENT + timedelta(seconds=60))) is None
    finally:
        forgotten.dispose()
    assert keep_up(context).numbered == 2


def test_the_command_numbers_what_is_posted_and_ends_on_sigterm(
    environment: dict[str, str], database_urls: DatabaseUrls
) -> None:
    database = connect(database_urls.owner)
    with database.begin() as connection:
        payer = create_payer(connection, "person", "GBP", MOMENT)
    service = connect(database_urls.service)
    post(service, [topup(payer, 0, 500)])
    service.dispose()
    database.dispose()
    process = subprocess.Popen(
        [Path(sys.executable).parent / "cardservice", "worker", "--every", "0.1"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        told = process.stderr.readline()
        assert '"numbered": 1' in told or '"numbered":1' in told, told
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
    finally:
        process.kill()
        process.communicate()
