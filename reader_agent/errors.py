"""What can go wrong at a terminal, grouped by who can do something about it. Each has a stable `code`."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID


class AgentError(Exception):
    """Base of every error that this package raises on purpose; its text is a sentence for a person."""

    code: ClassVar[str] = "agent_error"


# --- the holder: another card, or the same one again ---


class CardError(AgentError):
    """Base of what a card, or the lack of one, brings about."""

    code = "card_error"


class NoCard(CardError):
    """There is no card on the reader."""

    code = "no_card"

    def __init__(self, reader: str) -> None:
        super().__init__(f"there is no card on {reader!r}; put one on it")
        self.reader = reader


class CardRemoved(CardError):
    """The card left the reader, or does not answer as a card must; nothing of its session holds any more."""

    code = "card_removed"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the card was taken away too early ({detail}); present it again")
        self.detail = detail


class CardReset(CardError):
    """Another program has reset the card: what was selected or authenticated is lost."""

    code = "card_reset"

    def __init__(self) -> None:
        super().__init__("another program has reset the card; present it again")


class CardSilent(CardError):
    """The card, or its reader, did not answer in time."""

    code = "card_silent"

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the card did not answer within {timeout_s:g} s; take it away and present it again")
        self.timeout_s = timeout_s


class CardRefused(CardError):
    """The card answered a command with an error (ISO/IEC 7816-4:2020, 5.6)."""

    code = "card_refused"

    def __init__(self, what: str, sw: int, text: str | None = None) -> None:
        super().__init__(text or f"the card refused to {what} (status {sw:04X})")
        self.what, self.sw = what, sw


class PinWrong(CardRefused):
    """A wrong PIN or PUK; the card has spent a try, and says how many are left if it counts them aloud."""

    code = "pin_wrong"

    def __init__(self, name: str, sw: int, attempts_remaining: int | None) -> None:
        left = {None: "", 1: "; one attempt is left"}.get(
            attempts_remaining, f"; {attempts_remaining} attempts are left"
        )
        super().__init__(f"accept the {name}", sw, f"this is not the card's {name}{left}")
        self.name, self.attempts_remaining = name, attempts_remaining


class PinBlocked(CardRefused):
    """No try of the PIN or PUK is left."""

    code = "pin_blocked"

    def __init__(self, name: str, sw: int) -> None:
        remedy = "unblock it with the PUK" if name == "PIN" else "the card must be replaced"
        super().__init__(f"accept the {name}", sw, f"the card's {name} is blocked; {remedy}")
        self.name, self.attempts_remaining = name, 0


class PinNeeded(CardRefused):
    """A key or object is used that wants the holder's PIN first."""

    code = "pin_needed"

    def __init__(self, what: str, sw: int) -> None:
        super().__init__(what, sw, f"the card wants its PIN before it will {what}")


class ContactNeeded(CardRefused):
    """The card takes no PIN on this reader: it has it without contact."""

    code = "contact_needed"

    def __init__(self, what: str, sw: int) -> None:
        super().__init__(
            what, sw, f"the card does not {what} without contact; insert it into a contact reader"
        )


class CardNotPiv(CardError):
    """No PIV application answers: a card of somebody else, a phone, or an unfinished card."""

    code = "card_not_piv"

    def __init__(self, sw: int) -> None:
        super().__init__(f"this is no card of ours: it has no identity application (status {sw:04X})")
        self.sw = sw


class CardDataMissing(CardError):
    """A data object is not on the card: it was never personalised, or not to the end."""

    code = "card_data_missing"

    def __init__(self, what: str) -> None:
        super().__init__(f"the card holds no {what}; it is not personalised, or was not finished")
        self.what = what


class CardDataMalformed(CardError):
    """What the card holds or answers is not what its standard says."""

    code = "card_data_malformed"


class UidMissing(CardError):
    """The reader tells no UID of this card, or one that is drawn anew each time."""

    code = "uid_missing"


class CardIdentityMismatch(CardError):
    """The card's certificate names another card than its CHUID does."""

    code = "card_identity_mismatch"

    def __init__(self, card: UUID) -> None:
        super().__init__("the card's certificate was issued to another card")
        self.card = card


class CardProofInvalid(CardError):
    """What signed is not the key that was identified: another card came onto the reader, or a false one."""

    code = "card_proof_invalid"

    def __init__(self) -> None:
        super().__init__(
            "the signature is not this card's; was another card put on the reader? Present one alone"
        )


class ManagementKeyRefused(CardError):
    """The card takes neither its own management key nor the transport key."""

    code = "management_key_refused"

    def __init__(self) -> None:
        super().__init__(
            "the card takes neither the order's management key nor the transport key; "
            "give the transport key of this batch with --transport-key-file"
        )


class PukRefused(CardError):
    """The card takes neither its own PUK nor its maker's."""

    code = "puk_refused"

    def __init__(self) -> None:
        super().__init__(
            "the card takes neither the order's PUK nor the maker's; "
            "give that of this delivery with --transport-puk-file"
        )


class CardContentInvalid(CardError):
    """The scheme's content signer does not vouch for what is on the card."""

    code = "card_content_invalid"


class CardOfAnotherOrder(CardError):
    """The card on the desk was begun under another order."""

    code = "card_of_another_order"

    def __init__(self, card: UUID) -> None:
        super().__init__(f"this card is {card} already; take a blank one, or the one of this order")
        self.card = card


class PersonalisationFailed(CardError):
    """What was read back from the card is not what was written."""

    code = "personalisation_failed"


# --- reader and terminal ---


class ReaderError(AgentError):
    """Base of what the reader or its service brings about."""

    code = "reader_error"


class PcscUnavailable(ReaderError):
    """The smart card service does not answer."""

    code = "pcsc_unavailable"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the smart card service (pcscd) does not answer: {detail}; ask reader-agent doctor")
        self.detail = detail


class ReaderUnknown(ReaderError):
    """No reader of this name is connected."""

    code = "reader_unknown"

    def __init__(self, reader: str, known: tuple[str, ...]) -> None:
        names = ", ".join(repr(name) for name in known) or "none"
        super().__init__(f"there is no reader {reader!r}; connected: {names}")
        self.reader, self.known = reader, known


class ReaderAmbiguous(ReaderError):
    """Several readers go by this name."""

    code = "reader_ambiguous"

    def __init__(self, reader: str, matches: tuple[str, ...]) -> None:
        super().__init__(f"several readers go by {reader!r}: {', '.join(matches)}; give one's whole name")
        self.reader, self.matches = reader, matches


class ReaderBusy(ReaderError):
    """Another program holds the reader for itself."""

    code = "reader_busy"

    def __init__(self, reader: str) -> None:
        super().__init__(f"another program holds {reader!r} for itself; end it")
        self.reader = reader


class PinMalformed(AgentError):
    """What was typed can be no PIN or PUK; nothing was sent to the card, and no attempt is spent."""

    code = "pin_malformed"


class PinEntryFailed(AgentError):
    """No PIN was entered on the reader's own keys; no attempt is spent."""

    code = "pin_entry_failed"


class KeyUnsuitable(AgentError):
    """The card has no such key, or one of a kind that is not used here."""

    code = "key_unsuitable"


class ConfigInvalid(AgentError):
    """The agent's folder is missing, incomplete, or cannot be used as it is."""

    code = "config_invalid"


class CertificateMismatch(AgentError):
    """A certificate that is not for this terminal's key and name."""

    code = "certificate_mismatch"


class ClockBehind(AgentError):
    """The terminal's clock shows a time before one that the service has signed."""

    code = "clock_behind"

    def __init__(self, now: datetime, signed: datetime) -> None:
        super().__init__(
            f"the clock shows {now.isoformat()}, but the service has signed {signed.isoformat()} already; "
            "set the clock"
        )
        self.now, self.signed = now, signed


class OutboxDamaged(AgentError):
    """An entry of the outbox cannot be read: its bytes were changed, or the key is another one."""

    code = "outbox_damaged"

    def __init__(self, transaction: UUID) -> None:
        super().__init__(f"the outbox entry {transaction} cannot be read; keep the file and ask for help")
        self.transaction = transaction


class OutboxConflict(AgentError):
    """The entry is not in the state that this step starts from: another program has taken it further."""

    code = "outbox_conflict"

    def __init__(self, transaction: UUID) -> None:
        super().__init__(f"another program has changed the outbox entry {transaction}; look at it again")
        self.transaction = transaction


# --- the service and the way to it ---


class ServiceUnreachable(AgentError):
    """No answer came: nothing can be said about what the service has done."""

    code = "service_unreachable"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the card service does not answer ({detail})")
        self.detail = detail


class ServiceProblem(AgentError):
    """A problem document (RFC 9457); `problem` is its stable code, `reason` what some say besides."""

    code = "service_problem"

    def __init__(self, problem: str, status: int, detail: str, reason: str | None = None) -> None:
        super().__init__(f"the card service refused: {detail} [{problem}]")
        self.problem, self.status, self.detail, self.reason = problem, status, detail, reason


class ServiceAnswerInvalid(AgentError):
    """An answer that is malformed, or that the service has not signed for this message."""

    code = "service_answer_invalid"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the answer is not the card service's: {detail}")
        self.detail = detail


class PriceChanged(AgentError):
    """The price is not the one that the holder was shown."""

    code = "price_changed"

    def __init__(self, amount_minor: int, currency: str) -> None:
        super().__init__("the price is not the one that was shown; show the new one and ask again")
        self.amount_minor, self.currency = amount_minor, currency


class SchemeChanged(AgentError):
    """The service at the configured address is another scheme's."""

    code = "scheme_changed"

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"the service is of the scheme {found!r}, this terminal of {expected!r}")
        self.expected, self.found = expected, found


class TrustMissing(AgentError):
    """The scheme's certificates and revocation lists have never been fetched."""

    code = "trust_missing"

    def __init__(self) -> None:
        super().__init__("the scheme's certificates are not here yet; run reader-agent sync while online")


# --- offline ---


class OfflineRefused(AgentError):
    """The terminal may not serve this while the service does not answer."""

    code = "offline_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"not served offline: {reason}")
        self.reason = reason
