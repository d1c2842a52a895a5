"""`sip2`: what a machine asks the library a second, over a socket, beside the bare codec.

A patron's status, a loan and a return in turn: each is read, asked of PostgreSQL, written down and answered.
Client and port share one core; the codec that they take turns with reads and writes the same messages.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.circulation.members import join
from cardservice.circulation.pins import Pins
from cardservice.circulation.stock import import_stock
from cardservice.config import load_settings
from cardservice.context import Context, open_context
from cardservice.sip2.accounts import Account, add_account
from cardservice.sip2.codec import Code, decode, encode
from cardservice.sip2.profiles import Profile
from cardservice.sip2.serving import SessionMaker
from cardservice.tariffs.service import store_tariff
from tests.benchmarks.ingest import cpu_seconds
from tests.benchmarks.report import ROOT, Measurement
from tests.benchmarks.server import BenchmarkFailed
from tests.benchmarks.turns import in_turns, on_one_core
from tests.cardservice.circulation.conftest import STOCK
from tests.cardservice.services import library_terms
from tests.cardservice.sip2.acs import Machine, serving
from tests.support.council import StandingClock
from tests.support.databases import OWNER, SERVICE_ROLE, PostgresServer
from tests.support.stack import Stack

KEY = "sip2"
_BLANK = " " * 18
_COUNTED = 300
_WHO = (("AO", "ASH"), ("AA", "2000123"))
_MEMBER_PIN = "2580"
_REQUESTS = (
    (Code.PATRON_STATUS, ("000", _BLANK), (*_WHO, ("AC", ""), ("AD", _MEMBER_PIN))),
    (Code.CHECKOUT, ("N", "N", _BLANK, _BLANK), (*_WHO, ("AB", "B1"), ("AC", ""))),
    (Code.CHECKIN, ("N", _BLANK, _BLANK), (("AP", ""), ("AO", "ASH"), ("AB", "B1"), ("AC", ""))),
)


def measure(server: PostgresServer, seconds: float, say: Callable[[str], None]) -> Measurement:
    """The rate, with that of the codec that it took turns with. Raises BenchmarkFailed."""
    with _library(server) as context:
        pins = Pins(context.keys.services_master)
        account = Account("kiosk", "ASH", "central", Profile())
        password = add_account(context, pins, account, actor="bench")
        with on_one_core(), serving(SessionMaker(context)) as acs, Machine(acs.port) as machine:
            if machine.log_in("kiosk", password).fixed != ("1",):
                raise BenchmarkFailed("the machine is not let in")
            sent = [encode(*request, sequence=1, with_checksum=True) for request in _REQUESTS]
            answers = [machine.exchange(each) for each in sent]
            if [answer[:3] for answer in answers] != [b"24 ", b"121", b"101"]:
                raise BenchmarkFailed(f"the answers are {answers}")
            turns, pairs = cycle(sent), cycle(list(zip(sent, answers, strict=True)))

            def codec() -> bytes:
                asked, answer = next(pairs)
                decode(asked[:-1])
                found = decode(answer[:-1])
                return encode(found.code, found.fixed, found.fields, sequence=1, with_checksum=True)

            bare, ours = in_turns(codec, lambda: machine.exchange(next(turns)), seconds, at_once=3)
            before = cpu_seconds((os.getpid(), server.pid))
            for _ in range(_COUNTED):
                machine.exchange(next(turns))
            took_ms = (cpu_seconds((os.getpid(), server.pid)) - before) / _COUNTED * 1000
    say(f"{KEY}: {ours:,.0f} transactions a second, {took_ms:.1f} ms each; the codec alone {bare:,.0f}")
    return Measurement(
        key=KEY,
        what="a patron's status, a loan and a return in turn over SIP2, client and port on one core",
        rate=ours,
        rate_unit="a second",
        baseline=bare,
        detail={
            "bare codec, a second": round(bare),
            "processor time of a transaction, client, port and database, ms": round(took_ms, 2),
        },
    )


@contextmanager
def _library(server: PostgresServer) -> Iterator[Context]:
    """A library with a member, on a database of its own."""
    name = server.create()
    with TemporaryDirectory(prefix="citizen-card-bench-", dir=ROOT) as folder:
        root = Path(folder)
        stack = Stack(root, server.url(name, SERVICE_ROLE), server.url(name, OWNER), "GBP", "Europe/London")
        try:
            stack.install("ashcombe")
            origin = {"CARDSERVICE_PUBLIC_ORIGIN": stack.origin}
            clock = StandingClock(datetime(2026, 6, 15, 10, 0, tzinfo=UTC))
            context = open_context(load_settings({**os.environ, **stack.environment, **origin}), clock)
            try:
                _fill(context, root)
                yield context
            finally:
                context.close()
        finally:
            stack.close()


def _fill(context: Context, root: Path) -> None:
    (root / "stock.csv").write_text(STOCK, encoding="utf-8")
    loaded, moment = library_terms.load(root), context.now()
    stored = Pins(context.keys.services_master).stored(_MEMBER_PIN)
    with context.database.begin() as connection:
        store_tariff(connection, "library", loaded, source="library.json", actor="bench", moment=moment)
        new = NewCardholder("Morgan Reed", "adult")
        kek = context.keys.cardholder_kek
        holder, _ = add_cardholder(connection, new, "GBP", kek, actor="bench", moment=moment)
        join(connection, holder, "2000123", stored, by="bench", moment=moment)
    import_stock(context, root / "stock.csv", by="bench")
