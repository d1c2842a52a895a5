"""Who of the staff asks: the decorator of every route that is theirs alone."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import g

from cardservice.api.current import (
    authenticated,
    check_staff,
    context,
    function_asked,
    signed_by,
    signed_in,
)
from cardservice.api.openapi import OR_STAFF, SIGNED, STAFF_ALONE
from cardservice.api.signatures import note_request
from cardservice.errors import MessageRefused
from cardservice.staff.acting import Acting, note_denied
from cardservice.staff.errors import NotTheirs, RightMissing
from cardservice.staff.service import PREFIX, OfStaff, Person, Signed, find_signer

F = TypeVar("F", bound=Callable[..., Any])


def staff_alone(view: F) -> F:
    """Let only staff through, by a session or their signature, who may do this by the table of functions.

    That they did is in the audit trail, and that they might not; a route that is not in the table nobody may.
    """

    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        g.caller = signed_in() or authenticated(_read_signer)
        try:
            check_staff(g.caller, context())
        except MessageRefused as refusal:
            note_request(context(), refusal, g.terminal)
            raise
        try:
            return view(*args, **kwargs)
        except (NotTheirs, RightMissing) as refusal:
            # Only the view sees of whom or what it is asked: another provider's, or what waits for a second.
            note_denied(context().database, me().actor, function_asked(), refusal.code, context().now())
            raise

    for mark in (SIGNED, OR_STAFF, STAFF_ALONE):
        setattr(checked, mark, True)
    # flask-smorest's notes for the document, which it carries on from here.
    checked.__dict__["_apidoc"] = {SIGNED: True, OR_STAFF: True}
    return cast("F", checked)


def caller() -> OfStaff:
    """Who asks, and how they have shown who they are."""
    return cast("OfStaff", signed_by())


def me() -> Person:
    """Who asks."""
    return caller().person


def acting() -> Acting:
    """The same, as what asks for a right besides the route's takes it."""
    return Acting(me().actor, me())


def _read_signer(keyid: str) -> Signed | None:
    if not keyid.startswith(PREFIX):
        return None
    with context().database.reading() as connection:
        return find_signer(connection, keyid.removeprefix(PREFIX), context().now())
