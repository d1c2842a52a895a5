"""Prices before anything is signed, and what a terminal may charge while it cannot ask."""

import pytest

from cardservice.api.fields import to_rfc3339
from cardservice.ids import TerminalId
from cardservice.services.seam import LoadedTariff
from cardservice.tariffs.service import store_tariff
from tests.support.council import ACTOR, FARE_MINOR, TRIP, Council, Reply, Terminal, from_base64url, new_id

ASKED = {"service": "transport", "action": "single-fare", "card": None, "details": TRIP}


def quoted(terminal: Terminal, **changes: object) -> Reply:
    """Ask for the trip's price."""
    return terminal.post("/v1/quotes", {**ASKED, **changes})


def test_a_price(council: Council) -> None:
    """For a card that is not there yet: the default fare, online for minutes, offline for longer."""
    reply = quoted(council.terminal("bus-12"))
    assert reply.status == 200
    offline = reply.json.pop("offline")
    assert reply.json == {
        "amount_minor": FARE_MINOR,
        "currency": "GBP",
        "tariff_version": reply.json["tariff_version"],
        "valid_until": "2026-06-15T10:05:00.000Z",
        "lines": [{"label": "Single between two areas", "amount_minor": FARE_MINOR}],
    }
    assert offline["amount_minor"] == FARE_MINOR
    assert offline["tariff_version"] == reply.json["tariff_version"]
    assert offline["valid_until"] > reply.json["valid_until"]


def test_a_price_for_this_card(council: Council) -> None:
    """Its holder's category counts; offline nothing is known of any card."""
    young = council.card("young")
    reply = quoted(council.terminal("bus-12"), card=str(young.id))
    assert (reply.json["amount_minor"], reply.json["offline"]["amount_minor"]) == (120, FARE_MINOR)


@pytest.mark.parametrize(("limit_minor", "may"), [(None, False), (FARE_MINOR - 1, False), (FARE_MINOR, True)])
def test_offline_price_within_the_limit(council: Council, limit_minor: int | None, may: bool) -> None:
    """A terminal is given no price that it may not charge offline."""
    reply = quoted(council.terminal("bus-12", offline_limit_minor=limit_minor))
    assert (reply.json["offline"] is not None) is may


def test_refused(council: Council) -> None:
    """The service's own reason is the problem's code."""
    bus = council.terminal("bus-12")
    assert quoted(bus, details={**TRIP, "to_stop": "the moon"}).outcome == (422, "stop_unknown")
    assert quoted(bus, details={"item": "soup"}).outcome == (422, "details_malformed")
    assert quoted(bus, card=str(new_id())).outcome == (422, "card_unknown")
    assert quoted(bus, action="refund").outcome == (403, "role_not_allowed")
    assert quoted(bus, service="ferry").outcome == (403, "role_not_allowed")
    assert quoted(bus, card="not a card").outcome == (400, "malformed")
    desk = council.terminal("desk-1", "issuer")
    assert quoted(desk).outcome == (403, "role_not_allowed")


def test_the_tariff_in_force_counts(council: Council) -> None:
    """A version that is loaded later is in force from then on."""
    bus = council.terminal("bus-12")
    before = quoted(bus).json
    council.load_free_fares()
    after = quoted(bus).json
    assert (before["amount_minor"], after["amount_minor"]) == (FARE_MINOR, 0)
    assert before["tariff_version"] != after["tariff_version"]


def test_nonce(council: Council) -> None:
    """Bound to terminal and time; the service keeps nothing of it."""
    bus = council.terminal("bus-12")
    told = bus.get("/v1/nonce").json
    assert (told["time"], told["valid_until"]) == ("2026-06-15T10:00:00.000Z", "2026-06-15T10:02:00.000Z")
    nonce = from_base64url(told["nonce"])
    council.context.keys.nonces.check(nonce, TerminalId("bus-12"), council.clock())


def test_no_price_outlives_its_tariff(council: Council) -> None:
    """Another that is loaded already ends it, offline as well."""
    bus = council.terminal("bus-12")
    council.clock.advance(seconds=60)
    later = to_rfc3339(council.clock())
    current = quoted(bus).json["tariff_version"]
    with council.context.database.begin() as connection:
        loaded = LoadedTariff(version="later", valid_from=council.clock(), content={}, report=())
        moment = council.clock()
        store_tariff(connection, "transport", loaded, source="", actor=ACTOR, moment=moment)
    council.clock.advance(seconds=-30)
    told = quoted(bus).json
    assert told["tariff_version"] == current
    assert (told["valid_until"], told["offline"]["valid_until"]) == (later, later)
