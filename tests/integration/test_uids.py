"""A card that is known by its UID alone, from the desk to a door, by the console scripts."""

from pathlib import Path

from reader_agent.virtual_card.pcscd import PrivatePcscd
from tests.support.databases import Databases
from tests.support.stack import Stack

CLOCK = "CITIZEN_CARD_CLOCK_OFFSET_S"
DESK, DOOR = "Desk", "Door"
# A map is of five minutes ago, so that all of the service's processes make the same.
MAP_COMES_AFTER_S = 330.0


def test_a_door_knows_cards_by_their_uids(databases: Databases, tmp_path: Path) -> None:
    """Made on a reader that tells the UID; then a terminal that sees nothing else says whether it is good."""
    urls = databases.create("sqlite", migrated=False)
    stack = Stack(
        tmp_path,
        urls.service,
        urls.owner,
        "GBP",
        "Europe/London",
        public_url="https://cards.ashcombe.example/pki",
    )
    with PrivatePcscd(tmp_path / "pcscd", [DESK, DOOR]) as pcscd:
        stack.environment |= pcscd.environment
        try:
            know_a_card(stack, pcscd.port(DESK), pcscd.port(DOOR), tmp_path / "card.json")
        finally:
            stack.close()
    databases.drop(urls)


def know_a_card(stack: Stack, desk_port: int, door_port: int, card: Path) -> None:
    """Make it, wait for the map, and look: it is good, then revoked."""
    stack.install("ashcombe")
    stack.run("cardservice", "provider", "add", "council", "--name", "Ashcombe Council")
    stack.start_service()
    stack.add_terminal("desk-1", "council", "issuer")
    stack.add_terminal("door-1", "council", "gate")
    order = stack.run("cardservice", "card", "order", stack.add_holder("Ava Reed"), "--json").json
    stack.run("reader-agent", "virtual-card", "new", str(card), "--contactless-pin")
    stack.insert(card, desk_port)
    try:
        desk = str(stack.agent("desk-1"))
        stack.run("reader-agent", "personalise", order["order"], "--reader", DESK, "--agent", desk)
    finally:
        stack.pull(card)
    stack.stop_service()
    stack.environment[CLOCK] = str(MAP_COMES_AFTER_S)
    stack.start_service()
    door = str(stack.agent("door-1"))
    looking = ("reader-agent", "status", "--agent", door, "--reader", DOOR)
    stack.insert(card, door_port)
    try:
        assert stack.run(*looking).out == "The card is good.\n"
        strange = stack.attempt("reader-agent", "status", "--agent", door, "--uid", "00112233445566")
        assert (strange.status, "[card_unmapped]" in strange.err) == (1, True)
        stack.run("cardservice", "card", "revoke", order["card"], "--reason", "lost")
        stack.run("reader-agent", "sync", "--agent", door)
        refused = stack.attempt(*looking, "--json")
        assert (refused.status, refused.json) == (3, {"status": "revoked"})
    finally:
        stack.pull(card)
