"""The accounts that machines log in with."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, Text, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from cardservice.audit.service import record
from cardservice.circulation.pins import Pins
from cardservice.context import Context
from cardservice.errors import AlreadyExists, OrderInvalid, Unknown
from cardservice.sip2.codec import clean
from cardservice.sip2.models import account
from cardservice.sip2.profiles import Profile, profile_of

MAX_NAME = 32  # ours
# Ours: 100 bits in letters that nobody misreads; few enough for every machine's form.
_LETTERS, _LENGTH = "abcdefghjkmnpqrstuvwxyz23456789", 20


class AccountUnknown(Unknown):
    """No machine has this account."""

    code = "sip2_account_unknown"

    def __init__(self, name: str) -> None:
        super().__init__("SIP2 account", name)


@dataclass(frozen=True, slots=True)
class Account:
    """A machine that has logged in: who it is, where it stands, and how it is spoken to."""

    name: str
    institution: str
    place: str
    profile: Profile

    @property
    def actor(self) -> str:
        """Who it is in the audit log, and on payments."""
        return f"sip2:{self.name}"


def add_account(context: Context, pins: Pins, new: Account, *, actor: str) -> str:
    """Make an account; its password, which is kept nowhere. Raises AlreadyExists and OrderInvalid."""
    for what, text in (("name", new.name), ("institution", new.institution), ("place", new.place)):
        if not (1 <= len(text) <= MAX_NAME and text == clean(text) == text.strip()):
            raise OrderInvalid(f"the {what} has 1 to {MAX_NAME} characters, and no bars")
    password = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    try:
        with context.database.begin() as connection:
            connection.execute(
                insert(account).values(
                    name=new.name,
                    password=pins.stored(password),
                    institution=new.institution,
                    place=new.place,
                    profile=new.profile.to_json(),
                    made_at=context.now(),
                )
            )
            record(connection, actor, "sip2.account", new.name, context.now(), kind=new.profile.kind)
    except IntegrityError as error:
        raise AlreadyExists("SIP2 account", new.name) from error
    return password


def close_account(connection: Connection, context: Context, name: str, *, actor: str) -> None:
    """Let nobody log in with it any more; who is logged in is not told of anything from now on."""
    own = account.c
    closed = update(account).where(own.name == name, own.closed_at.is_(None)).values(closed_at=context.now())
    if connection.execute(closed).rowcount == 0:
        raise AccountUnknown(name)
    record(connection, actor, "sip2.close", name, context.now())


def set_profile(connection: Connection, context: Context, name: str, profile: Profile, *, actor: str) -> None:
    """Speak otherwise to a machine, from its next log-in on. Raises AccountUnknown."""
    changed = update(account).where(account.c.name == name).values(profile=profile.to_json())
    if connection.execute(changed).rowcount == 0:
        raise AccountUnknown(name)
    record(connection, actor, "sip2.profile", name, context.now(), **profile.to_json())


def accounts(connection: Connection) -> Sequence[Row[*tuple[object, ...]]]:
    """All of them, without their passwords."""
    own = account.c
    wanted = select(own.name, own.institution, own.place, own.profile, own.made_at, own.closed_at)
    return connection.execute(wanted.order_by(own.name)).all()


def log_in(context: Context, pins: Pins, name: str, password: str) -> Account | None:
    """The account; None where name or password are wrong, which takes as long."""
    with context.database.reading() as connection:
        row = connection.execute(
            select(account).where(account.c.name == name, account.c.closed_at.is_(None))
        ).one_or_none()
    if not pins.is_right(password, None if row is None else row.password) or row is None:
        return None
    return Account(row.name, row.institution, row.place, profile_of(row.profile))


def is_open(connection: Connection, name: str) -> bool:
    """Whether an account has not been closed meanwhile."""
    return connection.execute(_OPEN, {"name": name}).first() is not None


_OPEN = select(account.c.name).where(
    account.c.name == bindparam("name", type_=Text()), account.c.closed_at.is_(None)
)
