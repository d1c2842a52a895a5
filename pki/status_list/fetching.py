"""A terminal's copy of a status list: on its disk, refreshed while it is online, good until it is stale."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import requests
from cryptography.hazmat.primitives.asymmetric import ec

from pki import files
from pki.clock import require_aware
from pki.errors import PkiError, StatusListRefused, StatusListUnavailable
from pki.status_list.codec import CardStatus
from pki.status_list.token import MAX_TOKEN_BYTES, MEDIA_TYPE, StatusListToken, open_token, signer_sha256

# Gives the key of the certificate with this SHA-256, once it has been verified; raises PkiError otherwise.
SignerKey = Callable[[bytes], ec.EllipticCurvePublicKey]

_TIMEOUT_S = 10.0
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer over HTTP."""

    status: int
    body: bytes
    etag: str | None


class Fetch(Protocol):
    """Gets an address; raises StatusListUnavailable where nobody answers."""

    def __call__(self, uri: str, headers: Mapping[str, str], /) -> Fetched:
        """The answer, its body no longer than a list can be."""
        ...


def fetch_by(session: requests.Session, timeout_s: float = _TIMEOUT_S) -> Fetch:
    """Fetching with `requests`."""

    def fetch(uri: str, headers: Mapping[str, str], /) -> Fetched:
        try:
            with session.get(uri, headers=dict(headers), timeout=timeout_s, stream=True) as response:
                body = bytearray()
                for chunk in response.iter_content(_CHUNK_BYTES):
                    body += chunk
                    if len(body) > MAX_TOKEN_BYTES:
                        raise StatusListUnavailable(uri, "what it sends is longer than any list")
                return Fetched(response.status_code, bytes(body), response.headers.get("ETag"))
        except requests.RequestException as error:
            raise StatusListUnavailable(uri, type(error).__name__) from error

    return fetch


class StatusListCache:
    """One list. What cannot be verified, or is older than what is held, never takes its place."""

    def __init__(self, uri: str, path: Path, signer: SignerKey, fetch: Fetch) -> None:
        self._uri = uri
        self._path = path
        self._signer = signer
        self._fetch = fetch
        self._etag: str | None = None
        self._asked_at: datetime | None = None
        self._held: StatusListToken | None = None

    def status(self, status_index: int, moment: datetime) -> CardStatus:
        """The status of the card whose certificates name this place, without asking anybody.

        Raises StatusListStale where the copy is too old to be relied on, StatusListUnavailable where there is
        none, StatusIndexUnknown.
        """
        token = self._token(moment)
        token.require_current(moment)
        return token.status_of(status_index)

    def refresh(self, moment: datetime, *, at_once: bool = False) -> StatusListToken:
        """Ask for a newer list if the copy is older than it should be, and return what is held then.

        `at_once`: ask in any case; the ETag makes that cheap.

        Raises StatusListUnavailable, StatusListMalformed, StatusListRefused and StatusListStale; the copy is
        kept.
        """
        moment = require_aware(moment)
        held = self._usable(moment)
        if held is not None and not at_once and self._was_asked_lately(held, moment):
            return held
        headers = {"Accept": MEDIA_TYPE}
        if held is not None and self._etag is not None:
            headers["If-None-Match"] = self._etag
        answer = self._fetch(self._uri, headers)
        if answer.status == 304 and held is not None:
            self._asked_at = moment
            return held
        if answer.status != 200:
            raise StatusListUnavailable(self._uri, f"it answers {answer.status}")
        token = self._opened(answer.body, moment)
        if held is not None and token.issued_at < held.issued_at:
            raise StatusListRefused(
                f"the status list of {token.issued_at.isoformat()} is older than the one that is held"
            )
        files.replace(self._path, answer.body)
        self._held, self._etag, self._asked_at = token, answer.etag, moment
        return token

    def _was_asked_lately(self, held: StatusListToken, moment: datetime) -> bool:
        return self._asked_at is not None and self._asked_at <= moment < self._asked_at + held.ttl

    def _usable(self, moment: datetime) -> StatusListToken | None:
        """What is held, if it can be read and relied on; what is damaged or stale is fetched anew."""
        try:
            held = self._token(moment)
            held.require_current(moment)
        except PkiError:
            return None
        return held

    def _token(self, moment: datetime) -> StatusListToken:
        if self._held is None:
            if not self._path.is_file():
                raise StatusListUnavailable(self._uri, "there is no copy of it yet")
            self._held = self._opened(self._path.read_bytes(), moment)
        return self._held

    def _opened(self, raw: bytes, moment: datetime) -> StatusListToken:
        return open_token(raw, self._signer(signer_sha256(raw)), self._uri, moment)
