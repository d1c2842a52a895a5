"""Guards: every route is authenticated, every code documented, the OpenAPI document is what it says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from cardservice import errors
from cardservice.api.app import create_app
from cardservice.api.openapi import SIGNED
from cardservice.api.problems import PROBLEMS
from cardservice.authorisation.reasons import Flag, Reason
from cardservice.context import Context
from cardservice.staff.functions import SIGN_IN_ROUTES
from pki.status_list.card_map import MEDIA_TYPE as CARD_MAP
from tests.cardservice.api.bodies import BODIES, path_of
from tests.support.council import Council

API_PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.fixture
def app(context: Context) -> Flask:
    """The application."""
    return create_app(context)


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Every method and rule below /v1."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if rule.rule.startswith("/v1"):
                yield method, rule.rule


def test_every_route_demands_a_signature(app: Flask) -> None:
    """By declaration, and tried without one; but for those by which staff sign in."""
    found = [each for each in routes(app) if each not in SIGN_IN_ROUTES]
    assert len(found) == 178
    for method, rule in found:
        endpoint = next(r.endpoint for r in app.url_map.iter_rules() if r.rule == rule)
        assert getattr(app.view_functions[endpoint], SIGNED, False), rule
        body = BODIES.get(rule) if method == "POST" else None
        response = app.test_client().open(path_of(rule), method=method, json=body)
        assert (response.status_code, response.get_json()["code"]) == (401, "request_signature_missing"), rule
        # RFC 9110, 11.6.1
        assert response.headers["WWW-Authenticate"] == "Bearer"


def test_nobody_on_the_way_keeps_what_a_terminal_is_told(app: Flask) -> None:
    """RFC 9111, 5.2.2.5; also of what is refused."""
    for method, rule in routes(app):
        path = re.sub(r"<\w+:?\w*>", "0", rule)
        response = app.test_client().open(path, method=method)
        assert response.headers["Cache-Control"] in {"no-store", "no-cache, private"}, rule


def test_every_order_says_what_makes_it_safe_to_repeat(app: Flask) -> None:
    """In a row of the page's table."""
    table = API_PAGE.partition("## Sending it again")[2].partition("\n## ")[0]
    for method, rule in routes(app):
        if method != "GET":
            assert f"`{method} {re.sub('<[^>]+>', 'ID', rule)}`" in table, rule


def test_what_is_public(app: Flask) -> None:
    """Everything else is on this list."""
    public = {rule.rule for rule in app.url_map.iter_rules() if not rule.rule.startswith("/v1")}
    assert public == {
        "/openapi.json",
        "/pki/trust",
        "/pki/<issuer>.crt",
        "/pki/<issuer>.crl",
        "/pki/<issuer>/delta.crl",
        "/pki/<issuer>/<int:shard>.crl",
        "/pki/<issuer>/<int:shard>-delta.crl",
        "/pki/ocsp",
        "/pki/ocsp/<path:encoded>",
        "/pki/status/<int:number>",
        "/notifications/payments",
        "/enrolments",
        "/healthz/live",
        "/healthz/ready",
    }


def test_openapi_document_is_valid(app: Flask) -> None:
    """OpenAPI 3.1, with every route and its problem documents in it."""
    document = app.test_client().get("/openapi.json").get_json()
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "https://cards.ashcombe.example"}]
    refused = document["components"]["responses"]["Problem401"]
    assert "application/problem+json" in refused["content"]
    assert "`terminal_unknown`" in refused["description"]
    for method, rule in routes(app):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)
        responses = document["paths"][path][method.lower()]["responses"]
        assert responses["200"]["content"].keys() & {"application/json", CARD_MAP}, rule
        if rule == "/v1/staff/challenges":
            continue
        assert responses["401"] == {"$ref": "#/components/responses/Problem401"}, rule


def test_every_error_of_a_request_has_a_problem() -> None:
    """An error that a terminal can cause is never an internal one."""
    missing = {
        kind.code for kind in _subclasses(errors.MessageRefused) if "code" in vars(kind)
    } - PROBLEMS.keys()
    assert not missing


@pytest.mark.parametrize("code", [*PROBLEMS, *Reason, *Flag])
def test_every_code_is_documented(code: str) -> None:
    """In a table row of docs/api.md that begins with it."""
    assert re.search(rf"^\| `{code}` \|", API_PAGE, re.MULTILINE)


def test_no_code_is_documented_that_is_not_there() -> None:
    """The page's tables say nothing of the past."""
    documented = set(re.findall(r"^\| `(\w+)` \|", API_PAGE, re.MULTILINE))
    assert documented <= {*PROBLEMS, *Reason, *Flag}


def test_problem_documents(app: Flask) -> None:
    """RFC 9457, 3.1: type, title, status and detail; ours adds the code."""
    response = app.test_client().get("/nowhere")
    assert response.content_type == "application/problem+json"
    assert json.loads(response.data) == {
        "type": "urn:citizen-card:problem:not_found",
        "title": PROBLEMS["not_found"].title,
        "status": 404,
        "detail": PROBLEMS["not_found"].title,
        "code": "not_found",
    }
    refused = app.test_client().post("/v1/nonce")
    assert refused.get_json()["code"] == "method_not_allowed"
    # RFC 9110, 15.5.6
    assert refused.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_an_unexpected_error_says_nothing_of_the_inside(
    council: Council, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a problem document; what failed is in the log."""
    monkeypatch.setattr("cardservice.api.public.publication.published", lambda *_: 1 / 0)
    response = council.client.get("/pki/trust")
    assert (response.status_code, response.get_json()["code"]) == (500, "internal_error")
    assert b"division" not in response.data
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)
