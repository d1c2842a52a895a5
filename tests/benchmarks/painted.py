"""`tap_to_painted`: from the agent's news of a card to the pupil's name on the till's screen.

The whole demonstration on a durable PostgreSQL, a software card on a real pcscd, the till's page in Chromium.
The reader's own time, from the card's insertion to the agent's event, stands beside it: pcscd looks every
400 ms, and that is not ours to make faster.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import requests
from playwright.sync_api import Page

from kiosk.demo.readers import AFTER_REMOVAL_S
from kiosk.demo.town import AVA, NOAH, TILL, Person
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.bridge import Bridge
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.state import CardState
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import BenchmarkFailed, require_right
from tests.support.databases import OWNER, SERVICE_ROLE, PostgresServer
from tests.support.demonstration import Demonstration, Town
from tests.support.pcsc import wait_until
from tests.tour.browser import chromium
from tests.tour.pages import Till

KEY = "tap_to_painted"
WARM_UP_TAPS, FEWEST_TAPS = 5, 40
TIMEOUT_S = 30.0

# When a name has come to stand on the screen: the frame after the change is drawn before the message comes.
WATCH = """
window.painted = [];
new MutationObserver(() => {
  const name = document.querySelector('[aria-label="Pupil"] h2')?.textContent ?? "";
  if (name !== window.painted.last) {
    window.painted.last = name;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => window.painted.push([name, performance.timeOrigin + performance.now()]);
      channel.port2.postMessage(null);
    });
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


@dataclass(frozen=True, slots=True)
class Tap:
    """Moments of one tap, in milliseconds of the machine's clock."""

    put_ms: float
    inserted_ms: float
    ready_ms: float
    painted_ms: float


def measure(server: PostgresServer, seconds: float, say: Callable[[str], None]) -> Measurement:
    """Taps at the till one after the other, by two pupils in turn."""
    name = server.create()
    service, owner = server.url(name, SERVICE_ROLE), server.url(name, OWNER)
    say(f"{KEY}: starting a demonstration")
    with tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder:
        demonstration = Demonstration(
            Path(folder) / "demo", ["--database-url", service, "--owner-database-url", owner]
        )
        try:
            town = demonstration.ready()
            say(f"{KEY}: tapping")
            with chromium() as browser, browser.new_context(locale="en-GB") as context:
                context.add_init_script(WATCH)
                till = Till(context.new_page(), town.url("till"))
                taps = _taps(town, till.page, seconds)
        finally:
            demonstration.end()
    require_right(service, KEY)
    return _measured(taps)


def _taps(town: Town, page: Page, seconds: float) -> list[Tap]:
    done: list[Tap] = []
    with _news(town) as news:
        deadline = float("inf")
        while len(done) < WARM_UP_TAPS + FEWEST_TAPS or time.monotonic() < deadline:
            done.append(_tap(town, page, news, (AVA, NOAH)[len(done) % 2]))
            if len(done) == WARM_UP_TAPS:
                deadline = time.monotonic() + seconds
    return done[WARM_UP_TAPS:]


def _tap(town: Town, page: Page, news: list[tuple[str, float]], person: Person) -> Tap:
    page.evaluate("() => { window.painted.length = 0; }")
    since = len(news)
    with CardState.load(Path(town.state["people"][person.key]["file"])) as state:
        put_ms = time.time() * 1000
        bridge = Bridge.connect(
            VirtualCard(state, Face.CONTACTLESS), "127.0.0.1", town.state["readers"][TILL.reader]["port"]
        )
        thread = threading.Thread(target=bridge.run, daemon=True)
        thread.start()
        shown = page.wait_for_function(
            "name => window.painted.find(([shown]) => shown === name)?.[1]",
            arg=person.name,
            timeout=TIMEOUT_S * 1000,
        )
        painted_ms = float(shown.json_value())
        wait_until(lambda: "card.ready" in dict(news[since:]), "the agent's event", TIMEOUT_S)
        at = dict(news[since:])
        bridge.pull()
        thread.join(TIMEOUT_S)
    wait_until(lambda: "card.removed" in dict(news[since:]), "the card's removal", TIMEOUT_S)
    time.sleep(AFTER_REMOVAL_S)  # a card that comes sooner can wedge the reader
    if "card.refused" in at:
        raise BenchmarkFailed(f"{KEY}: the card was refused")
    return Tap(put_ms, at["card.inserted"], at["card.ready"], painted_ms)


@contextmanager
def _news(town: Town) -> Iterator[list[tuple[str, float]]]:
    """The kinds of the agent's events, with the moment at which each came."""
    agent = town.state["agents"]["till"]
    token = Path(agent["token_file"]).read_text(encoding="ascii")
    heard: list[tuple[str, float]] = []
    with requests.get(
        agent["url"] + "v1/events",
        headers={"Authorization": f"Bearer {token}"},
        stream=True,
        timeout=(TIMEOUT_S, None),
    ) as answer:
        answer.raise_for_status()

        def listen() -> None:
            try:
                for line in answer.iter_lines(chunk_size=1):
                    kind, is_event, name = line.partition(b"event: ")
                    if is_event and not kind:
                        heard.append((name.decode(), time.time() * 1000))
            except (requests.RequestException, AttributeError, ValueError):
                return  # the demonstration has ended, or we have closed it

        threading.Thread(target=listen, daemon=True).start()
        wait_until(lambda: bool(heard), "the agent's first event", TIMEOUT_S)
        yield heard


def _measured(taps: list[Tap]) -> Measurement:
    whole = [tap.painted_ms - tap.inserted_ms for tap in taps]
    reader = [tap.inserted_ms - tap.put_ms for tap in taps]
    p95_ms = _p95(whole)
    return Measurement(
        key=KEY,
        what="a pupil's card at the school till, from the agent's `card.inserted` to the name painted by "
        "Chromium (the frame after the change): card read and verified, holder asked for, page; the "
        "value is the p95",
        value=p95_ms,
        unit="ms",
        p50_ms=median(whole),
        p99_ms=quantiles(whole, n=100, method="inclusive")[98],
        detail={
            "taps": len(taps),
            "of it from `card.ready` to painted, p50 and p95, ms": _both(
                [tap.painted_ms - tap.ready_ms for tap in taps]
            ),
            "before it the reader, from insertion to `card.inserted`, p50 and p95, ms": _both(reader),
        },
    )


def _both(values: list[float]) -> list[Any]:
    return [round(median(values), 1), round(_p95(values), 1)]


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[18]
