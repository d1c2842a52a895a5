"""An explanation comes to what was decided, from what was stored alone."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from cardservice.audit.models import audit
from cardservice.authorisation.explanation import decide_again, differences, explain, moves_of
from cardservice.authorisation.judging import judge, judge_again
from cardservice.authorisation.reasons import Flag, Reason
from cardservice.authorisation.sales import answer_of, details_of, transaction_of
from cardservice.authorisation.seen import StoredDecision
from cardservice.authorisation.speaking import TEXTS, spoken_of
from cardservice.cli import main
from cardservice.errors import Erased, ExplanationMissing, TransactionUnknown
from cardservice.ids import ProviderId, TerminalId, TransactionId
from cardservice.ledger.limits import NewLimit, set_limit
from cardservice.ledger.privacy import erase_details
from cardservice.services import discover
from pki.statements import StatementKind, details_hmac
from tests.cardservice.authorisation.random_cases import Tariffs, discovered, random_case, tariffs
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import SALT, Council, advice_of, annulment, message, new_id, request_for

URL = "/v1/authorisations"
# The share of them that says something new is small, and each is cheap: no database, no cryptography.
CASES = 10_000


@pytest.fixture(scope="module")
def known() -> Tariffs:
    """The demonstration's tariffs."""
    return tariffs()


def stored(number: int, known: Tariffs) -> StoredDecision:
    """A random case, decided and stored: the row as columns, the rest as the JSON that it becomes."""
    case = random_case(number, known)
    # Some had been approved before a restore, which lost them.
    lost = number % 40 == 0 and not case.message.is_advice and case.replaced is None
    verdict = judge_again(case) if lost else judge(case)
    row = transaction_of(case, verdict)
    kept = details_of(case, verdict, answer_of(case, verdict))
    return StoredDecision(
        id=row.id,
        kind=row.kind,
        decision=row.decision,
        reason=row.reason,
        amount_minor=row.amount_minor,
        unit=row.unit,
        service=str(row.service),
        action=str(row.action),
        terminal_id=TerminalId(str(row.terminal_id)),
        provider_id=ProviderId(str(row.provider_id)),
        tariff_version=row.tariff_version,
        offline=row.offline,
        flags=tuple(json.loads(json.dumps(row.flags))),
        replaces=row.replaces,
        duplicate_of=row.duplicate_of,
        occurred_at=row.occurred_at,
        posted_at=row.posted_at,
        details=json.loads(json.dumps(kept.details)),
        answer=json.loads(json.dumps(kept.answer)),
        transfers=moves_of(verdict.transfers),
    )


def test_ten_thousand_decisions_are_reached_again(known: Tariffs) -> None:
    """From the stored inputs by the same rules; every reason, flag and sentence comes up among them."""
    services, heard = discovered(), Counter[str]()
    for number in range(CASES):
        one = stored(number, known)
        tariff = known.prepared[one.service] if one.seen["tariff"] else None
        case, verdict = decide_again(services, tariff, one)
        assert differences(one, verdict) == (), number
        heard.update((one.kind, one.decision, one.reason, *one.flags))
        for spoken in spoken_of(case, verdict):
            assert "{" not in spoken.text()
            heard[f"text {spoken.code}"] += 1
    never_asked = {Reason.ANNULLED, Reason.ANNULLED_BEFORE, Reason.NOTHING_TO_ANNUL, Reason.KEPT_BY_DUPLICATE}
    never_asked |= {Reason.RESOURCE_TAKEN, Reason.CARD_NOT_ACTIVE, Reason.REFUNDED}
    never_asked |= {Reason.NOTHING_TO_REFUND, Reason.MORE_THAN_LEFT}
    wanted = {*Reason, *Flag} - never_asked
    wanted -= {Flag.CARD_WAS_NOT_ACTIVE, Flag.RESOURCE_TAKEN, Flag.RECOVERED}
    wanted |= {"limit_reached", "over_limit", "price_changed", "request", "advice", "duplicate"}
    not_here = {"text annulled", "text payment", "text not_decided", "text resource_taken"}
    wanted |= {f"text {code}" for code in TEXTS} - not_here
    assert {code for code in wanted if not heard[code]} == set()


def test_the_inputs_name_nobody(known: Tariffs) -> None:
    """Neither card nor cardholder nor payer is in what is kept to explain a decision."""
    for number in range(300):
        case = random_case(number, known)
        verdict = judge(case)
        seen = json.dumps((details_of(case, verdict, answer_of(case, verdict)).answer or {})["seen"])
        persons = {counter.cardholder_id for counter in case.view.counters}
        for identity in (*persons, case.facts.card.id, case.payer_id):
            assert str(identity) not in seen
            assert identity.hex not in seen


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"reason": "approved", "decision": "declined"}, "decision"),
        ({"amount_minor": 1}, "amount"),
        ({"flags": ("over_floor",)}, "flags"),
        ({"transfers": ()}, "transfers"),
    ],
)
def test_what_does_not_agree_is_named(known: Tariffs, change: dict[str, Any], name: str) -> None:
    """A row that somebody changed is not explained away."""
    sold = (
        one for one in (stored(number, known) for number in range(500)) if one.transfers and not one.flags
    )
    changed = replace(next(sold), **change)
    _, verdict = decide_again(discover(), known.prepared[changed.service], changed)
    assert name in differences(changed, verdict)


def test_a_service_that_is_gone_explains_nothing(known: Tariffs) -> None:
    with pytest.raises(ExplanationMissing):
        decide_again({}, None, stored(0, known))


def test_end_to_end(council: Council) -> None:
    """Approved, declined and told; by a limit, by the money, by a duplicate: each comes to the same again."""
    bus = council.terminal("bus-12")
    council.load_menu()
    council.provider("kitchen")
    till = council.terminal("till-1", "till", provider="kitchen")
    card = council.card(top_up_minor=500)
    council.clock.advance(seconds=1)
    with council.context.database.begin() as connection:
        limit = NewLimit(card.payer, card.holder, "meals.day", 300)
        set_limit(connection, limit, council.clock(), council.clock())
    lunch = {"service": "lunch", "items": [{"item": "meal-pasta", "quantity": 1}]}

    def sale(**changes: Any) -> Any:
        values = {"amount_minor": 260, "details_hmac": details_hmac(SALT, lunch), **changes}
        return request_for(till, card, service="meals", action="sale", **values)

    fare = request_for(bus, card)
    replaced = advice_of(bus, card, replaces=fare.id)
    meal, second, eaten = sale(), sale(), sale(kind=StatementKind.ADVICE, offline=True)
    wrong, big = request_for(bus, card, amount_minor=1), advice_of(bus, card, amount_minor=900)
    for terminal, statement, details in (
        *((bus, statement, None) for statement in (fare, replaced, wrong, big)),
        *((till, statement, lunch) for statement in (meal, second, eaten)),
    ):
        more = {} if details is None else {"details": details}
        assert terminal.post(URL, message(statement, card, **more)).status == 200
    undone = annulment(bus, card, fare.id)
    assert bus.post(URL, undone).status == 200
    with council.context.database.reading() as connection:
        found = [
            explain(council.context, connection, statement.id)
            for statement in (fare, replaced, wrong, big, meal, second, eaten)
        ]
        annul = explain(council.context, connection, UUID(undone["annul"]["id"]))
        with pytest.raises(TransactionUnknown):
            explain(council.context, connection, new_id())
    assert [(one.reason, one.differs) for one in found] == [
        ("approved", ()),
        ("duplicate", ()),
        ("price_changed", ()),
        ("approved", ()),
        ("approved", ()),
        ("limit_reached", ()),
        ("approved", ()),
    ]
    assert (annul.agrees, annul.spoken[0].code) == (None, "annulled")
    said = [spoken.text() for spoken in found[5].spoken]
    assert "A limit of 3.00 GBP held; 2.60 GBP of it had been used." in said
    with council.context.database.begin() as connection:
        erase_details(connection, card.payer, [TransactionId(fare.id)])
    with pytest.raises(Erased), council.context.database.reading() as connection:
        explain(council.context, connection, fare.id)


def test_the_command(council: Council) -> None:
    """In words and as JSON; that somebody asked is in the audit log, also where there is nothing to tell."""
    bus = council.terminal("bus-12")
    card = council.card(top_up_minor=100)
    fare = request_for(bus, card)
    assert bus.post(URL, message(fare, card)).json["decision"] == "declined"
    settings = council.context.settings
    environment = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": settings.database_url,
        "CARDSERVICE_PKI_DIR": str(settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": settings.public_origin,
    }
    ask = ["transaction", "explain", str(fare.id)]
    words = CliRunner().invoke(main, ask, env=environment)
    assert (words.exit_code, "it comes to the same" in words.output) == (0, True), words.output
    assert "! There was not enough money: 1.00 GBP could be spent, 2.40 GBP was wanted." in words.output
    found = json.loads(CliRunner().invoke(main, [*ask, "--json"], env=environment).stdout)
    assert (found["agrees"], found["reason"]) == (True, "insufficient_funds")
    assert found["rules"][-1]["code"] == "money_short"
    with council.context.database.reading() as connection:
        asked = connection.execute(select(audit.c.subject).where(audit.c.action == "transaction.explain"))
        assert list(asked.scalars()) == [str(fare.id)] * 2
