"""What is kept of a person, as text that they can read without a program: in words, in their day's time.

It says what `export` tells, all of it; where there is no word for something it stands as it is kept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from types import MappingProxyType
from typing import Any

from cardservice.money import format_minor

# The parts of what is told, in its order, by what they are about.
SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "record": "Your record",
        "guardians": "Who may act for you, or may not",
        "guardian_of": "For whom you may act, or may not",
        "applications": "What you have applied for",
        "proofs": "Documents that were seen",
        "programmes": "What others pay for you",
        "imports": "What a school's files have changed",
        "cards": "Your cards",
        "account_closing": "The closing of your account",
        "payers": "Who pays for you",
        "limits": "Limits that are set",
        "counters": "What is counted towards limits",
        "lending": "What is lent to you",
        "transactions": "What was bought, paid in and given back",
        "held_back": "What a terminal told of your cards and could not be booked",
        "accesses": "Who has looked at this, and changed it",
    }
)
# What was done, for whoever it was done to. Those that are not here are told by their code.
ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "account.show": "looked at whether your account is to be closed",
        "application.add": "noted that you apply for a card",
        "application.approved": "approved your application",
        "application.refused": "refused your application",
        "application.show": "looked at your application",
        "application.withdrawn": "noted that you do not want the card any more",
        "card.activate": "put your card into use",
        "card.order": "ordered a card for you",
        "card.puk": "was told the code that unblocks your card",
        "cardholder.accesses": "looked at who has looked at your record",
        "cardholder.add": "made your record",
        "cardholder.export": "wrote down for you all that is kept of you",
        "cardholder.find": "looked for somebody and saw you among those who were found",
        "cardholder.guardians": "looked at who may act for whom",
        "cardholder.photo": "looked at your photo",
        "cardholder.present": "showed what a till needs of you, since your card was on it",
        "cardholder.print": "read what is printed on your card or letter",
        "cardholder.set": "changed your record",
        "cardholder.show": "looked at your record",
        "cardholder.verify": "compared a caller's answers with your record",
        "funding.names": "read your name among those for whom a programme pays",
        "guardian.acted": "did something that a guardian had asked for",
        "guardian.add": "noted that somebody may act for a child",
        "guardian.bar": "noted that a court has barred somebody from a child",
        "guardian.end": "noted that this is over",
        "guardian.refused": "refused somebody who had asked about you",
        "kitchen.recall": "read your name among those who ate what was recalled",
        "ledger.prove": "wrote the proof that a transaction of yours is in its sealed day",
        "lending.history": "looked at what you have borrowed before",
        "lending.patron": "looked at what is lent to you",
        "limit.set": "set a limit",
        "payer.balance": "looked at your balance",
        "payer.history": "looked at who pays for you",
        "payer.show": "looked at the account that pays for you",
        "payer.statement": "read your account statement",
        "proof.due": "read which of your documents are to be seen again",
        "proof.end": "noted that a document counts no more",
        "proof.export": "wrote the proof of a transaction of yours",
        "proof.seen": "noted that a document was seen",
        "quarantine.read": "looked at what a terminal told of your card and could not be booked",
        "transaction.day": "looked at your journeys of a day",
        "transaction.explain": "looked at why a transaction of yours was charged or refused",
    }
)
_MINOR, _PHOTO = "_minor", "photo_jpeg_base64"


@dataclass(frozen=True, slots=True)
class Writing:
    """How it is written: in whose time, in which currency, and in which file the photo is."""

    zone: tzinfo
    currency: str
    photo_file: str

    def lines(self, exported: Mapping[str, Any]) -> Iterator[str]:
        """All of it, part by part."""
        title = "What is kept of you"
        yield from (title, "=" * len(title), "")
        yield f"By {exported['scheme']}, {self._moment(datetime.fromisoformat(exported['made_at']))}."
        yield f"Times are those of {self.zone}. Of other people it says nothing."
        yield f"You are known here by the number {exported['cardholder']}."
        for name, heading in SECTIONS.items():
            yield from ("", heading, "-" * len(heading))
            if name == "accesses":
                yield from map(self._access, exported[name])
            else:
                yield from self._part(exported[name])

    def _part(self, value: Any) -> Iterator[str]:
        if isinstance(value, Mapping) and value:
            yield from self._members(value, 0)
        elif isinstance(value, list) and value:
            for number, each in enumerate(value, start=1):
                yield f"{number}."
                yield from self._members(each, 1)
        else:
            yield "Nothing."

    def _members(self, members: Mapping[str, Any], depth: int) -> Iterator[str]:
        unit = members.get("unit")
        for name, value in members.items():
            yield from self._named(name, value, unit, depth)

    def _named(self, name: str, value: Any, unit: str | None, depth: int) -> Iterator[str]:
        """Names and values, what belongs to something indented below it."""
        indent, label = "  " * depth, name.removesuffix(_MINOR).replace("_", " ")
        if name == _PHOTO:
            yield f"{indent}photo: {'none' if value is None else f'in {self.photo_file}'}"
        elif isinstance(value, Mapping) and value:
            yield f"{indent}{label}:"
            yield from self._members(value, depth + 1)
        elif isinstance(value, list) and any(isinstance(each, list | Mapping) for each in value):
            yield f"{indent}{label}:"
            for number, each in enumerate(value, start=1):
                yield from self._named(str(number), each, unit, depth + 1)
        elif isinstance(value, list):
            yield f"{indent}{label}: {', '.join(self._said(each) for each in value) or 'none'}"
        elif name.endswith(_MINOR) and isinstance(value, int):
            yield f"{indent}{label}: {self._amount(value, unit or self.currency)}"
        else:
            yield f"{indent}{label}: {self._said(value)}"

    def _access(self, access: Mapping[str, Any]) -> str:
        at = self._moment(datetime.fromisoformat(access["at"]))
        what = ACTIONS.get(access["what"], access["what"])
        changed = f" ({access['changed'].replace('_', ' ')})" if access["changed"] else ""
        return f"{at}: {access['by']} {what}{changed}"

    def _amount(self, amount: int, unit: str) -> str:
        return f"{format_minor(amount, unit)} {unit}" if unit == self.currency else f"{amount} {unit}"

    def _said(self, value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, str):
            return self._day_or_text(value)
        return "none" if value is None or value in ({}, []) else str(value)

    def _day_or_text(self, text: str) -> str:
        """A day or a moment as people write them; anything else is as it is."""
        for read, shortest in ((date.fromisoformat, 10), (datetime.fromisoformat, 19)):
            try:
                found = read(text) if len(text) >= shortest and text[4] == "-" else None
            except ValueError:
                continue
            if isinstance(found, datetime):
                return self._moment(found) if found.tzinfo is not None else text
            if found is not None:
                return f"{found.day} {found:%B %Y}"
        return text

    def _moment(self, moment: datetime) -> str:
        there = moment.astimezone(self.zone)
        return f"{there.day} {there:%B %Y, %H:%M}"
