"""Any headers and bodies at the daemon's API: strangers are refused, bodies read as documented or not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flask.testing import FlaskClient

from pki.clock import system_clock
from pki.scheme import create_scheme
from reader_agent.config import Settings, create_agent
from reader_agent.daemon.app import create_app
from reader_agent.daemon.problems import PROBLEMS
from reader_agent.daemon.runtime import Runtime
from reader_agent.daemon.settings import DaemonSettings
from tests.fuzzing.pieces import join, split

PORT: Final = 7410
HOST: Final = f"127.0.0.1:{PORT}"
_PATHS: Final = ("/v1/taps/x/pay", "/v1/taps/x/quote")
_HEADERS: Final = ("Host", "Origin", "Content-Type")
_KEY: Final = "0b0e8d0a-7f0b-4a0e-9f0e-0d9c1c1b2a3f"


@dataclass(frozen=True, slots=True)
class Requests:
    """The first byte says where to and with which token; then the body, then headers by their order."""

    client: FlaskClient
    token: str

    def __call__(self, data: bytes) -> None:
        how, (body, *given) = data[0] if data else 0, split(data[1:]) or [b""]
        # No server lets an end of a line through: there the next header begins.
        texts = [value.decode("latin-1").translate({10: None, 13: None}) for value in given]
        token = self.token if how & 2 else texts.pop() if texts else ""
        headers = {"Host": HOST, "Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        headers |= dict(zip(_HEADERS, texts, strict=False))
        response = self.client.post(_PATHS[how & 1], data=body, headers=headers)
        # No tap is there: whatever was asked, something is wrong with it.
        code = response.get_json(force=True)["code"]
        assert code in PROBLEMS
        assert response.status_code not in (200, 500), code
        if token != self.token:
            assert response.status_code in (401, 403, 421), code

    def seeds(self) -> list[bytes]:
        """Right requests, and with a foreign page's headers."""
        details = {"from_stop": "market-place", "to_stop": "upper-vale", "n": [1, None, {"a": True}]}
        order = {"service": "transport", "action": "single-fare", "details": details}
        paid = {**order, "key": _KEY, "amount_minor": 240, "allow_offline": False}
        every: list[object] = [order, paid, [], {}, 1.5]
        bodies = [json.dumps(each).encode() for each in every]
        foreign = [HOST.encode(), b"https://evil.example", b"text/plain"]
        return [
            bytes((how,)) + join([body, *more])
            for how in range(4)
            for body in bodies
            for more in ([], [HOST.encode()], foreign)
        ]


@contextmanager
def http(folder: Path) -> Iterator[Requests]:
    """The target: an application whose daemon does not run."""
    scheme = create_scheme(folder / "scheme", "ashcombe", "Ashcombe Card", b"fuzzing", None, system_clock()())
    directory = create_agent(
        folder / "agent", Settings("http://127.0.0.1:1", "bus-12"), scheme.public_dir / "root.crt"
    )
    runtime = Runtime(DaemonSettings(directory, ("Kiosk",), PORT), lambda: datetime.now(UTC))
    token = "a-token-that-nobody-guesses"
    yield Requests(create_app(runtime, token).test_client(), token)
