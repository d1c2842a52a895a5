"""A chunk's bytes: a CBOR sequence (RFC 8742) of byte strings, each an entry in deterministic CBOR.

Ours. An entry begins with its card, by which a chunk is divided before anything else of it is read:

    [card, statement, details, salt]            an advice: COSE_Sign1, and what it commits to
    [card, id, sequence, annuls, milliseconds]  the annulment of a request

The same bytes are what a terminal's outbox is exported as, and what quarantine keeps.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from uuid import UUID

from cardservice.authorisation.messages import AnnulMessage, CardMessage, Message, read_statement
from cardservice.errors import Malformed, MessageRefused, StatementMalformed
from cardservice.ids import TerminalId
from pki.errors import PkiError
from pki.statements import (
    DETAILS_SALT_BYTES,
    AnnulNotice,
    byte_strings,
    decode_deterministic,
    deterministic,
)

MEDIA_TYPE = "application/cbor-seq"  # RFC 8742, 6.3
# A terminal that has more sends several; each is one database transaction for a processor.
MAX_ENTRIES = 10_000
MAX_ENTRY_BYTES = 65_536
MAX_CHUNK_BYTES = 16 * 1024 * 1024
# An array of four or five items, and a byte string of 16 bytes (RFC 8949, 3).
_BEGINNINGS = (b"\x84\x50", b"\x85\x50")
_CARD = slice(2, 18)
# Then a byte string of 24 bytes or more, and at the end one of 16.
_STATEMENT_HEAD = re.compile(rb"\x58.|\x59.{2}", re.DOTALL)
_SHORTEST = {0x58: 24, 0x59: 256}
_SALT_HEAD, _SALT_HEAD_BYTES = b"\x50", 1
# Details that are the same again and again: from where to where, what was eaten.
DETAILS_IN_MEMORY, MAX_FLAT_BYTES = 4_096, 512
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def split(chunk: bytes) -> list[bytes]:
    """The entries of a chunk, unread. Raises Malformed where it is none, or too long."""
    try:
        entries = byte_strings(chunk, MAX_ENTRIES, MAX_ENTRY_BYTES)
    except PkiError as error:
        raise Malformed(f"the chunk cannot be read: {error}") from error
    if not entries:
        raise Malformed("the chunk holds no entry")
    return entries


def join(entries: Iterable[bytes]) -> bytes:
    """The chunk of these entries."""
    return b"".join(deterministic(entry, MAX_ENTRY_BYTES + 8) for entry in entries)


def card_of(entry: bytes) -> bytes:
    """The 16 bytes of the card that an entry is about; nothing where it is malformed."""
    return entry[_CARD] if entry.startswith(_BEGINNINGS) else b""


def encode_entry(message: Message) -> bytes:
    """The entry of a message."""
    if isinstance(message, AnnulMessage):
        notice = message.notice
        at_ms = (notice.time - _EPOCH) // _MILLISECOND
        return deterministic(
            [notice.card.bytes, notice.id.bytes, notice.sequence, notice.annuls.bytes, at_ms], MAX_ENTRY_BYTES
        )
    card, raw = message.signed.statement.card.bytes, message.signed.raw
    try:
        return deterministic([card, raw, dict(message.details), message.details_salt], MAX_ENTRY_BYTES)
    except PkiError:
        # Details that no statement can commit to are kept as the text that they came as.
        details = json.dumps(message.details, ensure_ascii=True)
        return deterministic([card, raw, details, message.details_salt], 2 * MAX_ENTRY_BYTES)


def read_entry(scheme_id: str, terminal: TerminalId, entry: bytes) -> Message | MessageRefused:
    """The message of an entry, or why it is none: an advice, or an annulment by this terminal."""
    try:
        advice = _read_flat(entry)
        if advice is not None:
            return advice
        return _read(scheme_id, terminal, decode_deterministic(entry, MAX_ENTRY_BYTES))
    except PkiError as error:
        return StatementMalformed(f"the entry cannot be read: {error}")
    except MessageRefused as refusal:
        return refusal


def _read_flat(entry: bytes) -> Message | None:
    """An advice whose details are of plain values, cut out by its lengths; None for whatever else it is.

    Raises MessageRefused.
    """
    end = len(entry) - _SALT_HEAD_BYTES - DETAILS_SALT_BYTES
    if not (entry.startswith(_BEGINNINGS[0]) and entry.startswith(_SALT_HEAD, end)):
        return None
    found = _STATEMENT_HEAD.match(entry, _CARD.stop)
    if found is None:
        return None
    length = int.from_bytes(found[0][1:], "big")
    start = found.end()
    # RFC 8949, 4.2.1: the shortest form of the length.
    if length < _SHORTEST[entry[_CARD.stop]] or start + length >= end:
        return None
    details = _flat(entry[start + length : end])
    if details is None:
        return None
    raw = entry[start : start + length]
    message = read_statement(raw, details, entry[-DETAILS_SALT_BYTES:], entry[start + length : end])
    _check_advice(message, entry[_CARD])
    return message


@lru_cache(maxsize=DETAILS_IN_MEMORY)
def _flat(encoded: bytes) -> Mapping[str, object] | None:
    """The details, where they hold neither lists nor maps: those are for one message alone."""
    try:
        details = decode_deterministic(encoded, MAX_FLAT_BYTES)
    except PkiError:
        return None
    if not isinstance(details, dict) or any(isinstance(value, dict | list) for value in details.values()):
        return None
    return MappingProxyType(details)


def _read(scheme_id: str, terminal: TerminalId, value: object) -> Message:
    match value:
        case [bytes(card), bytes(raw), dict(details), bytes(salt)] if len(salt) == DETAILS_SALT_BYTES:
            message = read_statement(raw, details, salt)
            _check_advice(message, card)
            return message
        case [bytes(card), bytes(own), int(sequence), bytes(annuls), int(milliseconds)]:
            notice = AnnulNotice(
                scheme=scheme_id,
                terminal=terminal,
                id=_uuid(own),
                sequence=sequence,
                card=_uuid(card),
                annuls=_uuid(annuls),
                time=_moment(milliseconds),
            )
            return AnnulMessage(notice)
    raise StatementMalformed("the entry is neither an advice nor an annulment")


def _check_advice(message: CardMessage, card: bytes) -> None:
    if message.signed.statement.card.bytes != card:
        raise StatementMalformed("the entry begins with another card than its statement names")
    if not message.is_advice:
        raise StatementMalformed("a chunk takes advices and annulments; ask for requests one by one")


def _uuid(value: bytes) -> UUID:
    if len(value) != 16:
        raise StatementMalformed("an identifier has 16 bytes")
    return UUID(bytes=value)


def _moment(milliseconds: int) -> datetime:
    try:
        return _EPOCH + milliseconds * _MILLISECOND
    except OverflowError as error:
        raise StatementMalformed("a time lies beyond the year 9999") from error
