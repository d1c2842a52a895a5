"""Requests signed beforehand, by card and terminal, so that signing is no part of what is measured.

They are short-lived (a nonce holds for 120 s, a request signature for 300 s): they are made right before the
slice that sends them.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, cycle, islice
from pathlib import Path
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from cardservice.api.fields import to_base64url
from pki.request_signatures import sign_request
from pki.statements import StatementKind, TransactionStatement, details_hmac, seal, signature_input
from tests.benchmarks.town import SCHEME, Town, TownCard, TownTerminal
from tests.support.council import FARE_MINOR, SALT, TRIP, from_base64url, new_id

PATH = "/v1/authorisations"
BULK_PATH = f"{PATH}/bulk"


@dataclass(frozen=True, slots=True)
class _Job:
    """What one process signs, and the file it writes it to."""

    origin: str
    cards: Sequence[TownCard]
    # Each with its nonce.
    terminals: Sequence[tuple[TownTerminal, bytes]]
    count: int
    # Messages in one request; more than one are sent in bulk.
    size: int
    file: Path


def prepare(town: Town, pool: Executor, count: int, folder: Path, files: int, size: int = 1) -> None:
    """Write `count` signed requests, divided into files `0`, `1`, … for the threads that send them.

    `size`: the messages in each.

    A card is in one file only, and there as far apart from itself as can be: two requests of one payer are
    never under way at the same time.
    """
    with_nonces = [(terminal, _nonce(town, terminal)) for terminal in town.terminals]
    jobs = [
        _Job(
            origin=town.stack.origin,
            cards=town.cards[number::files],
            terminals=with_nonces[number::files],
            count=-(-count // files),
            size=size,
            file=folder / str(number),
        )
        for number in range(files)
    ]
    list(pool.map(_sign, jobs))


def _nonce(town: Town, terminal: TownTerminal) -> bytes:
    """A nonce from the running service."""
    url = f"{town.stack.origin}/v1/nonce"
    headers = sign_request("GET", url, {}, None, _key(terminal.key_der), terminal.id, datetime.now(UTC))
    answer = requests.get(url, headers=headers, timeout=10)
    answer.raise_for_status()
    return from_base64url(answer.json()["nonce"])


def _sign(job: _Job) -> None:
    """In a process of its own: each request as its length, a line feed, and its bytes as they are sent."""
    with job.file.open("wb") as out:
        for raw in islice(_signed(job), job.count):
            out.write(b"%d\n%b" % (len(raw), raw))


def _signed(job: _Job) -> Iterator[bytes]:
    cards = [(card, _key(card.key_der)) for card in job.cards]
    terminals = [(terminal, nonce, _key(terminal.key_der)) for terminal, nonce in job.terminals]
    host = urlsplit(job.origin).netloc
    path = PATH if job.size == 1 else BULK_PATH
    numbers, cards_in_turn = count(1), cycle(cards)
    for terminal, nonce, terminal_key in cycle(terminals):
        made = (
            _message(_statement(card, terminal, next(numbers), nonce), card, card_key)
            for card, card_key in cards_in_turn
        )
        content = next(made) if job.size == 1 else {"messages": [*islice(made, job.size)]}
        body = json.dumps(content).encode()
        headers = sign_request(
            *("POST", job.origin + path, {"Content-Type": "application/json"}, body),
            *(terminal_key, terminal.id, datetime.now(UTC)),
        )
        headers |= {"Host": host, "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        yield f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def _statement(card: TownCard, terminal: TownTerminal, sequence: int, nonce: bytes) -> TransactionStatement:
    return TransactionStatement(
        scheme=SCHEME,
        id=new_id(),
        terminal=terminal.id,
        sequence=sequence,
        card=card.id,
        kind=StatementKind.REQUEST,
        service="transport",
        action="single-fare",
        amount_minor=FARE_MINOR,
        currency="GBP",
        tariff_version=None,
        offline=False,
        details_hmac=details_hmac(SALT, TRIP),
        time=datetime.now(UTC),
        nonce=nonce,
    )


def _message(
    statement: TransactionStatement, card: TownCard, key: ec.EllipticCurvePrivateKey
) -> dict[str, object]:
    payload = statement.payload()
    signature = key.sign(signature_input(SCHEME, payload), ec.ECDSA(hashes.SHA256()))
    sealed = seal(payload, signature, card.thumbprint)
    return {"statement": to_base64url(sealed), "details": TRIP, "details_salt": to_base64url(SALT)}


def _key(der: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(der, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
