"""HTTP to the service: whatever comes back, or does not, is one of three errors."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pki.card_keys import KeyRequest, seal_masters
from pki.clock import system_clock
from pki.request_signatures import verify_request
from reader_agent import service_client
from reader_agent.errors import (
    AgentError,
    ConfigInvalid,
    ServiceAnswerInvalid,
    ServiceProblem,
    ServiceUnreachable,
)
from reader_agent.service_client import ServiceClient, TimeLimits
from reader_agent.tapping.problems import is_final, is_passing
from reader_agent.wire import to_base64url
from tests.reader_agent.card_service import CardService
from tests.reader_agent.world import World


@contextmanager
def answering(raw: bytes, *, hold: bool = False, heard: list[bytes] | None = None) -> Iterator[int]:
    """A port where somebody answers one request with these bytes, and then closes, or says nothing more."""
    heard = [] if heard is None else heard
    released = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(raw)
                if hold:
                    released.wait(30)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        released.set()
        thread.join(10)


def client_of(port: int) -> ServiceClient:
    """A client with short limits."""
    key = ec.generate_private_key(ec.SECP256R1())
    limits = TimeLimits(connect_s=0.5, answer_s=0.5)
    return ServiceClient(f"http://127.0.0.1:{port}", "bus-12", key, system_clock(), limits=limits)


def http(status: str, content_type: str, body: bytes) -> bytes:
    """An HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


JSON, PROBLEM = "application/json", "application/problem+json"
BUSY = b'{"type":"urn:citizen-card:problem:busy","code":"busy","detail":"later"}'


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (http("200 OK", JSON, b'{"nonce":"AAEC"}'), None),
        (http("200 OK", JSON, b'{"nonce":"AAE="}'), ServiceAnswerInvalid),
        (http("200 OK", JSON, b'{"nonce":7}'), ServiceAnswerInvalid),
        (http("200 OK", JSON, b"[]"), ServiceAnswerInvalid),
        (http("200 OK", JSON, b"<html>"), ServiceAnswerInvalid),
        (http("200 OK", JSON, b'{"nonce":' + b"[" * 100_000), ServiceAnswerInvalid),
        (http("503 Busy", PROBLEM, b"[" * 100_000), ServiceUnreachable),
        (http("503 Busy", PROBLEM, b"[]"), ServiceUnreachable),
        (http("503 Busy", PROBLEM, BUSY), ServiceProblem),
        # A proxy's word, or one that only looks like ours, is nobody's.
        (http("422 No", "text/html", b"<html>"), ServiceUnreachable),
        (http("422 No", PROBLEM, b'{"type":"about:blank","code":"busy"}'), ServiceUnreachable),
        (http("422 No", PROBLEM, b"{}"), ServiceUnreachable),
        (http("302 Found", JSON, b""), ServiceUnreachable),
        (b"", ServiceUnreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", ServiceUnreachable),
    ],
)
def test_what_comes_back(raw: bytes, expected: type[AgentError] | None) -> None:
    """A nonce, an answer that is none, a problem, or nothing that counts."""
    with answering(raw) as port:
        client = client_of(port)
        if expected is None:
            assert client.nonce() == b"\x00\x01\x02"
        else:
            with pytest.raises(expected):
                client.nonce()
        client.close()


def test_a_card_map_and_its_key() -> None:
    """Whole, or not at all where it is held already; refusals and keys that are none are errors."""
    uri, held = "https://cards.example/pki/status/0", {"If-None-Match": "x"}
    for raw, status in ((http("200 OK", "x/y", b"map"), 200), (http("304 Not Modified", "x/y", b""), 304)):
        with answering(raw) as port, closing(client_of(port)) as client:
            fetched = client.card_map(uri, held)
            assert (fetched.status, fetched.body) == (status, b"map" if status == 200 else b"")
    refused, none = http("403 No", PROBLEM, BUSY), http("200 OK", JSON, b'{"key":"AAEC"}')
    given = http("200 OK", JSON, b'{"key":"%b"}' % (b"A" * 43))
    with answering(refused) as port, closing(client_of(port)) as client, pytest.raises(ServiceProblem):
        client.card_map(uri, {})
    with answering(none) as port, closing(client_of(port)) as client, pytest.raises(ServiceAnswerInvalid):
        client.card_map_key()
    with answering(given) as port, closing(client_of(port)) as client:
        assert client.card_map_key().secret == bytes(32)


def test_keys_that_are_none() -> None:
    """Refused, sealed for somebody else, or no base64url at all; the journeys fetch real ones."""
    refused = http("403 Forbidden", PROBLEM, BUSY.replace(b"busy", b"role_not_allowed"))
    with answering(refused) as port, closing(client_of(port)) as client, pytest.raises(ServiceProblem):
        client.card_keys("ashcombe")
    other = seal_masters((), KeyRequest("ashcombe", "bus-12").public_key, "ashcombe", "bus-12")
    for sealed in (to_base64url(other), "", "?"):
        answer = http("200 OK", JSON, b'{"sealed":"%b"}' % sealed.encode())
        with (
            answering(answer) as port,
            closing(client_of(port)) as client,
            pytest.raises(ServiceAnswerInvalid),
        ):
            client.card_keys("ashcombe")


def test_what_is_signed_is_what_is_sent() -> None:
    """Also for a service below a path: the whole address is signed, the path of it is asked for."""
    key, heard = ec.generate_private_key(ec.SECP256R1()), list[bytes]()
    with answering(http("200 OK", JSON, b'{"nonce":"AAEC"}'), heard=heard) as port:
        client = ServiceClient(f"http://LOCALHOST:{port}/the%20cards/", "bus-12", key, system_clock())
        assert client.nonce() == b"\x00\x01\x02"
        client.close()
    [request] = heard
    line, *fields = request.decode().partition("\r\n\r\n")[0].split("\r\n")
    assert line == "GET /the%20cards/v1/nonce HTTP/1.1"
    headers = dict(field.split(": ", 1) for field in fields)
    address = f"http://localhost:{port}/the%20cards/v1/nonce"
    signer = verify_request("GET", address, headers, b"", lambda _: key.public_key(), system_clock()())
    assert signer == "bus-12"


def test_an_address_that_is_none() -> None:
    """It is refused at once, not called a service that does not answer."""
    with pytest.raises(ConfigInvalid, match="not an address"):
        ServiceClient(
            "https://cards.example.org:99999",
            "bus-12",
            ec.generate_private_key(ec.SECP256R1()),
            system_clock(),
        )


def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service takes the request and says nothing."""
    with answering(b"", hold=True) as port:
        client = client_of(port)
        with pytest.raises(ServiceUnreachable, match="in time"):
            client.nonce()
        client.close()


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than any answer has."""
    monkeypatch.setattr(service_client, "MAX_ANSWER_BYTES", 1000)
    with answering(http("200 OK", JSON, b" " * 2000)) as port:
        client = client_of(port)
        with pytest.raises(ServiceUnreachable, match="does not end"):
            client.nonce()
        client.close()


def test_a_catalogue_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own limit is below the one of revocation lists."""
    monkeypatch.setattr(service_client, "MAX_CATALOGUE_BYTES", 1000)
    with answering(http("200 OK", JSON, b" " * 2000)) as port:
        client = client_of(port)
        with pytest.raises(ServiceUnreachable, match="does not end"):
            client.catalogue("meals")
        client.close()


def test_nobody_there() -> None:
    """Nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = client_of(port)
    with pytest.raises(ServiceUnreachable, match="no connection"):
        client.nonce()
    client.close()


def test_requests_are_signed_by_the_terminal(world: World, card_service: CardService) -> None:
    """Another key under the same name is refused."""
    stranger = ServiceClient(card_service.url, "bus-12", ec.generate_private_key(ec.SECP256R1()), world.clock)
    with pytest.raises(ServiceProblem) as refused:
        stranger.nonce()
    assert (refused.value.problem, refused.value.status) == ("request_signature_invalid", 401)
    stranger.close()
    assert world.agent.client.nonce()


@pytest.mark.parametrize(
    ("status", "final", "passing"),
    [
        (400, True, False),
        (401, False, False),
        (403, False, False),
        (404, False, False),
        (409, True, False),
        (410, True, False),
        (413, True, False),
        (422, True, False),
        (429, False, True),
        (500, False, True),
        (503, False, True),
    ],
)
def test_what_a_problem_means(status: int, final: bool, passing: bool) -> None:
    """About the message: final. About the service just now: passing. About the terminal: neither."""
    problem = ServiceProblem("code", status, "detail")
    assert (is_final(problem), is_passing(problem)) == (final, passing)
