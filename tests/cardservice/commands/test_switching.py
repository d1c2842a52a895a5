"""`cardservice service`: a cardholder's services, switched off and on, whoever pays for them."""

import json

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from cardservice.audit.models import audit
from cardservice.authorisation.explanation import explain
from cardservice.cli import main
from cardservice.context import Context
from cardservice.ids import TransactionId
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import Council, advice_of, message, request_for

URL = "/v1/authorisations"


def run(context: Context, *arguments: str) -> Result:
    """The command in this process, with settings from its environment."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    return CliRunner().invoke(main, ["service", *arguments], env=settings)


def test_off_and_on(context: Context, council: Council, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are declined, advices flagged, also under another payer; of nobody else; explained."""
    monkeypatch.setattr("cardservice.context.system_clock", lambda _: council.clock)
    bus, card, other = council.terminal("bus-12"), council.card(top_up_minor=2000), council.card()
    earlier = advice_of(bus, card)
    council.clock.advance(seconds=1)
    before = council.view(card.payer).version
    result = run(context, "off", str(card.holder), "transport", "--json")
    assert json.loads(result.stdout) == {"cardholder": str(card.holder), "service": "transport", "on": False}
    assert council.view(card.payer).version == before + 1
    council.clock.advance(seconds=1)
    wanted = {"service": "transport", "action": "single-fare", "details": {"from": "market", "to": "park"}}
    assert bus.post("/v1/quotes", {**wanted, "card": str(card.id)}).outcome == (422, "service_off")
    assert bus.post("/v1/quotes", {**wanted, "card": str(other.id)}).outcome != (422, "service_off")
    declined = request_for(bus, card)
    assert bus.post(URL, message(declined, card)).outcome == (200, "service_off")
    council.family(card, top_up_minor=1000)
    council.clock.advance(seconds=1)
    under_family = request_for(bus, card)
    assert bus.post(URL, message(under_family, card)).outcome == (200, "service_off")
    told = advice_of(bus, card)
    assert bus.post(URL, message(told, card)).json["flags"] == ["service_was_off"]
    assert bus.post(URL, message(earlier, card)).json["flags"] == []
    assert bus.post(URL, message(request_for(bus, other), other)).outcome == (200, "insufficient_funds")
    for statement in (declined, under_family, told, earlier):
        with context.database.reading() as connection:
            explained = explain(context, connection, TransactionId(statement.id))
        assert explained.agrees
        said = [spoken.code for spoken in explained.spoken]
        assert ("service_off" in said) == (statement is not earlier)
    assert run(context, "on", str(card.holder), "transport").exit_code == 0
    council.clock.advance(seconds=1)
    assert bus.post("/v1/quotes", {**wanted, "card": str(card.id)}).outcome != (422, "service_off")
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    with context.database.reading() as connection:
        noted = connection.execute(select(audit).where(audit.c.action.like("service.%"))).all()
    assert [(each.action, each.subject, each.detail) for each in noted] == [
        (f"service.{word}", str(card.holder), {"service": "transport"}) for word in ("off", "on")
    ]


def test_a_service_that_is_not_there(context: Context, council: Council) -> None:
    result = run(context, "off", str(council.card().holder), "ferry")
    assert (result.exit_code, "ferry" in result.stderr) == (1, True)
