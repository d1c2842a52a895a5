"""The till's server: what it passes on, what it keeps to itself, and that one tap is one sale."""

import base64
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests

from kiosk.web.server import MAX_STREAMS
from tests.kiosk.agent import AVA, BEN, READER, Agent
from tests.kiosk.face import FaceProcess
from tests.kiosk.visitor import Visitor
from tests.support.pcsc import wait_until

GOOD: dict[str, Any] = {
    "section": "lunch",
    "items": [{"item": "salad", "quantity": 1}],
    "amount_minor": 50,
    "key": "6c0c5a43-6f6c-4d0c-9d3e-2b8f0f3f3c11",
    "again": False,
}
BAD: tuple[object, ...] = (
    [],
    {},
    {**GOOD, "key": "mine"},
    {**GOOD, "again": "no"},
    {**GOOD, "decision": "approved"},
    {**GOOD, "section": ""},
    {**GOOD, "items": []},
    {**GOOD, "confirmed": ["anything"]},
    {**GOOD, "confirmed": "allergens"},
    {**GOOD, "items": [{"item": "salad", "quantity": 0}]},
    {**GOOD, "items": [{"item": "salad", "quantity": 21}]},
    {**GOOD, "items": [{"item": "salad", "quantity": 1.5}]},
    {**GOOD, "items": [{"item": "salad", "quantity": 1}] * 51},
    {**GOOD, "amount_minor": -1},
    {**GOOD, "amount_minor": "50"},
)


@pytest.fixture
def visitor(till: FaceProcess) -> Iterator[Visitor]:
    """The page's script."""
    opened = Visitor(till.url)
    yield opened
    opened.close()


def keys_of(agent: Agent) -> list[str]:
    """The keys of the payments that were made."""
    return [str(payment["key"]) for payment in agent.payments]


# ---- the person


def test_a_holder_is_read_once_for_a_tap_photo_included(agent: Agent, visitor: Visitor) -> None:
    tap = agent.insert(AVA)
    holder = visitor.get(f"/taps/{tap}/holder").json()
    assert holder["name"] == "Ava Reed"
    assert holder["allergens"] == ["milk", "nuts"]
    assert holder["has_photo"] is True
    assert "photo" not in holder
    visitor.get(f"/taps/{tap}/holder")
    photo = visitor.get(f"/taps/{tap}/photo")
    assert photo.headers["Content-Type"] == "image/jpeg"
    assert photo.headers["Cache-Control"] == "no-store"
    text = str(AVA["photo"])
    assert photo.content == base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert agent.paths.count(f"GET /v1/taps/{tap}/holder") == 1


def test_a_person_is_forgotten_when_the_card_goes(agent: Agent, visitor: Visitor) -> None:
    stream = visitor.listen()
    tap = agent.insert(AVA)
    assert visitor.get(f"/taps/{tap}/holder").status_code == 200
    agent.remove()
    stream.wait("card.removed")
    assert visitor.get(f"/taps/{tap}/photo").status_code == 404
    assert visitor.get(f"/taps/{tap}/holder").json()["code"] == "tap_over"


def test_what_is_no_photo_is_not_shown_as_one(agent: Agent, visitor: Visitor) -> None:
    tap = agent.insert({**BEN, "photo": base64.urlsafe_b64encode(b"<svg onload=alert(1)>").decode()})
    assert visitor.get(f"/taps/{tap}/holder").json()["has_photo"] is False
    assert visitor.get(f"/taps/{tap}/photo").status_code == 404


@pytest.mark.parametrize(
    ("holder", "refused", "status", "code", "reason"),
    [
        (None, None, 503, "service_unreachable", "service_unreachable"),
        (AVA, "card_revoked", 409, "card_unusable", "card_revoked"),
        ({"name": "Nobody"}, None, 503, "agent_away", None),
    ],
)
def test_what_the_agent_refuses_is_told(
    agent: Agent,
    visitor: Visitor,
    holder: dict[str, Any] | None,
    refused: str | None,
    status: int,
    code: str,
    reason: str | None,
) -> None:
    tap = agent.insert(holder, refused=refused)
    answer = visitor.get(f"/taps/{tap}/holder")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json().get("reason") == reason


HOSTILE = ("..", "%2e%2e%2fstatus", "a%2Fb", "a%0d%0aX:%20y", "é", "x" * 65, "a.b", "a%00", "%")


def test_a_hostile_handle_never_reaches_the_agent(agent: Agent, visitor: Visitor) -> None:
    for tap in HOSTILE:
        for answer in (
            visitor.get(f"/taps/{tap}/holder"),
            visitor.get(f"/taps/{tap}/photo"),
            visitor.post(f"/taps/{tap}/sale", GOOD),
        ):
            assert answer.status_code in {404, 405}, tap
    assert [path for path in agent.paths if "/taps/" in path] == []


# ---- the sale


def test_a_sale_is_what_the_basket_says(agent: Agent, visitor: Visitor) -> None:
    sale = visitor.sell(agent.insert(AVA))
    assert sale["state"] == "done"
    assert sale["outcome"]["decision"] == "approved"
    assert sale["outcome"]["receipt"] == [{"label": "Lunch", "amount_minor": 260}]
    (payment,) = agent.payments
    assert payment["details"] == {"service": "lunch", "items": [{"item": "meal-pasta", "quantity": 1}]}
    assert (payment["service"], payment["action"], payment["amount_minor"]) == ("meals", "sale", 260)
    # What is left is nothing to a till.
    assert "1234" not in str(sale)


def test_what_was_confirmed_is_told_where_something_was(agent: Agent, visitor: Visitor) -> None:
    """What the person at the till has read belongs to what is sold, and is signed with it."""
    for confirmed in ([], ["allergens", "second-meal"]):
        tap = agent.insert(AVA)
        body = {**GOOD, "key": str(uuid4()), "confirmed": confirmed}
        assert visitor.post(f"/taps/{tap}/sale", body).json()["state"] == "done"
        details = agent.payments[-1]["details"]
        assert details.get("confirmed", []) == confirmed
        assert ("confirmed" in details) is bool(confirmed)
        agent.remove()


def test_one_tap_is_one_sale(agent: Agent, visitor: Visitor) -> None:
    tap = agent.insert(AVA)
    assert visitor.sell(tap) == visitor.sell(tap)
    assert len(agent.payments) == 1
    assert visitor.get("/sale").json()["tap"] == tap


def test_after_a_refusal_the_tap_may_try_again_under_another_key(agent: Agent, visitor: Visitor) -> None:
    tap = agent.insert(AVA)
    agent.answer = {"decision": "declined", "reason": "insufficient_funds", "message": "No."}
    key = str(uuid4())
    assert visitor.sell(tap, key)["outcome"]["reason"] == "insufficient_funds"
    agent.answer = {"decision": "approved", "reason": "approved", "message": "Yes."}
    # Under its own key it is the same sale, which has ended.
    assert visitor.sell(tap, key, again=True)["outcome"]["reason"] == "insufficient_funds"
    assert agent.paths.count(f"POST /v1/taps/{tap}/pay") == 1
    assert visitor.sell(tap)["outcome"]["decision"] == "approved"
    first, second = keys_of(agent)
    assert first != second


def test_pressed_twice_at_once_it_is_asked_once(agent: Agent, visitor: Visitor) -> None:
    tap = agent.insert(AVA)
    agent.may_pay.clear()
    answers: list[dict[str, Any]] = []
    first = threading.Thread(target=lambda: answers.append(visitor.sell(tap)))
    first.start()
    wait_until(lambda: f"POST /v1/taps/{tap}/pay" in agent.paths, "the payment")
    assert visitor.sell(tap)["state"] == "paying"
    assert visitor.get("/sale").json()["state"] == "paying"
    agent.may_pay.set()
    first.join(60)
    assert answers[0]["state"] == "done"
    assert agent.paths.count(f"POST /v1/taps/{tap}/pay") == 1


def test_a_lost_answer_is_asked_for_again_under_the_same_key(agent: Agent, visitor: Visitor) -> None:
    tap = agent.insert(AVA)
    agent.lose = 1
    assert visitor.sell(tap) == {"tap": tap, "state": "open", "outcome": None}
    agent.remove()
    # Nothing else begins before it is known how this one has ended.
    other = agent.insert(BEN)
    refused = visitor.post(f"/taps/{other}/sale", GOOD)
    assert (refused.status_code, refused.json()["code"]) == (409, "sale_undecided")
    settled = visitor.post("/sale/again", {}).json()
    assert (settled["tap"], settled["outcome"]["decision"]) == (tap, "approved")
    assert len(agent.payments) == 1
    assert visitor.post(f"/taps/{other}/sale", GOOD).json()["outcome"]["decision"] == "approved"


def test_an_agent_that_dies_with_a_payment_is_asked_until_it_knows(agent: Agent, visitor: Visitor) -> None:
    tap = agent.insert(AVA)
    agent.lose = 1
    assert visitor.sell(tap)["state"] == "open"
    agent.stop()
    assert visitor.post("/sale/again", {}).json()["state"] == "open"
    agent.start()
    assert visitor.post("/sale/again", {}).json()["outcome"]["decision"] == "approved"
    assert len(agent.payments) == 1


def test_a_payment_that_never_reached_the_agent_is_no_riddle(agent: Agent, visitor: Visitor) -> None:
    tap = agent.insert(AVA)
    visitor.get("/catalogue")
    agent.stop()
    sale = visitor.sell(tap)
    assert (sale["state"], sale["outcome"]["decision"]) == ("done", "not_paid")
    assert sale["outcome"]["reason"] == "agent_away"
    agent.start()


@pytest.mark.parametrize("code", ["still_running", "internal_error", "tap_busy"])
def test_a_problem_that_decides_nothing_leaves_the_sale_open(
    agent: Agent, visitor: Visitor, code: str
) -> None:
    tap = agent.insert(AVA)
    agent.problem = (503, code)
    assert visitor.sell(tap)["state"] == "open"
    agent.problem = (503, "stopping")
    assert visitor.post("/sale/again", {}).json()["state"] == "open"
    agent.problem = None
    assert visitor.post("/sale/again", {}).json()["outcome"]["decision"] == "approved"
    assert len(agent.payments) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(409, "tap_spent"), (410, "tap_over"), (422, "malformed"), (503, "stopping")]
)
def test_a_problem_before_a_payment_is_an_end(agent: Agent, visitor: Visitor, status: int, code: str) -> None:
    tap = agent.insert(AVA)
    agent.problem = (status, code)
    outcome = visitor.sell(tap)["outcome"]
    assert (outcome["decision"], outcome["reason"]) == ("not_paid", code)


def test_what_is_no_basket_is_refused(agent: Agent, visitor: Visitor) -> None:
    tap = agent.insert(AVA)
    for body in BAD:
        answer = visitor.post(f"/taps/{tap}/sale", body)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), body
    assert agent.payments == []


def test_commands_need_the_token_and_pages_of_other_addresses_get_nothing(
    agent: Agent, till: FaceProcess, visitor: Visitor
) -> None:
    tap = agent.insert(AVA)
    path = f"/taps/{tap}/sale"
    assert visitor.post(path, GOOD, **{"X-CSRFToken": "x"}).json()["code"] == "csrf_refused"
    assert visitor.post(path, GOOD, Origin="http://evil.example").json()["code"] == "origin_refused"
    assert visitor.get(f"/taps/{tap}/holder", Host="evil.example").status_code == 421
    assert visitor.get("/events", Host=f"evil.example:{till.port}").status_code == 421
    assert agent.payments == []
    assert not any("holder" in path for path in agent.paths)


# ---- events


def test_events_are_passed_on_as_they_are(agent: Agent, visitor: Visitor) -> None:
    stream = visitor.listen()
    assert stream.wait("status") == agent.status()
    tap = agent.insert(AVA)
    assert stream.wait("card.ready") == {"reader": READER, "tap": tap}
    visitor.get(f"/taps/{tap}/holder")
    visitor.sell(tap)
    agent.go(online=False, waiting=3)
    assert stream.wait("outbox.queue") == {"waiting": 3}
    assert "Reed" not in stream.text
    # Another page goes on from where that one was.
    resumed = visitor.listen(stream.ids[0])
    assert resumed.wait("card.inserted") == {"reader": READER, "tap": tap}
    assert agent.resumed_at == [None, stream.ids[0]]


def test_a_page_is_told_that_the_agent_is_away_and_back(agent: Agent, visitor: Visitor) -> None:
    stream = visitor.listen()
    stream.wait("status")
    agent.stop()
    stream.wait("agent.lost")
    late = visitor.listen()
    late.wait("agent.lost")
    assert visitor.get("/catalogue").json()["code"] == "agent_away"
    # It comes back with another token, which is read anew.
    agent.start()
    for listener in (stream, late):
        listener.wait("agent.found")
        listener.wait("status", since=1)
    tap = agent.insert(AVA)
    assert stream.wait("card.inserted")["tap"] == tap
    assert visitor.get("/catalogue").status_code == 200
    assert visitor.sell(tap)["outcome"]["decision"] == "approved"


def test_streams_are_bounded_and_leave_room_for_commands(agent: Agent, visitor: Visitor) -> None:
    streams = [visitor.listen() for _ in range(MAX_STREAMS)]
    for stream in streams:
        stream.wait("status")
    assert visitor.listen().status == 503
    assert visitor.get("/catalogue").status_code == 200
    streams[0].close()
    agent.publish("outbox.queue", waiting=1)  # writing to it shows that nobody listens any more
    wait_until(lambda: visitor.listen().status == 200, "a free place", 30)


def test_the_server_ends_though_pages_listen(agent: Agent, till: FaceProcess, visitor: Visitor) -> None:
    stream = visitor.listen()
    stream.wait("status")
    assert till.stop() == 0
    wait_until(lambda: stream.has_ended, "the end of the stream")


def test_nothing_personal_is_logged(agent: Agent, till: FaceProcess, visitor: Visitor) -> None:
    tap = agent.insert(AVA)
    visitor.get(f"/taps/{tap}/holder")
    visitor.sell(tap)
    agent.stop()
    visitor.get(f"/taps/{tap}/holder")
    agent.start()
    for word in ("Reed", tap, "pasta", agent.token):
        assert word not in till.log


def test_a_page_that_is_open_survives_a_restart(agent: Agent, till: FaceProcess, visitor: Visitor) -> None:
    port = till.port
    till.stop()
    till.start(port)
    tap = agent.insert(AVA)
    refused = visitor.post(f"/taps/{tap}/sale", GOOD)
    assert refused.json()["code"] == "csrf_refused"
    visitor.token = visitor.get("/csrf-token").json()["csrf_token"]
    assert visitor.sell(tap)["outcome"]["decision"] == "approved"


def test_a_server_that_dies_with_a_payment_learns_of_it_by_the_page_s_key(
    agent: Agent, till: FaceProcess, visitor: Visitor
) -> None:
    tap = agent.insert(AVA)
    key = str(uuid4())
    agent.lose = 1
    assert visitor.sell(tap, key)["state"] == "open"
    port = till.port
    till.stop()
    agent.remove()
    till.start(port)
    visitor.token = visitor.get("/csrf-token").json()["csrf_token"]
    # While the agent cannot be asked nothing is known, and nothing is claimed.
    visitor.get("/catalogue")
    agent.stop()
    assert visitor.sell(tap, key, again=True)["state"] == "open"
    agent.start()
    assert visitor.sell(tap, key, again=True)["outcome"]["decision"] == "approved"
    assert len(agent.payments) == 1


def test_the_page_itself_says_nothing_of_anybody(agent: Agent, till: FaceProcess) -> None:
    agent.insert(AVA)
    page = requests.get(till.url, timeout=60)
    assert page.status_code == 200
    assert "Reed" not in page.text
    assert 'lang="en-GB"' in page.text


# ---- totals, and a supervisor's word


def test_totals_are_passed_on(agent: Agent, visitor: Visitor) -> None:
    agent.totals = {"lunch": {"sales": 1}}
    found = visitor.get("/totals?since=2026-01-05T00%3A00%3A00.000Z")
    assert found.json() == {"groups": agent.totals}
    assert visitor.get("/totals").status_code == 400


def test_a_till_that_is_no_supervisors_serves_nothing_anyway(agent: Agent, visitor: Visitor) -> None:
    tap = agent.insert(AVA)
    refused = visitor.post(f"/taps/{tap}/sale", {**GOOD, "anyway": True})
    assert (refused.status_code, refused.json()["code"]) == (400, "malformed")
    assert agent.payments == []


def test_what_a_tap_has_paid_is_given_back(agent: Agent, visitor: Visitor) -> None:
    tap, body = agent.insert(BEN), {"key": str(uuid4()), "line": 1}
    unknown = visitor.post(f"/taps/{tap}/refund", body)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "sale_unknown")
    assert visitor.sell(tap)["outcome"]["decision"] == "approved"
    given = visitor.post(f"/taps/{tap}/refund", body)
    assert given.json() == {"amount_minor": 260, "currency": "GBP"}
    another = visitor.post(f"/taps/{tap}/refund", {**body, "key": str(uuid4())})
    assert (another.status_code, another.json()["code"]) == (422, "refund_refused")
    assert another.json()["reason"] == "nothing_to_refund"
    bodies: tuple[object, ...] = ([], {}, {**body, "line": 0}, {**body, "line": "1"}, {**body, "who": "Ben"})
    for wrong in bodies:
        assert visitor.post(f"/taps/{tap}/refund", wrong).status_code == 400
