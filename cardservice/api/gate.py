"""Who is let in: the terminal that has signed, as often as it may ask; anybody, as often as an address may.

A terminal's requests are counted when its signature stands. Before that anybody could use up what it may ask
by naming it; what is wrongly signed counts against the address that it comes from, and stops no other.
"""

from collections.abc import Callable
from datetime import datetime

from flask import Flask, current_app, request

from cardservice.api.openapi import SIGNED, UNLIMITED
from cardservice.api.rates import Proxies, Rate
from cardservice.api.signatures import S, SignedRequest, note_unsigned, verified_signer
from cardservice.audit.budget import Budget
from cardservice.context import Context
from cardservice.errors import MessageRefused, TooManyRequests

UNSIGNED_EVENTS_A_MINUTE = 60
# Ours: a van with new validators is done in minutes, and whoever tries codes is not.
ENROLMENTS_A_MINUTE = 20
_EXTENSION = "cardservice-gate"


class Gate:
    """The limits of one process."""

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self._context = context
        self._events = Budget(UNSIGNED_EVENTS_A_MINUTE)
        self._proxies = Proxies(settings.forwarded_allow_ips)
        self._signers, self._addresses = Rate(settings.terminal_limit), Rate(settings.address_limit)
        self._enrolments = Rate(ENROLMENTS_A_MINUTE)
        self._sign_ins = Rate(settings.sign_in_limit)

    def admit(
        self, signed: SignedRequest, find: Callable[[str], S | None], peer: str, forwarded_for: str
    ) -> S:
        """Who has signed. Raises MessageRefused; TooManyRequests where that was too often."""
        try:
            return verified_signer(self._context, signed, find)
        except MessageRefused as refusal:
            self.count_address(peer, forwarded_for)
            note_unsigned(self._context, self._events, refusal)
            raise

    def count_signer(self, signer: str) -> None:
        """Count a request that a terminal has signed, or one of the staff. Raises TooManyRequests."""
        self._count(self._signers, signer)

    def count_address(self, peer: str, forwarded_for: str) -> None:
        """Count a request that nobody has signed. Raises TooManyRequests."""
        address = self._proxies.asking(peer, forwarded_for)
        if address is not None:
            self._count(self._addresses, address)

    def count_enrolment(self, peer: str, forwarded_for: str) -> None:
        """Count a code that somebody has tried. Raises TooManyRequests."""
        address = self._proxies.asking(peer, forwarded_for)
        if address is not None:
            self._count(self._enrolments, address)

    def count_sign_in(self, peer: str, forwarded_for: str) -> None:
        """Count an attempt to sign in. Raises TooManyRequests."""
        self._count(self._sign_ins, self._proxies.asking(peer, forwarded_for) or "this machine")

    def note_refused(self, moment: datetime) -> bool:
        """Whether one more that was not let in may be written down."""
        return self._events.take(moment)

    def _count(self, rate: Rate, key: str) -> None:
        if wait_s := rate.take(key, self._context.now()):
            raise TooManyRequests(wait_s)


def install(app: Flask, context: Context) -> None:
    """Set the gate before every route of the application."""
    gate = app.extensions[_EXTENSION] = Gate(context)

    @app.before_request
    def count() -> None:
        view = current_app.view_functions.get(request.endpoint or "")
        if not any(getattr(view, mark, False) for mark in (SIGNED, UNLIMITED)):
            gate.count_address(*origin())


def origin() -> tuple[str, str]:
    """Where this request comes from: who has connected, and for whom, as they say."""
    return request.remote_addr or "", ",".join(request.headers.getlist("X-Forwarded-For"))


def gate_of(app: Flask) -> Gate:
    """The application's gate."""
    gate: Gate = app.extensions[_EXTENSION]
    return gate
