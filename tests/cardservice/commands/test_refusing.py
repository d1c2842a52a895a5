"""What gunicorn refuses by itself is answered and logged like everything else, whichever worker it has."""

import json
import signal
import socket
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from tests.cardservice.commands.test_serving import TIMEOUT_S, answers, served, until
from tests.support.databases import DatabaseUrls

SECRET = "PERSON-OF-THE-TEST"
HOST = b"Host: cards\r\n"
CHUNKED = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "no request": (f"{SECRET}\r\n\r\n".encode(), 400, "malformed"),
    "another version": (f"GET /{SECRET} HTTP/9.9\r\n\r\n".encode(), 400, "malformed"),
    "a long line": (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\n\r\n", 414, "address_too_long"),
    "a long header": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 5000 + b"\r\n\r\n",
        431,
        "headers_too_large",
    ),
    "many headers": (
        b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X%d: 1\r\n" % n for n in range(50)) + b"\r\n",
        431,
        "headers_too_large",
    ),
    "no name of a header": (f"GET / HTTP/1.1\r\n{SECRET} X: 1\r\n\r\n".encode(), 400, "malformed"),
    "two lengths": (
        b"POST /v1/quotes HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n" + CHUNKED,
        400,
        "malformed",
    ),
    "another coding": (
        b"POST /v1/quotes HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip-of-ours\r\n\r\n",
        501,
        "not_implemented",
    ),
    "what cannot be expected": (
        b"POST /v1/quotes HTTP/1.1\r\n" + HOST + b"Expect: 200-ok\r\n\r\n",
        400,
        "malformed",
    ),
    "no chunk": (
        b"POST /v1/authorisations HTTP/1.1\r\n" + HOST + b"Connection: close\r\n" + CHUNKED + b"zz\r\n",
        400,
        "malformed",
    ),
}


def asked(url: str, sent: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """What is answered to these bytes: status, headers, body."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        connection.sendall(sent)
        response = HTTPResponse(connection)
        response.begin()
        body = response.read()
        return (
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            json.loads(body),
        )


def test_what_the_server_itself_refuses(
    environment: dict[str, str], database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    """A problem document with the request's number; the log has that, and nothing that was sent."""
    del database_urls
    log = tmp_path / "log"
    with served(environment, tmp_path) as (process, url):
        until(lambda: answers(url), process, log)
        for name, (sent, status, code) in REFUSED.items():
            found, headers, document = asked(url, sent)
            assert (found, document["status"], document["code"]) == (status, status, code), name
            assert headers["content-type"] == "application/problem+json"
            line = next(each for each in lines(log) if each.get("request") == headers["request-id"])
            assert (line["status"], line["code"], line["level"]) == (status, code, "info"), name
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
    written = log.read_text(encoding="utf-8")
    assert SECRET not in written
    assert "error" not in written


def lines(log: Path) -> list[dict[str, Any]]:
    """The log, line by line."""
    return [json.loads(each) for each in log.read_text(encoding="utf-8").splitlines() if each[:1] == "{"]
