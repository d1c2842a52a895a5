"""What a till needs of the daemon: who taps, what is on sale, and sales by the catalogue."""

import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from reader_agent.outbox_entries import EntryKind, EntryState
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.state import CardState
from reader_agent.wire import to_base64url, to_rfc3339
from tests.reader_agent.card_service import ANSWER_LOST, Menu
from tests.reader_agent.daemon.client import Daemon
from tests.reader_agent.daemon.conftest import Hand
from tests.reader_agent.world import BASKET, BASKET_MINOR, LUNCH, PHOTO, PUPIL, World
from tests.support.pcsc import CONTACTLESS_READER, wait_until

SALE = {"service": "meals", "action": "sale", "details": BASKET}


@pytest.fixture(autouse=True)
def school(world: World) -> World:
    """The service knows the card's holder, and sells lunch."""
    world.service.holders[world.card] = dict(PUPIL)
    world.service.menus["meals"] = Menu(list(LUNCH))
    return world


def code(response: requests.Response) -> tuple[int, str]:
    """Status and problem code."""
    return response.status_code, response.json()["code"]


def holder(daemon: Daemon, tap: str) -> requests.Response:
    """Who holds the card of a tap."""
    return daemon.get(f"/v1/taps/{tap}/holder")


def sell(daemon: Daemon, tap: str, **more: object) -> dict[str, Any]:
    """A lunch."""
    return dict(daemon.post(f"/v1/taps/{tap}/pay", {**SALE, "key": str(uuid4()), **more}).json())


def is_without_service(daemon: Daemon) -> bool:
    """Whether it has found that nobody answers; it may have before anybody listened to its events."""
    return bool(daemon.status()["service"]["reason"] == "service_unreachable")


def presentations(world: World) -> int:
    """How often somebody was asked for."""
    return world.service.paths.count("/v1/presentations")


# --- the holder ---


def test_the_holder_of_a_tap(hand: Hand, daemon: Daemon, world: World) -> None:
    """All that the service says, and no number of a card; asked for once, before the face asks."""
    handle = hand.tap()
    wait_until(lambda: presentations(world) == 1, "the holder to be fetched ahead")
    response = holder(daemon, handle)
    answer = response.json()
    assert response.status_code == 200, answer
    as_of = answer.pop("as_of")
    assert answer == {**PUPIL, "photo": to_base64url(PHOTO), "offline": False}
    assert as_of.endswith("Z")
    assert str(world.card) not in response.text
    assert response.headers["Cache-Control"] == "no-store"
    assert holder(daemon, handle).json()["as_of"] == as_of
    assert presentations(world) == 1


def test_a_holder_of_whom_little_is_known(hand: Hand, daemon: Daemon, world: World) -> None:
    """No form, no photograph, no allergens."""
    world.service.holders[world.card] = {"name": "Kim", "form": None, "allergens": [], "photo": None}
    answer = holder(daemon, hand.tap()).json()
    assert (answer["name"], answer["form"], answer["allergens"], answer["photo"]) == ("Kim", None, [], None)


def test_asked_before_the_card_is_read(hand: Hand, daemon: Daemon, world: World) -> None:
    """Right after it was put on the reader: the answer waits for both, and asks once."""
    handle = hand.insert().data["tap"]
    assert holder(daemon, handle).json()["name"] == "Ava Reed"
    hand.stream.wait("card.ready", tap=handle)
    assert presentations(world) == 1


def test_a_tap_that_is_over_shows_nobody(hand: Hand, daemon: Daemon) -> None:
    """Gone, or never there."""
    handle = hand.tap()
    assert holder(daemon, handle).status_code == 200
    hand.pull()
    hand.stream.wait("card.removed", tap=handle)
    assert code(holder(daemon, handle)) == (410, "tap_over")
    assert code(holder(daemon, "nonsense")) == (404, "tap_unknown")


@pytest.mark.parametrize("reason", ["card_revoked", "card_suspended", "card_expired", "card_unknown"])
def test_a_card_that_may_not_be_used(hand: Hand, daemon: Daemon, world: World, reason: str) -> None:
    """The service's reason, nobody's name, and nothing of it stays for when the service is away."""
    handle = hand.tap()
    assert holder(daemon, handle).status_code == 200
    hand.pull()
    hand.stream.wait("card.removed", tap=handle)
    world.service.holders[world.card] = reason
    refused = holder(daemon, hand.tap())
    assert code(refused) == (409, "card_unusable")
    assert refused.json()["reason"] == reason
    hand.pull()
    world.service.stop()
    assert code(holder(daemon, hand.tap())) == (503, "service_unreachable")


def test_a_terminal_that_may_not_see_holders(hand: Hand, daemon: Daemon, world: World) -> None:
    """It is told so, and does not ask again at each tap."""
    world.service.shows_holders = False
    for _ in range(3):
        handle = hand.tap()
        assert code(holder(daemon, handle)) == (403, "role_not_allowed")
        hand.pull()
        hand.stream.wait("card.removed", tap=handle)
    assert presentations(world) == 1


def test_without_the_service_the_holder_is_the_one_it_named_before(
    hand: Hand, daemon: Daemon, world: World
) -> None:
    """And says so; a card that was never seen has none, and after a restart nobody is known."""
    first = hand.tap()
    seen = holder(daemon, first).json()
    hand.pull()
    hand.stream.wait("card.removed", tap=first)
    world.service.stop()
    assert holder(daemon, hand.tap()).json() == {**seen, "offline": True}
    hand.pull()
    daemon.stop()
    daemon.start()
    hand.stream = daemon.listen()
    wait_until(lambda: is_without_service(daemon), "the service to be missed", 20)
    assert code(holder(daemon, hand.tap())) == (503, "service_unreachable")


def test_the_holder_comes_back_with_the_service(hand: Hand, daemon: Daemon, world: World) -> None:
    """The same tap asks again once the service answers."""
    world.service.stop()
    handle = hand.tap()
    assert code(holder(daemon, handle)) == (503, "service_unreachable")
    world.service.start()
    wait_until(lambda: holder(daemon, handle).status_code == 200, "the holder", 20)
    assert holder(daemon, handle).json()["offline"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "A\nB"},
        {"allergens": "milk"},
        {"allergens": ["<b>"]},
        {"photo": to_base64url(b"GIF89a")},
        {"photo": to_base64url(b"\xff\xd8\xff" + bytes(41_000))},
        {"form": 5},
        {"card": "00000000-0000-4000-8000-000000000000"},
    ],
    ids=["no_name", "two_lines", "no_list", "no_keys", "no_jpeg", "a_large_photo", "form", "another_card"],
)
def test_a_wrong_presentation_is_refused(
    hand: Hand, daemon: Daemon, world: World, wrong: dict[str, object]
) -> None:
    """Whole, and by its code."""
    world.service.holders[world.card] = {**PUPIL, **wrong}
    refused = holder(daemon, hand.tap())
    assert code(refused) == (503, "service_unreachable")
    assert refused.json()["reason"] == "service_answer_invalid"


def test_another_card_than_the_one_that_was_shown_does_not_pay(
    hand: Hand, daemon: Daemon, world: World, tmp_path: Path
) -> None:
    """Swapped between the two: the old tap shows and charges nobody; the new one is the other child's."""
    another = tmp_path / "another.json"
    world.service.holders[world.issue_card(another)] = {**PUPIL, "name": "Ben Reed", "form": "3A"}
    first = hand.tap()
    assert holder(daemon, first).json()["name"] == "Ava Reed"
    hand.pull()
    second = hand.tap(card=another)
    assert sell(daemon, first)["code"] == "tap_over"
    assert code(holder(daemon, first)) == (410, "tap_over")
    assert holder(daemon, second).json()["name"] == "Ben Reed"
    assert sell(daemon, second)["decision"] == "approved"


def test_a_swap_that_pcscd_did_not_see_shows_nobody(
    hand: Hand, daemon: Daemon, world: World, tmp_path: Path
) -> None:
    """The payment finds another key: after that the first child is not shown beside the second's card."""
    another = tmp_path / "another.json"
    world.issue_card(another)
    handle = hand.tap()
    assert holder(daemon, handle).status_code == 200
    with CardState.load(another) as state:
        card = VirtualCard(state, Face.CONTACT)
        card.power_on()
        hand.readers._inserted[CONTACTLESS_READER].bridge._card = card
        assert sell(daemon, handle)["reason"] == "card_proof_invalid"
        assert code(holder(daemon, handle)) == (410, "tap_over")
        hand.pull()
    assert world.service.charged == 0


# --- the catalogue ---


def test_what_is_on_sale(daemon: Daemon, hand: Hand) -> None:
    """The period that contains now, as the service says it."""
    answer = daemon.get("/v1/catalogues/meals").json()
    assert answer["sections"] == LUNCH
    assert {name: answer[name] for name in ("service", "action", "currency", "tariff_version")} == {
        "service": "meals",
        "action": "sale",
        "currency": "GBP",
        "tariff_version": "menu-1",
    }
    assert (answer["offline"], answer["may_serve_offline"]) == (False, True)
    assert answer["from"] <= answer["as_of"] < answer["until"]


def test_a_service_without_a_catalogue(daemon: Daemon, world: World) -> None:
    """Not there, or not for this terminal."""
    assert code(daemon.get("/v1/catalogues/transport")) == (404, "catalogue_missing")
    asked = len(world.service.paths)
    assert code(daemon.get("/v1/catalogues/Me%20als")) == (404, "catalogue_missing")
    assert not [path for path in world.service.paths[asked:] if "catalogues" in path]


def test_the_catalogue_is_kept_over_a_restart(daemon: Daemon, hand: Hand, world: World) -> None:
    """A till that was started without the service sells by it, and each sale is posted once."""
    before = daemon.get("/v1/catalogues/meals").json()
    daemon.stop()
    world.service.stop()
    daemon.start()
    hand.stream = daemon.listen()
    wait_until(lambda: is_without_service(daemon), "the service to be missed", 20)
    kept = daemon.get("/v1/catalogues/meals").json()
    assert kept == {**before, "offline": True}
    quoted = daemon.post("/v1/quotes", SALE).json()
    assert (quoted["amount_minor"], quoted["currency"], quoted["offline"]) == (BASKET_MINOR, "GBP", True)
    assert (quoted["tariff_version"], quoted["valid_until"]) == ("menu-1", before["until"])
    handle = hand.tap()
    assert daemon.post(f"/v1/taps/{handle}/quote", SALE).json() == quoted
    sold = sell(daemon, handle, amount_minor=BASKET_MINOR)
    assert (sold["decision"], sold["offline"], sold["amount_minor"]) == ("approved", True, BASKET_MINOR)
    world.service.start()
    wait_until(lambda: daemon.get("/v1/outbox").json()["waiting"] == 0, "the queue to empty", 30)
    assert world.service.charged == BASKET_MINOR
    assert world.entries() == [(EntryKind.ADVICE, EntryState.ANSWERED)]


def test_totals_are_those_of_the_outbox(daemon: Daemon, hand: Hand, world: World) -> None:
    """Sold, refused and sold without the service; the same after a restart, and nobody is in it."""
    since = to_rfc3339(world.clock())

    def lunch() -> dict[str, Any]:
        found = daemon.get(f"/v1/totals/meals?since={since}&by=service")
        assert found.status_code == 200, found.text
        groups: dict[str, dict[str, Any]] = found.json()["groups"]
        assert str(world.card) not in found.text
        return groups.get("lunch", {})

    assert lunch() == {}
    daemon.get("/v1/catalogues/meals")
    assert sell(daemon, hand.tap())["decision"] == "approved"
    hand.pull()
    world.service.decision = "declined", "allergen_stop"
    assert sell(daemon, hand.tap())["decision"] == "declined"
    world.service.decision = "approved", "approved"
    hand.pull()
    world.service.stop()
    assert sell(daemon, hand.tap())["offline"] is True
    told = {
        "sales": 2,
        "amount_minor": 2 * BASKET_MINOR,
        "offline": 1,
        "waiting": 1,
        "declined": {"allergen_stop": 1},
        "items": {"fruit": 4, "meal-pasta": 2},
    }
    assert lunch() == told
    world.service.start()
    wait_until(lambda: daemon.get("/v1/outbox").json()["waiting"] == 0, "the queue to empty", 30)
    daemon.stop()
    daemon.start()
    assert lunch() == {**told, "waiting": 0}
    assert daemon.get("/v1/totals/transport?since=" + since).json()["groups"] == {}
    later = to_rfc3339(world.clock() + timedelta(days=1))
    assert daemon.get(f"/v1/totals/meals?since={later}").json()["groups"] == {}
    for wrong in ("", "?since=today", "?since=2026-06-15", f"?since={since}&who=all"):
        assert code(daemon.get("/v1/totals/meals" + wrong)) == (400, "malformed")


def test_the_answer_to_a_sale_is_lost(daemon: Daemon, hand: Hand, world: World) -> None:
    """A basket that nobody has asked a price of before: annulled, sold by the catalogue, charged once."""
    world.service.menus["meals"].offline_limit_minor = 1000
    daemon.get("/v1/catalogues/meals")
    handle = hand.tap()
    world.service.mishaps = [ANSWER_LOST] * 3
    sold = sell(daemon, handle)
    assert (sold["decision"], sold["offline"], sold["amount_minor"]) == ("approved", True, BASKET_MINOR)
    wait_until(lambda: daemon.get("/v1/outbox").json()["waiting"] == 0, "the queue to empty", 30)
    assert world.service.charged == BASKET_MINOR
    request, advice = world.only(EntryKind.REQUEST), world.only(EntryKind.ADVICE)
    assert advice.relates_to == request.id
    assert world.only(EntryKind.ANNUL).state is EntryState.ANSWERED


def test_before_the_first_contact_nothing_is_sold(daemon: Daemon, hand: Hand, world: World) -> None:
    """Asked for without the service, it is fetched as soon as that is there: nobody has to ask twice."""
    world.service.stop()
    assert code(daemon.get("/v1/catalogues/meals")) == (503, "service_unreachable")
    assert sell(daemon, hand.tap())["reason"] == "offline_refused"
    world.service.start()
    wait_until(lambda: "/v1/catalogues/meals" in world.service.paths, "the catalogue to be fetched", 30)
    wait_until(lambda: daemon.status()["service"]["online"], "the service", 30)
    assert daemon.get("/v1/catalogues/meals").json()["offline"] is False


@pytest.mark.parametrize(
    "details",
    [
        {**BASKET, "items": [{"item": "meal-pasta", "quantity": 4}]},
        {**BASKET, "service": "breakfast"},
        {**BASKET, "note": "no sauce"},
    ],
    ids=["over_the_limit", "another_section", "another_shape"],
)
def test_what_the_catalogue_does_not_allow_offline(
    daemon: Daemon, hand: Hand, world: World, details: dict[str, object]
) -> None:
    """Not sold, and no entry left."""
    daemon.get("/v1/catalogues/meals")
    world.service.stop()
    assert sell(daemon, hand.tap(), details=details)["reason"] == "offline_refused"
    assert world.entries() == []


def test_a_changed_menu_reaches_the_keys(daemon: Daemon, hand: Hand, world: World) -> None:
    """A quote of another tariff shows that the catalogue is an old one: it is fetched again by itself."""
    daemon.get("/v1/catalogues/meals")
    world.service.menus["meals"].tariff_version = "menu-2"
    daemon.post("/v1/quotes", SALE)
    daemon.post("/v1/outbox/sync", {})
    assert daemon.get("/v1/catalogues/meals").json()["tariff_version"] == "menu-2"


def test_a_bad_catalogue_does_not_stop_the_till(daemon: Daemon, hand: Hand, world: World) -> None:
    """A malformed one, asked for where there is none, is an error; where one is stored, that goes on."""
    good = world.service.menus["meals"].sections
    world.service.menus["meals"].sections = [{"key": "lunch", "label": "Lunch", "items": "none"}]
    refused = daemon.get("/v1/catalogues/meals")
    assert (code(refused), refused.json()["reason"]) == (
        (503, "service_unreachable"),
        "service_answer_invalid",
    )
    world.service.menus["meals"].sections = good
    assert daemon.get("/v1/catalogues/meals").json()["sections"] == LUNCH
    daemon.stop()
    world.service.menus["meals"].sections = []
    world.service.menus["meals"].periods = ()
    daemon.start()
    assert daemon.get("/v1/catalogues/meals").json()["sections"] == LUNCH


def test_nothing_about_holders_is_told_logged_or_stored(
    hand: Hand, daemon: Daemon, world: World, personal: Callable[[], list[str]]
) -> None:
    """Names, forms, allergens and photographs: in the answer for the face, and nowhere else."""
    handle = hand.tap()
    shown = holder(daemon, handle).json()
    assert sell(daemon, handle)["decision"] == "approved"
    hand.pull()
    hand.stream.wait("card.removed", tap=handle)
    world.service.stop()
    since = len(hand.stream.events)
    again = hand.tap()
    assert holder(daemon, again).json() == {**shown, "offline": True}
    assert sell(daemon, again)["offline"] is True
    hand.pull()
    hand.stream.wait("card.removed", since, tap=again)
    told = hand.stream.text + daemon.log + daemon.get("/v1/status").text + daemon.get("/v1/outbox").text
    # With characters that no key or number in base64 has: a name of three letters is in one by chance.
    words = ("Ava Reed", '"5B"', '"nuts"', to_base64url(PHOTO)[:40])
    for text in [*personal(), *words]:
        assert text not in told, text
    assert handle not in daemon.log
    stored = b"".join(path.read_bytes() for path in daemon.agent.rglob("*") if path.is_file())
    for text in words:
        assert text.encode() not in stored, text
    assert PHOTO[:40] not in stored


def test_the_daemon_ends_while_a_holder_is_asked_for(hand: Hand, daemon: Daemon, world: World) -> None:
    """SIGTERM comes in the middle of it: it ends all the same, and with status 0."""
    process = daemon.process
    assert process is not None
    world.service.on_presentation = lambda: process.send_signal(signal.SIGTERM)
    hand.insert()
    assert process.wait(60) == 0
