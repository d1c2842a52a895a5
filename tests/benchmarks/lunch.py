"""`lunch_hour`: how long the slowest pupil of a lunch hour waits for the answer to a sale.

1,000 pupils, a third of them funded, at 8 tills that each sell one lunch every half second: on gunicorn as
`cardservice serve` runs it, with every signature. The time is from the pupil's turn to the whole answer, so
whoever waits for a till that is behind its time counts with that.
"""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from sqlalchemy import insert

from cardservice.api.fields import to_base64url
from cardservice.funding.models import entitlement
from cardservice.ids import CardholderId
from cardservice.services import discover
from cardservice.tariffs.service import store_tariff
from pki.request_signatures import sign_request
from pki.statements import StatementKind, TransactionStatement, details_hmac, seal, signature_input
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import BenchmarkFailed
from tests.benchmarks.town import (
    SCHEME,
    Town,
    TownCard,
    TownTerminal,
    council_of,
    running_town,
    town_card,
    town_terminal,
)
from tests.support.council import DEMO_DATA, SALT, Council, from_base64url, new_id
from tests.support.databases import PostgresServer
from tests.support.stack import Stack

KEY = "lunch_hour"
PUPILS, TILLS, APART_S = 1_000, 8, 0.5
_PATH = "/v1/authorisations"
_LUNCH: dict[str, Any] = {
    "service": "lunch",
    "items": [{"item": "meal-pasta", "quantity": 1}, {"item": "milk", "quantity": 1}],
}
_LUNCH_MINOR = 295


@dataclass(slots=True)
class _Till:
    """A till that sells to its queue of pupils."""

    town: Town
    terminal: TownTerminal
    key: ec.EllipticCurvePrivateKey
    pupils: Sequence[TownCard]

    def serve(self, begins: float, apart_s: float) -> list[float]:
        """Sell to each pupil at their moment; how long each has waited, in milliseconds."""
        waited = []
        with requests.Session() as session:
            for number, pupil in enumerate(self.pupils):
                nonce = self._get(session, "/v1/nonce")["nonce"]
                turn = begins + number * apart_s
                time.sleep(max(0.0, turn - time.perf_counter()))
                answer = self._post(session, self._sale(pupil, number + 1, nonce))
                waited.append((time.perf_counter() - turn) * 1_000)
                if answer.get("decision") != "approved":
                    raise BenchmarkFailed(f"{KEY}: a sale was answered {answer}")
        return waited

    def _get(self, session: requests.Session, path: str) -> dict[str, Any]:
        url = self.town.stack.origin + path
        headers = sign_request("GET", url, {}, None, self.key, self.terminal.id, datetime.now(UTC))
        found: dict[str, Any] = session.get(url, headers=headers, timeout=60).json()
        return found

    def _post(self, session: requests.Session, body: bytes) -> dict[str, Any]:
        url, content = self.town.stack.origin + _PATH, {"Content-Type": "application/json"}
        headers = sign_request("POST", url, content, body, self.key, self.terminal.id, datetime.now(UTC))
        found: dict[str, Any] = session.post(url, data=body, headers=headers, timeout=60).json()
        return found

    def _sale(self, pupil: TownCard, sequence: int, nonce: str) -> bytes:
        statement = TransactionStatement(
            scheme=SCHEME,
            id=new_id(),
            terminal=self.terminal.id,
            sequence=sequence,
            card=pupil.id,
            kind=StatementKind.REQUEST,
            service="meals",
            action="sale",
            amount_minor=_LUNCH_MINOR,
            currency="GBP",
            tariff_version=None,
            offline=False,
            details_hmac=details_hmac(SALT, _LUNCH),
            time=datetime.now(UTC),
            nonce=from_base64url(nonce),
        )
        payload = statement.payload()
        signature = _key(pupil.key_der).sign(signature_input(SCHEME, payload), ec.ECDSA(hashes.SHA256()))
        sealed = to_base64url(seal(payload, signature, pupil.thumbprint))
        message = {"statement": sealed, "details": _LUNCH, "details_salt": to_base64url(SALT)}
        return json.dumps(message).encode()


def measure(
    server: PostgresServer,
    say: Callable[[str], None],
    pupils: int = PUPILS,
    tills: int = TILLS,
    apart_s: float = APART_S,
) -> Measurement:
    """The slowest answer of a lunch hour. Raises BenchmarkFailed where a pupil is not served, or is twice."""
    with tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder:
        root = Path(folder, "school")
        root.mkdir()
        say("setting up a school, its pupils and their cards")
        with running_town(server, root, pupils, tills, people=_school) as town:
            queues = [
                _Till(town, terminal, _key(terminal.key_der), town.cards[number::tills])
                for number, terminal in enumerate(town.terminals)
            ]
            begins = time.perf_counter() + 1.0
            with ThreadPoolExecutor(tills) as pool:
                each = [pool.submit(till.serve, begins, apart_s) for till in queues]
                waited = sorted(ms for served in each for ms in served.result())
            sold, funded = _sold(town.owner_url)
    if (sold, len(waited)) != (pupils, pupils):
        raise BenchmarkFailed(
            f"{KEY}: {pupils} pupils were answered {len(waited)} times; {sold} lunches are sold"
        )
    p99_ms = quantiles(waited, n=100)[-1]
    say(f"{KEY}: slowest {waited[-1]:.0f} ms, p99 {p99_ms:.0f} ms, median {median(waited):.0f} ms")
    return Measurement(
        key=KEY,
        what=f"{pupils:,} pupils at {tills} tills, each with a sale every {apart_s:g} s: the slowest answer",
        value=round(waited[-1], 1),
        unit="ms",
        p50_ms=round(median(waited), 1),
        p99_ms=round(p99_ms, 1),
        detail={"sales": sold, "of which funded": funded},
    )


def _school(stack: Stack, pupils: int, tills: int) -> tuple[tuple[TownCard, ...], tuple[TownTerminal, ...]]:
    """Pupils, every third of whom is funded, and tills."""
    with council_of(stack) as council:
        _load(council)
        provider = council.provider("school-kitchen")
        cards = [council.card("pupil", top_up_minor=1_000) for _ in range(pupils)]
        _entitle(council, [card.holder for card in cards[::3]])
        stands = [council.terminal(f"till-{number}", "till", provider=provider) for number in range(tills)]
        return tuple(map(town_card, cards)), tuple(map(town_terminal, stands))


def _load(council: Council) -> None:
    files = [DEMO_DATA / "menu.json", DEMO_DATA / "programmes.json"]
    loaded = discover()["meals"].load(files, currency="GBP")
    with council.context.database.begin() as connection:
        store_tariff(connection, "meals", loaded, source="menu", actor="bench", moment=council.clock())


def _entitle(council: Council, holders: Sequence[CardholderId]) -> None:
    today = council.clock().date()
    rows = [
        {
            "cardholder_id": holder,
            "id": new_id(),
            "service": "meals",
            "programme": "targeted",
            "year": "",
            "first_day": date(today.year, 1, 1),
            "review_on": today + timedelta(days=300),
            "recorded_at": council.clock(),
            "reference": "bench",
            "actor": "bench",
        }
        for holder in holders
    ]
    with council.context.database.begin() as connection:
        connection.execute(insert(entitlement), rows)


def _sold(url: str) -> tuple[int, int]:
    """How many sales the ledger holds, and how many of them a programme has paid towards."""
    with psycopg.connect(url) as connection:
        sales = connection.execute(
            "SELECT count(*) FROM ledger_transaction WHERE kind = 'request' AND decision = 'approved'"
        ).fetchone()
        funded = connection.execute(
            "SELECT count(DISTINCT transaction_id) FROM transfer WHERE debit LIKE 'scheme:subsidy:%'"
        ).fetchone()
    return (sales or (0,))[0], (funded or (0,))[0]


def _key(der: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(der, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
