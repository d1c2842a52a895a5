"""A process for chunks: `python -m cardservice.advices.worker FD`, which the service starts and ends.

It opens the service for itself, answers what comes on its socket, and ends when the other side does, or when
nothing has come for a while.
"""

import gc
import select
import signal
import socket
import sys

from cardservice.advices import frames
from cardservice.advices.answering import entry_of
from cardservice.advices.service import ingest
from cardservice.api import request_log
from cardservice.config import load_settings
from cardservice.context import Context, open_context
from cardservice.errors import TerminalUnknown
from cardservice.terminals.service import find_terminal

IDLE_S = 300.0


def main(descriptor: int) -> None:
    """Serve until the service that started this is gone."""
    # Ctrl-C is for the service, which ends this when it has been answered.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request_log.configure()
    context = open_context(load_settings())
    gc.collect()
    gc.freeze()
    # Within a chunk nothing is to be found; between two, whatever they have left.
    gc.disable()
    try:
        with socket.socket(fileno=descriptor) as connection:
            # gevent has made it one that never waits.
            connection.setblocking(True)
            _serve(context, connection)
    finally:
        context.close()


def _serve(context: Context, connection: socket.socket) -> None:
    # Chunks come at night, or after an hour without the service: in between this would lie idle.
    while select.select([connection], (), (), IDLE_S)[0]:
        try:
            terminal_id, *entries = frames.receive(connection)
        except EOFError:
            return
        frames.send(connection, _answered(context, terminal_id.decode(), entries))
        gc.collect()


def _answered(context: Context, terminal_id: str, entries: list[bytes]) -> list[bytes]:
    with context.database.reading() as reading:
        terminal = find_terminal(reading, terminal_id)
    if terminal is None:
        raise TerminalUnknown(terminal_id)
    answered = [entry_of(context.scheme.id, one) for one in ingest(context, terminal, entries)]
    return [part for entry in answered for part in (entry.json, entry.payload)]


if __name__ == "__main__":
    main(int(sys.argv[1]))
