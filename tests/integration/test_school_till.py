"""A school's till on the real stack: daemon, pcscd, software cards, HTTP, gunicorn, SQLite and PostgreSQL."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from reader_agent.virtual_card.pcscd import PrivatePcscd
from tests.reader_agent.daemon.client import Daemon, Stream
from tests.support.databases import KINDS, Databases
from tests.support.pcsc import wait_until
from tests.support.stack import Stack

MENU = Path(__file__).parents[2] / "kiosk" / "demo_data" / "menu.json"
DESK, TILL = "Desk", "Till"
BASKET = {
    "service": "lunch",
    "items": [{"item": "meal-pasta", "quantity": 1}, {"item": "fruit", "quantity": 2}],
}
BASKET_MINOR = 340
SALE = {"service": "meals", "action": "sale", "details": BASKET}


@dataclass(slots=True)
class School:
    """A town with a school, a pupil's card, and the till's daemon."""

    stack: Stack
    daemon: Daemon
    stream: Stream
    port: int
    pupil: str
    card: str
    card_file: Path

    def tap(self) -> str:
        """Hold the pupil's card to the till; its handle."""
        since = len(self.stream.events)
        self.stack.insert(self.card_file, self.port)
        return str(self.stream.wait("card.ready", since).data["tap"])

    def pull(self) -> None:
        """Take it away."""
        since = len(self.stream.events)
        self.stack.pull(self.card_file)
        self.stream.wait("card.removed", since)

    def holder(self, tap: str) -> dict[str, Any]:
        """Who taps."""
        return dict(self.daemon.get(f"/v1/taps/{tap}/holder").json())

    def sell(self, tap: str) -> dict[str, Any]:
        """A lunch."""
        asked = {**SALE, "key": str(uuid4()), "amount_minor": BASKET_MINOR}
        return dict(self.daemon.post(f"/v1/taps/{tap}/pay", asked).json())

    def prepaid(self) -> int:
        """What the pupil can spend, in minor units."""
        accounts = self.stack.run("cardservice", "balance", self.pupil, "--json").json["accounts"]
        return int(next(each["amount_minor"] for each in accounts if each["account"] == "payer:prepaid"))

    def restart_daemon(self) -> None:
        """As after a power cut in the kitchen."""
        self.daemon.stop()
        self.daemon.start()
        self.stream = self.daemon.listen()


@pytest.fixture(scope="module", params=KINDS)
def school(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[School]:
    """One installation for the module, on each database in turn."""
    urls = databases.create(request.param, migrated=False)
    root = tmp_path_factory.mktemp("school")
    stack = Stack(root, urls.service, urls.owner, currency="GBP", timezone="Europe/London")
    stack.install("ashcombe")
    stack.run("cardservice", "provider", "add", "council", "--name", "Ashcombe Council")
    stack.run("cardservice", "provider", "add", "kitchen", "--name", "School kitchen")
    stack.run("cardservice", "load", "meals", str(MENU), "--approve")
    with PrivatePcscd(root / "pcscd", [DESK, TILL]) as pcscd:
        stack.environment |= pcscd.environment
        daemon = Daemon(stack.agent("till-1"), (TILL,), pcscd.environment, root / "daemon.log")
        try:
            stack.start_service()
            stack.add_terminal("desk-1", "council", "issuer")
            stack.add_terminal("till-1", "kitchen", "till", "--offline-limit", "1000")
            pupil, card, card_file = make_pupil(stack, pcscd.port(DESK))
            daemon.start()
            stream = daemon.listen()
            yield School(stack, daemon, stream, pcscd.port(TILL), pupil, card, card_file)
        finally:
            daemon.close()
            stack.close()
    databases.drop(urls)


def make_pupil(stack: Stack, desk_port: int) -> tuple[str, str, Path]:
    """A pupil with a photograph and money, and a card made at the desk."""
    pupil = stack.run(
        *("cardservice", "cardholder", "add", "Ava Reed", "--category", "pupil", "--form", "5B"),
        *("--allergen", "milk", "--allergen", "nuts", "--json"),
    ).json["cardholder"]
    photo = stack.root / "ava.png"
    Image.new("RGB", (300, 400), "teal").save(photo)
    stack.run("cardservice", "cardholder", "photo", pupil, str(photo))
    order = stack.run("cardservice", "card", "order", pupil, "--kind", "young-citizen", "--json").json
    file = stack.root / "ava.json"
    stack.run("reader-agent", "virtual-card", "new", str(file))
    stack.insert(file, desk_port, "contact")
    try:
        desk = str(stack.agent("desk-1"))
        stack.run("reader-agent", "personalise", order["order"], "--reader", DESK, "--agent", desk)
    finally:
        stack.pull(file)
    stack.run("cardservice", "topup", pupil, "50.00")
    return pupil, order["card"], file


def test_a_day_at_the_till(school: School) -> None:
    """Seen and sold online; the service stops, the till restarts and sells by its catalogue; each once."""
    began = school.daemon.status()["service"]["since"]
    on_sale = school.daemon.get("/v1/catalogues/meals").json()
    assert (on_sale["offline"], on_sale["may_serve_offline"], on_sale["currency"]) == (False, True, "GBP")
    lunch = next(section for section in on_sale["sections"] if section["key"] == "lunch")
    assert {"meal-pasta": 260, "fruit": 40}.items() <= {
        item["key"]: item["amount_minor"] for item in lunch["items"]
    }.items()

    handle = school.tap()
    seen = school.holder(handle)
    assert (seen["name"], seen["form"], seen["allergens"]) == ("Ava Reed", "5B", ["milk", "nuts"])
    photo = base64.urlsafe_b64decode(seen["photo"] + "=" * (-len(seen["photo"]) % 4))
    with Image.open(io.BytesIO(photo)) as picture:
        assert picture.format == "JPEG"
    school.pull()
    assert school.prepaid() == 5000

    school.stack.stop_service()
    try:
        again = school.tap()
        assert school.holder(again) == {**seen, "as_of": school.holder(again)["as_of"], "offline": True}
        school.pull()
        school.restart_daemon()
        school.stream.wait("service.offline")
        kept = school.daemon.get("/v1/catalogues/meals").json()
        assert (kept["offline"], kept["sections"]) == (True, on_sale["sections"])
        offline = school.tap()
        assert school.holder(offline)["code"] == "service_unreachable"
        sold = school.sell(offline)
        assert (sold["decision"], sold["offline"], sold["amount_minor"]) == ("approved", True, BASKET_MINOR)
        school.pull()
    finally:
        school.stack.start_service()
    wait_until(lambda: school.daemon.get("/v1/outbox").json()["waiting"] == 0, "the queue to empty", 60)
    assert school.daemon.get("/v1/outbox").json()["refused"] == 0
    assert school.prepaid() == 5000 - BASKET_MINOR

    online = school.tap()
    paid = school.sell(online)
    assert (paid["decision"], paid["offline"], paid["amount_minor"]) == ("approved", False, BASKET_MINOR)
    school.pull()
    assert school.prepaid() == 5000 - 2 * BASKET_MINOR

    # Both pieces of fruit come back: once, however often it is asked.
    fruit = {"key": str(uuid4()), "transaction": paid["transaction"], "line": 2}
    for _ in range(2):
        assert school.daemon.post("/v1/refunds", fruit).json() == {"amount_minor": 80, "currency": "GBP"}
    assert school.prepaid() == 5000 - 2 * BASKET_MINOR + 80
    refused = school.daemon.post("/v1/refunds", {**fruit, "key": str(uuid4())})
    assert (refused.status_code, refused.json()["code"]) == (422, "refund_refused")
    assert refused.json()["reason"] == "nothing_to_refund"
    unknown = school.daemon.post("/v1/refunds", {**fruit, "transaction": str(uuid4())})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "sale_unknown")
    totals = school.daemon.get(f"/v1/totals/meals?since={began}").json()["groups"]["lunch"]
    assert (totals["sales"], totals["amount_minor"], totals["offline"]) == (2, 2 * BASKET_MINOR, 1)
    school.stack.run("cardservice", "ledger", "verify")


def test_a_revoked_card_shows_nobody(school: School) -> None:
    """The reason, of the service or of the revocation list that the terminal has, and nothing else."""
    school.stack.run("cardservice", "card", "revoke", school.card, "--reason", "lost")
    since = len(school.stream.events)
    school.stack.insert(school.card_file, school.port)
    handle = str(school.stream.wait("card.inserted", since).data["tap"])
    refused = school.daemon.get(f"/v1/taps/{handle}/holder")
    assert (refused.status_code, refused.json()["code"]) == (409, "card_unusable")
    assert refused.json()["reason"] in {"card_revoked", "certificate_revoked"}
    assert "Ava" not in refused.text
    school.pull()
