"""A tap while the service answers."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import CertificateRevoked
from pki.statements import Answer, StatementKind, open_statement, sign_answer
from reader_agent.agent import Agent
from reader_agent.errors import ServiceAnswerInvalid, ServiceProblem
from reader_agent.outbox_entries import EntryKind, EntryState
from reader_agent.tapping import Outcome, Step
from reader_agent.wire import from_base64url
from tests.reader_agent.card_service import ANSWER_LOST, LOST
from tests.reader_agent.world import ORDER, World


def test_a_card_pays(world: World) -> None:
    """The price is asked for first, the card signs it, and the answer is kept."""
    steps: list[Step] = []
    result = world.tap(progress=steps.append)
    assert result.outcome is Outcome.APPROVED
    assert (result.amount_minor, result.currency, result.offline) == (240, "GBP", False)
    assert world.service.charged == 240
    assert world.entries() == [(EntryKind.REQUEST, EntryState.ANSWERED)]
    assert steps == [Step.CARD_VERIFIED, Step.PRICED, Step.STORED, Step.SIGNED, Step.ANSWERED]
    entry = world.only(EntryKind.REQUEST)
    assert entry.id == result.id
    assert entry.id.version == 7
    answer = world.agent.outbox.content(entry.id).answer
    assert answer is not None
    assert answer["decision"] == "approved"


def test_what_the_card_signs(world: World) -> None:
    """Amount, details by their HMAC, terminal, sequence, nonce; a request, not offline, replacing nothing."""
    world.tap()
    world.tap()
    first, second = (
        open_statement(from_base64url(json.loads(body)["statement"])).statement
        for body in world.service.received
    )
    assert (first.kind, first.offline, first.replaces) == (StatementKind.REQUEST, False, None)
    assert (first.scheme, first.terminal, first.card) == ("ashcombe", "bus-12", world.card)
    assert (first.amount_minor, first.currency, first.tariff_version) == (240, "GBP", "2026-1")
    assert first.nonce is not None
    assert (first.sequence, second.sequence) == (1, 2)
    assert first.id < second.id


def test_the_request_is_stored_before_a_byte_is_sent(world: World) -> None:
    """At the moment the service receives the first byte, the very bytes are on the terminal's disk."""
    states: list[EntryState] = []
    stored: list[bytes] = []

    def look() -> None:
        with Agent(world.directory, world.clock) as other:
            (entry,) = other.outbox.entries()
            states.append(entry.state)
            stored.append(other.outbox.content(entry.id).message)

    world.service.on_authorisation = look
    world.tap()
    assert states == [EntryState.OPEN]
    assert stored == world.service.received


def test_the_request_is_stored_before_the_card_signs(world: World) -> None:
    """When the GENERAL AUTHENTICATE goes to the card, the entry is there."""
    states: list[list[EntryState]] = []

    def before(_: object, command: bytes) -> None:
        if command[1] == 0x87:
            states.append([entry.state for entry in world.agent.outbox.entries()])

    world.tap(before=before)
    assert states == [[EntryState.PREPARED]]


@pytest.mark.parametrize("mishap", [LOST, ANSWER_LOST, (503, "busy"), (500, "internal_error")])
def test_without_an_answer_the_same_bytes_are_sent_again(world: World, mishap: str | tuple[int, str]) -> None:
    """Lost on the way there or back: the same id and the same bytes, and charged once."""
    world.service.mishaps = [mishap]
    steps: list[Step] = []
    result = world.tap(progress=steps.append)
    assert result.outcome is Outcome.APPROVED
    assert not result.offline
    assert len(world.service.received) == 2
    assert world.service.received[0] == world.service.received[1]
    assert Step.REPEATED in steps
    assert world.service.charged == 240
    assert world.entries() == [(EntryKind.REQUEST, EntryState.ANSWERED)]


def test_a_refusal_for_good_is_no_open_request(world: World) -> None:
    """The service says that the proof is not the card's: the request took no id, so nothing is annulled."""
    world.service.mishaps = [(422, "proof_invalid")]
    with pytest.raises(ServiceProblem, match="proof_invalid"):
        world.tap()
    assert world.entries() == [(EntryKind.REQUEST, EntryState.REFUSED)]
    assert world.only(EntryKind.REQUEST).problem == "proof_invalid"


@pytest.mark.parametrize("problem", [(401, "request_signature_stale"), (403, "role_not_allowed")])
def test_a_refused_terminal_annuls_what_it_asked(world: World, problem: tuple[int, str]) -> None:
    """Its own signature or role is at fault: it does not serve offline, and closes its request."""
    world.service.mishaps = [problem]
    with pytest.raises(ServiceProblem, match=problem[1]):
        world.tap()
    assert world.entries() == [
        (EntryKind.REQUEST, EntryState.CLOSED),
        (EntryKind.ANNUL, EntryState.OPEN),
    ]


def test_a_decline_is_an_answer(world: World) -> None:
    """Decided by the service, signed, and final: the terminal does not go on offline."""
    world.service.decision = ("declined", "insufficient_funds")
    result = world.tap()
    assert (result.outcome, result.reason) == (Outcome.DECLINED, "insufficient_funds")
    assert world.entries() == [(EntryKind.REQUEST, EntryState.ANSWERED)]


def test_a_revoked_card_is_refused_by_the_terminal(world: World, tmp_path: Path) -> None:
    """By the revocation list that the terminal has, before anything is asked or signed."""
    card = world.issue_card(tmp_path / "another.json")
    world.scheme.authority("cards").revoke(
        world.service.cards[card].serial_number, world.clock(), "key_compromise"
    )
    world.agent.fetch_trust()
    world.card_file = tmp_path / "another.json"
    with pytest.raises(CertificateRevoked):
        world.tap()
    assert not world.entries()


def test_the_nonce_of_an_answer_is_used_next(world: World) -> None:
    """The second tap asks for a price and sends: it needs no nonce of its own."""
    world.service.paths.clear()
    world.tap()
    world.tap()
    assert world.service.paths == [
        "/v1/quotes",
        "/v1/nonce",
        "/v1/authorisations",
        "/v1/quotes",
        "/v1/authorisations",
    ]


@pytest.mark.parametrize("wrong", ["another_key", "another_message", "another_decision"])
def test_an_answer_that_the_service_did_not_sign_is_none(world: World, wrong: str) -> None:
    """Signed by a stranger, for another message, or saying something else: not paid, and annulled."""
    service = world.service
    stranger = ec.generate_private_key(ec.SECP256R1())
    thumbprint = service.answer_certificate.fingerprint(hashes.SHA256())

    def sign(answer: Answer) -> bytes:
        match wrong:
            case "another_key":
                return sign_answer(answer, stranger, thumbprint)
            case "another_message":
                return service.sign_as_the_service(replace(answer, body=bytes(32)))
        return service.sign_as_the_service(replace(answer, decision="declined"))

    service.sign = sign
    with pytest.raises(ServiceAnswerInvalid):
        world.tap(ORDER)
    assert world.entries() == [
        (EntryKind.REQUEST, EntryState.CLOSED),
        (EntryKind.ANNUL, EntryState.OPEN),
    ]
