"""Riders: terminals that pay all the time, and remember what they were answered."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import requests

from pki.request_signatures import sign_request
from tests.support.council import Card, Terminal, advice_of, from_base64url, message, request_for

PATH = "/v1/authorisations"
ANSWER_TIMEOUT_S = 30.0
# As a terminal does: not at once, so that whoever was killed can come back.
AGAIN_AFTER_S = 0.1
# A nonce holds for 120 s.
NONCE_AGE = timedelta(seconds=60)
# One in so many is told afterwards, without asking.
ADVICES = 4
# One in so many that were sent and got no answer is left as it is until the end.
LEFT = 3


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as it is sent, however often."""

    id: UUID
    data: bytes


@dataclass(slots=True)
class Told:
    """What the riders know: of each transaction that was answered its decision, and what got no answer."""

    answered: dict[UUID, str] = field(default_factory=dict)
    left: dict[UUID, tuple["Rider", Sent]] = field(default_factory=dict)
    # How often there was no answer: the connection ended, or it was 503
    lost: Counter[str] = field(default_factory=Counter)
    # Answers after a message was sent again: `True` says that it had been posted before
    said_again: Counter[bool] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Rider(threading.Thread):
    """One terminal with its cards, paying one fare after another."""

    def __init__(self, origin: str, terminal: Terminal, cards: Sequence[Card], told: Told, seed: int) -> None:
        super().__init__(name=terminal.id, daemon=True)
        self._origin, self._terminal, self._cards, self._told = origin, terminal, cards, told
        self._chance = random.Random(seed)  # noqa: S311 - who does what when, no secret
        self._nonce: tuple[bytes, datetime] | None = None
        self._enough = threading.Event()
        # Whether what was sent last can have arrived: somebody listened
        self._arrived = False
        self._session = requests.Session()

    def run(self) -> None:
        """Pay until `stop`."""
        try:
            while not self._enough.is_set():
                self._ride()
        except Exception as error:  # noqa: BLE001 - the test shows it
            self._told.wrong.append(f"{self.name}: {error!r}")
        finally:
            self._session.close()

    def stop(self) -> None:
        """What is under way is ended first."""
        self._enough.set()

    def find_out(self, sent: Sent) -> dict[str, Any]:
        """Send what got no answer until it has one."""
        with requests.Session() as self._session:
            while True:
                if (answer := self._once(sent)) is not None:
                    return answer
                time.sleep(AGAIN_AFTER_S)

    def _ride(self) -> None:
        sent = self._made()
        tries = 0
        while (answer := self._once(sent)) is None:
            tries += 1
            if self._enough.is_set() or (self._arrived and self._chance.randrange(LEFT) == 0):
                self._told.left[sent.id] = (self, sent)
                return
            time.sleep(AGAIN_AFTER_S)
        if tries:
            self._told.said_again[answer["repeated"]] += 1
        if answer["reason"] != "approved":
            self._told.wrong.append(f"{sent.id}: {answer['reason']}")
        self._told.answered[sent.id] = answer["decision"]

    def _made(self) -> Sent:
        terminal, card = self._terminal, self._chance.choice(self._cards)
        terminal.clock.moment = datetime.now(UTC)
        if self._chance.randrange(ADVICES) == 0:
            statement = advice_of(terminal, card)
        else:
            statement = request_for(terminal, card, nonce=self._fresh_nonce())
        return Sent(statement.id, json.dumps(message(statement, card)).encode())

    def _fresh_nonce(self) -> bytes:
        while self._nonce is None or datetime.now(UTC) - self._nonce[1] > NONCE_AGE:
            url, headers = self._signed("GET", "/v1/nonce", None)
            if self._send(partial(self._session.get, url, headers=headers)) is None:
                time.sleep(AGAIN_AFTER_S)
        return self._nonce[0]

    def _once(self, sent: Sent) -> dict[str, Any] | None:
        """The answer, or None where there is none."""
        url, headers = self._signed("POST", PATH, sent.data)
        return self._send(partial(self._session.post, url, data=sent.data, headers=headers))

    def _signed(self, method: str, path: str, data: bytes | None) -> tuple[str, dict[str, str]]:
        url = self._origin + path
        content = {} if data is None else {"Content-Type": "application/json"}
        key, name = self._terminal.key, self._terminal.id
        return url, sign_request(method, url, content, data, key, name, datetime.now(UTC))

    def _send(self, send: Callable[..., requests.Response]) -> dict[str, Any] | None:
        try:
            response = send(timeout=ANSWER_TIMEOUT_S)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            self._arrived = "refused" not in str(error)
            self._told.lost["connection" if self._arrived else "refused"] += 1
            return None
        self._arrived = True
        if response.status_code == 503:
            self._told.lost[response.json()["code"]] += 1
            return None
        if response.status_code != 200:
            raise AssertionError(response.text)
        answer: dict[str, Any] = response.json()
        with suppress(KeyError):
            self._nonce = from_base64url(answer["nonce"]), datetime.now(UTC)
        return answer
