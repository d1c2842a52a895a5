"""The service answers as its own OpenAPI document says, whatever it is asked, in the role of each terminal.

schemathesis asks by the document; a layer before the service signs what it sends as a terminal does. Each
operation is asked for what there is, and for what is made up, by rule and against it.
"""

import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from cardservice.advices.wire import MEDIA_TYPE as CHUNK
from cardservice.api.app import create_app
from cardservice.api.fields import to_base64url
from cardservice.api.hot import HotEndpoint
from cardservice.context import Context
from cardservice.payments.govuk_pay import GovUkPay
from cardservice.services import discover
from cardservice.staff.roles import Role
from cardservice.staff.service import has_staff
from cardservice.tariffs.service import store_tariff
from cardservice.terminals.roles import known_roles
from kiosk.pay_stand_in import Pay
from tests.cardservice.api.carrying import Carrying, of_staff
from tests.cardservice.api.contract import PAY_SECRET, Signing, Wish, World
from tests.cardservice.api.staff_contract import StaffWorld
from tests.cardservice.payments.pay import served
from tests.cardservice.services import parking_tariffs
from tests.cardservice.staff.browsing import signed_in
from tests.cardservice.staff.people import add
from tests.support.council import ACTOR, Council

# An operation, and a status.
Answered = set[tuple[str, int]]
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
ROLES = sorted(known_roles(discover()))
# To whoever asks for the status of a moment in the past 501 is the answer. Token Status List, 8.4
PAST = ("GET /pki/status/{number}", 501)
OPERATIONS = 43
# One for all roles: it names each payment once.
PROVIDER = Pay()
STAFF_OPERATIONS = 153

schemathesis.openapi.format("base64url", st.binary(max_size=64).map(to_base64url))


@schemathesis.serializer(CHUNK, "application/ocsp-request")
def _as_it_is(_: object, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def _informed(draw: Any, made_up: Any, known: Mapping[str, list[Any]]) -> Any:
    """What was made up, with some of what there is in its place."""
    if isinstance(made_up, list):
        return [_informed(draw, each, known) for each in made_up]
    if not isinstance(made_up, dict):
        return made_up
    return {
        name: draw(st.sampled_from([*known[name], value])) if name in known else _informed(draw, value, known)
        for name, value in made_up.items()
    }


def _call(operation: Any, case: Any) -> tuple[str, int]:
    """Send a case, and hold the answer to the document."""
    response = case.call()
    answered = (operation.label, response.status_code)
    case.validate_response(response, checks=CHECKS if answered == PAST else [not_a_server_error, *CHECKS])
    return answered


def _granted(operation: Any, wish: Wish) -> tuple[str, int]:
    """Ask for what there is."""
    given_parts = {name: dict(getattr(wish, name)) for name in ("query", "headers") if getattr(wish, name)}
    if wish.path:
        given_parts["path_parameters"] = dict(wish.path)
    if wish.body is not None:
        media_type = next(iter(operation.definition.raw["requestBody"]["content"]))
        given_parts |= {"body": wish.body, "media_type": media_type}
    return _call(operation, operation.Case(**given_parts))


def _made_up(operation: Any, examples: int, known: Mapping[str, list[Any]]) -> Answered:
    """Ask so often for what is made up."""
    answered: Answered = set()
    strategies = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(strategies), data=st.data())
    def answers(case: Any, data: st.DataObject) -> None:
        case.path_parameters = _informed(data.draw, case.path_parameters, known)
        case.body = _informed(data.draw, case.body, known)
        answered.add(_call(operation, case))

    answers()
    return answered


@dataclass(frozen=True, slots=True)
class Examined:
    """The operations of the document, what was answered where, and what of it no log may have."""

    operations: set[str]
    answered: Answered
    secrets: list[str]


def _examined(council: Council, role: str, examples: int, folder: Path) -> Examined:
    """Ask for every operation of the document."""
    with served(PROVIDER) as provider:
        return _asked(council, _paying(council.context, provider, folder), role, examples)


def _paying(context: Context, provider: GovUkPay, folder: Path) -> Context:
    """The service with a payment provider, and what both know."""
    (folder / "secret").write_bytes(PAY_SECRET)
    (folder / "key").write_text(PROVIDER.key, encoding="ascii")
    settings_of = replace(
        context.settings,
        pay_secret_file=folder / "secret",
        pay_url=provider.url,
        pay_key_file=folder / "key",
    )
    return replace(context, settings=settings_of)


def _asked(council: Council, context: Context, role: str, examples: int) -> Examined:
    app = create_app(context)
    schema = schemathesis.openapi.from_dict(app.test_client().get("/openapi.json").get_json())
    asker = council.terminal(f"{role}-1", role)
    schema.app = Signing(HotEndpoint(app, context), asker)
    world = World(council, asker, context)
    wishes, known = world.wishes(), world.known()
    operations: list[Any] = [cast("Any", result).ok() for result in schema.get_all_operations()]
    operations = [each for each in operations if each.label not in of_staff(app)]
    answered: Answered = set()
    for operation in operations:
        answered |= {_granted(operation, make()) for make in wishes.get(operation.label, [Wish])}
        if examples:
            answered |= _made_up(operation, examples, known)
    return Examined({operation.label for operation in operations}, answered, world.secrets())


def _examined_as_staff(
    council: Council, pay: Pay, examples: int, *roles: Role, done: Collection[str] = ()
) -> Examined:
    """Ask for every operation that is for staff but those that are done, as somebody with these roles."""
    context = replace(council.context, settings=replace(council.context.settings, sign_in_limit=0))
    app = create_app(context)
    schema = schemathesis.openapi.from_dict(app.test_client().get("/openapi.json").get_json())
    provider, name = "vale-buses" if Role.PROVIDER in roles else None, f"one-{roles[0]}"
    with context.database.reading() as connection:
        is_first = not has_staff(connection)
    if is_first:
        add(context, "ann", Role.ADMINISTRATOR)
    add(context, name, *roles, provider=provider)
    council.client = app.test_client()
    somebody = signed_in(council, name)
    schema.app = carrying = Carrying(app, somebody.token)
    world = StaffWorld(council, pay, somebody, roles[0].value)
    wishes, known = world.wishes(), world.known() if examples else {}
    operations = [cast("Any", result).ok() for result in schema.get_all_operations()]
    operations = [each for each in operations if each.label in of_staff(app)]
    answered: Answered = set()
    for operation in (each for each in operations if each.label not in done):
        answered |= {_granted(operation, make()) for make in wishes.get(operation.label, [Wish])}
        if examples:
            answered |= _made_up(operation, examples, known)
            # What was made up may have signed them out.
            world.me = signed_in(council, name)
            carrying.token = world.me.token
    return Examined({operation.label for operation in operations}, answered, [])


def _template(line: Mapping[str, Any]) -> str:
    """The operation that a line of the log is about."""
    return f"{line['method']} {re.sub('<[^>]+>', '{}', line['route'] or '')}"


@pytest.fixture
def town(council: Council, tmp_path: Path) -> Council:
    """One with something to sell at each counter."""
    council.load_menu()
    loaded = parking_tariffs.load(tmp_path)
    with council.context.database.begin() as connection:
        store_tariff(connection, "parking", loaded, source="t.json", actor=ACTOR, moment=council.clock())
    return council


@pytest.fixture
def pay(council: Council, tmp_path: Path) -> Iterator[Pay]:
    """A payment provider that the settings name."""
    account, key = Pay(), tmp_path / "pay-key"
    key.write_text(account.key)
    with served(account) as provider:
        named: dict[str, Any] = {"pay_url": provider.url, "pay_key_file": key}
        council.context = replace(council.context, settings=replace(council.context.settings, **named))
        yield account


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_it_answers_as_its_document_says(town: Council, tmp_path: Path, lines: io.StringIO) -> None:
    """Every operation, by every role, and made up by one; there is none that nobody succeeds with.

    The log has a line for each of them, and nothing in it tells of a person or opens a card.
    """
    made = [_examined(town, role, 2 if role == "till" else 0, tmp_path) for role in ROLES]
    operations = made[0].operations
    assert len(operations) == OPERATIONS
    succeeded = {label for each in made for label, status in each.answered if status < 300}
    # Outside a recovery nobody sends again; in one nobody does anything else.
    assert succeeded == operations - {"POST /v1/recovery/messages"}
    written = lines.getvalue()
    logged = {_template(json.loads(line)) for line in written.splitlines() if '"route"' in line}
    assert logged >= {re.sub(r"{\w+}", "{}", label) for label in operations}
    assert [secret for each in made for secret in each.secrets if secret in written] == []


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_it_answers_as_its_document_says_to_an_office(town: Council, tmp_path: Path) -> None:
    """On the other database, the role whose words are kept."""
    made = _examined(town, "office", 0, tmp_path)
    assert ("POST /v1/tariff-drafts/{draft_id}/withdrawal", 400) in made.answered


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_it_answers_as_its_document_says_to_staff(council: Council, pay: Pay) -> None:
    """Two of them succeed with all that staff can ask between them."""
    operations: set[str] = set()
    succeeded: set[str] = set()
    for roles in ((Role.ISSUER, Role.DESK), (Role.ADMINISTRATOR, Role.FINANCE)):
        made = _examined_as_staff(council, pay, 0, *roles, done=succeeded)
        operations |= made.operations
        succeeded |= {label for label, status in made.answered if status < 300}
    assert len(operations) == STAFF_OPERATIONS
    assert succeeded == operations


@pytest.mark.long
@pytest.mark.parametrize("role", list(Role))
def test_it_answers_as_its_document_says_to_staff_whatever_is_asked(
    council: Council, pay: Pay, role: Role
) -> None:
    """Each role, on both databases, with twenty requests made up for each operation."""
    assert len(_examined_as_staff(council, pay, 20, role).operations) == STAFF_OPERATIONS


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
def test_it_answers_as_its_document_says_whatever_is_asked(town: Council, tmp_path: Path, role: str) -> None:
    """The same on both databases, a hundred times as often."""
    assert len(_examined(town, role, 100, tmp_path).operations) == OPERATIONS
