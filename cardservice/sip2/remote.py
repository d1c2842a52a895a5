"""Another library system behind the seam: what we ask it over SIP2, and what we make of its answers."""

from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from cardservice.circulation.errors import LibraryAway
from cardservice.circulation.system import DONE, Item, OnLoan, Outcome, Patron, Pin, Waiting
from cardservice.money import format_minor, parse_minor
from cardservice.sip2 import dates
from cardservice.sip2.client import Client
from cardservice.sip2.codec import Code, Message, clean

# Of a refusal the other system tells no code, but words for people.
ELSEWHERE = "refused_elsewhere"
_BLANK = " " * 18
_STATES = {
    "03": "available",
    "04": "lent",
    "05": "lent",
    "07": "lent",
    "08": "kept",
    "12": "missing",
    "13": "missing",
}
_METHODS = {"cash": "00", "card": "02"}


class RemoteLibrary:
    """A system that is there already. Raises LibraryAway from everything."""

    def __init__(
        self,
        client: Client,
        currency: str,
        now: Callable[[], datetime],
        zone: ZoneInfo,
        institution: str = "",
    ) -> None:
        self._client, self._currency, self._now, self._zone = client, currency, now, zone
        self._institution = institution

    @property
    def currency(self) -> str:
        """What we take its amounts for where it does not say."""
        return self._currency

    def is_there(self) -> bool:
        """Whether it answers, and says that it is on line."""
        try:
            return self._client.ask(Code.SC_STATUS, ("0", "080", "2.00"), ()).fixed[0] == "Y"
        except LibraryAway:
            return False

    def patron(self, barcode: str, pin: str | None, *, by: str) -> Patron | None:
        """A reader; what they have, wait for and should have brought back is asked for where there is any."""
        del by  # what is read is in that system's log
        asked = self._about(barcode)
        if pin is not None:
            asked.append(("AD", clean(pin)))
        found = self._information("  Y", asked)
        if found["BL"] == "N":
            return None
        holds, overdue = found.fixed[3], found.fixed[4]
        late = set(self._information(" Y", asked).all("AT")) if overdue.strip("0 ") else set()
        kept = self._information("Y", asked).all("AS") if holds.strip("0 ") else ()
        denied = found.fixed[0][0] == "Y"
        return Patron(
            barcode=barcode,
            name=found["AE"],
            pin=self._pin(pin, found),
            currency=found["BH"] or self._currency,
            owed_minor=self._minor(found["BV"], found["BH"]),
            block=ELSEWHERE if denied else None,
            block_message=found["AF"] if denied else "",
            on_loan=tuple(
                OnLoan(copy=each, title="", due_on=None, overdue=each in late) for each in found.all("AU")
            ),
            waiting=tuple(Waiting(title="", copy=each) for each in kept),
            letters=found.fixed[0],
        )

    def shows_pin(self, barcode: str, pin: str, *, by: str) -> Pin | None:
        """What it says of a PIN."""
        del by
        found = self._information(" " * 10, [*self._about(barcode), ("AD", clean(pin))])
        return None if found["BL"] == "N" else self._pin(pin, found)

    def item(self, copy: str) -> Item | None:
        """A copy, as far as it tells."""
        found = self._client.ask(Code.ITEM_INFORMATION, (self._stamp(),), self._thing(copy))
        if not found["AJ"]:
            return None
        return Item(
            copy=copy,
            title=found["AJ"],
            state=_STATES.get(found.fixed[0], "other"),
            due_on=dates.read_day(found["AH"]),
            queue=int(found["CF"]) if found["CF"].isascii() and found["CF"].isdigit() else 0,
            home=found["AQ"],
            place=found["AP"],
        )

    def check_out(
        self, barcode: str, copy: str, *, by: str, place: str, done: bool = False, renew: bool = False
    ) -> Outcome:
        """Lend a copy."""
        del by, place
        fixed = ("Y" if renew else "N", "Y" if done else "N", self._stamp(), _BLANK)
        found = self._client.ask(Code.CHECKOUT, fixed, [*self._about(barcode), ("AB", clean(copy))])
        return self._given(found, copy)

    def check_in(self, copy: str, *, by: str, place: str, returned_at: datetime | None = None) -> Outcome:
        """Take a copy back."""
        del by
        told = dates.written(returned_at or self._now(), self._zone)
        fields = [("AP", clean(place)), *self._thing(copy)]
        found = self._client.ask(Code.CHECKIN, ("N", self._stamp(), told), fields)
        ok = found.fixed[0] == "1"
        return Outcome(
            ok=ok,
            reason=DONE if ok else ELSEWHERE,
            message=found["AF"],
            copy=copy,
            title=found["AJ"],
            kept=found.fixed[3] == "Y" and found["CV"] in ("01", "02"),
            home=found["AQ"],
        )

    def renew(self, barcode: str, copy: str, *, by: str) -> Outcome:
        """Lend a copy on."""
        del by
        fixed = ("N", "N", self._stamp(), _BLANK)
        found = self._client.ask(Code.RENEW, fixed, [*self._about(barcode), ("AB", clean(copy))])
        return self._given(found, copy)

    def renew_all(self, barcode: str, *, by: str) -> Sequence[Outcome]:
        """Lend on whatever may be."""
        del by
        found = self._client.ask(Code.RENEW_ALL, (self._stamp(),), self._about(barcode))
        renewed = [Outcome(ok=True, copy=each, renewed=True) for each in found.all("BM")]
        return [*renewed, *(Outcome(ok=False, reason=ELSEWHERE, copy=each) for each in found.all("BN"))]

    def reserve(self, barcode: str, wanted: str, *, by: str, place: str) -> Outcome:
        """Put a reader in a queue."""
        del by
        return self._hold("+", barcode, wanted, [("BS", clean(place))])

    def cancel(self, barcode: str, wanted: str, *, by: str) -> Outcome:
        """Take a reader out of a queue."""
        del by
        return self._hold("-", barcode, wanted, [])

    def pay(
        self, barcode: str, amount_minor: int, *, method: str, by: str, reference: str | None = None
    ) -> Outcome:
        """Tell it what was taken."""
        del by
        fixed = (self._stamp(), "01", _METHODS.get(method, "00"), self._currency)
        fields = [("BV", format_minor(amount_minor, self._currency)), *self._about(barcode)]
        if reference is not None:
            fields.append(("BK", clean(reference)))
        return self._came(self._client.ask(Code.FEE_PAID, fixed, fields), "Y")

    def bar(self, barcode: str, *, by: str, barred: bool) -> Outcome:
        """Keep a reader from borrowing, or let them again."""
        del by
        if barred:
            fields = [*self._about(barcode)[:1], ("AL", ""), *self._about(barcode)[1:]]
            found = self._client.ask(Code.BLOCK_PATRON, ("N", self._stamp()), fields)
        else:
            found = self._client.ask(Code.PATRON_ENABLE, (self._stamp(),), self._about(barcode))
        ok = found["BL"] != "N"
        return Outcome(ok=ok, reason=DONE if ok else ELSEWHERE, message=found["AF"])

    def _information(self, summary: str, asked: list[tuple[str, str]]) -> Message:
        fixed = ("000", self._stamp(), f"{summary:<10}")
        return self._client.ask(Code.PATRON_INFORMATION, fixed, [*asked, ("BP", "1"), ("BQ", "100")])

    def _hold(self, letter: str, barcode: str, wanted: str, more: list[tuple[str, str]]) -> Outcome:
        fields = [*more, *self._about(barcode), ("AB", clean(wanted))]
        found = self._client.ask(Code.HOLD, (letter, self._stamp()), fields)
        came = self._came(found, "1")
        return Outcome(
            ok=came.ok,
            reason=came.reason,
            message=came.message,
            copy=found["AB"],
            title=found["AJ"],
            kept=came.ok and found.fixed[1] == "Y",
        )

    def _given(self, found: Message, copy: str) -> Outcome:
        ok = found.fixed[0] == "1"
        return Outcome(
            ok=ok,
            reason=DONE if ok else ELSEWHERE,
            message=found["AF"],
            copy=copy,
            title=found["AJ"],
            due_on=dates.read_day(found["AH"]),
            renewed=ok and found.fixed[1] == "Y",
            fine_minor=self._minor(found["BV"], found["BH"]) if ok else 0,
        )

    @staticmethod
    def _came(found: Message, letter: str) -> Outcome:
        ok = found.fixed[0] == letter
        return Outcome(ok=ok, reason=DONE if ok else ELSEWHERE, message=found["AF"])

    @staticmethod
    def _pin(pin: str | None, found: Message) -> Pin:
        if pin is None:
            return Pin.NOT_GIVEN
        # An empty one is none, whatever the other system takes it for.
        return Pin.RIGHT if pin and found["CQ"] == "Y" else Pin.WRONG

    def _minor(self, text: str, currency: str) -> int:
        """An amount of somebody else's: 0.0 and 2.5 are amounts, too; what is none is nothing."""
        whole, _, fraction = text.strip().partition(".")
        try:
            return max(
                0, parse_minor(f"{whole}.{fraction.rstrip('0')}".rstrip("."), currency or self._currency)
            )
        except ValueError:
            return 0

    def _about(self, barcode: str) -> list[tuple[str, str]]:
        return [("AO", self._institution), ("AA", clean(barcode)), ("AC", "")]

    def _thing(self, copy: str) -> list[tuple[str, str]]:
        return [("AO", self._institution), ("AB", clean(copy)), ("AC", "")]

    def _stamp(self) -> str:
        return dates.written(self._now(), self._zone)
