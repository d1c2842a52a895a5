"""The desk of a library at the command line: stock, members, lending, queues and what is owed."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from sqlalchemy import select

from cardservice.circulation import members
from cardservice.circulation.built_in import BuiltIn
from cardservice.circulation.fines import METHODS, takings
from cardservice.circulation.holds import expire_all
from cardservice.circulation.models import lending_count
from cardservice.circulation.pins import Pins
from cardservice.circulation.stock import import_stock, withdraw
from cardservice.circulation.system import Outcome, Patron
from cardservice.commands.common import (
    Failure,
    actor,
    command,
    identifier,
    json_option,
    minor_units,
    money,
    opened,
    say,
)
from cardservice.ids import CardholderId

_place = click.option("--place", default="desk", show_default=True, help="The branch at which this is done.")
_pin_stdin = click.option("--pin-stdin", is_flag=True, help="Read the PIN from standard input.")


@click.group()
def library() -> None:
    """Lend and take back, as a librarian does at the desk.

    \b
    cardservice library import stock.csv
    cardservice library join 01a2… 2000123 --pin-stdin
    cardservice library checkout 2000123 B0001
    cardservice library checkin B0001 --place central
    """


@library.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@command
def library_import(file: Path, as_json: bool) -> None:
    """Take copies from a CSV file: all of them, or none and the line that is wrong.

    The first line is barcode,title_id,title,author,item_class,branch.
    """
    with opened() as context:
        done = import_stock(context, file, by=actor())
    values = {"copies": done.copies, "titles": done.titles, "known": done.known}
    words = f"{done.copies} copies of {done.titles} new titles; {done.known} were there already."
    say(words, values, as_json=as_json)


@library.command("join")
@click.argument("cardholder_id")
@click.argument("barcode")
@_pin_stdin
@click.option("--no-pin", is_flag=True, help="No PIN yet: a machine then lends nothing to them.")
@json_option
@command
def library_join(cardholder_id: str, barcode: str, pin_stdin: bool, no_pin: bool, as_json: bool) -> None:
    """Make a cardholder a member under the number on their card; asks for a PIN."""
    with opened() as context:
        stored = None if no_pin else Pins(context.keys.services_master).stored(_pin(pin_stdin))
        holder = CardholderId(identifier(cardholder_id))
        with context.database.begin() as connection:
            members.join(connection, holder, barcode, stored, by=actor(), moment=context.now())
    say(f"{barcode} is a member.", {"member": barcode, "cardholder": str(holder)}, as_json=as_json)


@library.command("pin")
@click.argument("barcode")
@_pin_stdin
@json_option
@command
def library_pin(barcode: str, pin_stdin: bool, as_json: bool) -> None:
    """Give a member another PIN, and let them try again at once."""
    with opened() as context:
        stored = Pins(context.keys.services_master).stored(_pin(pin_stdin))
        with context.database.begin() as connection:
            members.set_pin(connection, barcode, stored, by=actor(), moment=context.now())
    say(f"{barcode} has another PIN.", {"member": barcode}, as_json=as_json)


@library.command("member")
@click.argument("barcode")
@json_option
@command
def library_member(barcode: str, as_json: bool) -> None:
    """Show what a member has, waits for and owes; that you did is written to the audit log."""
    with _system() as system:
        found = system.patron(barcode, None, by=actor())
    if found is None:
        raise Failure(f"no member {barcode}")
    say("\n".join(_patron_lines(found)), _patron_values(found), as_json=as_json)


@library.command("checkout")
@click.argument("barcode")
@click.argument("copy")
@_place
@click.option("--done", is_flag=True, help="It was lent already, on paper: flag what would refuse it.")
@json_option
@command
def library_checkout(barcode: str, copy: str, place: str, done: bool, as_json: bool) -> None:
    """Lend a copy to a member."""
    _act(lambda system: system.check_out(barcode, copy, by=actor(), place=place, done=done), as_json)


@library.command("checkin")
@click.argument("copy")
@_place
@json_option
@command
def library_checkin(copy: str, place: str, as_json: bool) -> None:
    """Take a copy back; says whether somebody waits for it."""
    _act(lambda system: system.check_in(copy, by=actor(), place=place), as_json)


@library.command("renew")
@click.argument("barcode")
@click.argument("copy", required=False)
@json_option
@command
def library_renew(barcode: str, copy: str | None, as_json: bool) -> None:
    """Lend a copy on, or all that a member has."""
    if copy is not None:
        wanted = copy
        _act(lambda system: system.renew(barcode, wanted, by=actor()), as_json)
        return
    with _system() as system:
        came = system.renew_all(barcode, by=actor())
        currency = system.currency
    words = "\n".join(f"{each.copy}: {_words(each, currency)}" for each in came) or "Nothing is on loan."
    say(words, {"renewals": [_values(each) for each in came]}, as_json=as_json)


@library.command("hold")
@click.argument("barcode")
@click.argument("wanted", metavar="TITLE_OR_COPY")
@_place
@click.option("--cancel", is_flag=True, help="Wait no more.")
@json_option
@command
def library_hold(barcode: str, wanted: str, place: str, cancel: bool, as_json: bool) -> None:
    """Put a member at the end of a title's queue, or take them out of it."""
    if cancel:
        _act(lambda system: system.cancel(barcode, wanted, by=actor()), as_json)
        return
    _act(lambda system: system.reserve(barcode, wanted, by=actor(), place=place), as_json)


@library.command("expire")
@json_option
@command
def library_expire(as_json: bool) -> None:
    """Keep for the next what was not fetched in time; run it each morning."""
    with opened() as context:
        gone = expire_all(context)
    say(f"{gone} were not fetched in time.", {"expired": gone}, as_json=as_json)


@library.command("pay")
@click.argument("barcode")
@click.argument("amount")
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="cash",
    show_default=True,
    help="How it was paid, or that it is waived.",
)
@click.option("--reference", help="The till's own number: told twice, it is one payment.")
@json_option
@command
def library_pay(barcode: str, amount: str, method: str, reference: str | None, as_json: bool) -> None:
    """Note what a member has paid at the desk, or was forgiven (--method waived)."""

    def take(system: BuiltIn) -> Outcome:
        minor = minor_units(amount, system.currency)
        return system.pay(barcode, minor, method=method, by=actor(), reference=reference)

    _act(take, as_json)


@library.command("bar")
@click.argument("barcode")
@click.option("--lift", is_flag=True, help="Let them borrow again.")
@json_option
@command
def library_bar(barcode: str, lift: bool, as_json: bool) -> None:
    """Keep a member from borrowing."""
    _act(lambda system: system.bar(barcode, by=actor(), barred=not lift), as_json)


@library.command("item")
@click.argument("copy")
@json_option
@command
def library_item(copy: str, as_json: bool) -> None:
    """Show a copy, and never who has it."""
    with _system() as system:
        found = system.item(copy)
    if found is None:
        raise Failure(f"no copy {copy}")
    due = None if found.due_on is None else found.due_on.isoformat()
    values = {
        **{name: getattr(found, name) for name in ("copy", "title", "state", "queue", "home", "place")},
        "due_on": due,
    }
    until = "" if due is None else f" until {due}"
    say(f"{found.title}: {found.state}{until}; {found.queue} wait for it.", values, as_json=as_json)


@library.command("withdraw")
@click.argument("copy")
@json_option
@command
def library_withdraw(copy: str, as_json: bool) -> None:
    """Take a copy out of the stock."""
    with opened() as context:
        withdraw(context, copy, by=actor())
    say(f"{copy} is withdrawn.", {"copy": copy}, as_json=as_json)


@library.command("history")
@click.argument("barcode")
@click.option("--keep", is_flag=True, help="Keep what they read from now on, since they asked for it.")
@click.option("--forget", is_flag=True, help="Keep it no more, and forget all of it.")
@json_option
@command
def library_history(barcode: str, keep: bool, forget: bool, as_json: bool) -> None:
    """Show what a member has read since they asked to have it kept; that you did is in the audit log."""
    if keep and forget:
        raise click.UsageError("say --keep or --forget")
    with opened() as context, context.database.begin() as connection:
        if keep or forget:
            members.set_history(connection, barcode, keep=keep, by=actor(), moment=context.now())
        found = members.locked_member(connection, barcode)
        rows = members.shown_history(
            connection, CardholderId(found.cardholder_id), by=actor(), moment=context.now()
        )
    values = [{"title": row[0], "lent_on": str(row[1]), "returned_on": str(row[2])} for row in rows]
    words = "\n".join(f"{row['returned_on']} {row['title']}" for row in values) or "Nothing is kept."
    say(words, {"member": barcode, "history": values}, as_json=as_json)


@library.command("counts")
@click.argument("month", metavar="YYYY-MM")
@json_option
@command
def library_counts(month: str, as_json: bool) -> None:
    """How much was lent and renewed in a month, by branch and class; of nobody."""
    with opened() as context, context.database.reading() as connection:
        rows = connection.execute(
            select(lending_count).where(lending_count.c.month == month).order_by(*lending_count.primary_key)
        ).all()
    names = list(lending_count.c.keys())
    values = [dict(zip(names, row, strict=True)) for row in rows]
    words = [f"{r.branch}, {r.item_class} to {r.member_class}: {r.count} {r.what}" for r in rows]
    say("\n".join(words) or "Nothing.", {"counts": values}, as_json=as_json)


@library.command("takings")
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD")
@json_option
@command
def library_takings(day: datetime, as_json: bool) -> None:
    """What was taken on a day, by whom and how: for counting the till. Fines paid by card are not in it."""
    with opened() as context, context.database.reading() as connection:
        zone, currency = ZoneInfo(context.scheme.timezone), context.scheme.currency
        begins, ends = (day.replace(tzinfo=zone), (day + timedelta(days=1)).replace(tzinfo=zone))
        sums: dict[tuple[str, str], int] = {}
        for taken_by, method, amount_minor in takings(connection, begins, ends):
            key = str(taken_by), str(method)
            sums[key] = sums.get(key, 0) + int(str(amount_minor))
    rows = [{"by": by, "method": how, "amount_minor": sums[by, how]} for by, how in sorted(sums)]
    words = [f"{by}, {how}: {money(sums[by, how], currency)}" for by, how in sorted(sums)]
    say("\n".join(words) or "Nothing.", {"takings": rows}, as_json=as_json)


def _pin(from_stdin: bool) -> str:
    """A PIN that stands in no list of processes."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("PIN", hide_input=True, confirmation_prompt=True))


@contextmanager
def _system() -> Iterator[BuiltIn]:
    with opened() as context:
        yield BuiltIn(context)


def _act(ask: Callable[[BuiltIn], Outcome], as_json: bool) -> None:
    """Do it and say what came of it; a refusal is exit status 1."""
    with _system() as system:
        outcome, currency = ask(system), system.currency
    if not outcome.ok and not as_json:
        raise Failure(f"{outcome.message} ({outcome.reason})")
    say(_words(outcome, currency), _values(outcome), as_json=as_json)
    if not outcome.ok:
        raise SystemExit(1)


def _words(outcome: Outcome, currency: str) -> str:
    if not outcome.ok:
        return f"{outcome.message} ({outcome.reason})"
    words = [f"{outcome.title} ({outcome.copy})." if outcome.title else "Done."]
    if outcome.due_on is not None:
        words.append(f"Due on {outcome.due_on}.")
    if outcome.fine_minor:
        words.append(f"Late: {money(outcome.fine_minor, currency)} is owed for it.")
    if outcome.kept:
        words.append(f"{outcome.copy} is kept for somebody.")
    if outcome.reason == "not_on_loan":
        words.append("It was not on loan.")
    if outcome.flags:
        words.append(f"It would have been refused: {', '.join(outcome.flags)}.")
    return " ".join(words)


def _values(outcome: Outcome) -> dict[str, Any]:
    names = ("ok", "reason", "message", "copy", "title", "renewed", "fine_minor", "kept", "home")
    due = None if outcome.due_on is None else outcome.due_on.isoformat()
    return {
        **{name: getattr(outcome, name) for name in names},
        "due_on": due,
        "flags": list(outcome.flags),
    }


def _patron_values(found: Patron) -> dict[str, Any]:
    return {
        "member": found.barcode,
        "name": found.name,
        "block": found.block,
        "owed_minor": found.owed_minor,
        "fines_minor": list(found.fines),
        "on_loan": [
            {"copy": each.copy, "title": each.title, "due_on": str(each.due_on), "overdue": each.overdue}
            for each in found.on_loan
        ],
        "waiting": [
            {
                "title": each.title,
                "copy": each.copy,
                "kept_until": None if each.kept_until is None else str(each.kept_until),
            }
            for each in found.waiting
        ],
    }


def _patron_lines(found: Patron) -> Iterator[str]:
    yield f"{found.name} ({found.barcode}), owes {money(found.owed_minor, found.currency)}"
    if found.block is not None:
        yield f"  may not borrow: {found.block_message} ({found.block})"
    for each in found.on_loan:
        yield f"  has {each.title} ({each.copy}) until {each.due_on}{', overdue' if each.overdue else ''}"
    for wait in found.waiting:
        kept = "" if wait.copy is None else f": {wait.copy} is kept until {wait.kept_until}"
        yield f"  waits for {wait.title}{kept}"
