"""What a view needs of the running service: its context, and the terminal that signed the request."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar, cast

from flask import Flask, current_app, g, request

from cardservice.api.gate import gate_of, origin
from cardservice.api.openapi import OR_STAFF, SIGNED, UNLIMITED
from cardservice.api.signatures import SignedRequest, note_request
from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.errors import MessageRefused, RoleNotAllowed, TerminalRevoked
from cardservice.staff import acting
from cardservice.staff.carrying import carried_by
from cardservice.staff.errors import EnrolmentAlone, SessionInvalid
from cardservice.staff.functions import OWN_ROUTES, ROUTES
from cardservice.staff.service import PREFIX, OfStaff, Signed, find_signer
from cardservice.staff.sessions import ENROLMENT, SignedIn
from cardservice.staff.sessions import find as find_session
from cardservice.terminals.roles import Duty, has_duty
from cardservice.terminals.service import Terminal, find_terminal
from pki.status_desk import StatusDesk

F = TypeVar("F", bound=Callable[..., Any])
_EXTENSION, _DESK = "cardservice", "cardservice-desk"


def install(app: Flask, context: Context) -> None:
    """Give the application its context."""
    app.extensions[_EXTENSION] = context


def install_desk(app: Flask, desk: StatusDesk) -> None:
    """Give the application what signs answers about status."""
    app.extensions[_DESK] = desk


def desk() -> StatusDesk:
    """What signs answers about status."""
    return cast("StatusDesk", current_app.extensions[_DESK])


def context() -> Context:
    """The service that this request came to."""
    return cast("Context", current_app.extensions[_EXTENSION])


def caller() -> Terminal:
    """The terminal that signed this request."""
    return cast("Terminal", g.caller)


def signed_by() -> Terminal | OfStaff:
    """Whoever signed this request or has signed in, where staff may, too."""
    return cast("Terminal | OfStaff", g.caller)


def actor() -> str:
    """Whoever signed this request, for the audit trail."""
    signer = signed_by()
    return signer.person.actor if isinstance(signer, OfStaff) else f"terminal:{signer.id}"


def terminal_signed(
    *,
    duty: Duty | None = None,
    judged_now: bool = True,
    find: Callable[..., Terminal | None] | None = None,
    or_staff: bool = False,
) -> Callable[[F], F]:
    """Let only a registered terminal's signed request through to the view, after its body was parsed.

    `judged_now`: the terminal must not be revoked now; the views of authorisations judge by the message's
    moment instead. `duty`: what the terminal's role must cover. `find`: what finds the terminal, of the
    identifier and of the view's arguments. `or_staff`: whoever of the staff has the right that the table of
    functions says may ask, too. Every route under /v1 carries this.
    """

    def decorate(view: F) -> F:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            usual = read_signer if or_staff else read_terminal
            found = partial(find, *args) if find is not None else usual
            g.caller = (signed_in() if or_staff else None) or authenticated(found)
            try:
                if isinstance(g.caller, OfStaff):
                    check_staff(g.caller, context())
                else:
                    _check(g.caller, context(), duty, judged_now=judged_now)
            except MessageRefused as refusal:
                note_request(context(), refusal, g.terminal)
                raise
            return view(*args, **kwargs)

        setattr(checked, SIGNED, True)
        checked.__dict__[OR_STAFF] = or_staff
        # flask-smorest's notes for the document, which it carries on from here.
        checked.__dict__["_apidoc"] = {SIGNED: True, OR_STAFF: or_staff}
        return cast("F", checked)

    return decorate


def unlimited(view: F) -> F:
    """Let anybody ask for this as often as they like."""
    setattr(view, UNLIMITED, True)
    # flask-smorest's notes for the document, as above.
    view.__dict__["_apidoc"] = {UNLIMITED: True}
    return view


def signed_in() -> SignedIn | None:
    """Whoever of the staff goes on with a session; None: the request names none. Raises as `find` does."""
    carried = carried_by(request, context().settings.public_origin)
    if carried is None:
        return None
    gate = gate_of(current_app)
    try:
        found = find_session(context(), carried.token, from_cookie=carried.in_cookie)
    except SessionInvalid:
        gate.count_address(*origin())
        raise
    g.terminal = found.person.actor
    gate.count_signer(g.terminal)
    return found


def authenticated(find: Callable[[str], Terminal | Signed | None]) -> Terminal | Signed:
    """Whoever has signed this request. Raises MessageRefused."""
    target = str(request.environ.get("RAW_URI") or request.full_path.rstrip("?"))
    signed = SignedRequest(request.method, target, dict(request.headers), request.get_data(cache=True))
    gate = gate_of(current_app)
    signer = cast("Terminal | Signed", gate.admit(signed, find, *origin()))
    g.terminal = signer.person.actor if isinstance(signer, Signed) else signer.id
    gate.count_signer(g.terminal)
    return signer


def read_terminal(keyid: str) -> Terminal | None:
    """The terminal of this identifier, or None."""
    with context().database.reading() as connection:
        return find_terminal(connection, keyid)


def read_signer(keyid: str) -> Terminal | Signed | None:
    """The terminal of this identifier, or whoever of the staff it names, or None."""
    if not keyid.startswith(PREFIX):
        return read_terminal(keyid)
    with context().database.reading() as connection:
        return find_signer(connection, keyid.removeprefix(PREFIX), context().now())


def function_asked() -> str:
    """The route that is asked, as the audit trail names it."""
    rule = request.url_rule.rule if request.url_rule is not None else ""
    return f"{request.method} {rule}"


def check_staff(signer: OfStaff, service: Context) -> None:
    """Whether they may ask this; either is in the audit trail. Raises RightMissing and EnrolmentAlone."""
    rule = request.url_rule.rule if request.url_rule is not None else ""
    function, moment = function_asked(), service.now()
    if (request.method, rule) in OWN_ROUTES:
        return
    try:
        if isinstance(signer, SignedIn) and signer.session.method == ENROLMENT:
            raise EnrolmentAlone
        acting.require(signer.person, ROUTES.get((request.method, rule)), function)
    except MessageRefused as refusal:
        acting.note_denied(service.database, signer.person.actor, function, refusal.code, moment)
        raise
    with service.database.begin() as connection:
        record(connection, signer.person.actor, "staff.used", function, moment)


def _check(terminal: Terminal, service: Context, duty: Duty | None, *, judged_now: bool) -> None:
    if judged_now and terminal.revoked_at is not None and terminal.is_revoked(service.now()):
        raise TerminalRevoked(terminal.id, terminal.revoked_at)
    if duty is not None and not has_duty(terminal.role, duty):
        raise RoleNotAllowed(terminal.id, terminal.role, duty)
