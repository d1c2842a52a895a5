"""Who is at the keyboard, and whether they may do what they ask for.

In a scheme without accounts of staff, whoever operates the machine may do everything. From the first account
on each command is somebody's: of whoever the account on the machine belongs to, or of whom `--as` names, who
shows it by the private key of their certificate. This tells people apart and keeps mistakes small. It is no
wall against whoever may read the scheme's keys and write to its database: they need no command.
"""

import getpass
import os
import pwd
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.database import Database
from cardservice.staff import service
from cardservice.staff.errors import RightMissing, StaffNotKnownHere
from cardservice.staff.functions import COMMANDS, MACHINE
from cardservice.staff.options import PASSPHRASE_FILE
from cardservice.staff.roles import RIGHTS, Right
from cardservice.staff.service import Person
from pki.errors import PkiError
from pki.keys import passphrase_from


@dataclass(frozen=True, slots=True)
class Acting:
    """Who does something. `person` is None where the scheme has no staff, or the machine itself does it."""

    actor: str
    person: Person | None = None

    def require(self, right: Right, function: str) -> None:
        """Raises RightMissing."""
        if self.person is not None:
            require(self.person, right, function)

    def require_provider(self, right: Right, provider_id: str) -> None:
        """See Person."""
        if self.person is not None:
            self.person.require_provider(right, provider_id)

    def require_service(self, right: Right, name: str) -> None:
        """See Person."""
        if self.person is not None:
            self.person.require_service(right, name)

    def own_provider(self, right: Right) -> str | None:
        """See Person."""
        return None if self.person is None else self.person.own_provider(right)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who somebody says they are, and what shows it; None: whoever the account on the machine belongs to."""

    staff: str | None = None
    key_file: Path | None = None
    passphrase_file: Path | None = None


def operator() -> str:
    """Whoever operates the machine, for the audit trail of a scheme without staff."""
    return f"cli:{getpass.getuser()}"


def os_user() -> str:
    """The account of this process, by the system, not by the environment."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"


def admit(database: Database, command: str, claim: Claim, moment: datetime) -> Acting:
    """Who runs this command; that they did, or might not, is in the audit trail.

    Raises RightMissing and StaffNotKnownHere.
    """
    with database.reading() as connection:
        if command in MACHINE or not service.has_staff(connection):
            return Acting(operator())
    try:
        with database.reading() as connection:
            person = _person(connection, claim, moment)
        require(person, COMMANDS.get(command), command)
    except (RightMissing, StaffNotKnownHere) as refusal:
        who = refusal.staff if isinstance(refusal, RightMissing) else f"cli:{os_user()}"
        note_denied(database, who, command, refusal.code, moment)
        raise
    with database.begin() as connection:
        record(connection, person.actor, "staff.used", command, moment)
    return Acting(person.actor, person)


def require(person: Person, right: Right | None, function: str) -> None:
    """Raises RightMissing."""
    if right is None or not person.may(right):
        covering = [role.value for role, rights in RIGHTS.items() if right in rights]
        raise RightMissing(person.actor, function, tuple(covering))


def note_denied(database: Database, actor: str, function: str, code: str, moment: datetime) -> None:
    """Put into the audit trail that somebody might not do something."""
    with database.begin() as connection:
        record(connection, actor, "staff.denied", function, moment, code=code)


def _person(connection: Connection, claim: Claim, moment: datetime) -> Person:
    named = claim.staff
    own = service.find_by_os_user(connection, os_user())
    person = own if named is None else service.find_person(connection, named.removeprefix(service.PREFIX))
    if person is None:
        told = f"{os_user()} is nobody's account here" if named is None else f"there is no account {named!r}"
        raise StaffNotKnownHere(
            f"{told}: say who you are with --as NAME and --key FILE, or ask an administrator"
        )
    if not person.is_active:
        raise StaffNotKnownHere(f"the account {person.id} is disabled; ask an administrator")
    if person != own and not _holds_key(connection, person, claim, moment):
        raise StaffNotKnownHere(
            f"that you are {person.id} is shown by the key of their certificate: give it with --key FILE"
        )
    return person


def _holds_key(connection: Connection, person: Person, claim: Claim, moment: datetime) -> bool:
    """Whether the private key of the person's certificate is at hand. Raises StaffNotKnownHere."""
    file = claim.key_file
    if file is None:
        return False
    try:
        secret = None if claim.passphrase_file is None else passphrase_from(claim.passphrase_file, "")
        key = load_pem_private_key(file.read_bytes(), secret)
    except (ValueError, TypeError, PkiError) as error:
        raise StaffNotKnownHere(
            f"{file} is no private key, or wants a passphrase ({PASSPHRASE_FILE})"
        ) from error
    certified = service.public_key_of(connection, person.id, moment)
    return certified is not None and key.public_key() == certified
