"""A terminal is given keys of its provider's applications; those of reload and administration never."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from cardservice.api.fields import to_base64url
from cardservice.audit.models import audit
from cardservice.cli import main
from cardservice.context import Context
from cardservice.providers.models import card_key_grant
from pki.card_keys import KeyRequest, ReleasedMaster
from pki.errors import KeyNotFound
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import Council, Terminal, from_base64url

PATH = "/v1/card-keys"
TRANSPORT, WALLET = "F5C011", "f5c010"


@pytest.fixture
def council_now(council: Council, monkeypatch: pytest.MonkeyPatch) -> Council:
    """The commands have the council's clock, too."""
    monkeypatch.setattr("cardservice.context.system_clock", lambda _: council.clock)
    council.provider("school")
    return council


def run(context: Context, *arguments: str) -> Result:
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    return CliRunner().invoke(main, ["provider", *arguments], env=settings)


def grant(context: Context, *arguments: str) -> dict[str, Any]:
    result = run(context, "card-key", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def fetch(council: Council, terminal: Terminal) -> list[ReleasedMaster]:
    request = KeyRequest(council.context.scheme.id, terminal.id)
    reply = terminal.post(PATH, {"key": to_base64url(request.public_key)})
    assert reply.status == 200, reply
    return list(request.open(from_base64url(reply.json["sealed"])))


def names(given: list[ReleasedMaster]) -> list[str]:
    return [each.master.name for each in given]


def test_what_a_terminal_gets_is_what_its_provider_may_use(context: Context, council_now: Council) -> None:
    """Of its own applications, by its role, from the grant on and until it ends; each answer written down."""
    bus, inspector = council_now.terminal("bus-12"), council_now.terminal("inspector-1", "enforcement")
    till = council_now.terminal("till-1", "till", provider="school")
    desk = council_now.terminal("desk-1", "issuer")
    assert fetch(council_now, bus) == []
    told = grant(context, "vale-buses", TRANSPORT, "--key", "read")
    assert told == {
        "provider": "vale-buses", "application": "F5C011", "key": 1, "version": 0, "granted": True,
    }  # fmt: skip
    grant(context, "vale-buses", TRANSPORT, "--key", "debit")
    grant(context, "vale-buses", WALLET, "--key", "debit")
    grant(context, "school", WALLET, "--key", "debit")
    council_now.clock.advance(seconds=1)

    given = fetch(council_now, bus)
    assert names(given) == ["terminal-f5c010-2-v0", "terminal-f5c011-1-v0", "terminal-f5c011-2-v0"]
    assert len({each.value for each in given}) == 3
    # Who inspects reads; another provider has its own, and what both sell with
    assert fetch(council_now, inspector) == [given[1]]
    assert fetch(council_now, till) == [given[0]]
    assert desk.post(PATH, {"key": "BA" + "A" * 85}).outcome == (403, "role_not_allowed")

    grant(context, "vale-buses", TRANSPORT, "--key", "debit", "--version", "1")
    assert run(context, "card-key", "vale-buses", TRANSPORT, "--key", "debit", "--no-longer").exit_code == 0
    council_now.clock.advance(seconds=1)
    expected = ["terminal-f5c010-2-v0", "terminal-f5c011-1-v0", "terminal-f5c011-2-v1"]
    assert names(fetch(council_now, bus)) == expected
    shown = json.loads(run(context, "card-keys", "vale-buses", "--json").stdout)["keys"]
    assert [(each["application"], each["key"], each["version"]) for each in shown] == [
        ("F5C010", 2, 0), ("F5C011", 1, 0), ("F5C011", 2, 1),
    ]  # fmt: skip
    with context.database.reading() as connection:
        wanted = select(audit.c.actor, audit.c.detail).where(audit.c.action == "card_key.release")
        noted = [tuple(row) for row in connection.execute(wanted.order_by(audit.c.id))]
    assert noted[1] == ("terminal:bus-12", {"masters": names(given)})
    assert noted[-1] == ("terminal:bus-12", {"masters": expected})
    assert [actor for actor, _ in noted].count("terminal:desk-1") == 0

    council_now.revoke_terminal("bus-12")
    assert bus.post(PATH, {"key": "BA" + "A" * 85}).outcome == (403, "terminal_revoked")


def test_keys_of_reload_and_administration_never_leave(context: Context, council_now: Council) -> None:
    """No command names them, no row can, and there is no master of theirs where terminals' masters lie."""
    for key in ("0", "3", "credit", "administration"):
        result = run(context, "card-key", "vale-buses", TRANSPORT, "--key", key)
        assert (result.exit_code, "Invalid value" in result.stderr) == (2, True)
    for number in (0, 3):
        row = {"provider_id": "vale-buses", "application": 0xF5C011, "key_number": number, "version": 0}
        at = {"valid_from": council_now.clock(), "actor": "test"}
        with pytest.raises(IntegrityError), context.database.begin() as connection:
            connection.execute(insert(card_key_grant).values(row | at))
        with pytest.raises(KeyNotFound):
            context.keys.terminal_masters._store.cmac_key(f"service-f5c011-{number}-v0")
    # The card's own keys are no application's
    result = run(context, "card-key", "vale-buses", "000000", "--key", "read")
    assert (result.exit_code, "never leave the service" in result.stderr) == (1, True)


def test_what_cannot_be_granted(context: Context, council_now: Council) -> None:
    grant(context, "vale-buses", TRANSPORT, "--key", "debit")
    refused = [
        (("nobody", TRANSPORT, "--key", "read"), 1, "nobody"),
        (("vale-buses", "F5C0", "--key", "read"), 1, "six hexadecimal digits"),
        (("vale-buses", TRANSPORT, "--key", "debit"), 1, "already"),
        (("vale-buses", TRANSPORT, "--key", "read", "--no-longer"), 1, "nothing was changed"),
        (("vale-buses", TRANSPORT, "--key", "read", "--version", "256"), 2, "256"),
        (("vale-buses", TRANSPORT), 2, "--key"),
    ]
    for arguments, status, said in refused:
        result = run(context, "card-key", *arguments)
        assert (result.exit_code, said in result.stderr) == (status, True), result.stderr
    assert run(context, "card-keys", "nobody").exit_code == 1
    assert run(context, "card-keys", "school").stdout == "None.\n"


def test_a_key_that_is_none_gets_nothing(context: Context, council_now: Council) -> None:
    """And nothing is written down as given."""
    bus = council_now.terminal("bus-12")
    for key in ("", "AAAA", "BA" + "A" * 85, "A" * 87):
        assert bus.post(PATH, {"key": key}).outcome == (400, "malformed"), key
    with context.database.reading() as connection:
        released = select(audit).where(audit.c.action == "card_key.release")
        assert connection.execute(released).all() == []
