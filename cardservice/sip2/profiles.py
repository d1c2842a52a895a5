"""How a machine wants to be spoken to: its dialect, what it may ask and must not see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from cardservice.errors import OrderInvalid
from cardservice.sip2.codec import Code

ENCODINGS = ("utf-8", "cp850", "latin-1", "ascii")
# What everybody who has logged in may ask.
_ALWAYS = frozenset({Code.LOGIN, Code.SC_STATUS, Code.REQUEST_ACS_RESEND, Code.END_SESSION})
_LOOKING = frozenset({Code.PATRON_STATUS, Code.PATRON_INFORMATION})
_LENDING = frozenset({Code.CHECKOUT, Code.CHECKIN, Code.RENEW, Code.RENEW_ALL, Code.HOLD, Code.FEE_PAID})
_ITEMS = frozenset({Code.ITEM_INFORMATION, Code.ITEM_STATUS_UPDATE})
_STAFF = frozenset({Code.BLOCK_PATRON, Code.PATRON_ENABLE})
KINDS: Mapping[str, frozenset[Code]] = {
    "self-check": _ALWAYS | _LOOKING | _LENDING | _ITEMS | {Code.BLOCK_PATRON},
    # Where things are put back: it sees nobody.
    "returns": _ALWAYS | _ITEMS | {Code.CHECKIN},
    # Whether somebody may use a computer, and what they owe: no titles.
    "pc-booking": _ALWAYS | _LOOKING,
    "desk": _ALWAYS | _LOOKING | _LENDING | _ITEMS | _STAFF,
}
# When a machine shows a member's PIN before it is told of them, or lends to them.
PINS = (
    # Once, until the session ends or another member's begins.
    "session",
    # With each request.
    "always",
    # Never: staff have seen the card.
    "none",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A machine's dialect."""

    kind: str = "self-check"
    pin: str = "session"
    encoding: str = "utf-8"
    # `require`: a message without a checksum is asked for again. Otherwise as the machine does it.
    checksums: str = "as-asked"
    # Fields that it is not sent; those that the protocol wants are sent empty.
    hidden: frozenset[str] = frozenset()
    universal_time: bool = False
    # Whether a line feed follows the carriage return, as some machines expect.
    line_feed: bool = False

    @property
    def may_ask(self) -> frozenset[Code]:
        """What is answered."""
        return KINDS[self.kind]

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "hidden": sorted(self.hidden)}


class _ProfileSchema(Schema):
    kind = fields.String(validate=validate.OneOf(KINDS), load_default="self-check")
    pin = fields.String(validate=validate.OneOf(PINS), load_default="session")
    encoding = fields.String(validate=validate.OneOf(ENCODINGS), load_default="utf-8")
    checksums = fields.String(validate=validate.OneOf(("as-asked", "require")), load_default="as-asked")
    hidden = fields.List(fields.String(validate=validate.Regexp(r"[A-Z][A-Z0-9]\Z")), load_default=list)
    universal_time = fields.Boolean(load_default=False)
    line_feed = fields.Boolean(load_default=False)


def profile_of(stored: Mapping[str, Any]) -> Profile:
    """A profile from its JSON. Raises OrderInvalid."""
    try:
        values = _ProfileSchema().load(stored)
    except ValidationError as problem:
        raise OrderInvalid(f"no profile of a machine: {problem.messages}") from problem
    return Profile(**{**values, "hidden": frozenset(values["hidden"])})
