"""Concession claims: counted by the rules that made journeys free, and again by SQL that knows none."""

import csv
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection, text

from cardservice.cli import main
from cardservice.context import Context
from cardservice.services.rated import Reimbursement
from cardservice.services.seam import TariffError
from cardservice.tariffs.service import store_tariff
from pki.statements import details_hmac
from tests.cardservice.conftest import PASSPHRASE
from tests.cardservice.rating.test_taps import URL, Town
from tests.cardservice.services.feeds import MAP
from tests.cardservice.services.travels import TRAVEL, load_travel, travel
from tests.support.council import ACTOR, SALT, Card, Council, Reply, message, request_for

# Two authorities; a factor that leaves halves of a penny, and one operator that no authority has agreed with.
PAID = {"operator": "vale-buses", "average_fare": "2.15", "factor": "0.65", "additional_cost": "0.08"}
[ENGLAND] = TRAVEL["concessions"]
CONCESSIONS = [
    {**ENGLAND, "reimbursement": [PAID]},
    {**ENGLAND, "authority": "hill", "categories": ["young"]},
]

# By the stored answers alone: nobody is passed back, so that each boarding in the hours is a journey. In June
# London's clock is an hour ahead; the day is a working day.
POSTGRESQL = """
    SELECT (d.answer::jsonb)->'inputs'->>'category' AS category, t.provider_id, count(*)
    FROM ledger_transaction t
    JOIN transaction_details d ON d.payer_id = t.payer_id AND d.transaction_id = t.id
    WHERE t.action = 'tap-in' AND t.decision = 'approved'
      AND NOT EXISTS (SELECT 1 FROM ledger_transaction a WHERE a.annuls = t.id AND a.decision = 'approved')
      AND (t.occurred_at AT TIME ZONE 'UTC')::time >= '08:30'
      AND (t.occurred_at AT TIME ZONE 'UTC')::time < '22:00'
      AND (d.answer::jsonb)->'inputs'->>'category' IN ('older', 'young')
    GROUP BY 1, 2 ORDER BY 1, 2"""
SQLITE = """
    SELECT json_extract(d.answer, '$.inputs.category') AS category, t.provider_id, count(*)
    FROM ledger_transaction t
    JOIN transaction_details d ON d.payer_id = t.payer_id AND d.transaction_id = t.id
    WHERE t.action = 'tap-in' AND t.decision = 'approved'
      AND NOT EXISTS (SELECT 1 FROM ledger_transaction a WHERE a.annuls = t.id AND a.decision = 'approved')
      AND time(t.occurred_at / 1000, 'unixepoch') >= '08:30:00'
      AND time(t.occurred_at / 1000, 'unixepoch') < '22:00:00'
      AND json_extract(d.answer, '$.inputs.category') IN ('older', 'young')
    GROUP BY 1, 2 ORDER BY 1, 2"""

# Who boards at b1 begins in hill; a companion is counted again.
_BY_STOP = """
    SELECT CASE {inputs_stop} WHEN 'b1' THEN 'hill' ELSE 'vale' END AS authority, count(*) AS count
    FROM transaction_details d
    JOIN ledger_transaction t ON t.payer_id = d.payer_id AND t.id = d.transaction_id
    WHERE t.action = 'tap-in' AND t.decision = 'approved' GROUP BY 1
    UNION ALL
    SELECT 'town', count(*) FROM transaction_details d WHERE {inputs_companion}
    ORDER BY 1"""
BY_STOP = {
    "postgresql": _BY_STOP.format(
        inputs_stop="(d.answer::jsonb)->'inputs'->>'stop'",
        inputs_companion="((d.answer::jsonb)->'inputs'->>'companion') = 'true'",
    ),
    "sqlite": _BY_STOP.format(
        inputs_stop="json_extract(d.answer, '$.inputs.stop')",
        inputs_companion="json_extract(d.answer, '$.inputs.companion')",
    ),
}


@pytest.fixture
def town(council: Council, tmp_path: Path) -> Town:
    """Buses whose map says what is paid for concessions."""
    loaded = load_travel(tmp_path, card_map={**MAP, "travel": travel(concessions=CONCESSIONS)})
    with council.context.database.begin() as connection:
        store_tariff(connection, "transport", loaded, source="feed", actor=ACTOR, moment=council.clock())
    return Town(council, council.terminal("bus-1"))


def claim(context: Context, *arguments: str) -> Result:
    """`cardservice concession claim`, in this process."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    return CliRunner().invoke(main, ["concession", "claim", *arguments], env=settings)


def counted(connection: Connection) -> list[tuple[str, str, int]]:
    query = POSTGRESQL if connection.dialect.name == "postgresql" else SQLITE
    return [(row[0], row[1], row[2]) for row in connection.execute(text(query))]


def test_a_claim_is_what_sql_counts(town: Town, tmp_path: Path) -> None:
    """At minutes from 11:00 in London: two are before half past nine, one is an adult's."""
    older, young, adult = (town.council.card(kind, top_up_minor=1000) for kind in ("older", "young", "adult"))
    for card, minutes in ((older, (-95, -90, -40, -20)), (young, (-95, -60)), (adult, (-30,))):
        town.send([town.tapped(card, "tap-in", "a1", minute) for minute in minutes])
    # Passes do not come into it, and an end more or less does not make another journey.
    town.send([town.tapped(older, "tap-out", "b1", -10)])

    said = claim(town.council.context, "transport", "2026-06-15", "2026-06-15", str(tmp_path / "claim.csv"))

    assert said.exit_code == 0, said.output
    rows = list(csv.DictReader(StringIO((tmp_path / "claim.csv").read_text(encoding="utf-8"))))
    with town.council.context.database.reading() as connection:
        independent = counted(connection)
    authorities = {"older": "vale", "young": "hill"}
    assert [(row["authority"], row["provider"], int(row["journeys"])) for row in rows] == sorted(
        (authorities[category], provider, count) for category, provider, count in independent
    )
    assert independent == [("older", "vale-buses", 3), ("young", "vale-buses", 1)]
    # 3 × (215 × 0.65 + 8) = 443.25 pence; hill has agreed on nothing with the buses.
    assert [(row["amount"], row["factor"]) for row in rows] == [("", ""), ("4.43", "0.65")]
    assert said.stdout.splitlines() == [
        "hill to vale-buses: journeys 1, no price in the map",
        "vale to vale-buses: journeys 3, 4.43 GBP",
    ]
    elsewhere = claim(town.council.context, "transport", "2026-06-16", "2026-06-16", str(tmp_path / "no.csv"))
    assert elsewhere.stdout == "Nothing to claim.\n"
    assert len((tmp_path / "no.csv").read_text().splitlines()) == 1
    assert date.fromisoformat(rows[0]["first_day"]) == date(2026, 6, 15)


def test_a_companion_is_claimed_where_the_journey_begins(council: Council, tmp_path: Path) -> None:
    """Each authority by the area of boarding, a companion by what adds it: as SQL has it."""
    added = {"authority": "town", "categories": ["older"], "companion": True}
    concessions = [{**ENGLAND, "authorities": {"b": "hill"}, "additions": [added], "reimbursement": [PAID]}]
    loaded = load_travel(tmp_path, card_map={**MAP, "travel": travel(concessions=concessions)})
    with council.context.database.begin() as connection:
        store_tariff(connection, "transport", loaded, source="feed", actor=ACTOR, moment=council.clock())
    town = Town(council, council.terminal("bus-1"))
    card, adult = council.card("older", top_up_minor=1000), council.card("adult", top_up_minor=1000)
    for stop, companion in (("a1", False), ("b1", True), ("a1", True)):
        assert _boards(town, card, stop, companion=companion).outcome == (200, "approved")
        council.clock.advance(minutes=20)
    assert _boards(town, adult, "a1", companion=True).outcome == (200, "no_companion")

    said = claim(council.context, "transport", "2026-06-15", "2026-06-15", str(tmp_path / "claim.csv"))

    assert said.exit_code == 0, said.output
    rows = csv.DictReader(StringIO((tmp_path / "claim.csv").read_text(encoding="utf-8")))
    with council.context.database.reading() as connection:
        found = connection.execute(text(BY_STOP[connection.dialect.name]))
        independent = [(str(authority), int(count)) for authority, count in found]
    assert [(row["authority"], int(row["journeys"])) for row in rows] == independent
    assert independent == [("hill", 1), ("town", 2), ("vale", 2)]


def _boards(town: Town, card: Card, stop: str, *, companion: bool) -> Reply:
    details = {"stop": stop, "companion": companion}
    own = request_for(
        town.bus,
        card,
        service="transport",
        action="tap-in",
        amount_minor=None,
        details_hmac=details_hmac(SALT, details),
    )
    return town.bus.post(URL, message(own, card, details=details))


@pytest.mark.parametrize(
    ("paid", "reason"),
    [
        ([PAID, PAID], "reimbursement[1].operator: 'vale-buses' is there twice"),
        ([{**PAID, "factor": "1.01"}], "reimbursement[0].factor: is above one"),
        ([{**PAID, "factor": "65 %"}], "reimbursement"),
        ([{**PAID, "factor": 0.65}], "reimbursement"),
        ([{**PAID, "average_fare": "-2.15"}], "reimbursement[0].average_fare: is below zero"),
        ([{**PAID, "additional_cost": "0.085"}], "reimbursement[0].additional_cost: '0.085' has more than"),
    ],
)
def test_what_is_paid_is_refused_where_it_makes_no_sense(
    paid: list[dict[str, object]], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(TariffError) as refused:
        load_travel(tmp_path, card_map={"travel": travel(concessions=[{**ENGLAND, "reimbursement": paid}])})
    assert refused.value.file == "map.json"
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("count", "pence"), [(0, 0), (1, 148), (2, 296), (3, 443), (4, 591), (1_000_000, 147_750_000)]
)
def test_a_claim_is_rounded_once(count: int, pence: int) -> None:
    """147.75 pence each: half a penny goes up, and nothing is lost on the way to a million."""
    assert Reimbursement(215, Decimal("0.65"), 8).of(count) == pence
