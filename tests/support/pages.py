"""What a page of the documentation tells its reader to type, so that a test can type it."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A block between fences."""

    language: str
    text: str


def blocks(page: str) -> tuple[Block, ...]:
    """The fenced blocks of a page, such as `services/meals.md`, in its order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return tuple(Block(*found) for found in _FENCE.findall(text))


def block_that_begins(page: str, beginning: str) -> str:
    """The page's one block that begins so."""
    [found] = [each.text for each in blocks(page) if each.text.startswith(beginning)]
    return found


def commands(page: str, program: str) -> Iterator[list[str]]:
    """The words of each command of a program in the page's blocks, without the program and comments.

    What stands in brackets is typed, too.
    """
    for block in blocks(page):
        for line in block.text.splitlines():
            if line.startswith(f"{program} "):
                yield shlex.split(re.sub(r"[\[\]]", "", line), comments=True)[1:]
