"""What a lunch and a ride leave in events, logs, addresses and the browser: nothing that says who."""

import re
from contextlib import closing
from pathlib import Path

import pytest
import requests
from playwright.sync_api import BrowserContext, Page

from kiosk.demo.town import AVA, MORGAN, NOAH, PEOPLE
from tests.browser.running import Listener, RunningTown
from tests.support.databases import KINDS
from tests.tour.pages import BUS, TILL, Till, Validator, Wallet

# What the pages, the agents and the service write does not depend on the database.
pytestmark = pytest.mark.parametrize("shared_town", KINDS[:1], indirect=True)

STORED = """async () => JSON.stringify([
    {...localStorage}, {...sessionStorage}, await indexedDB.databases(), await caches.keys(), document.cookie
])"""
EMPTY = '[{},{},[],[],""]'


def personal(town: RunningTown) -> re.Pattern[str]:
    """What must not be found: names, numbers of cards and people in their writings, and what was eaten."""
    words = {word for person in PEOPLE for word in person.name.split()} | {"sesame", "flapjack", "Tomato"}
    for person in PEOPLE:
        known = town.told.state["people"][person.key]
        for number in (known["card"], known["cardholder"]):
            words |= {number, number.replace("-", ""), number.replace("-", "").upper()}
    # Whole words: a session's random token may hold any three letters.
    return re.compile(rf"\b({'|'.join(map(re.escape, sorted(words)))})\b")


@pytest.fixture
def visited(context: BrowserContext) -> list[str]:
    """Every address that the browser has asked for."""
    addresses: list[str] = []
    context.on("request", lambda request: addresses.append(request.url))
    return addresses


def test_nothing_says_who_was_there(town: RunningTown, context: BrowserContext, visited: list[str]) -> None:
    listeners = {name: Listener(town.told.url(name) + "events") for name in ("wallet", "till", "validator")}
    listeners |= {f"agent of {name}": agent_events(town, name) for name in ("till", "validator")}
    wallet = Wallet(context.new_page(), town.told.url("wallet"))
    till = Till(context.new_page(), town.told.url("till"))
    validator = Validator(context.new_page(), town.told.url("validator"))
    lunch_and_ride(wallet, till, validator)
    for page in (wallet.page, till.page, validator.page):
        assert stored(page) == EMPTY
    cookies = context.cookies()

    texts = {f"events of {name}": listener.text for name, listener in listeners.items()}
    for listener in listeners.values():
        listener.close()
    assert all("card.inserted" in text for name, text in texts.items() if "wallet" not in name)
    texts |= {str(path): path.read_text(errors="replace") for path in logs(town)}
    texts["addresses"] = "\n".join(visited)
    texts["cookies"] = "\n".join(f"{cookie['name']}={cookie['value']}" for cookie in cookies)

    wanted = personal(town)
    assert wanted.search(f"{AVA.name} was here"), "it would be found"
    for where, text in texts.items():
        assert (found := wanted.search(text)) is None, f"{where} says {found}"
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Strict" for cookie in cookies)
    assert len(visited) > len(("wallet", "till", "validator"))


def lunch_and_ride(wallet: Wallet, till: Till, validator: Validator) -> None:
    """A sale, a decline and a fare, through the pages."""
    wallet.put(AVA.name, TILL)
    till.expect_pupil(AVA.name)
    till.acknowledge_allergens()
    till.add("Tomato pasta bake £2.60")
    till.charge("£2.60")
    till.expect_outcome("Paid")
    wallet.put(NOAH.name, TILL)
    till.expect_pupil(NOAH.name)
    till.add("Oat flapjack £0.80")
    till.charge("£0.80")
    till.expect_outcome("Declined")
    wallet.put(MORGAN.name, BUS)
    validator.expect_outcome("Go")


def agent_events(town: RunningTown, name: str) -> Listener:
    """What a reader agent says to its face."""
    agent = town.told.state["agents"][name]
    token = Path(agent["token_file"]).read_text(encoding="ascii")
    return Listener(agent["url"] + "v1/events", f"Bearer {token}")


def logs(town: RunningTown) -> list[Path]:
    """The logs of everything that runs."""
    found = sorted(town.told.logs.iterdir())
    assert len(found) >= len(("service", "readers", "two agents", "two pages", "cards")), found
    return found


def stored(page: Page) -> str:
    """What the browser keeps for a page."""
    return str(page.evaluate(STORED))


def test_strangers_are_refused_at_every_port(town: RunningTown) -> None:
    state = town.told.state
    doors = {name: state[name] for name in ("wallet", "till", "validator")}
    doors |= {f"agent of {name}": agent["url"] for name, agent in state["agents"].items()}
    for name, url in doors.items():
        path = "v1/status" if name.startswith("agent") else ""
        with closing(requests.Session()) as session:
            for method in ("GET", "POST"):
                foreign_host = session.request(
                    method, url + path, headers={"Host": "evil.example"}, timeout=30
                )
                assert foreign_host.status_code == 421, (name, method)
                for origin in ("http://evil.example", "null", state["card_service"]["url"]):
                    answer = session.request(method, url + path, headers={"Origin": origin}, timeout=30)
                    assert answer.status_code == 403, (name, method, origin)
                    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_card_service_gives_a_page_nothing(town: RunningTown) -> None:
    url = town.told.state["card_service"]["url"]
    with closing(requests.Session()) as session:
        for path in ("/v1/nonce", "/v1/catalogues/meals"):
            answer = session.get(url + path, headers={"Origin": "http://evil.example"}, timeout=30)
            assert answer.status_code == 401
            assert "Access-Control-Allow-Origin" not in answer.headers
