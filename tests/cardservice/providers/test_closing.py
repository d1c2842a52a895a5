"""A provider is renamed, closed from a moment on, and opened again."""

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.api.fields import to_base64url
from cardservice.audit.searching import Wanted, search
from cardservice.errors import OrderInvalid, ProviderUnknown
from cardservice.ids import ProviderId, TerminalId
from cardservice.ledger.closing.sequencing import sequence
from cardservice.providers.closing import Left, close_provider, reopen_provider, what_is_left
from cardservice.providers.selling import begin_selling
from cardservice.providers.service import MAX_NAME, Provider, find_provider, rename_provider
from cardservice.staff.roles import Role
from cardservice.terminals.enrolment import VALIDITY, Invitation, invite, invite_again
from cardservice.terminals.health import list_terminals
from cardservice.terminals.service import NewTerminal
from cardservice.upkeep import calendar_of
from tests.cardservice.command_line import typed
from tests.cardservice.staff.browsing import Browsing, signed_in
from tests.cardservice.staff.people import add
from tests.cardservice.staff_api.test_people import seen
from tests.cardservice.terminals.test_health import said
from tests.support.council import ACTOR, FARE_MINOR, Council, Reply, advice_of, csr, message, request_for

BUSES = ProviderId("vale-buses")
HOUR = timedelta(hours=1)
URL = "/v1/authorisations"


def close(council: Council, provider: ProviderId = BUSES, *, hours: int = 0) -> None:
    moment = council.clock()
    with council.context.database.begin() as connection:
        named: dict[str, Any] = {"reason": "contract over", "actor": ACTOR, "moment": moment}
        close_provider(connection, provider, moment + hours * HOUR, **named)


def reopen(council: Council) -> None:
    with council.context.database.begin() as connection:
        named: dict[str, Any] = {"reason": "renewed", "actor": ACTOR, "moment": council.clock()}
        reopen_provider(connection, BUSES, **named)


def left(council: Council) -> Left:
    with council.context.database.reading() as connection:
        return what_is_left(connection, BUSES, "GBP")


def found(council: Council) -> Provider:
    with council.context.database.reading() as connection:
        return find_provider(connection, BUSES)


def invited(council: Council, terminal_id: str, *, again: bool = False) -> Invitation:
    new = NewTerminal(TerminalId(terminal_id), BUSES, "A bus", "validator", None)
    named: dict[str, Any] = {"actor": ACTOR, "moment": council.clock()}
    with council.context.database.begin() as connection:
        if again:
            return invite_again(connection, terminal_id, VALIDITY, **named)
        return invite(connection, new, VALIDITY, **named)


def enrolled(council: Council, terminal_id: str, code: str) -> Reply:
    request = csr(ec.generate_private_key(ec.SECP256R1()), terminal_id).public_bytes(Encoding.DER)
    body = {"terminal": terminal_id, "code": code, "csr": to_base64url(request)}
    return Browsing(council).post("/enrolments", body)


def test_its_terminals_ask_nothing_from_then_on_and_go_on_when_it_opens_again(council: Council) -> None:
    """What was given away before is taken from them, whenever it comes; another provider's go on."""
    bus, card = council.terminal("bus-1"), council.card(top_up_minor=2000)
    council.provider("town-pool")
    pool = council.terminal("pool-1", provider="town-pool")
    close(council, hours=1)
    new = council.terminal("bus-2")
    council.clock.advance(minutes=59, seconds=59)
    before = advice_of(bus, card)
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    council.clock.advance(seconds=1)
    for each in (bus, new):
        asked = request_for(each, card, nonce=bytes(24))
        assert each.post(URL, message(asked, card)).outcome == (403, "terminal_revoked")
        assert each.get("/v1/nonce").outcome == (403, "terminal_revoked")
        assert each.post("/v1/health", said()).outcome == (403, "terminal_revoked")
    after = advice_of(bus, card)
    assert bus.post(URL, message(before, card)).outcome == (200, "approved")
    assert bus.post(URL, message(after, card)).outcome == (403, "terminal_revoked")
    assert pool.get("/v1/nonce").status == 200
    reopen(council)
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    assert bus.post(URL, message(after, card)).outcome == (200, "approved")
    assert council.balances(card.payer) == (2000 - 4 * FARE_MINOR, 0)


def test_a_revoked_terminal_stays_so(council: Council) -> None:
    """Also where it is revoked while its provider is closed, or is to be."""
    stolen, lost, bus = (council.terminal(f"bus-{number}") for number in range(3))
    close(council, hours=1)
    council.revoke_terminal(stolen.id)
    assert stolen.get("/v1/nonce").outcome == (403, "terminal_revoked")
    assert bus.get("/v1/nonce").status == 200
    council.clock.advance(hours=1)
    council.revoke_terminal(lost.id)
    reopen(council)
    assert [each.get("/v1/nonce").status for each in (stolen, lost, bus)] == [403, 403, 200]


def test_nobody_registers_or_names_anything_for_it(council: Council) -> None:
    """Codes that were told are void; one that is closed tomorrow is served until then."""
    council.terminal("bus-1")
    codes = {name: invited(council, name).code for name in ("bus-2", "bus-3")}
    codes["bus-1"] = invited(council, "bus-1", again=True).code
    close(council, hours=1)
    assert enrolled(council, "bus-2", codes["bus-2"]).status == 200
    codes["bus-4"] = invited(council, "bus-4").code
    council.clock.advance(hours=1)
    with council.context.database.begin() as connection, pytest.raises(OrderInvalid, match="is closed"):
        begin_selling(connection, BUSES, "transport", actor=ACTOR, moment=council.clock())
    for terminal_id, again in (("bus-1", True), ("bus-9", False)):
        with pytest.raises(OrderInvalid, match="is closed"):
            invited(council, terminal_id, again=again)
    with pytest.raises(OrderInvalid, match="is closed"):
        council.terminal("bus-9")
    for terminal_id in ("bus-1", "bus-3", "bus-4"):
        refused = enrolled(council, terminal_id, codes[terminal_id])
        assert refused.outcome == (403, "enrolment_refused"), terminal_id
    reopen(council)
    code = invited(council, "bus-5").code
    close(council)
    reopen(council)
    assert enrolled(council, "bus-5", code).outcome == (403, "enrolment_refused")
    council.terminal("bus-9")


def test_what_is_left(council: Council) -> None:
    """Terminals that were not revoked, what waits with them, services, what is owed: settled or not."""
    bus, card = council.terminal("bus-1"), council.card(top_up_minor=2000)
    council.terminal("bus-2")
    council.terminal("bus-3")
    council.revoke_terminal("bus-3")
    with council.context.database.begin() as connection:
        begin_selling(connection, BUSES, "transport", actor=ACTOR, moment=council.clock())
    assert bus.post("/v1/health", said(waiting=2)).status == 200
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    sequence(council.context.database, calendar_of(council.context))
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    close(council)
    council.clock.advance(seconds=1)
    assert bus.post(URL, message(advice_of(bus, card), card)).outcome == (403, "terminal_revoked")
    assert left(council) == Left(
        terminals=(TerminalId("bus-1"), TerminalId("bus-2")),
        unsaid=(TerminalId("bus-2"),),
        waiting=2,
        held=1,
        services=("transport",),
        owed_minor=FARE_MINOR,
        unsettled_minor=FARE_MINOR,
    )


def test_what_is_refused_changes_nothing(council: Council) -> None:
    """Twice, from a moment that is over, of nobody, and what is no name."""
    with pytest.raises(OrderInvalid, match="not closed"):
        reopen(council)
    with pytest.raises(OrderInvalid, match="from now on or later"):
        close(council, hours=-1)
    with pytest.raises(OrderInvalid, match="is the year right"):
        close(council, hours=24 * 366 * 10 + 1)
    with pytest.raises(ProviderUnknown):
        close(council, ProviderId("nobody"))
    close(council, hours=1)
    with pytest.raises(OrderInvalid, match="open it again first"):
        close(council, hours=2)
    for name in ("", " Buses", "Two\nlines", "x" * (MAX_NAME + 1), "vale-buses"):
        with pytest.raises(OrderInvalid), council.context.database.begin() as connection:
            rename_provider(connection, BUSES, name, actor=ACTOR, moment=council.clock())
    assert found(council) == Provider(BUSES, "vale-buses", council.clock() + HOUR)


def test_typed_and_kept_in_the_trail(council: Council) -> None:
    """At the keyboard: renamed, closed, shown, opened again; who did it and what it was called is kept."""
    council.terminal("bus-1")

    def told(*words: str) -> dict[str, Any]:
        done = typed(council, "provider", *words, "--json")
        assert done.exit_code == 0, done.output
        values: dict[str, Any] = json.loads(done.stdout)
        return values

    assert told("set", BUSES, "--name", "Vale Coaches")["name"] == "Vale Coaches"
    closing = told("close", BUSES, "--from", "2030-12-31T18:00+01:00", "--reason", "contract over")
    assert closing["closed_from"] == "2030-12-31T17:00:00+00:00"
    assert closing["left"]["terminals"] == ["bus-1"]
    assert told("list") == {"providers": [{key: closing[key] for key in ("provider", "name", "closed_from")}]}
    words = typed(council, "provider", "show", BUSES).stdout
    assert words.startswith("vale-buses: Vale Coaches; closed from 2030-12-31 17:00 UTC on\n")
    assert "bus-1; never heard" not in words
    assert "which is closed from 2030-12-31 17:00" in typed(council, "terminal", "list").stdout
    refused = typed(council, "provider", "close", BUSES, "--reason", "again")
    assert (refused.exit_code, "open it again first" in refused.stderr) == (1, True)
    assert told("reopen", BUSES, "--reason", "renewed")["closed_from"] is None
    with council.context.database.reading() as connection:
        [listed] = list_terminals(connection)
        entries = [each for each in search(connection, Wanted(action="provider.")) if each.subject == BUSES]
    assert listed.closed_from is None
    assert [(each.action, each.detail) for each in reversed(entries)][1:] == [
        ("provider.rename", {"name": "Vale Coaches", "former": "vale-buses"}),
        ("provider.close", {"since": "2030-12-31T17:00:00+00:00", "reason": "contract over"}),
        ("provider.reopen", {"closed_from": "2030-12-31T17:00:00+00:00", "reason": "renewed"}),
    ]


def test_over_http_and_seen_by_its_own_people_afterwards(council: Council) -> None:
    """An administrator closes it; its own people still read what it was owed, and change nothing."""
    bus, card = council.terminal("bus-1"), council.card(top_up_minor=2000)
    council.provider("town-pool")
    add(council.context, "ann", Role.ADMINISTRATOR)
    add(council.context, "pia", Role.PROVIDER, provider=BUSES)
    ann, pia = (signed_in(council, name) for name in ("ann", "pia"))
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    sequence(council.context.database, calendar_of(council.context))
    one = f"/v1/providers/{BUSES}"
    name = {"name": "Vale Coaches"}
    assert ann.post(f"{one}/name", name).outcome == (428, "if_match_missing")
    tag = {"If_Match": seen(ann, one)[1]}
    assert ann.post(f"{one}/name", name, **tag).json["name"] == "Vale Coaches"
    assert ann.post(f"{one}/name", {"name": "Else"}, **tag).outcome == (412, "changed_meanwhile")
    over = {"reason": "contract over"}
    assert pia.post(f"{one}/closing", over).outcome == (403, "right_missing")
    closed = ann.post(f"{one}/closing", over).json
    assert (closed["closed_from"], closed["left"]["owed_minor"]) == ("2026-06-15T10:00:00.000Z", FARE_MINOR)
    assert ann.post(f"{one}/closing", over).outcome == (422, "order_invalid")
    assert bus.get("/v1/nonce").outcome == (403, "terminal_revoked")
    assert pia.get(one).json == closed
    days = "first=2026-06-01&last=2026-06-30"
    assert pia.get(f"{one}/statement?{days}").json["closing_minor"] == FARE_MINOR
    assert [each["amount_minor"] for each in pia.get(f"{one}/sales?{days}").json["sales"]] == [FARE_MINOR]
    assert pia.get("/v1/terminals/bus-1").json["closed_from"] == closed["closed_from"]
    for path in ("/v1/providers/town-pool", "/v1/providers/nobody"):
        assert pia.get(path).outcome == (403, "not_theirs")
    assert ann.get("/v1/providers/nobody").outcome == (404, "provider_unknown")
    assert ann.post(f"{one}/reopening", {"reason": "renewed"}).json["closed_from"] is None
    assert bus.get("/v1/nonce").status == 200
