"""Accounts, roles, who is at the keyboard, and what wants a second person, by the commands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from cardservice.audit.searching import Wanted, search
from cardservice.cli import main
from cardservice.context import Context
from cardservice.ids import new_id
from cardservice.staff import service
from cardservice.staff.acting import os_user
from cardservice.staff.models import second_person
from cardservice.staff.roles import Role
from tests.cardservice.conftest import PASSPHRASE
from tests.cardservice.staff.people import Staff, request_of, write_key
from tests.support.council import Council, message, request_for

Run = Callable[..., Result]


@pytest.fixture
def run(context: Context) -> Run:
    """A command in this process, whose clock is the council's."""

    def run(*arguments: str, **more: Any) -> Result:
        settings = {
            "CARDSERVICE_MODE": "development",
            "CARDSERVICE_DATABASE_URL": context.settings.database_url,
            "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
            "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
            "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
            **more.pop("env", {}),
        }
        return CliRunner().invoke(main, arguments, env=settings, **more)

    return run


def ok(result: Result) -> Any:
    """What a command printed, as JSON."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(result: Result, words: str) -> None:
    """A sentence, and exit status 1."""
    assert (result.exit_code, words in result.stderr) == (1, True), result.output


def people(run: Run, folder: Path, **named: Role) -> dict[str, tuple[str, ...]]:
    """Ann is the administrator at the keyboard, who makes the others; what is typed to be each of them."""
    first = ("staff", "add", "ann", "--name", "Ann", "--role", "administrator", "--user", os_user())
    ok(run(*first, "--json"))
    typed: dict[str, tuple[str, ...]] = {"ann": ()}
    for name, role in named.items():
        ok(run("staff", "add", name, "--name", name.title(), "--role", role.value, "--json"))
        typed[name] = enrolled(run, folder, name)
    return typed


def enrolled(run: Run, folder: Path, name: str) -> tuple[str, ...]:
    """A key with a certificate; what is typed to be its owner."""
    key, csr = ec.generate_private_key(ec.SECP256R1()), folder / f"{name}.csr"
    csr.write_bytes(request_of(key, name).public_bytes(Encoding.PEM))
    ok(run("staff", "enrol", name, "--csr", str(csr), "--out", str(folder / f"{name}.crt"), "--json"))
    return ("--as", name, "--key", str(write_key(key, folder / f"{name}.key")))


def test_people_are_told_apart(run: Run, context: Context, council: Council, tmp_path: Path) -> None:
    """By the account on the machine or by a key; each does what their roles cover, and the trail says so."""
    card = str(council.card().id)
    refused(run("staff", "add", "ben", "--name", "Ben", "--role", "desk"), "the first account is an admin")
    typed = people(run, tmp_path, ben=Role.DESK, cat=Role.AUDITOR)
    ben, cat = typed["ben"], typed["cat"]
    ok(run(*ben, "card", "suspend", card, "--reason", "found on a bus", "--json"))
    refused(
        run(*ben, "card", "revoke", card, "--reason", "lost"), "roles that cover it: administrator, issuer"
    )
    refused(run("card", "suspend", card, "--reason", "x"), "staff:ann may not do this (card suspend)")
    refused(run("--as", "ben", "card", "list"), "is shown by the key")
    refused(run("--as", "ben", "--key", cat[3], "card", "list"), "is shown by the key")
    refused(run("--as", "ben", "--key", str(tmp_path / "ben.csr"), "card", "list"), "is no private key")
    refused(run("--as", "zoe", "card", "list"), "there is no account 'zoe'")
    found = ok(run(*cat, "audit", "search", "--actor", "staff:ben", "--json"))["entries"]
    assert [(each["action"], each["subject"]) for each in found] == [
        ("staff.denied", "card revoke"),
        ("card.suspended", card),
        ("staff.used", "card suspend"),
    ]
    with context.database.reading() as connection:
        denied = {each.actor for each in search(connection, Wanted(action="staff.denied"))}
    assert denied == {"staff:ben", "staff:ann", f"cli:{os_user()}"}


def test_a_certificate_ends_with_its_account(
    run: Run, context: Context, council: Council, tmp_path: Path
) -> None:
    """Disabled, enrolled anew or past its year: the key opens nothing any more, here and over HTTP."""
    typed = people(run, tmp_path, ben=Role.FINANCE, dan=Role.FINANCE)
    ok(run(*typed["ben"], "tariff", "list", "--json"))
    enrolled(run, tmp_path, "dan")
    ok(run("staff", "disable", "ben", "--json"))
    refused(run(*typed["ben"], "tariff", "list"), "the account ben is disabled")
    refused(
        run("staff", "enrol", "ben", "--csr", str(tmp_path / "ben.csr"), "--out", "x"), "enable the account"
    )
    ok(run("staff", "enable", "ben", "--json"))
    refused(run(*typed["ben"], "tariff", "list"), "is shown by the key")
    signer = Staff(context).signer(council, "ben")
    assert signer.get("/v1/tariffs/transport").status == 200
    council.clock.advance(days=366)
    assert signer.get("/v1/tariffs/transport").outcome == (401, "terminal_unknown")
    council.clock.advance(days=-366)
    with context.database.begin() as connection:
        authority = context.authority(service.AUTHORITY, connection)
        service.set_active(connection, authority, "ben", is_active=False, actor="test", moment=context.now())
    assert signer.get("/v1/tariffs/transport").outcome == (401, "terminal_unknown")


def test_there_is_always_an_administrator(run: Run, tmp_path: Path) -> None:
    """Nobody makes themselves more, and the last administrator stays."""
    typed = people(run, tmp_path, ben=Role.ADMINISTRATOR)
    refused(run("staff", "give", "ann", "finance"), "nobody gives a role to themselves")
    refused(run("staff", "add", "p", "--name", "P", "--role", "provider"), "is no name for an account")
    refused(run("staff", "add", "pat", "--name", "P", "--role", "provider"), "is of one: name it")
    ok(run(*typed["ben"], "staff", "give", "ann", "finance", "--json"))
    ok(run(*typed["ben"], "staff", "take", "ann", "administrator", "--json"))
    refused(run(*typed["ben"], "staff", "take", "ben", "administrator"), "is the last administrator")
    refused(run(*typed["ben"], "staff", "disable", "ben"), "is the last administrator")
    listed = ok(run(*typed["ben"], "staff", "list", "--json"))["staff"]
    assert {each["staff"]: (each["roles"], each["certified"]) for each in listed} == {
        "ann": (["finance"], False),
        "ben": (["administrator"], True),
    }


def test_a_provider_and_a_kitchen_see_their_own(
    run: Run, context: Context, council: Council, tmp_path: Path
) -> None:
    """Of another provider not even that it is there."""
    council.provider("other-buses")
    council.terminal("bus-1")
    council.terminal("bus-2", provider="other-buses")
    typed = people(run, tmp_path, kit=Role.KITCHEN)
    ok(
        run(
            *("staff", "add", "pat", "--name", "Pat", "--role", "provider"),
            "--provider",
            "vale-buses",
            "--json",
        )
    )
    pat = enrolled(run, tmp_path, "pat")
    days = ("2026-06-01", "2026-06-30")
    ok(run(*pat, "provider", "statement", "vale-buses", *days, "--json"))
    refused(run(*pat, "provider", "statement", "other-buses", *days), "for their own alone")
    refused(run(*pat, "provider", "card-keys", "other-buses"), "for their own alone")
    refused(run(*pat, "terminal", "gaps", "bus-2"), "bus-2")
    listed = ok(run(*pat, "terminal", "list", "--json"))["terminals"]
    assert [each["terminal"] for each in listed] == ["bus-1"]
    both = ok(run("terminal", "list", "--json"))["terminals"]
    assert [each["terminal"] for each in both] == ["bus-1", "bus-2"]
    file = tmp_path / "feed.json"
    file.write_text("{}")
    refused(run(*typed["kit"], "load", "leisure", str(file)), "for their own alone")
    assert "for their own alone" not in run(*typed["kit"], "load", "meals", str(file)).stderr
    asked = {"service": "leisure", "files": [{"name": "a.json", "content": "AAAA"}]}
    signer = Staff(context).signer(council, "kit")
    assert signer.post("/v1/tariff-drafts", asked).outcome == (403, "not_theirs")


def test_many_cards_want_two_people(run: Run, council: Council, tmp_path: Path) -> None:
    """Whoever asks cannot agree, nor who may not revoke; once agreed to it is done, and done once."""
    cards = [str(council.card().id) for _ in range(3)]
    file = tmp_path / "cards.txt"
    file.write_text("\n".join(cards) + "\n")
    typed = people(run, tmp_path, ina=Role.ISSUER, ida=Role.ISSUER, des=Role.DESK)
    ina, ida, des = (typed[name] for name in ("ina", "ida", "des"))
    asked = ok(run(*ina, "card", "revoke-many", str(file), "--reason", "stolen", "--json"))["id"]
    [waiting] = ok(run(*des, "second-person", "list", "--json"))["waiting"]
    assert (waiting["id"], waiting["about"]) == (asked, {"cards": 3, "reason": "stolen"})
    refused(run(*ina, "second-person", "agree", asked), "another person agrees to it")
    refused(run(*des, "second-person", "agree", asked), "staff:des may not do this (card.revoke-many)")
    assert ok(run(*ina, "card", "show", cards[0], "--json"))["state"] == "active"
    for _ in range(2):
        ok(run(*ida, "second-person", "agree", asked, "--json"))
    assert {ok(run(*ina, "card", "show", card, "--json"))["state"] for card in cards} == {"revoked"}
    refused(run(*ina, "second-person", "withdraw", asked), "was agreed by staff:ida already")
    for content, words in (
        ("x", ":1: is no card"),
        (f"{cards[0]}\n{cards[0]}", ":2: the card"),
        ("", "names 0"),
    ):
        file.write_text(content)
        refused(run(*ina, "card", "revoke-many", str(file), "--reason", "stolen"), words)
    file.write_text(str(uuid4()))
    refused(run(*ina, "card", "revoke-many", str(file), "--reason", "stolen"), "line 1: no card")


def test_a_large_refund_wants_two_people(run: Run, council: Council, tmp_path: Path) -> None:
    """Above the limit it waits; agreed to twice it is given back once."""
    card, bus = council.card(top_up_minor=1000), council.terminal("bus-1")
    statement = request_for(bus, card)
    assert bus.post("/v1/authorisations", message(statement, card)).json["decision"] == "approved"
    sale = str(statement.id)
    typed = people(run, tmp_path, des=Role.DESK, dot=Role.DESK)
    limit = {"CARDSERVICE_REFUND_LIMIT_MINOR": "199"}
    small = ok(run(*typed["des"], "refund", sale, "--amount", "0.40", "--json", env=limit))
    assert small["amount_minor"] == 40
    large = ok(run(*typed["des"], "refund", sale, "--amount", "2.00", "--json", env=limit))
    assert (large["state"], large["amount_minor"]) == ("open", 200)
    refused(run(*typed["des"], "second-person", "agree", large["waits"]), "another person")
    for _ in range(2):
        ok(run(*typed["dot"], "second-person", "agree", large["waits"], "--json"))
    left = run(*typed["des"], "refund", sale, "--json")
    refused(left, "Nothing of this is left")


def test_the_tables_want_two_people(context: Context) -> None:
    """Whatever a program does."""
    values = {"action": "refund", "detail": {}, "asked_by": "staff:a", "asked_at": context.now()}
    closed = {"state": "agreed", "closed_by": "staff:a", "closed_at": context.now()}
    with pytest.raises(IntegrityError), context.database.begin() as connection:
        connection.execute(insert(second_person).values(id=new_id(), **values, **closed))
    with context.database.reading() as connection:
        assert connection.execute(select(second_person)).all() == []
