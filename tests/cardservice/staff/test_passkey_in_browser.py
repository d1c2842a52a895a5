"""A passkey that a real browser makes and signs in with, by its own authenticator, from a page of the origin.

The browser believes to be at the council's address: what it asks there goes to the service in this process.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route

from cardservice.context import Context
from cardservice.staff import enrolment
from cardservice.staff.roles import Role
from tests.cardservice.staff.people import add
from tests.support.council import ORIGIN, Council

# What a page does: `answer` has the status and the document that came.
_SCRIPT = """
const ask = async (method, path, body) => {
  const answer = await fetch(path, {
    method, body: body && JSON.stringify(body), headers: {"Content-Type": "application/json"},
  });
  return {status: answer.status, body: await answer.json()};
};
const enrol = async (staff, code) =>
  ask("POST", "/v1/staff/sessions/enrolment", {staff, code, browser: true});
const makePasskey = async (name) => {
  const {options} = (await ask("POST", "/v1/staff/passkeys/offer", {})).body;
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const {response} = (await navigator.credentials.create({publicKey})).toJSON();
  return ask("POST", "/v1/staff/passkeys", {
    name, client_data: response.clientDataJSON, attestation: response.attestationObject,
  });
};
const signIn = async () => {
  const {challenge, rp} = (await ask("POST", "/v1/staff/challenges", {})).body;
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    {challenge, rpId: rp, userVerification: "required", allowCredentials: []});
  const made = (await navigator.credentials.get({publicKey})).toJSON();
  return ask("POST", "/v1/staff/sessions/passkey", {
    credential: made.id, client_data: made.response.clientDataJSON,
    authenticator_data: made.response.authenticatorData, signature: made.response.signature, browser: true,
  });
};
const me = async () => ask("GET", "/v1/staff/me");
const signOut = async () => ask("POST", "/v1/staff/sign-out", {});
"""
_AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def serve(council: Council, page: Page) -> None:
    """Let the page find the service at its origin."""

    def answer(route: Route) -> None:
        asked = route.request
        path = urlsplit(asked.url).path
        if not path.startswith("/v1/"):
            html = f"<!doctype html><title>Staff</title><script>{_SCRIPT}</script>"
            route.fulfill(content_type="text/html", body=html)
            return
        headers = {name.title(): value for name, value in asked.all_headers().items() if name[0] != ":"}
        client = council.client.application.test_client(use_cookies=False)
        found = client.open(path, method=asked.method, headers=headers, data=asked.post_data_buffer)
        route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.get_data())

    page.route(f"{ORIGIN}/**", answer)


@pytest.fixture
def page(council: Council, browser: Browser) -> Iterator[Page]:
    """A page of the council's origin, in a browser with an authenticator of its own."""
    with browser.new_context() as profile:
        opened = profile.new_page()
        protocol = profile.new_cdp_session(opened)
        protocol.send("WebAuthn.enable")
        protocol.send("WebAuthn.addVirtualAuthenticator", {"options": _AUTHENTICATOR})
        serve(council, opened)
        opened.goto(f"{ORIGIN}/")
        yield opened


def invited(context: Context, name: str) -> str:
    """The code with which somebody sets up what they sign in with."""
    with context.database.begin() as connection:
        return enrolment.invite(context, connection, name, actor="test")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_browser_makes_a_passkey_and_signs_in(council: Council, page: Page) -> None:
    add(council.context, "ann", Role.ADMINISTRATOR)
    code = invited(council.context, "ann")

    def does(call: str, *given: str) -> Any:
        return page.evaluate(f"(given) => {call}(...given)", list(given))

    assert does("enrol", "ann", code)["status"] == 200
    made = does("makePasskey", "Ann's laptop")
    assert (made["status"], made["body"]["name"]) == (200, "Ann's laptop"), made
    does("signOut")
    assert does("me")["status"] == 401

    signed_in = does("signIn")
    assert signed_in["status"] == 200, signed_in
    assert signed_in["body"]["token"] is None
    assert does("me")["body"]["person"]["staff"] == "ann"
    # No script of the page sees the session.
    assert page.evaluate("document.cookie") == ""
    assert does("signOut")["status"] == 200
    assert does("me")["status"] == 401
