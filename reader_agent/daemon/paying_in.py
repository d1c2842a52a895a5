"""Payments in, and losses: asked of the service by a client of their own, so that no reader waits."""

import threading
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from reader_agent.daemon.errors import DaemonError, LossNotTaken, PayInRefused, Stopping
from reader_agent.errors import ServiceProblem
from reader_agent.paying_in import PayIn
from reader_agent.service_client import ServiceClient
from reader_agent.tapping.problems import is_passing

T = TypeVar("T")


class PayIns:
    """For any number of threads; one question is asked after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: ServiceClient | None = None

    def start(self, client: ServiceClient) -> None:
        """Begin; the client is this object's from now on."""
        self._client = client

    def stop(self) -> None:
        """Ask nothing more."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def begin(self, payment: UUID, card: UUID, amount_minor: int, return_url: str) -> PayIn:
        """Begin a payment for whoever pays for the card; by the same id it is begun once.

        Raises PayInRefused, and what else ServiceClient raises, as the others.
        """
        return self._ask(lambda client: client.pay_in(payment, card, amount_minor, return_url))

    def look(self, payment: UUID) -> PayIn:
        """How a payment of this terminal is."""
        return self._ask(lambda client: client.pay_in_state(payment))

    def give_up(self, payment: UUID) -> PayIn:
        """Give it up; one that has been captured meanwhile stays."""
        return self._ask(lambda client: client.give_pay_in_up(payment))

    def tell_lost(self, name: str, born_on: str, postcode: str) -> None:
        """Pass on that somebody's cards are lost. Raises LossNotTaken, and what else ServiceClient raises."""
        self._ask(lambda client: client.tell_lost(name, born_on, postcode), LossNotTaken)

    def _ask(
        self, ask: Callable[[ServiceClient], T], refused: Callable[[str], DaemonError] = PayInRefused
    ) -> T:
        with self._lock:
            if self._client is None:
                raise Stopping
            try:
                return ask(self._client)
            except ServiceProblem as problem:
                if is_passing(problem):
                    raise
                raise refused(problem.problem) from problem
