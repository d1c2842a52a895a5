"""Plays back what cards of others once answered, from tests/vectors/piv-transcripts.json."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reader_agent.cardspec.apdu import CommandApdu
from tests.support.vectors import VECTORS


@dataclass
class Replay:
    """A connection to a card that answers as it was recorded, and only what it was asked then."""

    exchanges: list[tuple[str, str]]
    position: int = field(default=0)

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """The recorded answer. Asserts that the command is the recorded one, whatever its Le."""
        expected, answer = self.exchanges[self.position]
        self.position += 1
        sent = CommandApdu.decode(command)
        assert without_le(sent) == without_le(CommandApdu.decode(bytes.fromhex(expected)))
        raw = bytes.fromhex(answer)
        return raw[:-2], int.from_bytes(raw[-2:])

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
