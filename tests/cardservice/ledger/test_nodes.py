"""Nodes of a cluster that are left alone: who is told, for how long, and what is counted."""

from collections.abc import Iterator

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import OperationalError

from cardservice.api.metrics import CountingNodes
from cardservice.api.problems import document_of
from cardservice.ledger import nodes

NODE = "10.0.0.7:5432"


@pytest.fixture(autouse=True)
def _nobody_is_away() -> Iterator[None]:
    yield
    nodes.answers(NODE)


def test_a_node_is_left_alone_until_it_answers() -> None:
    nodes.leave_alone(NODE, 600)
    assert nodes.away() == {NODE}
    nodes.answers(NODE)
    assert not nodes.away()


def test_a_node_is_left_alone_for_a_while() -> None:
    """Where nobody asks it meanwhile it is tried again."""
    nodes.leave_alone(NODE, 0)
    assert not nodes.away()


def test_each_failure_is_said_and_counted_once() -> None:
    """However many calls fail; and that it is back."""
    registry = CollectorRegistry()
    counting = CountingNodes(registry)
    nodes.log.addHandler(counting)
    try:
        for _ in range(3):
            nodes.leave_alone(NODE, 600)
        nodes.answers(NODE)
        nodes.answers(NODE)
        nodes.log.warning("something else")
    finally:
        nodes.log.removeHandler(counting)
    for name in ("cardservice_node_failures_total", "cardservice_node_returns_total"):
        assert registry.get_sample_value(name, {"node": NODE}) == 1


def test_a_problem_names_the_node_that_has_failed() -> None:
    """As the coordinator says it; what fails of the coordinator itself names nobody."""
    failed = psycopg.errors.ConnectionFailure(f"connection to the remote node service@{NODE} failed with: x")
    told = document_of(OperationalError("SELECT", {}, failed))
    assert (told["code"], told["status"]) == ("unavailable", 503)
    assert f"node {NODE} does not answer" in told["detail"]
    away = document_of(OperationalError("SELECT", {}, psycopg.OperationalError("connection refused")))
    assert "node" not in away["detail"]
