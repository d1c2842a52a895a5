"""Who may ask, on every route that there is; without a running daemon."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from reader_agent.daemon import security
from reader_agent.daemon.app import create_app
from reader_agent.daemon.problems import PROBLEMS
from reader_agent.daemon.runtime import Runtime
from reader_agent.daemon.settings import MAX_BODY_BYTES, DaemonSettings
from tests.reader_agent.daemon.client import order
from tests.reader_agent.world import World

PORT = 7410
HOST = f"127.0.0.1:{PORT}"
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "reader-agent.md"


@pytest.fixture
def runtime(world: World) -> Iterator[Runtime]:
    """Made, and not started."""
    made = Runtime(DaemonSettings(world.directory, ("Kiosk",), PORT), world.clock)
    yield made
    for desk in made._desks.values():
        desk.close()


@pytest.fixture
def token(runtime: Runtime) -> str:
    """The token of this start."""
    return security.make_token(runtime.settings)


@pytest.fixture
def client(runtime: Runtime, token: str) -> FlaskClient:
    """The API."""
    return create_app(runtime, token).test_client()


def ask(client: FlaskClient, rule: Rule, method: str, **headers: str) -> TestResponse:
    """A request to a route of the url map."""
    path = rule.rule.replace("<handle>", "some-handle")
    return client.open(path, method=method, headers=headers, json={} if method == "POST" else None)


def routes(client: FlaskClient) -> list[tuple[Rule, str]]:
    """Every route with every method that it takes."""
    return [
        (rule, method) for rule in client.application.url_map.iter_rules() for method in rule.methods or ()
    ]


FOREIGN: list[tuple[dict[str, str], int, str]] = [
    ({"Host": "evil.example"}, 421, "host_refused"),
    ({"Host": f"evil.example:{PORT}"}, 421, "host_refused"),
    ({"Host": "127.0.0.1"}, 421, "host_refused"),
    ({"Host": f"127.0.0.1:{PORT + 1}"}, 421, "host_refused"),
    ({"Host": f"127.0.0.1:{PORT}.evil.example"}, 421, "host_refused"),
    ({"Host": f"127.0.0.1.evil.example:{PORT}"}, 421, "host_refused"),
    ({"Host": ""}, 421, "host_refused"),
    ({"Origin": "https://evil.example"}, 403, "origin_refused"),
    ({"Origin": "null"}, 403, "origin_refused"),
    ({"Origin": "http://127.0.0.1:5000"}, 403, "origin_refused"),
    ({"Origin": f"https://127.0.0.1:{PORT}"}, 403, "origin_refused"),
    ({"Authorization": ""}, 401, "token_refused"),
    ({"Authorization": "Bearer "}, 401, "token_refused"),
    ({"Authorization": "Bearer wrong"}, 401, "token_refused"),
    ({"Authorization": "Bearer \xe9"}, 401, "token_refused"),
]


@pytest.mark.parametrize(("headers", "status", "code"), FOREIGN)
def test_every_route_refuses_strangers(
    client: FlaskClient, token: str, headers: dict[str, str], status: int, code: str
) -> None:
    """Whatever else is right about the request: also with the token, also for OPTIONS and HEAD."""
    found = routes(client)
    assert {rule.rule for rule, _ in found} >= {"/v1/status", "/v1/events", "/v1/taps/<handle>/pay"}
    for rule, method in found:
        right = {"Host": HOST, "Authorization": f"Bearer {token}"}
        response = ask(client, rule, method, **{**right, **headers})
        assert (response.status_code, rule.rule) == (status, rule.rule)
        if method != "HEAD":
            assert response.get_json(force=True)["code"] == code
            assert response.content_type == "application/problem+json"


def test_the_token_must_be_the_whole_one(client: FlaskClient, token: str) -> None:
    """Neither its beginning, nor more than it, nor another scheme."""
    for given in (f"Bearer {token[:-1]}", f"Bearer {token}x", f"Basic {token}", token, f"bearer{token}"):
        response = client.get("/v1/status", headers={"Host": HOST, "Authorization": given})
        assert response.status_code == 401, given
        assert response.headers["WWW-Authenticate"] == "Bearer"


def test_unknown_addresses_refuse_strangers_first(client: FlaskClient, token: str) -> None:
    """What there is, is nobody's business; with the token it is a plain "not found"."""
    assert client.get("/nowhere", headers={"Host": HOST}).status_code == 401
    right = {"Host": HOST, "Authorization": f"Bearer {token}"}
    assert client.get("/nowhere", headers=right).status_code == 404
    assert client.get("/v1/outbox/sync", headers=right).status_code == 405


def test_right_requests_are_let_in(client: FlaskClient, token: str) -> None:
    """By number or as localhost, without an origin or of the daemon's own."""
    with client.application.app_context():
        for host in (HOST, f"localhost:{PORT}"):
            right = {"Host": host, "Authorization": f"Bearer {token}"}
            assert client.post("/v1/outbox/sync", headers=right, json={"x": 1}).status_code == 400
            origin = {**right, "Origin": f"http://{host}"}
            assert client.post("/v1/outbox/sync", headers=origin, json={"x": 1}).status_code == 400


KEY = "0b0e8d0a-7f0b-4a0e-9f0e-0d9c1c1b2a3f"
BODIES: list[tuple[object, str]] = [
    ({**order(), "key": KEY, "surprise": 1}, "surprise"),
    ({**order(), "key": "one"}, "key"),
    (order(), "key"),
    ({**order(), "key": KEY, "amount_minor": 2.5}, "amount_minor"),
    ({**order(), "key": KEY, "amount_minor": "250"}, "amount_minor"),
    ({**order(), "key": KEY, "amount_minor": -1}, "amount_minor"),
    ({**order(), "key": KEY, "allow_offline": "yes"}, "allow_offline"),
    ({**order(), "key": KEY, "details": {"weight": 0.5}}, "details"),
    ({**order(), "key": KEY, "details": []}, "details"),
    ({**order(), "key": KEY, "service": ""}, "service"),
    ([], "_schema"),
]


@pytest.mark.parametrize(("body", "field"), BODIES)
def test_bodies_are_taken_as_documented_or_not_at_all(
    client: FlaskClient, token: str, body: object, field: str
) -> None:
    """The answer names the field."""
    right = {"Host": HOST, "Authorization": f"Bearer {token}"}
    response = client.post("/v1/taps/x/pay", headers=right, json=body)
    assert response.status_code == 400
    assert list(response.get_json(force=True)["fields"]) == [field]


def test_what_is_no_json_is_refused(client: FlaskClient, token: str) -> None:
    """Another type (a form is what a foreign page could send), broken, or too large."""
    right = {"Host": HOST, "Authorization": f"Bearer {token}"}
    assert client.post("/v1/quotes", headers=right, data={"service": "x"}).status_code == 415
    broken = client.post("/v1/quotes", headers=right, data="{", content_type="application/json")
    assert broken.status_code == 400
    huge = client.post("/v1/quotes", headers=right, json={"service": "x" * MAX_BODY_BYTES})
    assert huge.status_code == 413


def test_an_unknown_tap(client: FlaskClient, token: str) -> None:
    """A handle that never was; and its key stays free."""
    right = {"Host": HOST, "Authorization": f"Bearer {token}"}
    for _ in range(2):
        response = client.post("/v1/taps/x/pay", headers=right, json={**order(), "key": KEY})
        assert (response.status_code, response.get_json(force=True)["code"]) == (404, "tap_unknown")


def test_the_token_is_its_owners_and_a_new_one_each_time(runtime: Runtime) -> None:
    """Nobody else can read the file."""
    first = security.make_token(runtime.settings)
    second = security.make_token(runtime.settings)
    assert first != second
    assert runtime.settings.token_file.read_text() == second
    assert stat.S_IMODE(runtime.settings.token_file.stat().st_mode) == 0o600


def test_every_problem_is_documented() -> None:
    """In the page that integrators read."""
    text = DOCUMENTATION.read_text()
    assert [code for code in PROBLEMS if f"`{code}`" not in text] == []
