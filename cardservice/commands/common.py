"""What the commands share: settings and context, errors as one sentence, JSON or words."""

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import click
import psycopg
from sqlalchemy.exc import OperationalError

from cardservice.config import load_settings
from cardservice.context import Context, open_context
from cardservice.errors import CardServiceError, OrderInvalid
from cardservice.money import exponent, format_minor, parse_minor
from cardservice.staff.acting import Acting, Claim, admit, note_denied
from cardservice.staff.errors import NotTheirs, RightMissing
from cardservice.staff.options import PASSPHRASE_FILE
from pki.errors import PkiError

F = TypeVar("F", bound=Callable[..., Any])

_acting: ContextVar[Acting] = ContextVar("acting")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")


class DatabaseAway(CardServiceError):
    """The database does not answer, or has ended the session in the middle."""

    code = "unavailable"


class Failure(click.ClickException):
    """An error that the person at the keyboard can do something about."""

    def show(self, file: Any = None) -> None:
        """One sentence on standard error."""
        del file
        click.echo(f"cardservice: {self.message}", err=True)


def command(function: F) -> F:
    """Let this package's errors leave a command as one sentence and exit status 1."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (CardServiceError, PkiError) as error:
            raise Failure(str(error)) from error
        except (OperationalError, psycopg.OperationalError) as error:
            raise Failure(str(database_away(error))) from error
        except OSError as error:
            raise Failure(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error

    return wrapped  # type: ignore[return-value]  # functools.wraps keeps the signature, mypy cannot say so


def database_away(error: OperationalError | psycopg.OperationalError) -> DatabaseAway:
    """What to say of a database that does not answer: of a statement nothing, which may hold a name."""
    if isinstance(error, OperationalError) and error.statement is None and error.orig is not None:
        told = str(error.orig).strip().splitlines()[0]
        return DatabaseAway(f"the database does not answer: {told}; see CARDSERVICE_DATABASE_URL")
    return DatabaseAway(
        "the database did not answer to the end: what was not said to be done is not done; run it again"
    )


@contextmanager
def opened() -> Iterator[Context]:
    """The service that the environment describes, open for one command that its user may run.

    Raises what `admit` does before anything is done.
    """
    context = open_context(load_settings())
    try:
        token = _acting.set(admit(context.database, running(), _claim(), context.now()))
        try:
            yield context
        except (RightMissing, NotTheirs) as refusal:
            note_denied(context.database, actor(), running(), refusal.code, context.now())
            raise
        finally:
            _acting.reset(token)
    finally:
        context.close()


def running() -> str:
    """The command that runs, without the program's name, such as `card order`."""
    names = []
    ctx = click.get_current_context()
    while ctx.parent is not None:
        names.append(str(ctx.command.name))
        ctx = ctx.parent
    return " ".join(reversed(names))


def _claim() -> Claim:
    options = click.get_current_context().find_root().params
    passphrase = os.environ.get(PASSPHRASE_FILE)
    return Claim(options.get("staff"), options.get("key"), None if passphrase is None else Path(passphrase))


def acting() -> Acting:
    """Who runs this command, while the service is open for it."""
    return _acting.get()


def actor() -> str:
    """The same, for the audit trail."""
    return acting().actor


def say(words: str, values: Mapping[str, object], *, as_json: bool) -> None:
    """Print `values` as JSON, or `words` for a person."""
    click.echo(json.dumps(values, ensure_ascii=False) if as_json else words)


def minor_units(amount: str, currency: str) -> int:
    """An amount such as 20.00 in minor units; more than zero. Raises OrderInvalid."""
    try:
        minor = parse_minor(amount, currency)
    except ValueError:
        minor = 0
    if minor <= 0:
        example = format_minor(20 * 10 ** exponent(currency), currency)
        raise OrderInvalid(f"{amount!r} is no amount in {currency}; write it like {example}")
    return minor


def money(amount_minor: int, currency: str) -> str:
    """An amount for a person, such as 4.00 GBP."""
    return f"{format_minor(amount_minor, currency)} {currency}"


def identifier(text: str) -> UUID:
    """A UUID from the command line. Raises OrderInvalid."""
    try:
        return UUID(text)
    except ValueError:
        raise OrderInvalid(f"{text!r} is no identifier; it looks like {UUID(int=0)}") from None
