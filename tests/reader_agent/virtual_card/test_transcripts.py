"""The software card is asked what YubiKeys were asked, and answers what they answered."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reader_agent.cardspec.apdu import CommandApdu
from reader_agent.cardspec.piv import ObjectId
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.memory import Secret
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.virtual_card.host import Host
from tests.support.vectors import VECTORS

RECORDED = {
    item["name"]: item["exchanges"]
    for item in json.loads((VECTORS / "piv-transcripts.json").read_text(encoding="utf-8"))["transcripts"]
}
# One is about 3DES, which this card has not; the others need a private key that only their card has.
COMPARABLE = sorted(
    name
    for name in RECORDED
    if name.startswith("yubikey-") and name != "yubikey-mutual-authentication-refused"
)

# The content of the recorded CHUID, without the 53 around it.
CHUID = bytes.fromhex(RECORDED["yubikey-chuid"][1][1])[2:-2]


@pytest.mark.parametrize("name", COMPARABLE)
def test_it_answers_as_a_yubikey_did(card_file: Path, name: str) -> None:
    """With the PIN and PUK that those had, and what one of them had for a CHUID."""
    with CardState.load(card_file) as state:
        memory = state.memory.with_object(ObjectId.CHUID, CHUID)
        state.commit(replace(memory, puk=Secret(b"12345678", 3, 3)))
        host = Host.of(state, Face.CONTACT)
        for command, answer in RECORDED[name]:
            sent = CommandApdu.decode(bytes.fromhex(command))
            # The recording tool fetched what waits by itself; an Le brings it at once.
            data, sw = host.send(sent.ins, sent.p1, sent.p2, sent.data)
            assert data + sw.to_bytes(2) == bytes.fromhex(answer)
