"""The agent's chunks are the service's: the same bytes, and an answer that the agent verifies."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cardservice.advices.wire import encode_entry
from cardservice.authorisation.incoming import message_of
from cardservice.authorisation.schemas import AuthorisationRequestSchema
from cardservice.ids import TerminalId
from reader_agent import chunks
from reader_agent.answers import ServiceAnswer
from reader_agent.errors import ServiceAnswerInvalid, ServiceProblem
from reader_agent.outbox_entries import Entry, EntryKind, EntryState
from reader_agent.trust import SchemeTrust
from tests.cardservice.advices.chunk import send
from tests.cardservice.advices.test_staff import forger_of
from tests.support.council import Council, advice_of, annulment, message, new_id

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@dataclass(frozen=True, slots=True)
class Trust:
    """What a terminal has fetched, as far as answers need it."""

    key: ec.EllipticCurvePublicKey
    scheme: str = "ashcombe"

    def answer_key(self, _: bytes | None, __: datetime) -> ec.EllipticCurvePublicKey:
        """The service's."""
        return self.key


def test_told_and_answered(council: Council) -> None:
    """An advice, a forgery, an annulment, as the outbox has them; one changed word and none of it counts."""
    bus, card = council.terminal("bus-12"), council.card(top_up_minor=2000)
    bodies = [
        message(advice_of(bus, card), card),
        message(advice_of(bus, card), forger_of(card)),
        annulment(bus, card, new_id()),
    ]
    entries = [chunks.entry_of(json.dumps(body).encode()) for body in bodies]
    known = []
    for body, entry in zip(bodies, entries, strict=True):
        loaded = _loaded(body)
        found = message_of(council.context, TerminalId("bus-12"), loaded)
        assert not isinstance(found, Exception)
        assert encode_entry(found) == entry
        known.append(
            Entry(
                found.id, 1, EntryKind.ADVICE, EntryState.OPEN, council.clock(), None, None, found.body, None
            )
        )
    document = send(bus, entries).json
    trust = cast("SchemeTrust", Trust(council.context.keys.answer_key.public_key()))

    told = chunks.read_answers(document, known, "bus-12", trust, council.clock())

    assert [type(one) for one in told] == [ServiceAnswer, ServiceProblem, ServiceAnswer]
    assert [one.reason for one in told if isinstance(one, ServiceAnswer)] == ["approved", "annulled"]
    document["answers"][0]["answer"]["decision"] = "declined"
    with pytest.raises(ServiceAnswerInvalid):
        chunks.read_answers(document, known, "bus-12", trust, council.clock())
    with pytest.raises(ServiceAnswerInvalid):
        chunks.read_answers(document, known[:2], "bus-12", trust, council.clock())


def _loaded(body: dict[str, Any]) -> dict[str, object]:
    return dict(AuthorisationRequestSchema().load(body))
