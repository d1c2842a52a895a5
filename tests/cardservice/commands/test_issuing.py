"""`cardservice stock`, `bureau`, `account`, and what a desk does with cards, as people type it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cardservice.cli import main
from cardservice.context import Context
from cardservice.ids import CardholderId
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import Council

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def run(context: Context, *typed: str, given: str | None = None) -> Result:
    """A command in this process, with settings from its environment."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    return CliRunner().invoke(main, list(typed), env=settings, input=given)


def ok(context: Context, *typed: str, given: str | None = None) -> Any:
    """What a command printed, as JSON."""
    result = run(context, *typed, "--json", given=given)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def words(result: Result) -> tuple[int, str]:
    """How it ended, and what it said for a person."""
    return result.exit_code, result.stdout + result.stderr


def blanks(place: str, count: int) -> Sequence[str]:
    """Options of most commands of stock."""
    return ("--product", "dual-8k", "--place", place, "--count", str(count))


def test_stock(context: Context, council: Council) -> None:
    """Delivered, moved, spoiled, counted; what is low is listed; too much is refused in a sentence."""
    council.terminal("desk-1", "issuer")
    for place in ("town-hall", "library"):
        ok(context, "stock", "place", place, "--name", place)
    numbers = ("--first", "8944000000001000", "--last", "8944000000001099")
    ok(context, "stock", "receive", "--supplier", "Vale Cards", *blanks("town-hall", 100), *numbers)
    ends = ("--product", "dual-8k", "--from", "town-hall", "--to", "library")
    ok(context, "stock", "move", *ends, "--count", "40")
    status, said = words(run(context, "stock", "move", *ends, "--count", "61"))
    assert (status, "60 of dual-8k lie at town-hall, and 61 are to be taken" in said) == (1, True)
    ok(context, "stock", "spoil", *blanks("library", 1), "--reason", "bent")
    about = ("--product", "dual-8k", "--place", "library")
    counted = ok(context, "stock", "count", *about, "--counted", "38", "--reason", "end of month")
    assert counted == {"place": "library", "expected": 39, "counted": 38, "difference": -1}
    ok(context, "stock", "warn", *about, "--below", "50")
    ok(context, "stock", "desk", "desk-1", *about)
    assert ok(context, "stock", "show", "--low")["stock"] == [
        {"place": "library", "product": "dual-8k", "count": 38, "low": True}
    ]
    assert words(run(context, "stock", "show", "--place", "town-hall")) == (0, "town-hall  dual-8k  60\n")


def test_a_bureau(context: Context, council: Council, tmp_path: Path) -> None:
    """Registered, given a batch, told what to make; what is no file of theirs is refused with its line."""
    for name in ("sign", "seal"):
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pem").write_bytes(pem)
    keys = ("--signing-key", str(tmp_path / "sign.pem"), "--sealing-key", str(tmp_path / "seal.pem"))
    ok(context, "bureau", "add", "vale-cards", "--name", "Vale Cards", *keys)
    holder = str(council.card().holder)
    order = ok(context, "card", "order", holder, "--by-post")["order"]
    made = ok(context, "bureau", "batch", "vale-cards")
    assert made["cards"] == 1
    (tmp_path / "orders").write_text(f"{order}\n")
    status, said = words(run(context, "bureau", "batch", "vale-cards", "--orders", str(tmp_path / "orders")))
    assert (status, f"order {order} is with a bureau already" in said) == (1, True)
    out = tmp_path / "order.jsonl"
    ok(context, "bureau", "order", made["batch"], str(out))
    assert (json.loads(out.read_text().splitlines()[1])["order"], out.stat().st_mode & 0o77) == (order, 0)
    ok(context, "bureau", "certificates", made["batch"], str(tmp_path / "certs.jsonl"))
    status, said = words(run(context, "bureau", "take", "vale-cards", str(out)))
    assert (status, "line 3: this is no signature of the bureau" in said) == (1, True)
    status, said = words(run(context, "bureau", "letters", made["batch"], str(tmp_path / "letters.txt")))
    assert (status, "no card of this batch waits" in said) == (1, True)


def test_left_at_home_and_lost(context: Context, council: Council) -> None:
    """Lent until a time and taken back; told lost by somebody who says nothing, and found."""
    first, second = str(council.card().id), str(council.card().id)
    until = (datetime.now(UTC) + timedelta(hours=5)).isoformat(timespec="seconds")
    lent = ok(context, "card", "lend", first, "--until", until)
    assert [each["card"] for each in ok(context, "card", "lent")["lent"]] == [lent["card"]]
    assert ok(context, "card", "take-back", lent["card"])["acts_for"] == first
    assert words(run(context, "card", "lent")) == (0, "Nothing is lent.\n")
    told = ok(context, "card", "told-lost", second, given="\n\n\n")
    assert (told["verified"], told["state"]) == (False, "suspended")
    assert ok(context, "card", "release", second, "--reason", "found")["state"] == "active"


def test_an_account(context: Context, council: Council) -> None:
    """What is left is shown, the cards are stopped, and it is given back in cash."""
    holder: CardholderId = (card := council.card(top_up_minor=1250)).holder
    assert ok(context, "account", "show", str(holder))["to_give_back_minor"] == 1250
    early = words(run(context, "account", "give-back", str(holder), "--by", "cash"))
    assert (early[0], "the cards are stopped first" in early[1]) == (1, True)
    assert ok(context, "account", "close", str(holder), "--why", "asked")["stopped"]
    given = ok(context, "account", "give-back", str(holder), "--by", "cash")
    assert (given["given_minor"], given["closed"]) == (1250, True)
    assert council.balances(card.payer) == (0, 0)
    assert "The account is closed" in words(run(context, "account", "show", str(holder)))[1]
    assert words(run(context, "account", "dormant")) == (0, "Nobody is dormant.\n")
    status, said = words(run(context, "account", "tell", str(holder)))
    assert (status, "being closed already" in said) == (1, True)
