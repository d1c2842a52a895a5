"""Who may do what: every command and every route against every role, and guards that none is forgotten."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.api.app import create_app
from cardservice.api.openapi import SIGNED
from cardservice.cli import main
from cardservice.context import Context
from cardservice.staff import service
from cardservice.staff.acting import Claim, admit
from cardservice.staff.errors import RightMissing
from cardservice.staff.functions import COMMANDS, MACHINE, OPTIONS, OWN_ROUTES, ROUTES, SIGN_IN_ROUTES
from cardservice.staff.roles import RIGHTS, Right, Role
from tests.cardservice.api.bodies import BODIES, path_of
from tests.cardservice.staff.people import Staff, add, request_of
from tests.cardservice.staff.things import THINGS_OF
from tests.support.council import Council

# Written down once more, by hand: what a role covers changes here and there, or nowhere.
_PROVIDER_SEEN = {"provider list", "provider show", "provider statement", "provider sales"}
_TARIFFS_SEEN = {"tariff list", "tariff preview", "tariff past", "limit rules"}
_MONEY_SEEN = {
    "account show",
    *("balance", "payer show", "payer history", "payer statement", "settlement report", "advices losses"),
    *("payment show", "payment list", "payment exceptions", "library takings"),
}
MAY: Mapping[Role, set[str]] = {
    Role.ADMINISTRATOR: {
        *("staff", "audit", "second-person", "pki issue", "pki revoke", "security", "quarantine list"),
        *(
            "provider",
            "terminal",
            "advices deliver",
            "library import",
            "library withdraw",
            "sip2",
            *_TARIFFS_SEEN,
        ),
        *("card list", "card show", "card revoke", "card revoke-many", "card lent", "stock show"),
    },
    Role.ISSUER: {
        *("account close", "account dormant", "account tell"),
        "application",
        "bureau",
        "card",
        "cardholder",
        "import",
        "second-person",
        "stock",
    },
    Role.DESK: {
        *("card list", "card show", "card activate", "card suspend", "card release", "card report"),
        *("stock show", "card lend", "card lent", "card take-back", "card told-lost", "account give-back"),
        *("cardholder find", "cardholder accesses"),
        *(
            "cardholder show",
            "cardholder find",
            "cardholder accesses",
            "cardholder guardian family",
            "cardholder guardian list",
            "topup",
            "refund",
            "limit",
            "service",
            "library",
            "second-person",
        ),
        *("payer add", "payer assign", "payment start", "payment cancel", *_MONEY_SEEN, *_TARIFFS_SEEN),
    },
    Role.FINANCE: {
        *("payer", "payment", "settlement", "topup", "refund", "concession", "ledger", "load", "tariff"),
        "account give-back",
        *("transaction", "proof", "quarantine dismiss", "quarantine export", "quarantine show"),
        *(
            "pki audit",
            *_PROVIDER_SEEN,
            "provider card-keys",
            "second-person",
            "funding",
        ),
        *(*_MONEY_SEEN, *_TARIFFS_SEEN),
    },
    Role.PROVIDER: {
        *_PROVIDER_SEEN,
        "provider card-keys",
        "terminal gaps",
        "terminal invited",
        "terminal list",
    },
    Role.KITCHEN: {"kitchen", "load", "tariff return", "tariff withdraw", *_TARIFFS_SEEN},
    Role.AUDITOR: {
        *("card list", "card lent", "card show", "stock show", *_PROVIDER_SEEN),
        "provider card-keys",
        "terminal gaps",
        "terminal invited",
        *("terminal list", "transaction", "proof", "ledger prove", "ledger heads", "ledger verify"),
        *("pki audit", "security", "quarantine list", "staff list", "staff rights", "audit", "second-person"),
        *(*_MONEY_SEEN, *_TARIFFS_SEEN),
    },
    Role.OPERATOR: {
        *("card expire", "library expire", "retention", "keys", "ledger", "pki audit", "recovery"),
        *("card grow-up", "application recheck"),
    },
}
# Within what a role covers as a whole
MAY_NOT: Mapping[Role, set[str]] = {
    Role.ISSUER: {"card expire"},
    Role.DESK: {"library import", "library withdraw", "library expire"},
    Role.OPERATOR: {"ledger prove"},
}
_DRAFT, _CARD, _PERSON = (
    "/v1/tariff-drafts",
    "/v1/cards/<uuid:card_id>",
    "/v1/cardholders/<uuid:cardholder_id>",
)
_APPLICATION, _MEMBER = "/v1/applications/<uuid:application_id>", "/v1/staff/members/<staff_id>"
_TARIFFS_READ = {f"GET {_DRAFT}/<uuid:draft_id>", "GET /v1/tariffs/<service>"}
_TARIFFS_DRAFTED = {f"POST {_DRAFT}", f"POST {_DRAFT}/<uuid:draft_id>/withdrawal", *_TARIFFS_READ}
_CARDS_SEEN = {"GET /v1/cards", f"GET {_CARD}"}
_CARDS_STOPPED = {f"POST {_CARD}/{what}" for what in ("activation", "suspension", "release", "report")}
_CARDS_REVOKED = {f"POST {_CARD}/revocation", "POST /v1/card-revocations"}
_WAITING = {
    "GET /v1/second-person",
    "POST /v1/second-person/<uuid:asked_id>/agreement",
    "POST /v1/second-person/<uuid:asked_id>/withdrawal",
}
_PEOPLE_SEEN = {
    "POST /v1/cardholders/search",
    f"GET {_PERSON}",
    f"GET {_PERSON}/accesses",
}
_GUARDIANS_SEEN = {f"GET {_PERSON}/{what}" for what in ("guardians", "family", "photo")}
_PEOPLE_KEPT = {
    *(f"POST {_PERSON}/{what}" for what in ("guardians", "bars", "photo", "proofs/end")),
    f"POST {_PERSON}/guardians/<uuid:guardianship_id>/end",
    *("GET /v1/proof-reviews", "POST /v1/proof-imports", f"POST {_CARD}/entitlements"),
}
_REVIEWS = {"POST /v1/card-reviews", "POST /v1/coming-of-age"}
_PAYERS_SEEN = {f"GET {_PERSON}/payers", "GET /v1/payers/<uuid:payer_id>"}
_PAYERS_KEPT = {f"POST {_PERSON}/payers", "POST /v1/payers"}
_TERMINALS_SEEN = {"GET /v1/terminals", "GET /v1/terminals/<terminal_id>"}
_PROVIDERS_SEEN = {"GET /v1/providers", "GET /v1/providers/<provider_id>/card-keys"}
_TRAIL = {"POST /v1/audit/search"}
_PAYMENT = "GET /v1/payments/<uuid:payment_id>"
_PAYING_IN = {_PAYMENT, "POST /v1/payments", "POST /v1/payments/<uuid:payment_id>/cancellation"}
ROUTES_OF: Mapping[Role, set[str]] = {
    Role.ADMINISTRATOR: {
        *(
            *_TARIFFS_READ,
            *_CARDS_SEEN,
            *_CARDS_REVOKED,
            *_WAITING,
            *_TERMINALS_SEEN,
            *_PROVIDERS_SEEN,
            *_TRAIL,
        ),
        *("POST /v1/terminals/<terminal_id>/revocation", "POST /v1/providers"),
        *("GET /v1/staff/members", "POST /v1/staff/members", f"GET {_MEMBER}/sessions"),
        *(
            f"POST {_MEMBER}/{what}"
            for what in ("roles", "roles/removal", "access", "invitation", "recovery")
        ),
    },
    Role.ISSUER: {
        *(*_CARDS_SEEN, *_CARDS_STOPPED, *_CARDS_REVOKED, *_WAITING, *_PEOPLE_SEEN),
        *("POST /v1/card-orders", f"POST {_CARD}/replacement", f"POST {_CARD}/dispatch"),
        f"POST {_PERSON}/protected-address",
        *("POST /v1/cardholders", f"POST {_PERSON}/changes", f"POST {_PERSON}/export"),
        *(f"GET {_PERSON}/erasure", f"POST {_PERSON}/erasure", f"POST {_PERSON}/proofs"),
        *("GET /v1/applications", "POST /v1/applications", f"GET {_APPLICATION}"),
        *(f"POST {_APPLICATION}/{what}" for what in ("approval", "refusal", "withdrawal")),
        *("GET /v1/pupil-imports", "POST /v1/pupil-imports"),
        "POST /v1/pupil-imports/<uuid:import_id>/undoing",
        *(*_GUARDIANS_SEEN, *_PEOPLE_KEPT, *_REVIEWS),
    },
    Role.DESK: {
        *(*_TARIFFS_READ, *_CARDS_SEEN, *_CARDS_STOPPED, *_WAITING, *_PEOPLE_SEEN),
        *("POST /v1/staff/refunds", *_PAYING_IN),
        *(*_GUARDIANS_SEEN, *_PAYERS_SEEN, *_PAYERS_KEPT),
    },
    Role.FINANCE: {
        *(*_TARIFFS_DRAFTED, *_WAITING, *_PROVIDERS_SEEN),
        *(f"POST {_DRAFT}/<uuid:draft_id>/approval", "POST /v1/staff/refunds", *_PAYING_IN),
        *(*_PAYERS_SEEN, *_PAYERS_KEPT),
    },
    Role.PROVIDER: {*_TERMINALS_SEEN, *_PROVIDERS_SEEN},
    Role.KITCHEN: _TARIFFS_DRAFTED,
    Role.AUDITOR: {
        *(*_TARIFFS_READ, *_CARDS_SEEN, *_WAITING, *_TERMINALS_SEEN, *_PROVIDERS_SEEN, *_TRAIL),
        *("GET /v1/staff/members", _PAYMENT),
        *_PAYERS_SEEN,
    },
    Role.OPERATOR: _REVIEWS,
}
PEOPLE = {role: f"one-{role.value}" for role in Role}
# Options without which a command is not understood at all
VALUES = {"application": "F5C011", "profile_json": "{}"}
MORE: Mapping[str, tuple[str, ...]] = {
    "application add": ("--name", "Ann Other"),
    "card lend": ("--until", "2026-06-15T17:00+01:00"),
    "cardholder address": ("--none",),
    "cardholder born": ("--unknown",),
    "cardholder contact": ("--none",),
    "cardholder photo": ("--remove",),
    "cardholder set": ("--no-form",),
    "payer statement": (str(uuid4()),),
}


def leaves(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Every command, by what is typed for it."""
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from leaves(found, *names, name)
        else:
            yield " ".join((*names, name)), found


ALL_COMMANDS = dict(leaves(main))


def covers(names: set[str], command: str) -> bool:
    """Whether a command or its group is named."""
    return command in names or command.split(maxsplit=1)[0] in names


def test_every_command_has_a_right() -> None:
    """A command without one fails here; one that is gone is not left behind."""
    assert ALL_COMMANDS.keys() == COMMANDS.keys() | MACHINE
    assert not COMMANDS.keys() & MACHINE


def test_every_right_is_somebodys() -> None:
    used = {*COMMANDS.values(), *OPTIONS.values(), *ROUTES.values()}
    assert used == set(Right) == set[Right]().union(*RIGHTS.values())


def test_every_route_is_a_terminals_or_has_a_right(context: Context) -> None:
    """What staff may ask is in the table, and takes them; nothing else does. In one table each, and there."""
    app = create_app(context)
    open_to_staff = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if getattr(app.view_functions[rule.endpoint], "or_staff", False)
    }
    assert open_to_staff == ROUTES.keys() | OWN_ROUTES
    assert not ROUTES.keys() & OWN_ROUTES
    unsigned = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/v1/") and not getattr(app.view_functions[rule.endpoint], SIGNED, False)
    }
    assert unsigned == SIGN_IN_ROUTES


@pytest.fixture
def everyone(context: Context, council: Council) -> dict[Role, service.Person]:
    """One person of each role alone."""
    del council  # it makes the provider
    people = {}
    for role in Role:
        provider = "vale-buses" if role is Role.PROVIDER else None
        people[role] = add(context, PEOPLE[role], role, provider=provider)
    return people


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_every_cell_of_commands(context: Context, everyone: dict[Role, service.Person]) -> None:
    """Each command as somebody of each role: admitted or refused, as it is written down above."""
    staff = Staff(context)
    for role, person in everyone.items():
        staff.is_at_the_keyboard(person.id)
        for command in COMMANDS:
            if covers(MAY[role], command) and not covers(MAY_NOT.get(role, set()), command):
                assert admit(context.database, command, Claim(), context.now()).actor == person.actor
            else:
                with pytest.raises(RightMissing):
                    admit(context.database, command, Claim(), context.now())


def argument_for(parameter: click.Parameter, folder: Path) -> list[str]:
    """Something that a parameter takes, where it must have something."""
    if not parameter.required:
        return []
    match parameter.type:
        case click.Choice():
            value = str(parameter.type.choices[0])
        case click.Path() if not parameter.type.file_okay:
            value = str(folder / "folder")
        case click.Path() if parameter.name == "csr":
            request = request_of(ec.generate_private_key(ec.SECP256R1()), "nobody")
            (folder / "csr").write_bytes(request.public_bytes(Encoding.PEM))
            value = str(folder / "csr")
        case click.Path():
            (folder / "file").write_text(f"{uuid4()}\n")
            value = str(folder / "file")
        case click.DateTime():
            value = "2026-06-15"
        case click.types.IntParamType() | click.types.FloatParamType():
            value = "1"
        case _:
            value = VALUES.get(str(parameter.name), str(uuid4()))
    return [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_every_command_asks_before_it_does_anything(
    context: Context, environment: dict[str, str], tmp_path: Path
) -> None:
    """Typed by somebody without any role: each is refused, and the refusal is in the trail."""
    add(context, "ann", Role.ADMINISTRATOR)
    add(context, "nobody")
    Staff(context).is_at_the_keyboard("nobody")
    wrong = {}
    for name, command in ALL_COMMANDS.items():
        if name not in MACHINE:
            given = [each for parameter in command.params for each in argument_for(parameter, tmp_path)]
            typed = [*name.split(), *given, *MORE.get(name, ())]
            done = CliRunner().invoke(main, typed, env=environment, input="2468\n" * 3)
            if (done.exit_code, "staff:nobody may not do this" in done.stderr) != (1, True):
                wrong[name] = done.output
    assert not wrong, "\n".join(f"{name}: {said}" for name, said in wrong.items())


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_every_cell_of_routes(
    context: Context, council: Council, everyone: dict[Role, service.Person]
) -> None:
    """Each route as somebody of each role, signed with their key; each is let through or refused as above."""
    wrong = {}
    for role, person in everyone.items():
        signer = Staff(context).signer(council, person.id)
        for method, rule in ROUTES:
            path = path_of(rule)
            answer = signer.get(path) if method == "GET" else signer.post(path, BODIES[rule])
            is_refused = answer.outcome == (403, "right_missing")
            may = f"{method} {rule}" in ROUTES_OF[role] | THINGS_OF[role]
            if is_refused is may or answer.status >= 500:
                wrong[role, method, rule] = answer
        me = signer.get("/v1/staff/me").json
        assert (me["person"]["staff"], me["session"]) == (person.id, None)
    assert not wrong


def test_other_routes_know_no_staff(council: Council, context: Context) -> None:
    """A key of staff opens nothing that is a terminal's."""
    add(context, "ann", Role.ADMINISTRATOR)
    signer = Staff(context).signer(council, "ann")
    assert signer.get("/v1/nonce").outcome == (401, "terminal_unknown")
    assert signer.post("/v1/presentations", {"card": str(uuid4())}).outcome == (401, "terminal_unknown")
