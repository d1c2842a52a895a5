"""`offline_ingest`: advices in chunks, the whole path, beside what the processors can verify in ECDSA P-256.

Both are measured by the processor time that they take, in turns: whoever else uses the machine makes both
slower by the clock, and that of neither longer by much. The path begins with the bytes of a request and ends
with the answer: service, its processes for chunks, and PostgreSQL, with everything they do beside.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, cycle, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from sqlalchemy import select

from cardservice.advices.views import CHUNK_PATH
from cardservice.advices.wire import MEDIA_TYPE, join
from cardservice.database import connect
from cardservice.tariffs.models import tariff
from cardservice.tariffs.service import store_tariff
from pki.request_signatures import sign_request
from pki.statements import (
    StatementKind,
    TransactionStatement,
    details_hmac,
    deterministic,
    seal,
    signature_input,
)
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import BenchmarkFailed, checkpoint, require_right
from tests.benchmarks.town import CARDS, SCHEME, Town, TownCard, TownTerminal, running_town
from tests.cardservice.services.travels import load_travel
from tests.support.council import FARE_MINOR, SALT, TRIP, new_id
from tests.support.databases import ADMINISTRATOR, OWNER, PostgresServer

KEY, BUS_DAY = "offline_ingest", "bus_day"
TAPS = 50_000
CHUNK, SLICES = 5_000, 5
TIMEOUT_S = 300.0
# Of the service: each has processes for chunks of its own, and to start them is no part of what is measured.
_ONE_PROCESS = {"CARDSERVICE_WORKERS": "1"}
_ECDSA = ec.ECDSA(hashes.SHA256())
_TICKS = os.sysconf("SC_CLK_TCK")
_VERIFICATIONS = 4_000


@dataclass(frozen=True, slots=True)
class _Slice:
    # Processor seconds of one advice, and of one verification
    advice_s: float
    verification_s: float
    # By the clock, with whatever else the machine was doing
    advices_a_second: float


def measure(
    server: PostgresServer,
    seconds: float,
    say: Callable[[str], None],
    *,
    chunk: int = CHUNK,
    cards: int = CARDS,
    slices: int = SLICES,
) -> Measurement:
    """Advices a second on all processors, beside verifications a second on all processors."""
    cores = os.cpu_count() or 1
    with TemporaryDirectory(prefix="citizen-card-bench-") as folder, ProcessPoolExecutor(cores) as pool:
        say(f"{KEY}: a town of {cards:,} cards")
        with running_town(server, Path(folder), cards, 1, _ONE_PROCESS) as town:
            version = _tariff_version(town)
            _send(town, _signed(town, pool, version, chunk))  # processes start with the first chunk
            done = []
            for number in range(slices):
                entries = _signed(town, pool, version, chunk)
                checkpoint(town.owner_url.replace(f"://{OWNER}@", f"://{ADMINISTRATOR}@"))
                done.append(_slice(server, town, pool, entries))
                say(f"{KEY}: slice {number + 1}: {_said(done[-1])}")
            require_right(town.stack.service_url, KEY)
    rates = [cores / found.advice_s for found in done]
    raw = [cores / found.verification_s for found in done]
    return Measurement(
        key=KEY,
        what=f"advices with signatures in chunks of {chunk:,} of {cards:,} cards, from the signed request to "
        f"the answer: a second of {cores} processors, by the processor time of service and database; the "
        "ratio is to what they can verify in ECDSA P-256",
        rate=median(rates),
        rate_unit="advices/s",
        baseline=median(raw),
        detail={
            "processor time an advice, µs": round(median(found.advice_s for found in done) * 1e6),
            "processor time a verification, µs": round(median(found.verification_s for found in done) * 1e6),
            "advices/s by the clock, with whatever else ran": [
                round(found.advices_a_second) for found in done
            ],
            "advices posted, and found right": chunk * (slices + 1),
        },
    )


def _slice(server: PostgresServer, town: Town, pool: Executor, entries: Sequence[bytes]) -> _Slice:
    cores = os.cpu_count() or 1
    roots = (server.pid, town.stack.service_pid)
    before, begun = cpu_seconds(roots), time.monotonic()
    _send(town, entries)
    took, passed = cpu_seconds(roots) - before, time.monotonic() - begun
    verifying = list(pool.map(_verify, [_VERIFICATIONS] * cores))
    return _Slice(took / len(entries), median(verifying), len(entries) / passed)


def measure_bus_day(
    server: PostgresServer,
    say: Callable[[str], None],
    *,
    taps: int = TAPS,
    cards: int = CARDS,
    chunk: int = CHUNK,
) -> Measurement:
    """How long the service takes for what a bus tells at the end of its day, by the clock."""
    cores = os.cpu_count() or 1
    with TemporaryDirectory(prefix="citizen-card-bench-") as folder, ProcessPoolExecutor(cores) as pool:
        say(f"{BUS_DAY}: a town of {cards:,} cards")
        with running_town(server, Path(folder), cards, 1, _ONE_PROCESS) as town:
            loaded = load_travel(Path(folder))
            database = connect(town.stack.service_url)
            with database.begin() as connection:
                store_tariff(
                    connection, "transport", loaded, source="x", actor="bench", moment=datetime.now(UTC)
                )
            database.dispose()
            entries = _signed(town, pool, loaded.version, taps, tapped=True)
            before = cpu_seconds((server.pid, town.stack.service_pid))
            begun = time.monotonic()
            for first in range(0, taps, chunk):
                _send(town, entries[first : first + chunk])
            passed = time.monotonic() - begun
            took = cpu_seconds((server.pid, town.stack.service_pid)) - before
            require_right(town.stack.service_url, BUS_DAY)
    say(f"{BUS_DAY}: {passed:,.1f} s")
    return Measurement(
        key=BUS_DAY,
        what=f"a bus's day of {taps:,} taps of {cards:,} cards, told as advices in chunks of {chunk:,}: from"
        " the first signed request to the last answer",
        value=passed,
        unit="s",
        detail={
            "taps a second": round(taps / passed),
            "processor time of service and database, s": round(took, 1),
            "taps posted, and found right": taps,
        },
    )


def _send(town: Town, entries: Sequence[bytes]) -> None:
    terminal = town.terminals[0]
    body, url = join(entries), f"{town.stack.origin}{CHUNK_PATH}"
    headers = sign_request(
        *("POST", url, {"Content-Type": MEDIA_TYPE}, body),
        *(_key(terminal.key_der), terminal.id, datetime.now(UTC)),
    )
    reply = requests.post(url, data=body, headers=headers, timeout=TIMEOUT_S)
    reply.raise_for_status()
    bad = [found for found in reply.json()["answers"] if found.get("answer", {}).get("reason") != "approved"]
    if bad:
        raise BenchmarkFailed(f"{KEY}: {len(bad)} advices were not posted, the first of them: {bad[0]}")


def _signed(town: Town, pool: Executor, version: str, number: int, *, tapped: bool = False) -> list[bytes]:
    """Entries of so many advices; a card's lie as far apart as can be."""
    cores = os.cpu_count() or 1
    each = -(-number // cores)
    jobs = [
        pool.submit(_sign, town.cards[core::cores], town.terminals[0], version, each, tapped)
        for core in range(cores)
    ]
    return [entry for entries in zip(*(job.result() for job in jobs), strict=True) for entry in entries][
        :number
    ]


def _sign(
    cards: Sequence[TownCard], terminal: TownTerminal, version: str, number: int, tapped: bool
) -> list[bytes]:
    """In a process of its own."""
    return list(islice(_entries(cards, terminal, version, tapped), number))


def _entries(
    cards: Sequence[TownCard], terminal: TownTerminal, version: str, tapped: bool
) -> Iterator[bytes]:
    numbers = count(1)
    for card, key in cycle([(card, _key(card.key_der)) for card in cards]):
        number = next(numbers)
        # A card boards, and alights the next time that it is its turn.
        boards = (number - 1) // len(cards) % 2 == 0
        details = {"stop": "a1" if boards else "b1"} if tapped else TRIP
        tap = "tap-in" if boards else "tap-out"
        statement = TransactionStatement(
            scheme=SCHEME,
            id=new_id(),
            terminal=terminal.id,
            sequence=number,
            card=card.id,
            kind=StatementKind.ADVICE,
            service="transport",
            action=tap if tapped else "single-fare",
            amount_minor=None if tapped else FARE_MINOR,
            currency="GBP",
            tariff_version=version,
            offline=True,
            details_hmac=details_hmac(SALT, details),
            time=datetime.now(UTC),
        )
        payload = statement.payload()
        signature = key.sign(signature_input(SCHEME, payload), _ECDSA)
        yield deterministic([card.id.bytes, seal(payload, signature, card.thumbprint), details, SALT])


def _tariff_version(town: Town) -> str:
    """What terminals have loaded."""
    database = connect(town.stack.service_url)
    try:
        with database.reading() as connection:
            return str(connection.execute(select(tariff.c.version)).scalar_one())
    finally:
        database.dispose()


def _verify(number: int) -> float:
    """Processor seconds of a verification, in a process of its own."""
    key, message = ec.generate_private_key(ec.SECP256R1()), bytes(250)
    public, signature = key.public_key(), key.sign(message, _ECDSA)
    begun = time.process_time()
    for _ in range(number):
        public.verify(signature, message, _ECDSA)
    return (time.process_time() - begun) / number


def cpu_seconds(roots: Sequence[int]) -> float:
    """Processor time of these processes and all below them, of ended children too (proc(5), stat)."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(int(field) for field in fields[11:15])
    found, more = set(roots), True
    while more:
        below = {pid for pid, parent in parents.items() if parent in found} - found
        found |= below
        more = bool(below)
    return sum(ticks.get(pid, 0) for pid in found) / _TICKS


def _said(found: _Slice) -> str:
    return f"{found.advice_s * 1e6:,.0f} µs an advice, {found.verification_s * 1e6:,.0f} µs a verification"


def _key(der: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(der, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
