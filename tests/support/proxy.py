"""A wire between terminal and service that can be cut at the worst moment: before the answer."""

import socket
import threading
from collections.abc import Callable

_BUFFER = 65536


class Wire:
    """A TCP relay on loopback. While `on_answer` is set, answers to authorisations are lost, and it is told.

    While `on_request` is set, it is told the path of each POST before that is passed on; nothing is lost.
    While `on_done` is set, it is told that once the service has answered; is the answer lost?

    Each connection carries one request: the relay asks for that, so that what is cut is one exchange.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.on_answer: Callable[[], None] | None = None
        self.on_request: Callable[[str], None] | None = None
        self.on_done: Callable[[str], bool] | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the wire away."""
        # shutdown, since a close alone leaves accept() waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client:
            client.settimeout(60)
            try:
                request = _read_message(client)
                if self.on_request is not None and request.startswith(b"POST "):
                    self.on_request(request.split(b" ", 2)[1].decode())
                with socket.create_connection(("127.0.0.1", self.target_port), timeout=60) as service:
                    service.sendall(_one_request(request))
                    answer = _read_all(service)
                if self.on_done is not None and request.startswith(b"POST "):  # noqa: SIM102 - asked once
                    if self.on_done(request.split(b" ", 2)[1].decode()):
                        return
                if self.on_answer is not None and request.startswith(b"POST /v1/authorisations "):
                    self.on_answer()
                    return
                client.sendall(answer)
            except OSError:
                # Whoever is gone is gone: the other side sees a closed connection, as on a real network.
                return


def _read_message(connection: socket.socket) -> bytes:
    """One HTTP request with its body (RFC 9112, 6.2)."""
    message = b""
    while b"\r\n\r\n" not in message:
        if not (chunk := connection.recv(_BUFFER)):
            return message
        message += chunk
    head, _, body = message.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        if not (chunk := connection.recv(_BUFFER)):
            break
        body += chunk
    return head + b"\r\n\r\n" + body


def _one_request(request: bytes) -> bytes:
    """The request with `Connection: close`, so that the answer ends where the connection does."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body


def _read_all(connection: socket.socket) -> bytes:
    answer = b""
    while chunk := connection.recv(_BUFFER):
        answer += chunk
    return answer
