"""What a record says beside the name: when somebody was born, where they live, how they like to be served.

Each is checked when it is noted, so that whatever reads it later need not.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, tzinfo
from typing import Any

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.cardholders.records import PROTECTED_ADDRESS, read_fields, write_field
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import lock_cardholder
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId
from cardservice.ledger.key_ring import KeyRing

# Ours: nobody is older, and a line of an address is no longer.
OLDEST_YEARS, MAX_LINE = 125, 100
# BS 7666-0:2006: a unique property reference number has up to 12 digits
_UPRN = re.compile(r"[1-9]\d{0,11}")
# BS 7666-0:2006, annex on postcodes: an outward half of 2 to 4 characters, an inward half of 3
_POSTCODE = re.compile(r"(?:[A-Z]{1,2}\d[A-Z\d]?|GIR) ?\d[A-Z]{2}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_TELEPHONE = re.compile(r"\+?[\d ]{5,20}")
_WORDING = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")  # BCP 47, as far as it is used here


@dataclass(frozen=True, slots=True)
class Preference:
    """What somebody needs, and which user requirement of EN 1332-4:2007 that is, by its clause."""

    meaning: str
    clause: str | None


# How somebody likes to be served. The requirements are those of EN 1332-4:2007, 5.4; the names are ours,
# and so is what has no clause there. The standard's coding on a card (template 7F22) is not made.
PREFERENCES: Mapping[str, Preference] = {
    "larger_text": Preference("text in large letters", "5.4.2 character size"),
    "high_contrast": Preference("high contrast", "5.4.3 screen colour"),
    "no_red_green": Preference("nothing is told by red and green alone", "5.4.4 colour avoidance"),
    "speech": Preference("what is on the screen is spoken", "5.4.6 speech output"),
    "louder": Preference("louder sound", "5.4.7 sound amplification"),
    "large_targets": Preference("large keys on the screen", "5.4.14 touch screen"),
    "low_reach": Preference("keys within reach of a seat", "5.4.15 position of input device"),
    "more_time": Preference("more time to answer", "5.4.16 time-outs"),
    "simple_screens": Preference("fewer choices at a time", "5.4.18 interface complexity level"),
    "no_sound": Preference("no sounds", None),
}
LANGUAGE_CLAUSE = "5.4.17 language"
CONSENTS: Mapping[str, str] = {
    "loan_history": "loans are kept after they came back",
    "notices": "notices by e-mail",
    "photo": "the photo is kept after the card was made",
    "research": "journeys are counted for planning",
}
PROTECTED, COURT_ORDER = PROTECTED_ADDRESS, "court_order"
FLAGS: Mapping[str, str] = {
    PROTECTED: "the address is shown to those alone who have the right, and say why",
    COURT_ORDER: "a court has ordered who may be told what; ask a manager before anything is said",
    "deceased": "this person has died",
}


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Where somebody lives, in the parts of BS 7666-0:2006."""

    uprn: str | None = None
    # The secondary and the primary addressable object: a flat, and a house by number or name
    saon: str | None = None
    paon: str | None = None
    street: str | None = None
    locality: str | None = None
    town: str | None = None
    administrative_area: str | None = None
    postcode: str | None = None

    def __post_init__(self) -> None:
        """Raises OrderInvalid where a part is not of its form."""
        for part in fields(self):
            value = getattr(self, part.name)
            if value is not None and not _is_line(value, MAX_LINE):
                raise OrderInvalid(f"the {part.name} is one line of up to {MAX_LINE} characters")
        if self.uprn is not None and not _UPRN.fullmatch(self.uprn):
            raise OrderInvalid("a UPRN has up to 12 digits, and does not begin with 0")
        if self.postcode is not None and not _POSTCODE.fullmatch(self.postcode):
            raise OrderInvalid("a postcode is written in capitals, such as AB1 2CD")

    def to_json(self) -> dict[str, str]:
        """The parts that there are."""
        return {part: value for part, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, repr=False)
class Contact:
    """How somebody is reached."""

    email: str | None = None
    telephone: str | None = None

    def __post_init__(self) -> None:
        """Raises OrderInvalid."""
        if self.email is not None and not (len(self.email) <= 254 and _EMAIL.fullmatch(self.email)):
            raise OrderInvalid("an e-mail address looks like name@example.org")
        if self.telephone is not None and not _TELEPHONE.fullmatch(self.telephone):
            raise OrderInvalid("a telephone number has digits and spaces, and may begin with +")

    def to_json(self) -> dict[str, str]:
        """The ways that there are."""
        return {way: value for way, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Noting:
    """Who notes something of whom, and when."""

    kek: KeyRing
    holder: CardholderId
    actor: str
    moment: datetime
    # Where the scheme's days begin and end (`Context.zone`)
    zone: tzinfo

    @property
    def today(self) -> date:
        """The scheme's day at that moment."""
        return self.moment.astimezone(self.zone).date()


def set_born_on(connection: Connection, noting: Noting, born_on: date | None) -> None:
    """Note when somebody was born. Raises OrderInvalid."""
    today = noting.today
    if born_on is not None and not today.year - OLDEST_YEARS <= born_on.year <= today.year:
        raise OrderInvalid(f"nobody who was born on {born_on} has a card; write it like 2009-04-30")
    if born_on is not None and born_on > today:
        raise OrderInvalid(f"{born_on} is still to come")
    _note(connection, noting, Field.BORN_ON, None if born_on is None else born_on.isoformat())


def set_address(connection: Connection, noting: Noting, address: Address | None) -> None:
    """Note where somebody lives, in place of an earlier address."""
    _note(connection, noting, Field.ADDRESS, None if address is None else address.to_json() or None)


def set_contact(connection: Connection, noting: Noting, contact: Contact | None) -> None:
    """Note how somebody is reached, in place of what was noted before."""
    _note(connection, noting, Field.CONTACT, None if contact is None else contact.to_json() or None)


def set_preferences(
    connection: Connection, noting: Noting, wanted: frozenset[str], language: str | None
) -> None:
    """Note how somebody likes to be served, in place of what was noted before. Raises OrderInvalid."""
    _require_known("preference", wanted, PREFERENCES)
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise OrderInvalid(f"{language[:20]!r} is no language; write it like en, cy or pl")
    value = dict.fromkeys(sorted(wanted), True) | ({} if language is None else {"language": language})
    _note(connection, noting, Field.PREFERENCES, value or None)


def set_flag(connection: Connection, noting: Noting, flag: str, *, on: bool) -> None:
    """Put a flag on a record, or take it away. Raises OrderInvalid."""
    _require_known("flag", {flag}, FLAGS)
    lock_cardholder(connection, noting.holder)
    known = _known(connection, noting, Field.FLAGS)
    flags = {name for name in known if name != flag} | ({flag} if on else set())
    _note(connection, noting, Field.FLAGS, dict.fromkeys(sorted(flags), True) or None)


def set_consent(
    connection: Connection, noting: Noting, purpose: str, wording: str | None = None, *, given: bool
) -> None:
    """Note that somebody agrees to something, by which version of its wording; or no longer.

    What was said before stays beside it, until its time is over (`retention`). Raises OrderInvalid.
    """
    _require_known("purpose", {purpose}, CONSENTS)
    if given and wording is None:
        raise OrderInvalid("say which version of the wording was agreed to, such as --wording 2026-1")
    if wording is not None and not _WORDING.fullmatch(wording):
        raise OrderInvalid(f"{wording[:40]!r} is no version of a wording; write it like 2026-1")
    lock_cardholder(connection, noting.holder)
    known = _known(connection, noting, Field.CONSENTS)
    earlier = dict(known.get(purpose, {}))
    before = [*earlier.pop("before", []), *([earlier] if earlier else [])]
    said: dict[str, Any] = {"given": given, "since": noting.moment.isoformat(timespec="seconds")}
    said |= {} if wording is None else {"wording": wording}
    said |= {"before": before} if before else {}
    _note(connection, noting, Field.CONSENTS, {**known, purpose: said})


def _known(connection: Connection, noting: Noting, field: Field) -> dict[str, Any]:
    found: dict[str, Any] = read_fields(connection, noting.kek, noting.holder, [field]).get(field, {})
    return found


def _note(connection: Connection, noting: Noting, field: Field, value: Any) -> None:
    lock_cardholder(connection, noting.holder)
    write_field(connection, noting.kek, noting.holder, field, value, noting.moment)
    # What was changed, never to what: the audit log outlives the record.
    record(connection, noting.actor, "cardholder.set", noting.holder, noting.moment, changed=field.value)


def _require_known(what: str, names: frozenset[str] | set[str], known: Collection[str]) -> None:
    if unknown := sorted(names - set(known)):
        raise OrderInvalid(f"{unknown[0][:40]!r} is no {what}; there are {', '.join(known)}")


def _is_line(value: str, longest: int) -> bool:
    return 1 <= len(value) <= longest and value.isprintable() and value == value.strip()
