"""What every face is built on: who may ask it, what it says of itself, and its words."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from flask import Blueprint, Flask, render_template
from flask.testing import FlaskClient
from flask_babel import gettext as translated

from kiosk.assets.prepare import FORBIDDEN, TARGET, AssetsChanged, is_current, script, stylesheet
from kiosk.web import Face, create_app, plural

FACE = Face("till", 7420)
OWN = "http://127.0.0.1:7420"
ASSETS = Path(__file__).parents[2] / "kiosk" / "assets"


@pytest.fixture
def app() -> Flask:
    """A face with one page and one command."""
    blueprint = Blueprint("sample", __name__)

    @blueprint.get("/")
    def page() -> str:
        return render_template("web/error.html", title="Sample", text="</script><b>")

    @blueprint.post("/command")
    def command() -> Mapping[str, object]:
        return {"done": True}

    @blueprint.get("/words")
    def words() -> Mapping[str, object]:
        return {
            "lost": translated("Page not found"),
            "sales": plural("%(count)s sale waits", "%(count)s sales wait"),
        }

    @blueprint.get("/broken")
    def broken() -> str:
        raise RuntimeError("Ava Reed")

    return create_app(FACE, blueprint)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser."""
    return app.test_client()


@pytest.mark.parametrize("path", ["/", "/command", "/csrf-token", "/nowhere", "/static/web/face.css"])
@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1:7420", {}, None),
        ("localhost:7420", {}, None),
        ("127.0.0.1:7420", {"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, None),
        ("127.0.0.1:7420", {"Sec-Fetch-Site": "none"}, None),
        ("localhost:7421", {}, 421),
        ("127.0.0.1", {}, 421),
        ("till.example.org:7420", {}, 421),
        ("till.example.org:7420", {"Origin": "http://till.example.org:7420"}, 421),
        ("127.0.0.1:7420.", {}, 421),
        ("127.0.0.1:7420", {"Origin": "http://127.0.0.1:7421"}, 403),
        ("127.0.0.1:7420", {"Origin": "https://127.0.0.1:7420"}, 403),
        ("127.0.0.1:7420", {"Origin": "null"}, 403),
        ("127.0.0.1:7420", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        # Another port of this machine is another origin, and the same site.
        ("127.0.0.1:7420", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        (
            "127.0.0.1:7420",
            {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
            403,
        ),
    ],
)
def test_only_its_own_pages_may_ask(
    client: FlaskClient, path: str, host: str, headers: dict[str, str], status: int | None
) -> None:
    with client.get(path, base_url=OWN) as usual:
        expected = status or usual.status_code
    with client.get(path, headers={"Host": host, **headers}) as answer:
        assert answer.status_code == expected
        if status == 421:
            assert b"<html" not in answer.data


def test_a_link_from_another_face_may_be_followed_to_the_page(client: FlaskClient) -> None:
    headers = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", base_url=OWN, headers=headers).status_code == 200
    assert client.post("/command", base_url=OWN, headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/", "/nowhere", "/broken", "/csrf-token", "/static/web/face.css"])
def test_every_answer_says_what_it_may_do(client: FlaskClient, path: str) -> None:
    answer = client.get(path, base_url=OWN, headers={"Accept": "text/html"})
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert {"style-src 'self'", "img-src 'self'", "connect-src 'self'"} <= set(policy)
    assert {"base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert [part for part in policy if part.startswith("script-src")] == [
        part for part in policy if re.fullmatch(r"script-src 'self' 'nonce-[A-Za-z0-9_-]{22}'", part)
    ]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == ("no-cache" if path.startswith("/static") else "no-store")
    answer.close()


def test_each_page_has_a_nonce_of_its_own_and_no_other_script_of_its_own(client: FlaskClient) -> None:
    pages = [client.get("/", base_url=OWN) for _ in range(2)]
    nonces = [re.findall(r'<script nonce="([^"]+)"', page.text) for page in pages]
    assert nonces[0] != nonces[1]
    for page, (nonce,) in zip(pages, nonces, strict=True):
        assert f"'nonce-{nonce}'" in page.headers["Content-Security-Policy"]
        assert "style=" not in page.text
        assert not re.search(r"\son[a-z]+=", page.text)
    assert "</script><b>" not in pages[0].text


def test_a_command_needs_the_token_of_its_session(client: FlaskClient, app: Flask) -> None:
    refused = client.post("/command", base_url=OWN, json={})
    assert (refused.status_code, refused.get_json()["code"]) == (400, "csrf_refused")
    token = client.get("/csrf-token", base_url=OWN).get_json()["csrf_token"]
    assert client.post("/command", base_url=OWN, headers={"X-CSRFToken": token}).status_code == 200
    another = app.test_client()
    assert another.post("/command", base_url=OWN, headers={"X-CSRFToken": token}).status_code == 400


def test_a_session_is_not_another_face_s(client: FlaskClient) -> None:
    cookie = client.get("/", base_url=OWN).headers["Set-Cookie"]
    assert cookie.startswith("kiosk-till-7420=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert Face("validator", 7421).cookie != FACE.cookie


def test_errors_are_pages_for_people_and_json_for_scripts(client: FlaskClient) -> None:
    page = client.get("/nowhere", base_url=OWN, headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "<h1" in page.text
    assert "There is nothing at this address" in page.text
    answer = client.get("/nowhere", base_url=OWN, headers={"Accept": "application/json"})
    assert answer.get_json()["code"] == "not_found"


def test_what_fails_is_said_without_its_words(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.get("/broken", base_url=OWN, headers={"Accept": "text/html"})
    assert answer.status_code == 500
    assert "Ava Reed" not in answer.text + caplog.text
    assert "RuntimeError in broken" in caplog.text


def test_pages_and_words_for_scripts_are_translated(app: Flask, client: FlaskClient, tmp_path: Path) -> None:
    catalogue = Catalog(locale="cy")
    catalogue.add("Page not found", "Heb ei chanfod")
    catalogue.add(
        ("%(count)s sale waits", "%(count)s sales wait"),
        tuple(f"%(count)s ffurf {form}" for form in range(catalogue.num_plurals)),
    )
    compiled = tmp_path / "cy" / "LC_MESSAGES" / "messages.mo"
    compiled.parent.mkdir(parents=True)
    with compiled.open("wb") as file:
        write_mo(file, catalogue)
    app.extensions["babel"].translation_directories = [str(tmp_path)]
    english = client.get("/words", base_url=OWN, headers={"Accept-Language": "fr"}).get_json()
    assert english["sales"] == {"one": "{count} sale waits", "other": "{count} sales wait"}
    welsh = client.get("/words", base_url=OWN, headers={"Accept-Language": "cy, en;q=0.5"}).get_json()
    assert welsh["lost"] == "Heb ei chanfod"
    assert set(welsh["sales"]) >= {"zero", "one", "two", "few", "many", "other"}
    assert all("{count}" in text for text in welsh["sales"].values())
    assert len(set(welsh["sales"].values())) == catalogue.num_plurals


def test_what_only_gov_uk_may_use_is_not_there() -> None:
    assert is_current()
    for file in TARGET.glob("govuk-frontend*"):
        text = file.read_text("utf-8").lower()
        assert "under the mit licence" in text
        assert [word for word in FORBIDDEN if word in text] == [], file.name
    assert {file.name for file in TARGET.iterdir()} == {
        ".stamp",
        "govuk-frontend.min.css",
        "govuk-frontend.min.js",
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a{color:red}", id="nothing of it is there"),
        pytest.param(
            "@font-face{a:b}@font-face{a:b}a{font-family:GDS Transport,arial;"
            "mask-image:url(crest.svg);cursor:url(/assets/x.cur)}",
            id="another address is there",
        ),
    ],
)
def test_another_stylesheet_than_the_one_that_is_known_is_refused(text: str) -> None:
    with pytest.raises(AssetsChanged):
        stylesheet(text)


def test_a_script_with_an_address_of_gov_uk_s_files_is_refused() -> None:
    with pytest.raises(AssetsChanged):
        script("load('/assets/images/govuk-crest.svg')")


def test_the_lock_names_no_registry() -> None:
    lock = (ASSETS / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    assert lock.count('"integrity": "sha512-') == 2
