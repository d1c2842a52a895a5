"""A whole authorisation by the service on a Citus cluster: what goes to the nodes, and one that is dead."""

from pathlib import Path

import psycopg
import pytest

from tests.cardservice.cluster.conftest import FUNDS_MINOR, Divided
from tests.support.citus import Cluster
from tests.support.council import FARE_MINOR, Card, annulment, message, new_id, request_for

pytestmark = pytest.mark.long

# One command reads what the payer has, one posts; the rules are judged in between, in the service. Neither is
# part of a transaction over several nodes, whose BEGIN and PREPARE TRANSACTION would be further commands.
COMMANDS = ("read_payer(", "post_one_by_one(")


def test_an_authorisation_is_one_remote_command_to_read_and_one_to_post(divided: Divided) -> None:
    """By what the coordinator says in its log of what it sends to the nodes."""
    terminal = divided.council.terminal("counted")
    for number, card in enumerate(divided.cards):
        body = message(request_for(terminal, card), card)
        before = _issued(divided.cluster)
        answer = terminal.post("/v1/authorisations", body)
        sent = _issued(divided.cluster)[len(before) :]
        assert answer.status == 200, answer
        assert answer.json["decision"] == "approved", answer
        # The first call of a session begins with asking what it is connected to.
        if number:
            assert len(sent) == len(COMMANDS), sent
            assert all(called in command for called, command in zip(COMMANDS, sent, strict=True)), sent
        assert divided.council.balances(card.payer)[0] == FUNDS_MINOR - FARE_MINOR


def test_a_repeated_request_and_a_lost_card_are_told_apart(divided: Divided) -> None:
    """What is known is found at its node, and what changes at the coordinator is noticed."""
    terminal, card = divided.council.terminal("repeating"), divided.council.card(top_up_minor=FUNDS_MINOR)
    body = message(request_for(terminal, card), card)
    first, again = (terminal.post("/v1/authorisations", body) for _ in range(2))
    assert (first.json["decision"], again.json["decision"]) == ("approved", "approved")
    assert divided.council.balances(card.payer)[0] == FUNDS_MINOR - FARE_MINOR
    divided.council.revoke(card)
    refused = terminal.post("/v1/authorisations", message(request_for(terminal, card), card))
    assert refused.json["decision"] == "declined", refused
    assert divided.council.balances(card.payer)[0] == FUNDS_MINOR - FARE_MINOR


def test_who_lies_on_the_other_node_is_served(divided: Divided) -> None:
    """While one node is dead; and its own payers again, by the same requests, when it is back."""
    terminal = divided.council.terminal("through-it-all")
    bodies = {card.id: message(request_for(terminal, card), card) for card in divided.cards}
    dead = 1
    homes = {card.id: _home(divided.cluster, card) for card in divided.cards}
    assert set(homes.values()) == {1, 2}
    divided.cluster.kill(dead)
    for card in divided.cards:
        answer = terminal.post("/v1/authorisations", bodies[card.id])
        assert answer.status == (503 if homes[card.id] == dead else 200), answer
    # And all else that is asked of a sale: again, annulled, given back.
    living = [card for card in divided.cards if homes[card.id] != dead]
    for card in living:
        assert terminal.post("/v1/authorisations", bodies[card.id]).json["repeated"]
    undone = request_for(terminal, living[0])
    assert terminal.post("/v1/authorisations", message(undone, living[0])).status == 200
    assert terminal.post("/v1/authorisations", annulment(terminal, living[0], undone.id)).status == 200
    given = request_for(terminal, living[0])
    assert terminal.post("/v1/authorisations", message(given, living[0])).status == 200
    refund = {"id": str(new_id()), "card": str(living[0].id), "sale": str(given.id)}
    assert terminal.post("/v1/refunds", refund).json["decision"] == "approved"
    divided.cluster.start()
    for card in divided.cards:
        answer = terminal.post("/v1/authorisations", bodies[card.id])
        assert (answer.status, answer.json["decision"]) == (200, "approved"), answer


def _issued(cluster: Cluster) -> list[str]:
    log = Path(cluster.folder, "nodes", "node0", "server.log").read_text(errors="replace")
    return [line for line in log.splitlines() if "issuing " in line]


def _home(cluster: Cluster, card: Card) -> int:
    query = (
        "SELECT nodeport FROM pg_dist_shard_placement"
        " WHERE shardid = get_shard_id_for_distribution_column('payer_state', %s::uuid)"
    )
    with psycopg.connect(cluster.url, autocommit=True) as session:
        return cluster.ports.index(session.execute(query, (card.payer,)).fetchall()[0][0])
