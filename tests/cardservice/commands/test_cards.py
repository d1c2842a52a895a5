"""`cardservice card`, as an administrator runs it: suspended, reported, replaced, listed, expired."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cardservice.cli import main
from cardservice.context import Context
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import Council, new_id


def run(context: Context, *arguments: str, typed: str | None = None, shift_s: float = 0) -> Result:
    """The command in this process, with settings from its environment."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
        "CARDSERVICE_CLOCK_OFFSET_S": str(shift_s),
        "CITIZEN_CARD_CLOCK_OFFSET_S": str(shift_s),
    }
    return CliRunner().invoke(main, ["card", *arguments], env=settings, input=typed)


def ok(result: Result) -> Any:
    """What a command printed, as JSON."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def state(context: Context, card: str) -> tuple[str, str]:
    """What a card is, and why."""
    shown = ok(run(context, "show", card, "--json"))
    return shown["state"], shown["history"][-1]["reason"]


def test_a_card_rests_is_lost_and_replaced(context: Context, council: Council) -> None:
    """Each step is said in its history, with its reason."""
    made = council.card()
    holder, card = str(made.holder), str(made.id)
    assert ok(run(context, "suspend", card, "--reason", "in hospital", "--json"))["state"] == "suspended"
    assert state(context, card) == ("suspended", "in hospital")
    assert ok(run(context, "release", card, "--reason", "back", "--json"))["state"] == "active"
    told = ok(run(context, "report", card, "lost", "--reason", "told by telephone", "--json"))
    assert told == {"card": card, "state": "revoked", "reported": "lost"}
    assert state(context, card) == ("revoked", "lost")
    again = run(context, "report", card, "stolen", "--reason", "told again")
    assert (again.exit_code, "is revoked, which does not lead to stolen" in again.stderr) == (1, True)
    new = ok(run(context, "replace", card, "--by-post", "--json"))["card"]
    assert ok(run(context, "show", new, "--json"))["replaces"] == card
    listed = ok(run(context, "list", "--cardholder", holder, "--json"))["cards"]
    assert [(one["card"], one["state"]) for one in listed] == [(new, "ordered"), (card, "revoked")]
    assert [one["card"] for one in ok(run(context, "list", "--state", "ordered", "--json"))["cards"]] == [new]


def test_what_is_refused_is_said_in_a_sentence(context: Context, council: Council) -> None:
    """With exit status 1, and nothing changed."""
    card = str(council.card().id)
    for arguments, reason in (
        (("dispatch", card), "is active, which does not lead to dispatched"),
        (("release", card, "--reason", "why"), "is active already"),
        (("suspend", card, "--reason", "two\nlines"), "say why"),
        (("suspend", str(new_id()), "--reason", "why"), "no card "),
        (("replace", "card"), "no identifier"),
    ):
        result = run(context, *arguments)
        assert (result.exit_code, reason in result.stderr) == (1, True), result.output
    result = run(context, "activate", card, typed="4T7C-9KXM\n")
    assert (result.exit_code, "is active already" in result.stderr) == (1, True)
    assert state(context, card)[0] == "active"


def test_the_nightly_run(context: Context, council: Council) -> None:
    """It counts first, changes then, and has nothing to do the second time."""
    card = str(council.card().id)
    later = 6 * 366 * 86_400.0
    assert ok(run(context, "expire", "--dry-run", "--json", shift_s=later)) == {"cards": 1, "dry_run": True}
    assert state(context, card)[0] == "active"
    assert ok(run(context, "expire", "--json", shift_s=later)) == {"cards": 1, "dry_run": False}
    assert state(context, card)[0] == "expired"
    assert ok(run(context, "expire", "--json", shift_s=later)) == {"cards": 0, "dry_run": False}


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "ID", "bored", "--reason", "why"),
        ("report", "ID", "lost"),
        ("suspend", "ID"),
        ("list", "--state", "asleep"),
    ],
)
def test_orders_that_say_too_little(arguments: tuple[str, ...]) -> None:
    """Usage, with exit status 2, before anything is opened."""
    assert CliRunner().invoke(main, ["card", *arguments]).exit_code == 2
