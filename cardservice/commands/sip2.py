"""`cardservice sip2`: the port for self-check machines and PC booking, and the accounts of those."""

import asyncio
import json
import logging
import signal
import ssl
from contextlib import ExitStack
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from cardservice.api import request_log
from cardservice.circulation.pins import Pins
from cardservice.circulation.system import LibrarySystem
from cardservice.commands.common import actor, command, json_option, opened, say
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.sip2.accounts import (
    Account,
    accounts,
    add_account,
    close_account,
    set_profile,
)
from cardservice.sip2.client import Client, Where
from cardservice.sip2.profiles import ENCODINGS, KINDS, PINS, Profile, profile_of
from cardservice.sip2.remote import RemoteLibrary
from cardservice.sip2.server import Limits, Server, refuse_open, tls_context
from cardservice.sip2.serving import SessionMaker

log = logging.getLogger(__name__)
_FILE = click.Path(exists=True, dir_okay=False)


@click.group()
def sip2() -> None:
    """Speak SIP2 to self-check machines and PC booking.

    \b
    cardservice sip2 account add kiosk-1 --institution ASH --place central
    cardservice sip2 serve
    cardservice sip2 serve --host 10.1.0.5 --tls-certificate acs.crt --tls-key acs.key
    """


@sip2.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=6001,
    show_default=True,
    help="Its port; 0: any that is free.",
)
@click.option("--tls-certificate", type=_FILE, help="Speak TLS with this certificate, in PEM.")
@click.option("--tls-key", type=_FILE, help="The private key to it.")
@click.option(
    "--insecure", is_flag=True, help="Let PINs go in the clear over a network of the machines' own."
)
@click.option("--upstream", metavar="HOST:PORT", help="Ask another system, which lends; over TLS.")
@click.option("--upstream-user", default="", help="Our name there.")
@click.option("--upstream-password-file", type=_FILE, help="Our password there is its first line.")
@click.option(
    "--upstream-ca", type=_FILE, help="Who has signed its certificate; else the system's authorities."
)
@click.option("--upstream-plain", is_flag=True, help="Without TLS, over a network of the machines' own.")
@command
def sip2_serve(
    *,
    host: str,
    port: int,
    tls_certificate: str | None,
    tls_key: str | None,
    insecure: bool,
    upstream: str | None,
    upstream_user: str,
    upstream_password_file: str | None,
    upstream_ca: str | None,
    upstream_plain: bool,
) -> None:
    """Answer machines until SIGTERM; what is being answered is answered first."""
    if (tls_certificate is None) != (tls_key is None):
        raise click.UsageError("a certificate and its key come together")
    refuse_open(host, tls=tls_certificate is not None, insecure=insecure)
    tls = None if tls_certificate is None or tls_key is None else tls_context(tls_certificate, tls_key)
    with opened() as context, ExitStack() as closing:
        system = None
        if upstream is not None:
            theirs = None if upstream_plain else ssl.create_default_context(cafile=upstream_ca)
            where = _where(upstream, upstream_user, upstream_password_file, theirs)
            client = Client(where)
            closing.callback(client.close)
            zone = ZoneInfo(context.scheme.timezone)
            system = RemoteLibrary(client, context.scheme.currency, context.now, zone)
        request_log.configure()
        asyncio.run(_serve(context, system, (host, port), tls))


def _where(upstream: str, user: str, password_file: str | None, tls: ssl.SSLContext | None) -> Where:
    host, _, port = upstream.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise click.UsageError("--upstream is a host and a port, such as lms.example:6001")
    if password_file is None:
        raise click.UsageError("--upstream wants --upstream-password-file")
    password = Path(password_file).read_text("utf-8").partition("\n")[0]
    return Where(host=host.strip("[]"), port=int(port), user=user, password=password, tls=tls)


async def _serve(
    context: Context, system: LibrarySystem | None, where: tuple[str, int], tls: ssl.SSLContext | None
) -> None:
    server = Server(SessionMaker(context, system), Limits(threads=context.settings.threads))
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    number = await server.open(*where, tls)
    click.echo(f"SIP2 on {where[0]}:{number}{' over TLS' if tls is not None else ''}")
    await stop.wait()
    await server.close()


@sip2.group("account")
def sip2_account() -> None:
    """The accounts that machines log in with."""


_profile_option = click.option(
    "--profile", "profile_json", default="{}", help='More of the dialect, as JSON: {"hidden": ["BV"]}.'
)


@sip2_account.command("add")
@click.argument("name")
@click.option("--institution", required=True, help="What the machine calls us (AO).")
@click.option("--place", required=True, help="The branch in which it stands.")
@click.option(
    "--kind",
    type=click.Choice(sorted(KINDS)),
    default="self-check",
    show_default=True,
    help="What the machine may ask.",
)
@click.option(
    "--pin",
    type=click.Choice(PINS),
    default="session",
    show_default=True,
    help="When it shows a member's PIN.",
)
@click.option(
    "--encoding", type=click.Choice(ENCODINGS), default="utf-8", show_default=True, help="Of its texts."
)
@_profile_option
@json_option
@command
def account_add(
    name: str,
    institution: str,
    place: str,
    kind: str,
    pin: str,
    encoding: str,
    profile_json: str,
    as_json: bool,
) -> None:
    """Make an account; prints its password, once."""
    profile = profile_of({"kind": kind, "pin": pin, "encoding": encoding, **_json(profile_json)})
    with opened() as context:
        new = Account(name, institution, place, profile)
        password = add_account(context, Pins(context.keys.services_master), new, actor=actor())
    words = f"{name} logs in with the password {password}; it is kept nowhere."
    say(words, {"account": name, "password": password}, as_json=as_json)


@sip2_account.command("set")
@click.argument("name")
@click.option("--profile", "profile_json", required=True, help="The whole dialect, as JSON.")
@json_option
@command
def account_set(name: str, profile_json: str, as_json: bool) -> None:
    """Speak otherwise to a machine, from its next log-in on."""
    profile: Profile = profile_of(_json(profile_json))
    with opened() as context, context.database.begin() as connection:
        set_profile(connection, context, name, profile, actor=actor())
    say(f"{name} is spoken to otherwise.", {"account": name, **profile.to_json()}, as_json=as_json)


@sip2_account.command("close")
@click.argument("name")
@json_option
@command
def account_close(name: str, as_json: bool) -> None:
    """Let nobody log in with it any more."""
    with opened() as context, context.database.begin() as connection:
        close_account(connection, context, name, actor=actor())
    say(f"{name} is closed.", {"account": name}, as_json=as_json)


@sip2_account.command("list")
@json_option
@command
def account_list(as_json: bool) -> None:
    """List the accounts."""
    with opened() as context, context.database.reading() as connection:
        rows = accounts(connection)
    values = [
        {
            "account": row.name,
            "institution": row.institution,
            "place": row.place,
            "profile": row.profile,
            "closed": row.closed_at is not None,
        }
        for row in rows
    ]
    words = [
        f"{row.name}: {row.profile['kind']} at {row.place}{', closed' if row.closed_at else ''}"
        for row in rows
    ]
    say("\n".join(words) or "There is none.", {"accounts": values}, as_json=as_json)


def _json(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise OrderInvalid(f"--profile is not JSON: {problem}") from problem
    if not isinstance(found, dict):
        raise OrderInvalid('--profile is an object of JSON, such as {"kind": "pc-booking"}')
    return found
