"""The answer to a chunk: an entry each as of a message alone, and one signature over all of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from cardservice.api.fields import to_base64url
from cardservice.api.problems import document_of
from cardservice.authorisation.answers import Given
from cardservice.authorisation.settling import Settled
from cardservice.context import Context
from cardservice.ids import TerminalId
from pki.statements import Answer, ManyAnswers, answers_digest, sign_many_answers


@dataclass(frozen=True, slots=True)
class Entry:
    """What one entry is answered: JSON, and of an answer the payload that the signature is over."""

    json: bytes
    # Empty for a problem, which nobody signs.
    payload: bytes


def entry_of(scheme_id: str, settled: Settled) -> Entry:
    """One entry of the answer: `{"answer": …}`, or `{"problem": …}` with the document that it is alone."""
    if not isinstance(settled, Given):
        return Entry(_json({"problem": document_of(settled)}), b"")
    answer = settled.answer
    signed = Answer(
        scheme=scheme_id,
        id=UUID(answer["id"]),
        body=settled.body,
        decision=answer["decision"],
        reason=answer["reason"],
        time=settled.answered_at,
    )
    return Entry(_json({"answer": {**answer, "repeated": settled.repeated}}), signed.payload())


def document(context: Context, terminal: TerminalId, entries: Sequence[Entry]) -> bytes:
    """The whole answer as JSON: entries in their order, a nonce, and the service's signature."""
    payloads = [entry.payload for entry in entries if entry.payload]
    moment = context.now()
    answers = ManyAnswers(
        scheme=context.scheme.id,
        terminal=terminal,
        count=len(payloads),
        digest=answers_digest(payloads),
        time=moment,
    )
    keys = context.keys
    rest = {
        "nonce": to_base64url(keys.nonces.make(terminal, moment)),
        "signed_answers": to_base64url(
            sign_many_answers(answers, keys.answer_key, keys.answer_certificate_sha256)
        ),
    }
    return b'{"answers":[' + b",".join(_texts(entries)) + b"]," + _json(rest)[1:]


def _texts(entries: Iterable[Entry]) -> Iterable[bytes]:
    return (entry.json for entry in entries)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
