"""What a view needs of the running service: its context, and the terminal that signed the request."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Flask, current_app, g, request

from cardservice.audit.budget import Budget
from cardservice.audit.service import SecurityEvent, record_security_event
from cardservice.context import Context
from cardservice.errors import (
    MessageRefused,
    RequestSignatureInvalid,
    RequestSignatureMissing,
    RequestSignatureStale,
    RoleNotAllowed,
    TerminalRevoked,
    TerminalUnknown,
)
from cardservice.terminals.roles import Duty, has_duty
from cardservice.terminals.service import Terminal, find_terminal
from pki import errors as pki
from pki.request_signatures import verify_request

F = TypeVar("F", bound=Callable[..., Any])
_EXTENSION, _BUDGET = "cardservice", "cardservice-events"
UNSIGNED_EVENTS_A_MINUTE = 60
SIGNED = "terminal_signed"


def install(app: Flask, context: Context) -> None:
    """Give the application its context."""
    app.extensions[_EXTENSION] = context
    app.extensions[_BUDGET] = Budget(UNSIGNED_EVENTS_A_MINUTE)


def context() -> Context:
    """The service that this request came to."""
    return cast("Context", current_app.extensions[_EXTENSION])


def caller() -> Terminal:
    """The terminal that signed this request."""
    return cast("Terminal", g.caller)


def terminal_signed(*, duty: Duty | None = None, judged_now: bool = True) -> Callable[[F], F]:
    """Let only a registered terminal's signed request through to the view, after its body was parsed.

    `judged_now`: the terminal must not be revoked now; the view of authorisations judges by the message's
    moment instead. `duty`: what the terminal's role must cover. Every route under /v1 carries this.
    """

    def decorate(view: F) -> F:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            try:
                g.caller = authenticate(context())
                _check(g.caller, context(), duty, judged_now=judged_now)
            except MessageRefused as refusal:
                _note(context(), refusal)
                raise
            return view(*args, **kwargs)

        setattr(checked, SIGNED, True)
        return cast("F", checked)

    return decorate


def authenticate(service: Context) -> Terminal:
    """Check 2: the registered terminal whose key signed this request. Raises MessageRefused."""
    found: dict[str, Terminal] = {}

    def resolve(keyid: str) -> Any:
        with service.database.reading() as connection:
            terminal = find_terminal(connection, keyid)
        if terminal is None:
            return None
        found[keyid] = terminal
        return terminal.public_key

    keyid = _verified_keyid(service, resolve)
    g.terminal = keyid
    return found[keyid]


def _verified_keyid(service: Context, resolve: Callable[[str], Any]) -> str:
    try:
        return verify_request(
            request.method,
            target_uri(service.settings.public_origin),
            dict(request.headers),
            request.get_data(cache=True),
            resolve,
            service.now(),
        )
    except pki.RequestSignatureMissing as error:
        raise RequestSignatureMissing(str(error)) from error
    except pki.RequestSignatureKeyUnknown as error:
        raise TerminalUnknown(error.keyid) from error
    except pki.RequestSignatureStale as error:
        raise RequestSignatureStale(str(error)) from error
    except pki.RequestSignatureInvalid as error:
        raise RequestSignatureInvalid(str(error)) from error


def target_uri(public_origin: str) -> str:
    """RFC 9421, 2.2.2: from the configured origin and the raw request target, whatever a proxy says."""
    return public_origin + str(request.environ.get("RAW_URI") or request.full_path.rstrip("?"))


def _check(terminal: Terminal, service: Context, duty: Duty | None, *, judged_now: bool) -> None:
    if judged_now and terminal.revoked_at is not None and terminal.is_revoked(service.now()):
        raise TerminalRevoked(terminal.id, terminal.revoked_at)
    if duty is not None and not has_duty(terminal.role, duty):
        raise RoleNotAllowed(terminal.id, terminal.role, duty)


def _note(service: Context, refusal: MessageRefused) -> None:
    if "caller" not in g and not current_app.extensions[_BUDGET].take(service.now()):
        # Anybody can send what is not signed: the database is not for them to fill. The log has it all.
        return
    terminal = refusal.terminal if isinstance(refusal, TerminalUnknown) else g.get("terminal")
    event = SecurityEvent(at=service.now(), code=refusal.code, detail=str(refusal), terminal_id=terminal)
    with service.database.begin() as connection:
        record_security_event(connection, event)
