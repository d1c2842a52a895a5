"""A terminal's outbox delivered by staff, from a file: of a terminal that will not come back."""

from collections.abc import Iterator, Sequence

from cardservice.advices.service import ingest
from cardservice.advices.wire import MAX_ENTRIES, MAX_ENTRY_BYTES
from cardservice.audit.service import record
from cardservice.authorisation.settling import Settled
from cardservice.context import Context
from cardservice.errors import OrderInvalid, TerminalUnknown
from cardservice.ids import TerminalId
from cardservice.terminals.service import find_terminal
from pki.errors import PkiError
from pki.statements import byte_strings

# An outbox of 35 days, many times over.
MAX_FILE_ENTRIES = 1_000_000


def deliver(context: Context, terminal_id: TerminalId, chunk: bytes, *, actor: str) -> list[Settled]:
    """What becomes of each entry of a file, in their order; who delivered it is in the audit trail.

    Each statement names the terminal and carries its card's proof; of an annulment staff answer for it that
    the file is the terminal's. Judged as of its moment: what lies after the terminal's revocation is
    quarantined. Raises TerminalUnknown and OrderInvalid.
    """
    try:
        entries = byte_strings(chunk, MAX_FILE_ENTRIES, MAX_ENTRY_BYTES)
    except PkiError as error:
        raise OrderInvalid(f"this is no file of a terminal's outbox: {error}") from error
    with context.database.begin() as connection:
        terminal = find_terminal(connection, terminal_id)
        if terminal is None:
            raise TerminalUnknown(terminal_id)
        record(connection, actor, "advices.deliver", terminal_id, context.now(), entries=len(entries))
    return [one for some in _chunks(entries) for one in ingest(context, terminal, some)]


def _chunks(entries: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (entries[first : first + MAX_ENTRIES] for first in range(0, len(entries), MAX_ENTRIES))
