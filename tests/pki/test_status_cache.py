"""A terminal's copy of a status list, over a real server."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from pki import files
from pki.errors import (
    PkiError,
    StatusIndexUnknown,
    StatusListMalformed,
    StatusListRefused,
    StatusListStale,
    StatusListUnavailable,
)
from pki.status_list import CardStatus, StatusListBuilder, StatusListToken, sign_token
from pki.status_list.allocation import LIST_SIZE
from pki.status_list.fetching import Fetched, StatusListCache, fetch_by
from pki.status_list.token import MAX_TOKEN_BYTES, MEDIA_TYPE
from tests.pki.conftest import START, new_key

KEY = new_key()
SIGNER = hashlib.sha256(b"the signer's certificate").digest()
URI = "https://cards.example/pki/status/0"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LOST = 7


def token(*lost: int, uri: str = URI) -> StatusListToken:
    builder = StatusListBuilder(1_024)
    builder.set_all(lost, CardStatus.INVALID)
    return StatusListToken(
        uri=uri, issued_at=START, expires_at=START + 7 * DAY, ttl=5 * MINUTE, statuses=builder.build()
    )


@dataclass
class Source:
    """What answers: `raw` with its ETag, or another answer."""

    raw: bytes = b""
    etag: str = '"1"'
    answer: int = 200
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def give(self, of: StatusListToken, etag: str) -> None:
        self.raw, self.etag = sign_token(of, KEY, SIGNER), etag

    def __call__(self, uri: str, headers: Mapping[str, str], /) -> Fetched:
        assert uri == URI
        self.asked.append(headers)
        if headers.get("If-None-Match") == self.etag:
            return Fetched(304, b"", self.etag)
        return Fetched(self.answer, self.raw, self.etag)


@pytest.fixture
def source() -> Source:
    source = Source()
    source.give(token(), '"1"')
    return source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "status-0.cwt"


def signer(sha256: bytes) -> ec.EllipticCurvePublicKey:
    if sha256 != SIGNER:
        raise StatusListRefused("nobody is known by this certificate")
    return KEY.public_key()


@pytest.fixture
def cache(source: Source, path: Path) -> StatusListCache:
    return StatusListCache(URI, path, signer, source)


def test_before_the_first_list_nothing_is_known(cache: StatusListCache) -> None:
    with pytest.raises(StatusListUnavailable, match="no copy"):
        cache.status(LOST, START)


def test_it_is_asked_for_when_it_is_due(cache: StatusListCache, source: Source) -> None:
    assert cache.refresh(START) == token()
    assert cache.refresh(START + 4 * MINUTE) == token()
    assert source.asked == [{"Accept": MEDIA_TYPE}]
    assert cache.status(LOST, START) is CardStatus.VALID

    assert cache.refresh(START + 5 * MINUTE) == token()
    assert source.asked[1:] == [{"Accept": MEDIA_TYPE, "If-None-Match": '"1"'}]
    assert cache.refresh(START + 9 * MINUTE) == token()
    assert len(source.asked) == 2

    source.give(replace(token(LOST), issued_at=START + MINUTE), '"2"')
    cache.refresh(START + 10 * MINUTE)
    assert cache.status(LOST, START + 10 * MINUTE) is CardStatus.INVALID


def test_it_outlives_the_process(cache: StatusListCache, source: Source, path: Path) -> None:
    source.give(token(LOST), '"1"')
    cache.refresh(START)
    source.answer = 503
    again = StatusListCache(URI, path, signer, source)
    assert again.status(LOST, START + 6 * DAY) is CardStatus.INVALID
    with pytest.raises(StatusListUnavailable, match="503"):
        again.refresh(START + 6 * DAY)
    assert again.status(LOST, START + 6 * DAY) is CardStatus.INVALID


def test_when_stale_it_is_refused(cache: StatusListCache, source: Source) -> None:
    cache.refresh(START)
    with pytest.raises(StatusListStale):
        cache.status(LOST, START + 7 * DAY)
    with pytest.raises(StatusListStale):  # the same again is of no use
        cache.refresh(START + 7 * DAY)
    later = START + 7 * DAY
    source.give(replace(token(LOST), issued_at=later, expires_at=later + DAY), '"2"')
    cache.refresh(later)
    assert cache.status(LOST, later) is CardStatus.INVALID


def test_a_stale_or_damaged_file_is_replaced(source: Source, path: Path) -> None:
    for old in (sign_token(replace(token(), expires_at=START), KEY, SIGNER), b"cut short"):
        files.replace(path, old)
        cache = StatusListCache(URI, path, signer, source)
        with pytest.raises((StatusListStale, StatusListMalformed)):
            cache.status(LOST, START)
        assert cache.refresh(START) == token()
        assert path.read_bytes() == source.raw


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", StatusListMalformed),
        (b"<html>sign in to this network</html>", StatusListMalformed),
        (sign_token(token(), new_key(), SIGNER), StatusListRefused),
        (sign_token(token(), KEY, hashlib.sha256(b"another").digest()), StatusListRefused),
        (sign_token(token(uri=URI + "1"), KEY, SIGNER), StatusListRefused),
        (sign_token(replace(token(), expires_at=START), KEY, SIGNER), StatusListStale),
        (sign_token(replace(token(), issued_at=START - MINUTE), KEY, SIGNER), StatusListRefused),
        (sign_token(replace(token(), issued_at=START + DAY), KEY, SIGNER), StatusListRefused),
    ],
    ids=[
        "nothing",
        "a portal",
        "another key",
        "another signer",
        "another list",
        "stale",
        "older",
        "the future",
    ],
)
def test_what_does_not_hold_takes_no_place(
    cache: StatusListCache, source: Source, path: Path, raw: bytes, error: type[PkiError]
) -> None:
    cache.refresh(START)
    held = path.read_bytes()
    source.raw, source.etag = raw, '"2"'
    with pytest.raises(error):
        cache.refresh(START + 5 * MINUTE)
    assert path.read_bytes() == held
    assert cache.status(LOST, START + 5 * MINUTE) is CardStatus.VALID


@pytest.mark.parametrize("answer", [204, 301, 304, 404, 500])
def test_another_answer_changes_nothing(cache: StatusListCache, source: Source, answer: int) -> None:
    source.answer = answer
    with pytest.raises(StatusListUnavailable, match=str(answer)):
        cache.refresh(START)


def test_beyond_its_end_nothing_is_known(cache: StatusListCache) -> None:
    cache.refresh(START)
    with pytest.raises(StatusIndexUnknown):
        cache.status(1_024, START)


def test_of_a_place_in_another_list_nothing_is_known(cache: StatusListCache, source: Source) -> None:
    """Its index here is another card's."""
    source.give(token(LOST), '"1"')
    cache.refresh(START)
    assert cache.status(LOST, START) is CardStatus.INVALID
    with pytest.raises(StatusIndexUnknown, match="list 1"):
        cache.status(LIST_SIZE + LOST, START)


@dataclass
class Server:
    """Answers every GET with the same."""

    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def served() -> Iterator[tuple[Server, str]]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield state, f"http://127.0.0.1:{server.server_address[1]}/status/0"
        server.shutdown()
        thread.join()


def test_over_http(served: tuple[Server, str]) -> None:
    state, uri = served
    state.body, state.headers = b"x" * MAX_TOKEN_BYTES, {"ETag": '"7"'}
    with closing(requests.Session()) as session:
        fetched = fetch_by(session)(uri, {"Accept": MEDIA_TYPE})
        assert fetched == Fetched(200, state.body, '"7"')
        state.body += b"x"
        with pytest.raises(StatusListUnavailable, match="longer than any list"):
            fetch_by(session)(uri, {})


def test_where_nobody_answers() -> None:
    with (
        closing(requests.Session()) as session,
        pytest.raises(StatusListUnavailable, match="ConnectionError"),
    ):
        fetch_by(session)("http://127.0.0.1:1/status/0", {})
