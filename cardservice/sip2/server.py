"""The port that machines connect to: many that are idle, few that speak, and none that can hold up another.

Connections are asyncio's and cost little while nothing is said; what asks the database runs in a few threads.
What a stranger can use up is bounded: connections, bytes of a message, and the time for one, for a log-in and
for an answer that nobody reads.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address

from cardservice.errors import OrderInvalid
from cardservice.sip2.codec import MAX_MESSAGE
from cardservice.sip2.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one port bears. All of it is ours."""

    connections: int = 400
    # Of those that have not logged in.
    strangers: int = 50
    login_s: float = 30.0
    # From a message's first byte to its last.
    message_s: float = 10.0
    # Machines that are in use ask every few minutes whether we are there.
    idle_s: float = 3600.0
    write_s: float = 10.0
    # How many requests are looked at, at once.
    threads: int = 4


class Server:
    """A port that is open, until `close`."""

    def __init__(self, new_session: Callable[[], Session], limits: Limits | None = None) -> None:
        self._new_session, self._limits = new_session, limits or Limits()
        self._threads = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="sip2")
        self._connections: set[asyncio.Task[None]] = set()
        self._strangers = 0
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen; the port's number, which is the system's choice where 0 was asked for."""
        more = {} if tls is None else {"ssl_handshake_timeout": self._limits.message_s}
        self._server = await asyncio.start_server(
            self._connected, host, port, limit=MAX_MESSAGE, ssl=tls, **more
        )
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def close(self) -> None:
        """Take no more, end what there is, and wait for what is being answered."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
        await asyncio.to_thread(self._threads.shutdown)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        full = len(self._connections) >= self._limits.connections
        if task is None or full or self._strangers >= self._limits.strangers:
            log.warning("SIP2 connection refused: there are too many")
            writer.transport.abort()
            return
        self._connections.add(task)
        try:
            await self._served(reader, writer)
        except asyncio.CancelledError:
            # The server ends; the stream's own callback takes a cancelled task for a failure.
            writer.transport.abort()
        finally:
            self._connections.discard(task)

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (TimeoutError, ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass  # gone, or too slow
        except asyncio.LimitOverrunError:
            log.warning("SIP2 message refused: it is too long")
        except Exception:
            log.exception("SIP2 connection failed")
        writer.close()
        try:
            # Whoever does not read the last answer does not keep the connection.
            async with asyncio.timeout(self._limits.write_s):
                await writer.wait_closed()
        except (TimeoutError, ConnectionError, ssl.SSLError):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        limits, session = self._limits, self._new_session()
        stranger = True
        self._strangers += 1
        deadline = asyncio.get_running_loop().time() + limits.login_s
        try:
            while True:
                wait_s = limits.idle_s
                if stranger:
                    wait_s = max(0.0, deadline - asyncio.get_running_loop().time())
                frame = await self._frame(reader, wait_s)
                sent = await asyncio.get_running_loop().run_in_executor(self._threads, session.answer, frame)
                if sent is None:
                    return
                if sent:
                    writer.write(sent)
                    async with asyncio.timeout(limits.write_s):
                        await writer.drain()
                if stranger and session.logged_in:
                    stranger = False
                    self._strangers -= 1
        finally:
            if stranger:
                self._strangers -= 1

    async def _frame(self, reader: asyncio.StreamReader, wait_s: float) -> bytes:
        """A message without its carriage return: waited for long, and then taken in quickly."""
        # Not `wait_for`: that can lose a cancellation, and the server would then wait for this for ever.
        async with asyncio.timeout(wait_s):
            first = await reader.readexactly(1)
        if first == b"\r":
            return b""
        async with asyncio.timeout(min(self._limits.message_s, wait_s)):
            rest = await reader.readuntil(b"\r")
        return first + rest[:-1]


def refuse_open(host: str, *, tls: bool, insecure: bool) -> None:
    """Raises OrderInvalid where PINs would go over a network in the clear and nobody has said so."""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not (loopback or tls or insecure):
        raise OrderInvalid(
            f"PINs would be readable on the way to {host}: give --tls-certificate and --tls-key, or listen on"
            " 127.0.0.1 behind a tunnel; --insecure if the network is the machines' own"
        )


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """TLS 1.2 at least, with a certificate of the library's."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context
