"""A stand-in for the reader agent's daemon that keeps its contract (docs/reader-agent.md, "The daemon").

The real one needs readers, cards and a service; the whole stack is driven by tests/integration. What is
tested here is a face alone, in states that a real terminal reaches seldom: an answer that is lost, a daemon
that dies.
"""

import base64
import io
import json
import logging
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from PIL import Image
from werkzeug.serving import BaseWSGIServer, make_server

# Its requests are looked at in `paths`.
logging.getLogger("werkzeug").setLevel(logging.WARNING)

READER = "School till"
WAIT_S = 30.0

PASTA = {"key": "meal-pasta", "label": "Tomato pasta bake", "category": "main", "amount_minor": 260}
SALAD = {"key": "salad", "label": "Side salad", "category": "side", "amount_minor": 50}
FLAPJACK = {"key": "flapjack", "label": "Oat flapjack", "category": "snack", "amount_minor": 80}
JUICE = {"key": "juice", "label": "Orange juice", "category": "drink", "amount_minor": 60}
TOAST = {"key": "toast", "label": "Toast and spread", "category": "snack", "amount_minor": 40}
LUNCH = {
    "key": "lunch",
    "label": "Lunch",
    "items": [
        {**PASTA, "contains": ["gluten", "milk"], "may_contain": ["celery"]},
        {**SALAD, "contains": [], "may_contain": ["mustard"]},
        {**FLAPJACK, "contains": ["gluten", "milk"], "may_contain": ["nuts", "sesame"]},
        {**JUICE, "contains": [], "may_contain": []},
    ],
}
BREAK = {
    "key": "break",
    "label": "Morning break",
    "items": [
        {**TOAST, "contains": ["gluten"], "may_contain": []},
        {**FLAPJACK, "contains": ["gluten", "milk"], "may_contain": ["nuts", "sesame"]},
    ],
}


def photo() -> str:
    """A small JPEG, as the agent gives it."""
    made = io.BytesIO()
    Image.new("RGB", (24, 32), (90, 120, 150)).save(made, "JPEG")
    return base64.urlsafe_b64encode(made.getvalue()).rstrip(b"=").decode()


AVA = {"name": "Ava Reed", "form": "5B", "allergens": ["milk", "nuts"], "photo": photo()}
BEN: dict[str, Any] = {"name": "Ben Reed", "form": "3A", "allergens": [], "photo": None}


class Agent:
    """The stand-in, and the hands that put cards on its reader."""

    def __init__(self, folder: Path) -> None:
        self.token_file = folder / "api-token"
        self.port = _quiet_port()
        self.catalogue: dict[str, Any] | None = {"sections": [LUNCH, BREAK]}
        self.is_online = True
        self.waiting = 0
        self.tap: str | None = None
        self.is_connected = True
        # What a payment is answered with, beside its amount; `problem` instead of a payment
        self.answer: dict[str, Any] = {"decision": "approved", "reason": "approved", "message": "Approved."}
        self.problem: tuple[int, str] | None = None
        # So many answers to payments are lost
        self.lose = 0
        # A payment waits until this is set
        self.may_pay = threading.Event()
        self.may_pay.set()
        # What the outbox adds up to, by section
        self.totals: dict[str, Any] | None = {}
        # What was asked for
        self.paths: list[str] = []
        self.payments: list[dict[str, Any]] = []
        self.refunds: list[dict[str, Any]] = []
        self.resumed_at: list[str | None] = []
        self._holders: dict[str, dict[str, Any] | None] = {}
        self._unusable: dict[str, str] = {}
        self._answers: dict[str, dict[str, Any]] = {}
        self._spent: set[str] = set()
        self._events: list[str] = []
        self._changed = threading.Condition()
        self._server: BaseWSGIServer | None = None
        self._epoch = ""
        self._is_running = False

    # ---- its life

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, or start it anew: another token, other numbers, no taps."""
        self._epoch = secrets.token_hex(2)
        self._events, self.tap = [], None
        self._is_running = True
        self.token = secrets.token_urlsafe(16)
        self.token_file.write_text(self.token)
        self._server = make_server("127.0.0.1", self.port, _app(self), threaded=True)
        # Connections that a page still holds must not keep the server from ending.
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._server.block_on_close = False  # type: ignore[attr-defined]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """End it, and its streams."""
        assert self._server is not None
        with self._changed:
            self._is_running = False
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    # ---- what happens to it

    def insert(
        self, holder: dict[str, Any] | None, *, refused: str | None = None, is_read: bool = True
    ) -> str:
        """Put a card on the reader. A holder of None is one that nobody knows while the service is away."""
        tap = secrets.token_urlsafe(16)
        self._holders[tap] = holder
        self.tap = tap
        self.publish("card.inserted", reader=READER, tap=tap)
        if refused is not None:
            self._unusable[tap] = refused
            self.publish("card.refused", reader=READER, tap=tap, reason=refused)
        elif is_read:
            self.publish("card.ready", reader=READER, tap=tap)
        return tap

    def remove(self) -> None:
        """Take it off."""
        tap, self.tap = self.tap, None
        self.publish("card.removed", reader=READER, tap=tap)

    def go(self, *, online: bool, waiting: int = 0) -> None:
        """The service comes or goes."""
        self.is_online, self.waiting = online, waiting
        self.publish("service.online" if online else "service.offline", reason=None)
        self.publish("outbox.queue", waiting=waiting)

    def connect(self, *, connected: bool) -> None:
        """The reader comes or goes."""
        self.is_connected = connected
        self.publish("reader.found" if connected else "reader.lost", reader=READER)

    def publish(self, kind: str, **data: object) -> None:
        """Tell everybody."""
        with self._changed:
            number = f"{self._epoch}-{len(self._events) + 1}"
            self._events.append(f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n")
            self._changed.notify_all()

    # ---- what it answers

    def status(self) -> dict[str, Any]:
        """GET /v1/status."""
        return {
            "terminal": "till-1",
            "readers": [{"reader": READER, "connected": self.is_connected, "tap": self.tap}],
            "service": {"online": self.is_online, "reason": None, "since": "2026-01-05T09:00:00Z"},
            "outbox": {"waiting": self.waiting, "refused": 0},
        }

    def stream(self, last: str | None) -> Iterator[str]:
        """GET /v1/events."""
        self.resumed_at.append(last)
        yield "retry: 100\n\n"
        epoch, _, number = (last or "").partition("-")
        with self._changed:
            at = len(self._events)
        if epoch == self._epoch:
            at = int(number)
        else:
            yield f"id: {self._epoch}-{at}\nevent: status\ndata: {json.dumps(self.status())}\n\n"
        while True:
            with self._changed:
                if len(self._events) <= at and self._is_running:
                    self._changed.wait(1)
                new = self._events[at:]
            if not self._is_running:
                return
            yield "".join(new) or ": still here\n\n"
            at += len(new)

    def holder(self, tap: str) -> Response | dict[str, Any]:
        """GET /v1/taps/TAP/holder."""
        if tap in self._unusable:
            return problem(409, "card_unusable", self._unusable[tap])
        if tap not in self._holders:
            return problem(404, "tap_unknown")
        if tap != self.tap:
            return problem(410, "tap_over")
        holder = self._holders[tap]
        if holder is None:
            return problem(503, "service_unreachable", "service_unreachable")
        return {**holder, "as_of": "2026-01-05T09:12:00Z", "offline": not self.is_online}

    def offered(self) -> Response | dict[str, Any]:
        """GET /v1/catalogues/meals."""
        if self.catalogue is None:
            return problem(503, "service_unreachable", "service_unreachable")
        return {
            "service": "meals",
            "action": "sale",
            "currency": "GBP",
            "tariff_version": "2026-01-01-ab12",
            "as_of": "2026-01-05T08:00:00Z",
            "offline": not self.is_online,
            "may_serve_offline": True,
            "from": "2026-01-05T00:00:00Z",
            "until": "2099-01-05T00:00:00Z",
            **self.catalogue,
        }

    def give_back(self, body: dict[str, Any]) -> Response | dict[str, Any]:
        """POST /v1/refunds."""
        assert set(body) == {"key", "transaction", "line"}
        assert body["transaction"] in self._answers
        if self.lose > 0:
            self.lose -= 1
            return problem(503, "service_unreachable", "service_unreachable")
        known = {(each["transaction"], each["line"]): each["key"] for each in self.refunds}
        if known.setdefault((body["transaction"], body["line"]), body["key"]) != body["key"]:
            return problem(422, "refund_refused", "nothing_to_refund")
        self.refunds.append(body)
        return {"amount_minor": 260, "currency": "GBP"}

    def counted(self, asked: dict[str, str]) -> Response | dict[str, Any]:
        """GET /v1/totals/meals."""
        assert set(asked) == {"since", "by"}
        if not asked["since"]:
            return problem(400, "malformed")
        if self.totals is None:
            return problem(503, "still_running")
        return {"service": "meals", **asked, "groups": self.totals}

    def pay(self, tap: str, body: dict[str, Any]) -> Response | dict[str, Any]:
        """POST /v1/taps/TAP/pay."""
        key = str(body["key"])
        assert self.may_pay.wait(WAIT_S)
        if key in self._answers:
            return self._sent({**self._answers[key], "repeated": True})
        if tap in self._unusable:
            return self._decided(
                key, {"decision": "declined", "reason": self._unusable[tap], "message": "No."}, 0
            )
        if self.problem is not None:
            return problem(*self.problem)
        if tap in self._spent:
            return problem(409, "tap_spent")
        if tap not in self._holders:
            return problem(404, "tap_unknown")
        if tap != self.tap:
            return problem(410, "tap_over")
        self.payments.append(body)
        amount = body.get("amount_minor", 240)
        paid = self._decided(key, dict(self.answer), amount)
        if paid["decision"] == "approved":
            self._spent.add(tap)
        return self._sent(paid)

    def _sent(self, paid: dict[str, Any]) -> dict[str, Any]:
        """The answer, unless it is to be lost."""
        if self.lose > 0:
            self.lose -= 1
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return paid

    def _decided(self, key: str, answer: dict[str, Any], amount: int) -> dict[str, Any]:
        offline = not self.is_online
        label = "Market Place to Upper Vale" if amount == 240 else "Lunch"
        approved = answer["decision"] == "approved"
        if approved and offline:
            answer["reason"] = "offline"
        self._answers[key] = {
            "transaction": key,
            "offline": offline,
            "amount_minor": amount,
            "currency": "GBP",
            "receipt": [{"label": label, "amount_minor": amount}] if approved and not offline else [],
            "balances": [{"account": "prepaid", "unit": "GBP", "amount_minor": 1234}],
            "flags": [],
            "repeated": False,
            **answer,
        }
        return self._answers[key]


def problem(status: int, code: str, reason: str | None = None) -> Response:
    """A problem document (RFC 9457)."""
    document = {"status": status, "code": code, "detail": code, "title": code}
    if reason is not None:
        document["reason"] = reason
    return Response(json.dumps(document), status, content_type="application/problem+json")


def _quiet_port() -> int:
    """A free port that the system gives to nobody else while the stand-in is away.

    Those for outgoing connections (32768 and up) are given to other tests, and who connects to one of them
    from loopback can be answered by themself.
    """
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _app(agent: Agent) -> Flask:
    app = Flask("stand-in")

    @app.before_request
    def check() -> Response | None:
        agent.paths.append(f"{request.method} {request.path}")
        if request.headers.get("Host") != f"127.0.0.1:{agent.port}":
            return problem(421, "host_refused")
        if "Origin" in request.headers:
            return problem(403, "origin_refused")
        if request.headers.get("Authorization") != f"Bearer {agent.token}":
            return problem(401, "token_refused")
        return None

    app.add_url_rule("/v1/status", view_func=agent.status)
    app.add_url_rule("/v1/taps/<tap>/holder", view_func=agent.holder)
    app.add_url_rule("/v1/catalogues/meals", view_func=agent.offered)
    app.add_url_rule("/v1/refunds", "refunds", lambda: agent.give_back(request.get_json()), methods=["POST"])
    app.add_url_rule("/v1/totals/meals", "totals", lambda: agent.counted(request.args.to_dict()))
    app.add_url_rule(
        "/v1/taps/<tap>/pay", view_func=lambda tap: agent.pay(tap, request.get_json()), methods=["POST"]
    )

    @app.post("/v1/quotes")
    def quote() -> Response | dict[str, Any]:
        if not agent.is_online:
            return problem(503, "service_unreachable", "service_unreachable")
        return {
            "amount_minor": 240,
            "currency": "GBP",
            "tariff_version": "2026-01-01-cd34",
            "valid_until": "2099-01-05T00:00:00Z",
            "lines": [{"label": "Market Place to Upper Vale", "amount_minor": 240}],
            "offline": False,
            "offline_price": None,
        }

    @app.get("/v1/events")
    def events() -> Response:
        return Response(agent.stream(request.headers.get("Last-Event-ID")), content_type="text/event-stream")

    return app
