"""Staff: their accounts, roles and certificates."""

from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.commands.common import actor, command, json_option, opened, say
from cardservice.staff import enrolment, service, sessions
from cardservice.staff.agreeing import ask_recovered
from cardservice.staff.ending import end_all
from cardservice.staff.functions import COMMANDS, ROUTES
from cardservice.staff.roles import RIGHTS, Role
from cardservice.staff.service import Person
from pki.trust import load_csr

_role = click.argument("role", type=click.Choice([role.value for role in Role]))


@click.group()
def staff() -> None:
    """Who works for the scheme, and what each may do.

    \b
    From the first account on nobody does anything without one:
      cardservice staff add ann --name "Ann Field" --role administrator --user afield
      cardservice staff enrol ann --csr ann.csr --out ann.crt
      cardservice --as ann --key ann.key staff add ben --name "Ben Hill" --role desk
    """


@staff.command("add")
@click.argument("staff_id")
@click.option("--name", required=True, help="What people call them.")
@click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    help="May be given again.",
)
@click.option("--user", "os_user", help="Their own account on this machine.")
@click.option("--provider", help="Whose things they see, with the role provider.")
@json_option
@command
def staff_add(
    staff_id: str, name: str, roles: tuple[str, ...], os_user: str | None, provider: str | None, as_json: bool
) -> None:
    """Make an account, under a name that nobody else gets later."""
    new = Person(staff_id, name, os_user, provider, is_active=True, roles=tuple(Role(role) for role in roles))
    with opened() as context, context.database.begin() as connection:
        service.add_person(connection, new, actor=actor(), moment=context.now())
    say(f"There is an account for {staff_id} now.", _values(new), as_json=as_json)


@staff.command("list")
@json_option
@command
def staff_list(as_json: bool) -> None:
    """Show all accounts with their roles."""
    with opened() as context, context.database.reading() as connection:
        found = service.list_staff(connection)
        moment = context.now()
        certified = {
            each.id: service.public_key_of(connection, each.id, moment) is not None for each in found
        }
    lines = [
        f"{each.id}: {each.name}, "
        + ", ".join(each.roles or ["no role"])
        + ("" if each.is_active else ", disabled")
        for each in found
    ]
    values = [{**_values(each), "certified": certified[each.id]} for each in found]
    say(
        "\n".join(lines) or "There are none: everybody at this machine may do everything.",
        {"staff": values},
        as_json=as_json,
    )


@staff.command("rights")
@json_option
@command
def staff_rights(as_json: bool) -> None:
    """Show which roles cover each command and each route."""
    with opened():
        functions = {**COMMANDS, **{" ".join(route): right for route, right in ROUTES.items()}}
    values = {
        name: [role.value for role, rights in RIGHTS.items() if right in rights]
        for name, right in functions.items()
    }
    lines = [f"{name}: {', '.join(roles) or 'nobody'}" for name, roles in values.items()]
    say("\n".join(lines), {"functions": values}, as_json=as_json)


@staff.command("give")
@click.argument("staff_id")
@_role
@json_option
@command
def staff_give(staff_id: str, role: str, as_json: bool) -> None:
    """Let somebody do more; nobody gives a role to themselves."""
    with opened() as context, context.database.begin() as connection:
        service.give_role(connection, staff_id, Role(role), actor=actor(), moment=context.now())
    say(f"{staff_id} is {role}, too.", {"staff": staff_id, "role": role}, as_json=as_json)


@staff.command("take")
@click.argument("staff_id")
@_role
@json_option
@command
def staff_take(staff_id: str, role: str, as_json: bool) -> None:
    """Take a role away from somebody; not that of the last administrator."""
    with opened() as context, context.database.begin() as connection:
        service.take_role(connection, staff_id, Role(role), actor=actor(), moment=context.now())
    say(f"{staff_id} is {role} no more.", {"staff": staff_id, "role": role}, as_json=as_json)


@staff.command("enrol")
@click.argument("staff_id")
@click.option(
    "--csr",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    required=True,
    help="The signing request for their key.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Where the certificate goes.",
)
@json_option
@command
def staff_enrol(staff_id: str, csr: Path, out: Path, as_json: bool) -> None:
    """Certify the key of somebody's request for a year; what they had before is revoked.

    \b
    They make key and request themselves, and keep the key:
      openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=ann -keyout ann.key -out ann.csr
    """
    request = load_csr(csr)
    with opened() as context, context.database.begin() as connection:
        authority = context.authority(service.AUTHORITY, connection)
        issued = service.enrol(connection, authority, staff_id, request, actor=actor(), moment=context.now())
    out.write_bytes(issued.public_bytes(Encoding.PEM))
    values = {"staff": staff_id, "serial": f"{issued.serial_number:x}", "file": str(out)}
    say(f"Wrote {out}.", values, as_json=as_json)


@staff.command("invite")
@click.argument("staff_id")
@json_option
@command
def staff_invite(staff_id: str, as_json: bool) -> None:
    """Print the code with which somebody new sets up what they sign in with over HTTP; told once.

    It holds for three days. Whoever has something to sign in with already is let in anew by two: recover.
    """
    with opened() as context, context.database.begin() as connection:
        code = enrolment.invite(context, connection, staff_id, actor=actor())
    say(f"The code of {staff_id}, for them alone: {code}", {"staff": staff_id, "code": code}, as_json=as_json)


@staff.command("recover")
@click.argument("staff_id")
@json_option
@command
def staff_recover(staff_id: str, as_json: bool) -> None:
    """Ask for somebody who has lost their passkeys or codes to be let in anew; another has to agree.

    \b
    Each of the two is told half a code. Whoever it is for needs both:
      cardservice staff recover ben              # prints the first half
      cardservice second-person agree 0197…      # another administrator; prints the second
    """
    with opened() as context:
        asked, half = ask_recovered(context, staff_id, actor=actor())
    words = (
        f"The first half of the code of {staff_id}, for them alone: {half}\n"
        f"It counts once another agrees: cardservice second-person agree {asked.id}"
    )
    say(words, {"id": str(asked.id), "half": half, "state": asked.state}, as_json=as_json)


@staff.command("sessions")
@click.argument("staff_id")
@click.option("--end", "is_ended", is_flag=True, help="End them all.")
@json_option
@command
def staff_sessions(staff_id: str, is_ended: bool, as_json: bool) -> None:
    """Show where somebody is signed in over HTTP, the newest first."""
    with opened() as context, context.database.begin() as connection:
        service.require_person(connection, staff_id)
        found = sessions.list_sessions(connection, staff_id, context.now())
        if is_ended:
            end_all(connection, staff_id, actor=actor(), moment=context.now())
    values = [
        {
            "session": str(each.id),
            "method": each.method,
            "browser": each.origin is not None,
            "began_at": each.began_at.isoformat(),
            "seen_at": each.seen_at.isoformat(),
            "ends_at": each.ends_at.isoformat(),
        }
        for each in found
    ]
    lines = [f"{one['session']}  by {one['method']}, since {one['began_at']}" for one in values]
    lines += [f"Ended: {len(found)}."] if is_ended else []
    say("\n".join(lines) or "Nowhere.", {"sessions": values, "ended": is_ended}, as_json=as_json)


@staff.command("disable")
@click.argument("staff_id")
@json_option
@command
def staff_disable(staff_id: str, as_json: bool) -> None:
    """Let somebody in no more, from now on; their certificates are revoked."""
    _set_active(staff_id, is_active=False)
    say(f"{staff_id} is disabled.", {"staff": staff_id, "active": False}, as_json=as_json)


@staff.command("enable")
@click.argument("staff_id")
@json_option
@command
def staff_enable(staff_id: str, as_json: bool) -> None:
    """Let somebody in again; a certificate is issued anew (enrol)."""
    _set_active(staff_id, is_active=True)
    say(f"{staff_id} is enabled.", {"staff": staff_id, "active": True}, as_json=as_json)


def _set_active(staff_id: str, *, is_active: bool) -> None:
    with opened() as context, context.database.begin() as connection:
        authority = context.authority(service.AUTHORITY, connection)
        service.set_active(
            connection, authority, staff_id, is_active=is_active, actor=actor(), moment=context.now()
        )


def _values(person: Person) -> dict[str, Any]:
    return {
        "staff": person.id,
        "name": person.name,
        "user": person.os_user,
        "provider": person.provider_id,
        "roles": [role.value for role in person.roles],
        "active": person.is_active,
    }
