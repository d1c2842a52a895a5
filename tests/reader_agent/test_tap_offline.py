"""A tap while the service does not answer."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from pki.errors import StatusStale
from pki.statements import StatementKind, TransactionStatement, open_statement
from reader_agent.errors import ClockBehind
from reader_agent.outbox_entries import EntryKind, EntryState
from reader_agent.sync import sync
from reader_agent.tapping import Outcome, Step
from reader_agent.wire import from_base64url
from tests.reader_agent.card_service import ANSWER_LOST, LOST
from tests.reader_agent.world import ORDER, World

ONLINE_MINOR, OFFLINE_MINOR = 240, 260
NO_ANSWERS = [LOST, LOST, LOST]
ANSWERS_LOST = [ANSWER_LOST, ANSWER_LOST, ANSWER_LOST]


def stored_statement(world: World, kind: EntryKind) -> TransactionStatement:
    """What the card signed, as it lies in the outbox."""
    message = json.loads(world.agent.outbox.content(world.only(kind).id).message)
    return open_statement(from_base64url(message["statement"])).statement


@pytest.fixture
def priced(world: World) -> World:
    """The terminal knows what it may charge offline."""
    quote = world.agent.client.quote("transport", "single-fare", None, ORDER.details)
    world.agent.memory.keep_quote("transport", "single-fare", ORDER.details, quote, world.clock())
    return world


def test_an_advice_waits_and_is_posted_once(priced: World) -> None:
    """Service stopped, tap, service back: posted once, however often it is told."""
    priced.service.stop()
    result = priced.tap()
    assert (result.outcome, result.offline, result.amount_minor) == (Outcome.APPROVED, True, OFFLINE_MINOR)
    assert priced.entries() == [(EntryKind.ADVICE, EntryState.OPEN)]
    assert priced.service.charged == 0
    priced.service.start()
    assert sync(priced.agent).waiting == 0
    sync(priced.agent)
    assert priced.service.charged == OFFLINE_MINOR
    assert len(priced.service.received) == 1
    assert priced.entries() == [(EntryKind.ADVICE, EntryState.ANSWERED)]


def test_what_the_card_signs_offline(priced: World) -> None:
    """An advice: offline, without a nonce, at the offline price."""
    priced.service.stop()
    priced.tap()
    statement = stored_statement(priced, EntryKind.ADVICE)
    assert (statement.kind, statement.offline) == (StatementKind.ADVICE, True)
    assert (statement.nonce, statement.replaces) == (None, None)
    assert statement.amount_minor == OFFLINE_MINOR


def test_without_a_price_nothing_is_served(world: World) -> None:
    """The terminal has never heard what this costs offline."""
    world.service.stop()
    result = world.tap()
    assert (result.outcome, result.reason) == (Outcome.NOT_PAID, "offline_refused")
    assert not world.entries()


def test_a_withdrawn_limit_ends_offline_service(priced: World) -> None:
    """The service answers a later quote without an offline price: the stored one is gone."""
    priced.service.offline_minor = None
    priced.tap()
    priced.service.stop()
    assert priced.tap().outcome is Outcome.NOT_PAID


def test_a_price_for_other_details_is_none(priced: World) -> None:
    """Another journey is another price."""
    priced.service.stop()
    other = replace(ORDER, details={"from_stop": "market-place", "to_stop": "elsewhere"})
    assert priced.tap(other).outcome is Outcome.NOT_PAID


def test_a_price_ends(priced: World) -> None:
    """One second past its end it is none; the revocation lists are younger."""
    priced.clock.offset = timedelta(days=6)
    priced.agent.fetch_trust()
    priced.service.stop()
    priced.clock.offset = timedelta(days=7, seconds=1)
    assert priced.tap().outcome is Outcome.NOT_PAID


def test_offline_can_be_ruled_out(priced: World) -> None:
    """--no-offline."""
    priced.service.stop()
    assert priced.tap(replace(ORDER, allow_offline=False)).outcome is Outcome.NOT_PAID
    assert not priced.entries()


def test_a_clock_behind_the_service_refuses(priced: World) -> None:
    """An answer was signed tomorrow; today no moment of this terminal can be trusted."""
    priced.clock.offset = timedelta(days=1)
    priced.tap()
    priced.service.stop()
    priced.clock.offset = timedelta(0)
    with pytest.raises(ClockBehind):
        priced.tap()
    assert priced.entries() == [(EntryKind.REQUEST, EntryState.ANSWERED)]


def test_the_signed_time_survives_a_restart(priced: World) -> None:
    """It lies with the outbox, not in the file that may be deleted."""
    priced.clock.offset = timedelta(days=1)
    priced.tap()
    signed = priced.agent.outbox.signed_time()
    assert abs(signed - priced.clock()) < timedelta(minutes=1)


def test_an_old_revocation_list_refuses(priced: World) -> None:
    """Whether the card was revoked meanwhile, nobody here can tell."""
    priced.service.stop()
    priced.clock.offset = timedelta(days=8)
    with pytest.raises(StatusStale):
        priced.tap()
    assert not priced.entries()


@pytest.mark.parametrize("mishaps", [NO_ANSWERS, ANSWERS_LOST], ids=["never_arrived", "answers_lost"])
def test_a_lost_answer_then_offline_is_charged_once(priced: World, mishaps: list[str]) -> None:
    """The request is annulled, then the advice names it: in both cases one payment is left."""
    priced.service.mishaps = list[str | tuple[int, str] | None](mishaps)
    steps: list[Step] = []
    result = priced.tap(progress=steps.append)
    request, advice = priced.only(EntryKind.REQUEST), priced.only(EntryKind.ADVICE)
    assert (result.outcome, result.offline, result.replaces) == (Outcome.APPROVED, True, request.id)
    assert stored_statement(priced, EntryKind.ADVICE).replaces == request.id
    assert advice.relates_to == request.id
    assert steps.index(Step.ANNULLED) < steps.index(Step.SERVED_OFFLINE)
    assert priced.entries() == [
        (EntryKind.REQUEST, EntryState.CLOSED),
        (EntryKind.ANNUL, EntryState.OPEN),
        (EntryKind.ADVICE, EntryState.OPEN),
    ]
    sync(priced.agent)
    assert priced.service.charged == OFFLINE_MINOR


@pytest.mark.parametrize(("mishaps", "charged"), [(NO_ANSWERS, OFFLINE_MINOR), (ANSWERS_LOST, ONLINE_MINOR)])
def test_whatever_overtakes_is_charged_once(priced: World, mishaps: list[str], charged: int) -> None:
    """The advice before the annulment, and the request once more after all of it."""
    priced.service.mishaps = list[str | tuple[int, str] | None](mishaps)
    priced.tap()
    outbox = priced.agent.outbox
    for kind in (EntryKind.ADVICE, EntryKind.ANNUL, EntryKind.REQUEST):
        priced.agent.client.authorise(outbox.content(priced.only(kind).id).message)
    assert priced.service.charged == charged


def test_the_annulment_is_stored_before_the_card_signs_the_advice(priced: World) -> None:
    """When the card is asked for its second signature, the request is closed."""
    priced.service.mishaps = [LOST, LOST, LOST]
    seen: list[list[tuple[EntryKind, EntryState]]] = []

    def before(_: object, command: bytes) -> None:
        if command[1] == 0x87:
            seen.append(priced.entries())

    priced.tap(before=before)
    assert seen[1][:2] == [(EntryKind.REQUEST, EntryState.CLOSED), (EntryKind.ANNUL, EntryState.OPEN)]


@pytest.mark.parametrize("mishaps", [NO_ANSWERS, ANSWERS_LOST], ids=["never_arrived", "answers_lost"])
def test_not_paid_means_not_charged(world: World, mishaps: list[str]) -> None:
    """No offline price: "not paid" is said, and true once the annulment has arrived."""
    world.service.offline_minor = None
    world.service.mishaps = list[str | tuple[int, str] | None](mishaps)
    result = world.tap()
    assert result.outcome is Outcome.NOT_PAID
    assert result.replaces == world.only(EntryKind.REQUEST).id
    sync(world.agent)
    assert world.service.charged == 0
    assert world.entries() == [
        (EntryKind.REQUEST, EntryState.CLOSED),
        (EntryKind.ANNUL, EntryState.ANSWERED),
    ]
