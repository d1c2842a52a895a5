"""Chunks as a terminal makes and sends them, and what it reads in the answer."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from cardservice.advices.views import CHUNK_PATH
from cardservice.advices.wire import MEDIA_TYPE, join
from pki.request_signatures import sign_request
from pki.statements import deterministic
from tests.support.council import (
    ORIGIN,
    SALT,
    TRIP,
    Card,
    Reply,
    Terminal,
    from_base64url,
    message,
    new_id,
    reply,
)

MILLISECONDS = 1_000


def advice(statement: Any, card: Card, details: Mapping[str, object] = TRIP, **changes: Any) -> bytes:
    """The entry of a statement with the card's signature."""
    raw = from_base64url(message(statement, card)["statement"])
    return deterministic([statement.card.bytes, changes.get("raw", raw), dict(details), SALT], 70_000)


def annulment(terminal: Terminal, card: Card, annuls: UUID) -> bytes:
    """The entry that annuls a request."""
    at_ms = round(terminal.clock().timestamp() * MILLISECONDS)
    return deterministic([card.id.bytes, new_id().bytes, terminal.next_sequence(), annuls.bytes, at_ms])


def send(terminal: Terminal, entries: Iterable[bytes], media_type: str = MEDIA_TYPE) -> Reply:
    """Send a chunk."""
    return send_bytes(terminal, join(entries), media_type)


def send_bytes(terminal: Terminal, data: bytes, media_type: str = MEDIA_TYPE) -> Reply:
    """Send what may be no chunk."""
    content = {"Content-Type": media_type}
    headers = sign_request(
        "POST", ORIGIN + CHUNK_PATH, content, data, terminal.key, terminal.id, terminal.clock()
    )
    return reply(terminal.client.post(CHUNK_PATH, data=data, headers=headers))


def answers(terminal: Terminal, entries: Iterable[bytes]) -> list[dict[str, Any]]:
    """The entries of the answer."""
    replied = send(terminal, entries)
    assert replied.status == 200, replied.json
    found: list[dict[str, Any]] = replied.json["answers"]
    return found


def outcomes(entries: list[dict[str, Any]]) -> list[str]:
    """The reason of each answer, the code of each problem."""
    return [entry["answer"]["reason"] if "answer" in entry else entry["problem"]["code"] for entry in entries]
