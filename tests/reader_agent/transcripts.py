"""Plays back what cards of others once answered, from tests/vectors/piv-transcripts.json.

Where a chain of commands (ISO/IEC 7816-4:2020, 5.3.3) is cut is up to who sends: they are compared as wholes.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from reader_agent.cardspec.apdu import CLA_CHAINING, CommandApdu
from tests.support.vectors import VECTORS


@dataclass
class Replay:
    """A connection to a card that answers as it was recorded, and only what it was asked then."""

    exchanges: list[tuple[str, str]]
    position: int = field(default=0)
    # Of a chain that has not come to its end
    _begun: bytes = field(default=b"", init=False)

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """The recorded answer. Asserts that the command is the recorded one, whatever its Le."""
        sent = CommandApdu.decode(command)
        if sent.cla & CLA_CHAINING:
            self._begun += sent.data
            return b"", 0x9000
        whole, self._begun = replace(sent, data=self._begun + sent.data), b""
        expected, answer = self._next()
        assert without_le(whole) == without_le(expected)
        return answer[:-2], int.from_bytes(answer[-2:])

    def _next(self) -> tuple[CommandApdu, bytes]:
        """What was asked then, as a whole, and what was answered to it."""
        begun = b""
        while True:
            command, answer = self.exchanges[self.position]
            self.position += 1
            asked = CommandApdu.decode(bytes.fromhex(command))
            begun += asked.data
            if not asked.cla & CLA_CHAINING:
                return replace(asked, data=begun), bytes.fromhex(answer)
            assert answer == "9000"

    @property
    def is_over(self) -> bool:
        """Whether everything was asked that was asked then."""
        return self.position == len(self.exchanges)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See CardConnection."""
        yield

    def close(self, *, reset: bool = False) -> None:
        """See CardConnection."""


def without_le(command: CommandApdu) -> tuple[int, int, int, int, bytes]:
    """All of a command but its Le."""
    return command.cla, command.ins, command.p1, command.p2, command.data


def recorded(name: str) -> Replay:
    """The card of a transcript."""
    document = json.loads((VECTORS / "piv-transcripts.json").read_text(encoding="utf-8"))
    (found,) = [item for item in document["transcripts"] if item["name"] == name]
    return Replay([(command, answer) for command, answer in found["exchanges"]])
