"""Published heads beside the database: whether it is the ledger that they are of, and what it has lost."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
from marshmallow import ValidationError
from sqlalchemy import Connection, select
from urllib3.exceptions import HTTPError

from cardservice.api.fields import Bytes
from cardservice.authorisation.tree_heads import TreeHeads
from cardservice.context import Context
from cardservice.ledger.closing.seals import Seal, digest_of, read_seals
from cardservice.ledger.closing.sequencing import SHARD
from cardservice.recovery.errors import HeadsDiffer, HeadsUnreadable
from cardservice.recovery.models import ledger_recovery
from pki.errors import PkiError
from pki.statements import TreeHead

TIMEOUT_S = 10.0
# A head is some 300 bytes: of a century, and all that is printed beside them.
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the database has of what was published."""

    # The newest seal of the database
    last: Seal | None
    published: int
    # Published, and not in the database: what they sealed is lost.
    lost: tuple[TreeHead, ...]


def read_published(context: Context, source: str) -> list[TreeHead]:
    """The heads of a file or address, as `cardservice ledger heads` has printed them, each verified.

    Raises HeadsUnreadable.
    """
    verified = TreeHeads(context)
    try:
        document = json.loads(_content(source))
        raw = [Bytes().from_wire(entry["signed"]) for entry in document["heads"]]
        heads = [verified(each) for each in raw]
    except (ValueError, KeyError, TypeError, ValidationError, RecursionError) as error:
        raise HeadsUnreadable(source, "it is not what cardservice ledger heads prints") from error
    except (PkiError, LookupError) as error:
        raise HeadsUnreadable(source, f"a head does not hold: {error}") from error
    return sorted(heads, key=lambda head: (head.epoch, head.number))


def compare(connection: Connection, heads: Iterable[TreeHead]) -> Comparison:
    """Raises HeadsDiffer where a head is of another ledger, or of one that went another way."""
    seals = {seal.number: seal for seal in read_seals(connection)}
    lost_before = _lost_before(connection)
    lost = []
    published = 0
    for head in heads:
        if head.shard != SHARD:
            continue
        published += 1
        seal = seals.get(head.number)
        if seal is not None and digest_of(seal) == head.digest:
            continue
        if head.digest.hex() in lost_before:
            continue
        if seal is not None:
            raise HeadsDiffer(head.number, head.day)
        lost.append(head)
    return Comparison(seals[max(seals)] if seals else None, published, tuple(lost))


def described(heads: Sequence[TreeHead]) -> list[dict[str, object]]:
    """Heads as they are kept with a recovery."""
    return [
        {
            "number": head.number,
            "epoch": head.epoch,
            "day": head.day.isoformat(),
            "size": head.size,
            "root": head.root.hex(),
            "digest": head.digest.hex(),
        }
        for head in heads
    ]


def _lost_before(connection: Connection) -> set[str]:
    """The digests of heads that an earlier restore has lost, and that are known to be."""
    kept = connection.execute(select(ledger_recovery.c.lost_heads)).scalars()
    return {head["digest"] for heads in kept for head in heads}


def _content(source: str) -> bytes:
    try:
        if not source.startswith(("https://", "http://")):
            return Path(source).read_bytes()
        with requests.get(source, timeout=TIMEOUT_S, stream=True) as answer:
            answer.raise_for_status()
            content = answer.raw.read(MAX_BYTES + 1, decode_content=True)
    except (requests.RequestException, HTTPError) as error:
        why = f"it does not answer ({type(error).__name__})"
        raise HeadsUnreadable(source, why, is_away=True) from error
    except OSError as error:
        raise HeadsUnreadable(source, f"it cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise HeadsUnreadable(source, "it is too long")
    return bytes(content)
