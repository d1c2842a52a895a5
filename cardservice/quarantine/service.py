"""What is refused is noted, and kept where its goods are gone; so much for each terminal, and no more.

A terminal whose key is in the wrong hands can send what it likes. A day's events and what is kept of it are
bounded, and what is beyond that is counted: nobody fills the disk, and nothing goes by unseen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.advices.wire import card_of
from cardservice.audit.service import SecurityEvent, record, record_security_event
from cardservice.cardholders.accesses import note_reads
from cardservice.errors import OrderInvalid, Unknown
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.privacy import OpenKey
from cardservice.quarantine import sealing
from cardservice.quarantine.models import quarantine, refusal_tally

# Of one terminal and day; what is beyond is counted.
EVENTS_A_DAY = 1_000
# Of one terminal, as long as they are held.
HELD_MESSAGES = 2_000
HELD_BYTES = 8 * 1024 * 1024

NO_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Refused:
    """A message of a terminal that was refused; `entry` are its bytes where they are to be kept."""

    at: datetime
    code: str
    detail: str
    terminal_id: str
    transaction_id: UUID | None = None
    body: bytes | None = None
    entry: bytes | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What lies in quarantine, or lay there, without its bytes."""

    number: int
    at: datetime
    terminal_id: str
    # None: too malformed to have one
    transaction_id: UUID | None
    body: bytes
    code: str
    detail: str
    state: str
    closed_at: datetime | None
    closed_by: str | None
    closed_because: str | None


@dataclass(frozen=True, slots=True)
class Tally:
    """What a terminal had refused in all, and what of it quarantine had no room for."""

    terminal_id: str
    refused: int
    not_kept: int


def note(connection: Connection, ring: KeyRing, refused: Sequence[Refused]) -> None:
    """Note refused messages of one terminal, and keep those with bytes, as far as there is room."""
    if not refused:
        return
    first = refused[0]
    room = _Room.of(connection, first.terminal_id)
    keys = sealing.keys_for(connection, ring, [each.entry for each in refused if each.entry is not None])
    kept = [
        each.entry is not None and room.keep(connection, ring, keys.get(card_of(each.entry)), each)
        for each in refused
    ]
    not_kept = sum(
        each.entry is not None and not is_kept for each, is_kept in zip(refused, kept, strict=True)
    )
    before = _count(connection, first, len(refused), not_kept)
    for each, is_kept in list(zip(refused, kept, strict=True))[: max(0, EVENTS_A_DAY - before)]:
        record_security_event(
            connection,
            SecurityEvent(
                at=each.at,
                code=each.code,
                detail=each.detail,
                terminal_id=each.terminal_id,
                transaction_id=each.transaction_id,
                body=each.body,
                quarantined=is_kept,
            ),
        )


def held(
    connection: Connection,
    *,
    terminal_id: str | None = None,
    number: int | None = None,
    everything: bool = False,
    after: int = 0,
    limit: int | None = None,
) -> list[Held]:
    """What lies in quarantine, the oldest first; `everything`: what was dismissed, too.

    Of them `limit`, those `after` a number.
    """
    columns = [column for column in quarantine.c if column is not quarantine.c.sealed]
    wanted = select(*columns).where(quarantine.c.id > after).order_by(quarantine.c.id).limit(limit)
    if terminal_id is not None:
        wanted = wanted.where(quarantine.c.terminal_id == terminal_id)
    if number is not None:
        wanted = wanted.where(quarantine.c.id == number)
    if not everything:
        wanted = wanted.where(quarantine.c.state == "held")
    return [_held(row) for row in connection.execute(wanted)]


def tallies(connection: Connection) -> list[Tally]:
    """What each terminal had refused since it was registered."""
    tally = refusal_tally.c
    rows = connection.execute(
        select(tally.terminal_id, func.sum(tally.refused), func.sum(tally.not_kept))
        .group_by(tally.terminal_id)
        .order_by(tally.terminal_id)
    )
    return [Tally(terminal, int(refused), int(not_kept)) for terminal, refused, not_kept in rows]


def opened(connection: Connection, ring: KeyRing, number: int, *, actor: str, moment: datetime) -> bytes:
    """The bytes of what is held: an entry of a chunk, or what could not be read as one. The look is logged.

    Raises QuarantineUnknown and QuarantineUnreadable.
    """
    row = connection.execute(select(quarantine).where(quarantine.c.id == number)).one_or_none()
    if row is None:
        raise QuarantineUnknown(number)
    record(connection, actor, "quarantine.read", number, moment, terminal=row.terminal_id)
    if (holder := sealing.holder_of(connection, row)) is not None:
        # Of whose card it is, for that person alone: the audit trail names nobody beside a message.
        note_reads(connection, [holder], "quarantine.read", actor=actor, moment=moment)
    return sealing.opened(connection, ring, row)


def dismiss(connection: Connection, number: int, reason: str, *, actor: str, moment: datetime) -> None:
    """Close what is held: somebody has looked at it. It stays on record. Raises QuarantineUnknown."""
    if not reason.strip():
        raise OrderInvalid("say why it is dismissed")
    row = update(quarantine).where(quarantine.c.id == number, quarantine.c.state == "held")
    closed = row.values(state="dismissed", closed_at=moment, closed_by=actor, closed_because=reason)
    if connection.execute(closed).rowcount == 0:
        raise QuarantineUnknown(number)
    record(connection, actor, "quarantine.dismiss", number, moment, reason=reason)


class QuarantineUnknown(Unknown):
    """Nothing of this number is held."""

    code = "quarantine_unknown"

    def __init__(self, number: object) -> None:
        super().__init__("message held in quarantine", number)


@dataclass(slots=True)
class _Room:
    """How much more of a terminal's messages is kept. Two that count at the same time may each be let in."""

    messages: int
    size: int

    @classmethod
    def of(cls, connection: Connection, terminal_id: str) -> "_Room":
        stored = quarantine.c
        count, size = connection.execute(
            select(func.count(), func.coalesce(func.sum(func.length(stored.sealed)), 0)).where(
                stored.terminal_id == terminal_id, stored.state == "held"
            )
        ).one()
        return cls(HELD_MESSAGES - int(count), HELD_BYTES - int(size))

    def keep(self, connection: Connection, ring: KeyRing, own: OpenKey | None, refused: Refused) -> bool:
        """Whether the bytes are kept, now or since they came before."""
        entry = refused.entry or b""
        body = refused.body or sha256(entry).digest()
        sealed = sealing.sealed(ring, own, entry, body)
        is_known = connection.execute(
            select(quarantine.c.id).where(
                quarantine.c.terminal_id == refused.terminal_id,
                quarantine.c.transaction_id == (refused.transaction_id or NO_ID),
                quarantine.c.body == body,
            )
        ).first()
        if is_known is not None:
            return True
        if self.messages < 1 or self.size < len(sealed):
            return False
        self.messages, self.size = self.messages - 1, self.size - len(sealed)
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        new = {
            "terminal_id": refused.terminal_id,
            "transaction_id": refused.transaction_id or NO_ID,
            "body": body,
            "at": refused.at,
            "code": refused.code,
            "detail": refused.detail,
            "sealed": sealed,
            "key_id": None if own is None else own.id,
            "state": "held",
        }
        connection.execute(dialect.insert(quarantine).values(**new).on_conflict_do_nothing())
        return True


def _count(connection: Connection, first: Refused, refused: int, not_kept: int) -> int:
    """Count a day's refusals; how many there had been before."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    new = dialect.insert(refusal_tally).values(
        terminal_id=first.terminal_id, day=first.at.date(), refused=refused, not_kept=not_kept
    )
    tally = refusal_tally.c
    counted = new.on_conflict_do_update(
        index_elements=[tally.terminal_id, tally.day],
        set_={
            "refused": tally.refused + new.excluded.refused,
            "not_kept": tally.not_kept + new.excluded.not_kept,
        },
    ).returning(tally.refused)
    return int(connection.execute(counted).scalar_one()) - refused


def _held(row: Row[*tuple[object, ...]]) -> Held:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    return Held(
        number=values["id"],
        transaction_id=None if values["transaction_id"] == NO_ID else values["transaction_id"],
        **{
            name: values[name]
            for name in (
                *("at", "terminal_id", "body", "code", "detail", "state"),
                *("closed_at", "closed_by", "closed_because"),
            )
        },
    )
