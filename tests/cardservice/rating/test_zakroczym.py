"""The public feed of Zakroczym through the API: every leg rule is quoted, signed and paid as it says."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cardservice.api.app import create_app
from cardservice.context import Context
from cardservice.ledger.verify import verify
from cardservice.tariffs.service import store_tariff
from pki.statements import details_hmac
from tests.cardservice.services.feeds import ZAKROCZYM, transport, write_map
from tests.support.council import (
    ACTOR,
    SALT,
    Card,
    Council,
    Reply,
    StandingClock,
    Terminal,
    message,
    request_for,
)

# Who each of the scheme's categories is in the feed: normal, free, and two concessions on passes.
CATEGORIES = {"adult": "0", "child": "1", "young": "2", "older": "3"}
PASSES = [
    {"product": name, "months": 1, "fare_medium": "1"} for name in ("monthly_normal", "monthly_discount")
]
TRAVEL = {"day_starts": "03:00", "incomplete": "5.00", "longest_minutes": 120, "passback_minutes": 5}
# One ride for each row of fare_leg_rules.txt, flr_1 to flr_32
RIDES = [
    ("100", "112", 0),
    ("117", "119-2", 0),
    ("120", "121", 0),
    ("100", "117", 400),
    ("117", "100", 400),
    ("100", "120", 500),
    ("120", "100", 500),
    ("117", "120", 400),
    ("120", "117", 400),
]


@dataclass(frozen=True, slots=True)
class Buses:
    """The town's buses, in Polish money."""

    council: Council
    bus: Terminal

    def pay(self, card: Card, action: str, details: dict[str, str], quoted_minor: int) -> Reply:
        """Sign what was quoted."""
        own = request_for(
            self.bus,
            card,
            service="transport",
            action=action,
            amount_minor=quoted_minor,
            currency="PLN",
            details_hmac=details_hmac(SALT, details),
        )
        return self.bus.post("/v1/authorisations", message(own, card, details=details))

    def quote(self, card: Card, action: str, details: dict[str, str]) -> Reply:
        asked: dict[str, Any] = {"service": "transport", "action": action, "details": details}
        return self.bus.post("/v1/quotes", {**asked, "card": str(card.id)})


@pytest.fixture
def buses(context: Context, clock: StandingClock, tmp_path: Path) -> Buses:
    if not ZAKROCZYM.exists():
        pytest.skip(f"{ZAKROCZYM} is not there")
    card_map = write_map(
        tmp_path / "map.json",
        fare_medium="0",
        rider_categories=CATEGORIES,
        default_category="adult",
        travel=TRAVEL,
        passes=PASSES,
    )
    loaded = transport().load([ZAKROCZYM, card_map], currency="PLN")
    scheme = replace(context.scheme, currency="PLN", timezone="Europe/Warsaw")
    polish = replace(context, scheme=scheme)
    with polish.database.begin() as connection:
        store_tariff(connection, "transport", loaded, source="zakroczym", actor=ACTOR, moment=clock())
    council = Council(polish, create_app(polish).test_client(), clock)
    council.provider()
    return Buses(council, council.terminal("bus-1"))


def test_all_nine_leg_rules_and_the_passes(buses: Buses) -> None:
    card = buses.council.card("adult", top_up_minor=20_000)
    left = 20_000
    for start, end, pence in RIDES:
        details = {"from_stop": start, "to_stop": end}
        quoted = buses.quote(card, "single-fare", details)
        assert (quoted.status, quoted.json["amount_minor"]) == (200, pence)
        assert buses.pay(card, "single-fare", details, pence).outcome == (200, "approved")
        left -= pence
        assert buses.council.balances(card.payer) == (left, 0)
    assert buses.pay(card, "buy-pass", {"product": "monthly_normal"}, 14_000).outcome == (200, "approved")
    assert buses.council.balances(card.payer) == (left - 14_000, 0)
    for category, pence in (("older", 8_820), ("young", 7_000), ("child", 0)):
        other = buses.council.card(category, top_up_minor=10_000)
        bought = buses.pay(other, "buy-pass", {"product": "monthly_discount"}, pence)
        assert bought.outcome == (200, "approved")
        assert buses.council.balances(other.payer) == (10_000 - pence, 0)
        assert buses.pay(other, "use-pass", {"from_stop": "100"}, 0).outcome == (200, "approved")
    # Nobody pays a discount that is not theirs.
    refused = buses.pay(card, "buy-pass", {"product": "monthly_discount"}, 0)
    assert refused.outcome == (200, "pass_unknown")
    assert verify(buses.council.context.database).is_clean
