"""The connection to the service: kept open between requests, with a limit to every wait and every answer.

`urllib3` by itself: what `requests` does around it takes longer than all signatures of a tap together.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError, SSLError
from urllib3.exceptions import TimeoutError as NoAnswerInTime
from urllib3.util import parse_url

from reader_agent.errors import ConfigInvalid, ServiceAnswerInvalid, ServiceProblem, ServiceUnreachable

# RFC 9457, 3
PROBLEM_TYPE = "application/problem+json"
PROBLEM_URN = "urn:citizen-card:problem:"
_CHUNK_BYTES = 65_536
# Its own way to say who asks would tell nothing but a version.
_HEADERS = {"User-Agent": "citizen-card-agent", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Whatever came back: nothing of it is believed yet."""

    status: int
    content_type: str
    content: bytes
    etag: str | None

    def json_object(self) -> Mapping[str, Any]:
        """What a request has come to. Raises ServiceAnswerInvalid, and what `problem` tells."""
        if self.status != 200:
            raise self.problem()
        try:
            value = json.loads(self.content)
        except (ValueError, RecursionError) as error:  # the latter: brackets without end
            raise ServiceAnswerInvalid("it is not JSON") from error
        if not isinstance(value, dict):
            raise ServiceAnswerInvalid("it is not a JSON object")
        return value

    def problem(self) -> ServiceProblem | ServiceUnreachable:
        """The code of a problem document; what a proxy in between says proves nothing about the service."""
        if self.content_type.partition(";")[0].strip() == PROBLEM_TYPE:
            try:
                document = json.loads(self.content)
                kind, code, detail = document["type"], document["code"], document.get("detail", "")
                reason = document.get("reason")
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                kind = code = detail = reason = None
            if isinstance(code, str) and kind == PROBLEM_URN + code:
                return ServiceProblem(
                    code, self.status, str(detail), reason if isinstance(reason, str) else None
                )
        return ServiceUnreachable(f"HTTP status {self.status}")


class ServiceConnection:
    """HTTP to one service. Nothing of the environment counts: no proxies, no certificates. For one thread."""

    def __init__(self, service_url: str, ca_file: str | None) -> None:
        """`ca_file` has the authorities of the service's TLS certificate; without one, the public ones.

        Connects later. Raises ConfigInvalid for an address that is none.
        """
        self._pools = PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=ca_file or DEFAULT_CA_BUNDLE_PATH)
        try:
            url = parse_url(service_url)
            self._pool = self._pools.connection_from_url(url.url)
        except HTTPError as error:
            raise ConfigInvalid(
                f"{service_url!r} is not an address like https://cards.example.org"
            ) from error
        self._address, self._before = url.url.rstrip("/"), (url.path or "").rstrip("/")

    def close(self) -> None:
        """Close the connection; the next request would open another."""
        self._pools.clear()

    def address(self, path: str) -> str:
        """The address of a path as the service sees it, which is what a terminal signs."""
        return self._address + path

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        connect_s: float,
        answer_s: float,
        most: int,
    ) -> HttpAnswer:
        """What the service answers within these limits; `path` is already encoded, `body` may be empty.

        No redirection is followed, and nothing is sent again: that is for whoever knows what it was. Raises
        ServiceUnreachable.
        """
        deadline = monotonic() + connect_s + answer_s
        try:
            with self._pool.urlopen(
                method,
                self._before + path,
                body=body or None,
                headers={**_HEADERS, **headers},
                timeout=Timeout(connect=connect_s, read=answer_s),
                retries=False,
                redirect=False,
                preload_content=False,
            ) as response:
                content = b""
                for chunk in response.stream(_CHUNK_BYTES, decode_content=True):
                    content += chunk
                    # urllib3 limits the wait for each piece; this limits the whole.
                    if monotonic() > deadline:
                        raise ServiceUnreachable("its answer takes too long")
                    if len(content) > most:
                        raise ServiceUnreachable("its answer does not end")
                told = response.headers
                return HttpAnswer(response.status, told.get("Content-Type", ""), content, told.get("ETag"))
        except HTTPError as error:
            raise ServiceUnreachable(_cause(error)) from error


def _cause(error: HTTPError) -> str:
    # The first is one of the second, by its class.
    if isinstance(error, NewConnectionError | ProtocolError):
        return "no connection"
    if isinstance(error, NoAnswerInTime):
        return "no answer in time"
    if isinstance(error, SSLError):
        return "its TLS certificate is refused"
    return type(error).__name__
