"""Payments over the API: one sale or none, and the answer says which."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from reader_agent.outbox_entries import EntryKind, EntryState
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.card_service import ANSWER_LOST, LOST
from tests.reader_agent.daemon.client import Daemon, Stream, order
from tests.reader_agent.daemon.conftest import Hand
from tests.reader_agent.world import World, make_agent
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers, wait_until


def code(response: requests.Response) -> tuple[int, str]:
    """Status and problem code."""
    return response.status_code, response.json()["code"]


def test_a_card_pays(hand: Hand, daemon: Daemon, world: World) -> None:
    """The answer has what a receipt needs, and nothing about the card."""
    response = daemon.pay(hand.tap())
    assert response.status_code == 200
    answer = response.json()
    assert {name: answer[name] for name in ("decision", "reason", "offline", "repeated")} == {
        "decision": "approved",
        "reason": "approved",
        "offline": False,
        "repeated": False,
    }
    assert (answer["amount_minor"], answer["currency"]) == (240, "GBP")
    assert answer["receipt"] == [{"label": "Single", "amount_minor": 240}]
    assert answer["balances"] == [{"account": "prepaid", "unit": "GBP", "amount_minor": 1000}]
    assert answer["transaction"] == str(world.only(EntryKind.REQUEST).id)
    assert str(world.card) not in response.text
    assert response.headers["Cache-Control"] == "no-store"
    assert world.service.charged == 240


def test_a_quote(hand: Hand, daemon: Daemon, world: World) -> None:
    """For a card, and for anybody; nothing is charged."""
    for answer in (daemon.post(f"/v1/taps/{hand.tap()}/quote", order()), daemon.post("/v1/quotes", order())):
        assert answer.status_code == 200
        assert (answer.json()["amount_minor"], answer.json()["offline"]) == (240, False)
        assert answer.json()["offline_price"]["amount_minor"] == 260
    world.service.stop()
    kept = daemon.post("/v1/quotes", order()).json()
    assert (kept["amount_minor"], kept["offline"]) == (260, True)
    other = {**order(), "details": {"from_stop": "nowhere"}}
    assert code(daemon.post("/v1/quotes", other)) == (503, "service_unreachable")
    assert not world.service.received


def test_the_same_key_is_one_payment(hand: Hand, daemon: Daemon, world: World) -> None:
    """Asked for again afterwards, with the card there or gone, and also after the daemon was started anew."""
    handle, key = hand.tap(), str(uuid4())
    first = daemon.pay(handle, key).json()
    again = daemon.pay(handle, key).json()
    assert again == {**first, "repeated": True}
    hand.pull()
    hand.stream.wait("card.removed", tap=handle)
    assert daemon.pay(handle, key).json() == again
    daemon.stop()
    daemon.start()
    assert daemon.pay(handle, key).json() == again
    assert world.service.charged == 240
    assert len(world.service.received) == 1


def test_the_same_key_at_the_same_time_is_one_payment(hand: Hand, daemon: Daemon, world: World) -> None:
    """Five requests before the first is answered: all get its answer."""
    handle, key = hand.tap(), str(uuid4())
    with ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(lambda _: daemon.pay(handle, key).json(), range(5)))
    assert {answer["transaction"] for answer in answers} == {str(world.only(EntryKind.REQUEST).id)}
    assert sorted(answer["repeated"] for answer in answers) == [False, True, True, True, True]
    assert world.service.charged == 240


def test_a_key_is_for_one_request(hand: Hand, daemon: Daemon, world: World) -> None:
    """Another amount or trip under a key that was used is refused."""
    handle, key = hand.tap(), str(uuid4())
    daemon.pay(handle, key)
    assert code(daemon.pay(handle, key, amount_minor=240)) == (409, "key_conflict")
    assert code(daemon.pay(handle, key, details={"from_stop": "elsewhere"})) == (409, "key_conflict")
    assert world.service.charged == 240


def test_one_tap_is_one_sale(hand: Hand, daemon: Daemon, world: World) -> None:
    """Asked twice by mistake under two keys: the second is refused, and so is a third after the approval."""
    handle = hand.tap()
    held, goes_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        goes_on.wait(20)

    world.service.on_authorisation = hold
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(daemon.pay, handle)
        assert held.wait(20)
        assert code(daemon.pay(handle)) == (409, "tap_busy")
        goes_on.set()
        assert first.result().json()["decision"] == "approved"
    assert code(daemon.pay(handle)) == (409, "tap_spent")
    assert world.service.charged == 240


def test_after_a_decline_the_same_tap_may_try_again(hand: Hand, daemon: Daemon, world: World) -> None:
    """With fewer things in the basket, say: a new key is a new payment."""
    handle = hand.tap()
    world.service.decision = ("declined", "insufficient_funds")
    answer = daemon.pay(handle).json()
    assert (answer["decision"], answer["reason"]) == ("declined", "insufficient_funds")
    world.service.decision = ("approved", "approved")
    assert daemon.pay(handle).json()["decision"] == "approved"


def test_another_price_than_was_shown_is_not_charged(hand: Hand, daemon: Daemon, world: World) -> None:
    """The new price is in the answer."""
    handle = hand.tap()
    answer = daemon.pay(handle, amount_minor=235).json()
    assert (answer["decision"], answer["reason"]) == ("not_paid", "price_changed")
    assert answer["amount_minor"] == 240
    assert not world.service.received
    assert daemon.pay(handle, amount_minor=240).json()["decision"] == "approved"


def test_pulled_before_it_signs(hand: Hand, daemon: Daemon, world: World) -> None:
    """The service is asked for a price while the card goes: nothing is sent, nothing is paid."""
    handle = hand.tap()
    quote = world.service._quote

    def pull_and_quote() -> dict[str, object]:
        hand.pull()
        return quote()

    world.service._quote = pull_and_quote  # type: ignore[method-assign]  # a hand acts at this moment
    answer = daemon.pay(handle).json()
    assert (answer["decision"], answer["reason"]) == ("not_paid", "card_removed")
    assert answer["transaction"] is None
    assert not world.service.received
    assert world.service.charged == 0


def test_swapped_before_it_signs(
    hand: Hand, daemon: Daemon, world: World, tmp_path: Path, readers: Readers
) -> None:
    """The other card does not pay for the first, by this request or under this handle."""
    another = tmp_path / "another.json"
    world.issue_card(another)
    handle = hand.tap()
    quote = world.service._quote

    def swap_and_quote() -> dict[str, object]:
        world.service._quote = quote  # type: ignore[method-assign]
        hand.pull()
        readers.insert(CONTACTLESS_READER, another)
        return quote()

    world.service._quote = swap_and_quote  # type: ignore[method-assign]
    assert daemon.pay(handle).json()["decision"] == "not_paid"
    assert daemon.pay(handle).json().get("decision") != "approved"
    assert world.service.charged == 0
    assert not world.service.received


def test_a_swap_that_pcscd_did_not_see(
    hand: Hand, daemon: Daemon, world: World, tmp_path: Path, readers: Readers
) -> None:
    """Another card answers at the same reader without a break: its key is not the one that was read."""
    another = tmp_path / "another.json"
    world.issue_card(another)
    handle = hand.tap()
    with CardState.load(another) as state:
        card = VirtualCard(state, Face.CONTACT)
        card.power_on()
        readers._inserted[CONTACTLESS_READER].bridge._card = card
        answer = daemon.pay(handle).json()
        assert (answer["decision"], answer["reason"]) == ("not_paid", "card_proof_invalid")
        answer = daemon.pay(handle).json()
        assert (answer["decision"], answer["reason"]) == ("not_paid", "tap_over")
        assert code(daemon.pay(handle)) == (410, "tap_over")
        hand.pull()
    assert world.service.charged == 0
    assert not world.service.received


def test_pulled_while_the_answer_is_awaited(hand: Hand, daemon: Daemon, world: World, stream: Stream) -> None:
    """It has signed, and the answer comes: paid, and said so."""
    handle = hand.tap()
    world.service.on_authorisation = hand.pull
    assert daemon.pay(handle).json()["decision"] == "approved"
    stream.wait("card.removed", tap=handle)
    assert world.service.charged == 240


@pytest.mark.parametrize("mishap", [LOST, ANSWER_LOST])
def test_pulled_when_the_answer_was_lost(hand: Hand, daemon: Daemon, world: World, mishap: str) -> None:
    """It cannot be asked again with the card there: not paid, and whatever the service did is annulled."""
    handle = hand.tap()
    world.service.mishaps = [mishap]

    def pull_once() -> None:
        world.service.on_authorisation = lambda: None
        hand.pull()

    world.service.on_authorisation = pull_once
    answer = daemon.pay(handle).json()
    assert (answer["decision"], answer["reason"]) == ("not_paid", "card_removed")
    wait_until(lambda: daemon.get("/v1/outbox").json()["waiting"] == 0, "the annulment to be told", 20)
    assert world.service.charged == 0
    assert world.entries() == [(EntryKind.REQUEST, EntryState.CLOSED), (EntryKind.ANNUL, EntryState.ANSWERED)]


def test_offline_and_back(hand: Hand, daemon: Daemon, world: World, stream: Stream) -> None:
    """Served without the service; the queue is shown, empties when it is back, and it is charged once."""
    daemon.post("/v1/quotes", order())
    world.service.stop()
    since = len(stream.events)
    answer = daemon.pay(hand.tap()).json()
    assert (answer["decision"], answer["reason"], answer["offline"]) == ("approved", "offline", True)
    stream.wait("service.offline", since)
    stream.wait("outbox.queue", since, waiting=1)
    counts = daemon.get("/v1/outbox").json()
    assert (counts["waiting"], counts["refused"]) == (1, 0)
    assert 0 <= counts["oldest_waiting_s"] < 60
    assert counts["entries"] == [{"kind": "advice", "state": "open", "count": 1}]
    world.service.start()
    stream.wait("outbox.queue", since, waiting=0)
    stream.wait("service.online", since)
    assert world.service.charged == 260
    assert daemon.get("/v1/outbox").json()["oldest_waiting_s"] is None


def test_what_is_not_allowed_offline(hand: Hand, daemon: Daemon, world: World) -> None:
    """Not paid, and no entry left."""
    daemon.post("/v1/quotes", order())
    world.service.stop()
    answer = daemon.pay(hand.tap(), allow_offline=False).json()
    assert (answer["decision"], answer["reason"]) == ("not_paid", "offline_refused")
    assert world.entries() == []


def test_the_answer_is_lost_and_it_serves_offline(hand: Hand, daemon: Daemon, world: World) -> None:
    """The service posts and falls silent: annulled, and charged once, by the advice that replaces it."""
    world.service.mishaps = [ANSWER_LOST] * 3
    key, handle = str(uuid4()), hand.tap()
    answer = daemon.pay(handle, key).json()
    assert (answer["decision"], answer["offline"]) == ("approved", True)
    wait_until(lambda: daemon.get("/v1/outbox").json()["waiting"] == 0, "the queue to empty", 20)
    assert world.service.charged == answer["amount_minor"] == 260
    daemon.stop()
    daemon.start()
    recalled = daemon.pay(handle, key).json()
    assert {**recalled, "message": "", "repeated": False} == {**answer, "message": ""}


def test_sync_on_request(hand: Hand, daemon: Daemon, world: World) -> None:
    """What waits is told; the answer counts."""
    assert daemon.post("/v1/outbox/sync", {}).json() == {
        "told": 0,
        "refused": 0,
        "failed": 0,
        "closed": 0,
        "waiting": 0,
    }
    world.service.mishaps = [(403, "role_not_allowed")] * 2
    assert daemon.pay(hand.tap()).json()["reason"] == "role_not_allowed"
    report = daemon.post("/v1/outbox/sync", {}).json()
    assert report["waiting"] == 0 or daemon.post("/v1/outbox/sync", {}).json()["waiting"] == 0
    assert world.service.charged == 0


def test_killed_before_the_answer(hand: Hand, daemon: Daemon, world: World) -> None:
    """The daemon dies while the service posts: started again it annuls, and the key says "not paid"."""
    handle, key = hand.tap(), str(uuid4())
    world.service.on_authorisation = daemon.kill
    with pytest.raises(requests.ConnectionError):
        daemon.pay(handle, key)
    world.service.on_authorisation = lambda: None
    wait_until(lambda: world.service.charged == 240, "the service to post it")
    daemon.start()
    answer = daemon.pay(handle, key).json()
    assert (answer["decision"], answer["reason"], answer["repeated"]) == ("not_paid", "interrupted", True)
    wait_until(lambda: world.service.charged == 0, "the annulment", 20)


def test_a_worker_that_dies_is_replaced(hand: Hand, daemon: Daemon, world: World) -> None:
    """With the same token and address; listeners are told everything anew, and a card pays."""
    assert daemon.process is not None
    last = hand.stream.events[-1].id
    children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children")
    (worker,) = children.read_text().split()
    os.kill(int(worker), signal.SIGKILL)
    wait_until(lambda: hand.stream.has_ended, "the stream to end")
    hand.stream = daemon.listen(last)
    hand.stream.wait("status")
    wait_until(lambda: daemon.status()["readers"][0]["connected"], "the reader")
    assert daemon.pay(hand.tap()).json()["decision"] == "approved"
    assert world.service.charged == 240


def test_ended_politely_while_it_pays(hand: Hand, daemon: Daemon, world: World, stream: Stream) -> None:
    """SIGTERM: the payment gets its answer, the streams end, and the exit status is 0."""
    handle = hand.tap()
    held, goes_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        goes_on.wait(20)

    world.service.on_authorisation = hold
    with ThreadPoolExecutor(2) as threads:
        paying = threads.submit(daemon.pay, handle)
        assert held.wait(20)
        ending = threads.submit(daemon.stop)
        wait_until(lambda: stream.has_ended, "the streams to end")
        goes_on.set()
        assert paying.result().json()["decision"] == "approved"
        assert ending.result() == 0
    assert world.service.charged == 240


def test_it_listens_on_loopback_alone(daemon: Daemon) -> None:
    """By what the kernel says of its port."""
    port = f"{int(daemon.url.rpartition(':')[2]):04X}"
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets += [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    # The second field is the local address, the fourth the state: 0A listens (proc(5)).
    listening = [fields[1] for fields in sockets if fields[3] == "0A" and fields[1].endswith(f":{port}")]
    assert listening == [f"0100007F:{port}"]


def test_a_second_daemon_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    """On the same folder; the first goes on."""
    second = Daemon(daemon.agent, daemon.readers, daemon.environment, tmp_path / "second.log")
    with pytest.raises(AssertionError, match="daemon_running"):
        second.start()
    second.close()
    assert daemon.get("/v1/status").status_code == 200


def test_a_taken_port_is_one_sentence(daemon: Daemon, world: World, tmp_path: Path) -> None:
    """No traceback, and the exit status of an error."""
    port = daemon.url.rpartition(":")[2]
    another = make_agent(tmp_path / "another", world.service, world.scheme, "bus-13")
    second = Daemon(another.path, daemon.readers, daemon.environment, tmp_path / "second.log")
    with pytest.raises(AssertionError, match="port_taken"):
        second.start("--port", port)
    assert "Traceback" not in second.log
    second.close()


def test_streams_are_bounded(daemon: Daemon, readers: Readers, world: World) -> None:
    """The one too many is refused; the others go on, and commands are answered beside them."""
    streams = [daemon.listen() for _ in range(16)]
    assert code(daemon.get("/v1/events")) == (503, "too_many_streams")
    assert daemon.status()["terminal"] == "bus-12"
    streams[0].close()
    # Who listens no more is found by what is told him.
    readers.insert(CONTACT_READER, world.card_file)
    readers.pull(CONTACT_READER)
    wait_until(lambda: is_open(daemon), "a free stream", 20)


def is_open(daemon: Daemon) -> bool:
    """Whether there is a stream to be had."""
    with requests.get(f"{daemon.url}/v1/events", headers=daemon.headers, stream=True, timeout=10) as response:
        return response.status_code == 200
