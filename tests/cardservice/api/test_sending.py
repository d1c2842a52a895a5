"""Head and body of an answer leave together."""

import socket
from collections.abc import Iterator

import pytest

from cardservice.api.sending import together

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of a connection over TCP."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as server,
    ):
        yield server, client


def test_held_back_until_the_body_is_there(pair: Pair) -> None:
    server, client = pair
    body = together(server, b"body")
    assert server.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 1
    for part in (b"head ", *body):
        server.sendall(part)
    getattr(body, "close")()  # noqa: B009 - as a server does that has found it
    assert server.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 0
    assert client.recv(64) == b"head body"


def test_a_peer_that_has_gone(pair: Pair) -> None:
    server, _ = pair
    body = together(server, b"body")
    server.close()
    getattr(body, "close")()  # noqa: B009 - as above


@pytest.mark.parametrize("peer", [None, "a name"])
def test_without_a_connection(peer: object) -> None:
    assert list(together(peer, b"body")) == [b"body"]


def test_over_a_unix_socket() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert list(together(one, b"body")) == [b"body"]
