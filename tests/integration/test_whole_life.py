"""A card's whole life on the real stack: applied for, sent, activated, pays, lost, replaced; nothing is lost.

Software cards, a real pcscd, the agent, HTTP, gunicorn, SQLite and PostgreSQL. Who says whether a certificate
is revoked is `openssl`, by the list and by OCSP.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from reader_agent.virtual_card.pcscd import PrivatePcscd
from tests.cardservice.services import leisure_tariffs, library_terms
from tests.support.databases import KINDS, Databases
from tests.support.stack import BIN, Done, Stack

DESK, POOL = "Desk", "Pool"
TIMEOUT_S = 30
ENTRY_MINOR, PRODUCT_MINOR = 550, 4000


@dataclass(slots=True)
class Town:
    """A council with an issuing desk, a pool and a library."""

    stack: Stack
    ports: dict[str, int]

    def make(self, order: dict[str, str], file: Path) -> dict[str, Any]:
        """Make a card of a blank in one job; what the desk is told."""
        self.stack.run("reader-agent", "virtual-card", "new", str(file))
        self.stack.insert(file, self.ports[DESK], "contact")
        try:
            desk = str(self.stack.agent("desk-1"))
            job = ("personalise", order["order"], "--reader", DESK, "--agent", desk, "--json")
            return self.stack.run("reader-agent", *job).json
        finally:
            self.stack.pull(file)

    def send_and_activate(self, card: str) -> None:
        """The card and the letter with its code arrive, and the holder says the code."""
        code = self.stack.run("cardservice", "card", "dispatch", card, "--json").json["code"]
        activating = [str(BIN / "cardservice"), "card", "activate", card]
        subprocess.run(
            activating,
            input=f"{code}\n",
            text=True,
            check=True,
            capture_output=True,
            env=self.stack.programs(),
        )

    def pool(self, file: Path, action: str, *more: str, **details: str) -> Done:
        """Hold a card to the pool's reader, again where the reader had not noticed yet that it was away."""
        done = self._held_to_the_pool(file, action, *more, **details)
        for _ in range(4):
            if "[card_removed]" not in done.err:
                break
            done = self._held_to_the_pool(file, action, *more, **details)
        return done

    def _held_to_the_pool(self, file: Path, action: str, *more: str, **details: str) -> Done:
        self.stack.insert(file, self.ports[POOL])
        try:
            return self.stack.attempt(
                *("reader-agent", "tap", "--agent", str(self.stack.agent("pool-1")), "--reader", POOL),
                *("--json", "--wait", "120"),
                *("--service", "leisure", "--action", action, *more),
                *(f"--detail={name}={value}" for name, value in details.items()),
            )
        finally:
            self.stack.pull(file)

    def state(self, card: str) -> str:
        """A card's state, as the desk sees it."""
        return str(self.stack.run("cardservice", "card", "show", card, "--json").json["state"])

    def prepaid(self, holder: str) -> int:
        """What the holder can spend, in minor units."""
        accounts = self.stack.run("cardservice", "balance", holder, "--json").json["accounts"]
        return int(next(each["amount_minor"] for each in accounts if each["account"] == "payer:prepaid"))


@pytest.fixture(scope="module", params=KINDS)
def town(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    """One installation, on each database in turn."""
    urls = databases.create(request.param, migrated=False)
    root = tmp_path_factory.mktemp("town")
    stack = Stack(root, urls.service, urls.owner, currency="GBP", timezone="Europe/London")
    with PrivatePcscd(root / "pcscd", [DESK, POOL]) as pcscd:
        stack.environment |= pcscd.environment
        try:
            stack.install("ashcombe")
            stack.run("cardservice", "provider", "add", "council", "--name", "Ashcombe Council")
            load_rules(stack)
            stack.start_service()
            stack.add_terminal("desk-1", "council", "issuer")
            stack.add_terminal("pool-1", "council", "gate")
            yield Town(stack, {name: pcscd.port(name) for name in (DESK, POOL)})
        finally:
            stack.close()
    databases.drop(urls)


def load_rules(stack: Stack) -> None:
    """A pool's prices and a library's terms that hold today, whenever that is."""
    today = datetime.now(UTC).date()
    days = {
        "first_day": (today - timedelta(days=30)).isoformat(),
        "last_day": (today + timedelta(days=60)).isoformat(),
    }
    tariff = {**leisure_tariffs.TARIFF, **days, "passes": [], "sessions": []}
    prices = [price for price in tariff["prices"] if price["activity"] == "swim" or "last_day" not in price]
    tariff["prices"] = [{name: price[name] for name in ("activity", "group", "price")} for price in prices]
    tariff["products"] = [{**tariff["products"][0], "last_day": days["last_day"]}]
    for service, content in (
        ("leisure", tariff),
        ("library", {**library_terms.TERMS, **days, "closed_days": []}),
    ):
        file = stack.root / f"{service}.json"
        file.write_text(json.dumps(content, indent=1))
        stack.run("cardservice", "load", service, str(file), "--approve")
    stock = stack.root / "stock.csv"
    stock.write_text(
        "barcode,title_id,title,author,item_class,branch\nB0001,emma,Emma,Jane Austen,book,central\n"
    )
    stack.run("cardservice", "library", "import", str(stock))


@dataclass(frozen=True, slots=True)
class Judge:
    """What `openssl` says of a card's certificate, by what the service publishes."""

    origin: str
    folder: Path

    def by_list(self, certificate: str) -> str:
        """`good` or `revoked`, by the certificate's revocation list."""
        self._fetch(certificate)
        files = ("-CAfile", "root.crt", "-untrusted", "cards.crt", "-CRLfile", "cards.crl", "card.crt")
        done = self._openssl("verify", "-crl_check", *files, check=False)
        if done.returncode == 0:
            return "good"
        assert "certificate revoked" in done.stderr, done.stderr
        return "revoked"

    def by_ocsp(self, certificate: str) -> str:
        """`good` or `revoked`, by what the responder answers; its signature is checked, too."""
        self._fetch(certificate)
        asked = ("-issuer", "cards.crt", "-cert", "card.crt", "-CAfile", "root.crt")
        done = self._openssl("ocsp", *asked, "-url", f"{self.origin}/pki/ocsp")
        assert "Response verify OK" in done.stderr, done.stderr
        return done.stdout.splitlines()[0].removeprefix("card.crt: ")

    def _fetch(self, certificate: str) -> None:
        (self.folder / "card.crt").write_text(certificate)
        for name in ("root.crt", "cards.crt", "cards.crl"):
            answer = requests.get(f"{self.origin}/pki/{name}", timeout=TIMEOUT_S)
            answer.raise_for_status()
            (self.folder / f"{name}.der").write_bytes(answer.content)
            kind = "crl" if name.endswith(".crl") else "x509"
            self._openssl(kind, "-inform", "DER", "-in", f"{name}.der", "-out", name)

    def _openssl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=check
        )


def approved(done: Done) -> int:
    """What an approved tap cost, in minor units."""
    assert done.status == 0, done.out + done.err
    answer = done.json
    assert answer["decision"] == "approved", done.out
    return int(answer["amount_minor"])


def applied_and_approved(stack: Stack) -> tuple[str, dict[str, Any]]:
    """Somebody who has a card coming, and the order that approving their application has made."""

    def application(*words: str) -> dict[str, Any]:
        done: dict[str, Any] = stack.run("cardservice", "application", *words, "--json").json
        return done

    applied = application("add", "citizen", "--name", "Ava Reed")
    holder, one = str(applied["cardholder"]), str(applied["application"])
    stack.run("cardservice", "cardholder", "born", holder, "1987-11-23")
    application("proof", holder, "identity", "--reference", "passport ending 471")
    early = stack.attempt("cardservice", "application", "approve", one, "--by-post")
    assert (early.status, "residence" in early.err) == (1, True), early.err
    review = (datetime.now(UTC).date() + timedelta(days=300)).isoformat()
    application("proof", holder, "residence", "--reference", "council tax", "--review-on", review)
    return holder, application("approve", one, "--by-post")


def test_a_card_lives_is_lost_and_is_replaced(town: Town, tmp_path: Path) -> None:
    stack, judge = town.stack, Judge(town.stack.origin, tmp_path)
    holder, order = applied_and_approved(stack)
    stack.run("cardservice", "topup", holder, "100.00")
    stack.run("cardservice", "library", "join", holder, "2000123", "--no-pin")

    first, card = tmp_path / "first.json", order["card"]
    assert town.make(order, first)["state"] == "personalised"
    unsent = town.pool(first, "entry", activity="gym")
    assert (unsent.status, "card_not_active" in unsent.out + unsent.err) == (3, True)
    town.send_and_activate(card)
    assert approved(town.pool(first, "entry", activity="gym")) == ENTRY_MINOR
    assert approved(town.pool(first, "buy", product="ten-gyms")) == PRODUCT_MINOR
    assert approved(town.pool(first, "entry", activity="gym", by="visits")) == 0
    stack.run("cardservice", "library", "checkout", "2000123", "B0001", "--place", "central")
    lent = stack.run("cardservice", "library", "member", "2000123", "--json").json
    certificate = stack.run("cardservice", "card", "show", card, "--json").json["certificate"]
    assert (judge.by_list(certificate), judge.by_ocsp(certificate)) == ("good", "good")

    stack.run("cardservice", "card", "report", card, "lost", "--reason", "told by telephone")
    found = town.pool(first, "entry", activity="gym", by="visits")
    assert (found.status, "card_revoked" in found.out + found.err) == (3, True)
    assert (judge.by_list(certificate), judge.by_ocsp(certificate)) == ("revoked", "revoked")

    again = stack.run("cardservice", "card", "replace", card, "--by-post", "--json").json
    second = tmp_path / "second.json"
    town.make(again, second)
    town.send_and_activate(again["card"])
    assert (town.state(card), town.state(again["card"])) == ("revoked", "active")
    left = 10_000 - ENTRY_MINOR - PRODUCT_MINOR
    assert town.prepaid(holder) == left
    assert approved(town.pool(second, "entry", activity="gym", by="visits")) == 0
    assert approved(town.pool(second, "entry", activity="gym")) == ENTRY_MINOR
    assert town.prepaid(holder) == left - ENTRY_MINOR
    assert stack.run("cardservice", "library", "member", "2000123", "--json").json == lent
    refused = town.pool(first, "entry", activity="gym")
    assert (refused.status, "revoked" in refused.out + refused.err) == (3, True)
    stack.run("cardservice", "ledger", "verify")
