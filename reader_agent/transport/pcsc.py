"""PC/SC: readers, and connections to the cards on them.

It uses pyscard's plain functions, which return a code, and not its classes: those raise from two unrelated
exception trees, and watch readers in a thread that does not survive a restart of pcscd. Every code becomes
one of our errors in `_raise_for`, and every call that can block has a limit.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import Any, NoReturn

from reader_agent.cardspec.chaining import as_t0
from reader_agent.errors import (
    AgentError,
    CardRemoved,
    CardReset,
    CardSilent,
    NoCard,
    PcscUnavailable,
    PinEntryFailed,
    ReaderAmbiguous,
    ReaderBusy,
    ReaderUnknown,
)
from reader_agent.transport.access import SHARED, Access
from reader_agent.transport.pin_pad import (
    GET_FEATURE_REQUEST,
    Feature,
    modify_block,
    parse_features,
    verify_block,
)
from reader_agent.transport.traffic import CardTraffic
from reader_agent.transport.watchdog import call_with_limit
from reader_agent.transport.winscard import scard

# A P-256 signature takes a card about 200 ms, making a key a second or two.
TRANSMIT_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 10.0
# Another program may hold the card for the length of a PIN entry, not longer.
TRANSACTION_TIMEOUT_S = 30.0
# The pad's own limit of 30 s comes first.
PIN_ENTRY_TIMEOUT_S = 60.0
# What pcscd answers by itself comes in a millisecond; after this it hangs, as one does that was stopped.
SERVICE_TIMEOUT_S = 5.0
# How long one wait for a change lasts: SCardGetStatusChange is asked again until the caller's own limit.
WATCH_SLICE_MS = 500

_LOST_CONTEXT = frozenset(
    {
        scard.SCARD_E_NO_SERVICE,
        scard.SCARD_E_SERVICE_STOPPED,
        scard.SCARD_E_INVALID_HANDLE,
        scard.SCARD_F_COMM_ERROR,
    }
)


class PcscReaders:
    """The readers of this machine."""

    def __init__(self, access: Access = SHARED) -> None:
        self._context: int | None = None
        self._access = access

    def names(self) -> tuple[str, ...]:
        """The names of the connected readers. Raises PcscUnavailable."""
        code, names = self._with_context(lambda context: scard.SCardListReaders(context, []))
        if code == scard.SCARD_E_NO_READERS_AVAILABLE:
            return ()
        _raise_for(code, "")
        return tuple(names)

    def find(self, wanted: str) -> str:
        """The whole name of a reader, from it or from its beginning: pcscd appends " 00 00" and the like.

        Raises ReaderUnknown, ReaderAmbiguous, PcscUnavailable.
        """
        known = self.names()
        if wanted in known:
            return wanted
        matches = tuple(name for name in known if name.startswith(f"{wanted} "))
        if not matches:
            raise ReaderUnknown(wanted, known)
        # A reader of several slots has a name for each, which differ in the last number: the first is meant.
        if len({name.rsplit(" ", 1)[0] for name in matches}) > 1:
            raise ReaderAmbiguous(wanted, matches)
        return min(matches)

    def connect(self, wanted: str, *, wait_s: float = 0.0) -> "PcscConnection":
        """Connect to the card on a reader; where none is there, wait for one up to `wait_s`.

        Raises NoCard, CardSilent, ReaderBusy, ReaderUnknown, ReaderAmbiguous, PcscUnavailable.
        """
        reader = self.find(wanted)
        if wait_s > 0:
            self.wait_for_card(reader, wait_s)
        code, handle, protocol = self._with_context(
            lambda context: scard.SCardConnect(
                context,
                reader,
                _share_mode(self._access),
                scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
            ),
            CONNECT_TIMEOUT_S,
            waits_for_card=True,
        )
        _raise_for(code, reader)
        return PcscConnection(handle, protocol, reader, self._access)

    def wait_for_card(self, reader: str, timeout_s: float) -> None:
        """Return when a card is on the reader. Raises NoCard after `timeout_s`, PcscUnavailable."""
        deadline = monotonic() + timeout_s
        known = scard.SCARD_STATE_UNAWARE
        while True:
            left_ms = max(0, int((deadline - monotonic()) * 1000))
            code, states = self._status_change(reader, known, min(WATCH_SLICE_MS, left_ms))
            if code != scard.SCARD_E_TIMEOUT:
                _raise_for(code, reader)
                known = states[0][1]
                if known & scard.SCARD_STATE_PRESENT and not known & scard.SCARD_STATE_MUTE:
                    return
            if monotonic() >= deadline:
                raise NoCard(reader)

    def has_pin_pad(self, wanted: str) -> bool:
        """Whether a reader has keys for a PIN; asked without a card. Raises ReaderBusy, ReaderUnknown."""
        reader = self.find(wanted)

        def ask(context: int) -> tuple[int, bool]:
            code, handle, _ = scard.SCardConnect(context, reader, scard.SCARD_SHARE_DIRECT, 0)
            if code != scard.SCARD_S_SUCCESS:
                return code, False
            try:
                return code, Feature.VERIFY_PIN_DIRECT in _pin_features(handle)
            finally:
                scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)

        code, has_keys = self._with_context(ask, CONNECT_TIMEOUT_S)
        _raise_for(code, reader)
        return bool(has_keys)

    def close(self) -> None:
        """Let go of pcscd."""
        context, self._context = self._context, None
        if context is not None:
            with suppress(CardSilent):
                call_with_limit(lambda: scard.SCardReleaseContext(context), SERVICE_TIMEOUT_S)

    def _status_change(self, reader: str, known: int, timeout_ms: int) -> tuple[int, list[Any]]:
        code, states = self._with_context(
            lambda context: scard.SCardGetStatusChange(context, timeout_ms, [(reader, known)]),
            timeout_ms / 1000 + SERVICE_TIMEOUT_S,
        )
        return code, states

    def _with_context(
        self, call: Callable[[int], Any], limit_s: float | None = None, *, waits_for_card: bool = False
    ) -> Any:
        """What a function answers: (code, …). Done again once where pcscd was restarted since.

        Raises PcscUnavailable, also where nothing comes within the limit, by default pcscd's own; CardSilent
        then, where it is the card that is waited for.
        """
        limit_s = SERVICE_TIMEOUT_S if limit_s is None else limit_s
        for is_again in (False, True):
            context = self._established()
            answer = self._limited(partial(call, context), limit_s, waits_for_card=waits_for_card)
            if is_again or answer[0] not in _LOST_CONTEXT:
                break
            self.close()
        return answer

    def _established(self) -> int:
        """The context, made if there is none. Raises PcscUnavailable."""
        if self._context is None:
            code, context = self._limited(
                lambda: scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM), SERVICE_TIMEOUT_S
            )
            if code != scard.SCARD_S_SUCCESS:
                # Whatever it is, an access that is denied included: without a context there are no cards.
                raise PcscUnavailable(_described(code))
            self._context = context
        return self._context

    def _limited(self, call: Callable[[], Any], limit_s: float, *, waits_for_card: bool = False) -> Any:
        try:
            return call_with_limit(call, limit_s)
        except CardSilent as silent:
            # The call that is left behind holds this context's lock: nobody may use or release it any more.
            self._context = None
            if waits_for_card:
                raise
            raise PcscUnavailable(f"nothing for {limit_s:g} s") from silent


class PcscConnection:
    """A connection to the card on one reader, shared with other programs unless it is exclusive."""

    def __init__(
        self,
        handle: int,
        protocol: int,
        reader: str,
        access: Access = SHARED,
    ) -> None:
        self._handle, self._protocol, self._access = handle, protocol, access
        self.reader = reader
        self._traffic = None if access.traffic is None else CardTraffic(access.traffic, reader)
        self._note(f"connected, {'T=0' if protocol == scard.SCARD_PROTOCOL_T0 else 'T=1'}")
        # Why the card cannot be used any more: whatever comes after it may be another card.
        self._ended: AgentError | None = None
        self._closed = False

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """See CardConnection."""
        if self._protocol == scard.SCARD_PROTOCOL_T0:
            command = as_t0(command)
        since = self._traffic.sent(command) if self._traffic is not None else 0.0
        code, response = self._limited(
            lambda: scard.SCardTransmit(self._handle, self._protocol, list(command)), TRANSMIT_TIMEOUT_S
        )
        self._check(code)
        if self._traffic is not None:
            self._traffic.answered(since, bytes(response))
        if len(response) < 2:
            # What pcscd hands over when the card was pulled in the middle of its answer.
            self._end(CardRemoved("no valid response"))
        return bytes(response[:-2]), response[-2] << 8 | response[-1]

    def pin_features(self) -> Mapping[Feature, int]:
        """What the reader's own keys can do for a PIN, with the control code of each; mostly nothing."""
        found: Mapping[Feature, int] = self._limited(lambda: _pin_features(self._handle), CONNECT_TIMEOUT_S)
        return found

    def enter_pin(self, command: bytes, *, is_change: bool) -> tuple[bytes, int]:
        """Have the reader fill a PIN into a command, and send it; what the card answers, or the reader.

        Raises PinEntryFailed where the reader has no keys for it.
        """
        feature = Feature.MODIFY_PIN_DIRECT if is_change else Feature.VERIFY_PIN_DIRECT
        control = self.pin_features().get(feature)
        if control is None:
            raise PinEntryFailed("this reader has no keys for a PIN; type it at the computer")
        block = modify_block(command) if is_change else verify_block(command)
        self._note("PIN entered on the reader")
        code, response = self._limited(
            lambda: scard.SCardControl(self._handle, control, list(block)), PIN_ENTRY_TIMEOUT_S
        )
        self._check(code)
        if len(response) < 2:
            self._end(CardRemoved("no valid response"))
        return bytes(response[:-2]), response[-2] << 8 | response[-1]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See CardConnection. A reset by another program between two blocks is taken up by reconnecting."""
        code = self._begin()
        if code == scard.SCARD_W_RESET_CARD:
            code, self._protocol = self._limited(self._reconnect, CONNECT_TIMEOUT_S)
            self._check(code)
            code = self._begin()
        self._check(code)
        try:
            yield
        finally:
            if self._ended is None:
                self._limited(
                    lambda: scard.SCardEndTransaction(self._handle, scard.SCARD_LEAVE_CARD), CONNECT_TIMEOUT_S
                )

    def close(self, *, reset: bool = False) -> None:
        """See CardConnection. Without `reset` the card stays as it is, so that no other program loses it."""
        # A call that never came back holds the handle's lock: disconnecting would wait for it for ever.
        if self._closed or isinstance(self._ended, CardSilent):
            return
        self._closed = True
        self._note("disconnected, card reset" if reset else "disconnected")
        how = scard.SCARD_RESET_CARD if reset else scard.SCARD_LEAVE_CARD
        with suppress(CardSilent):
            call_with_limit(lambda: scard.SCardDisconnect(self._handle, how), CONNECT_TIMEOUT_S)

    def _note(self, text: str) -> None:
        if self._traffic is not None:
            self._traffic.note(text)

    def _begin(self) -> int:
        return int(self._limited(lambda: scard.SCardBeginTransaction(self._handle), TRANSACTION_TIMEOUT_S))

    def _reconnect(self) -> Any:
        return scard.SCardReconnect(
            self._handle,
            _share_mode(self._access),
            scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
            scard.SCARD_LEAVE_CARD,
        )

    def _limited(self, call: Callable[[], Any], timeout_s: float) -> Any:
        if self._ended is not None:
            raise self._ended
        try:
            return call_with_limit(call, timeout_s)
        except CardSilent as silent:
            self._end(silent)

    def _check(self, code: int) -> None:
        if code == scard.SCARD_S_SUCCESS:
            return
        try:
            _raise_for(code, self.reader)
        except AgentError as error:
            self._end(error)

    def _end(self, error: AgentError) -> NoReturn:
        self._note(f"broken off: {error.code}")
        self._ended = error
        raise error


def _pin_features(handle: int) -> Mapping[Feature, int]:
    code, raw = scard.SCardControl(handle, GET_FEATURE_REQUEST, [])
    # A driver that does not know the question says so in one way or another: then it has no keys either.
    return parse_features(bytes(raw)) if code == scard.SCARD_S_SUCCESS else {}


def _share_mode(access: Access) -> int:
    return int(scard.SCARD_SHARE_EXCLUSIVE if access.is_exclusive else scard.SCARD_SHARE_SHARED)


def _described(code: int) -> str:
    return f"{scard.SCardGetErrorMessage(code)} {code & 0xFFFFFFFF:08X}"


def _raise_for(code: int, reader: str) -> None:
    """One of our errors for a PC/SC result that is not success."""
    text = _described(code)
    if code == scard.SCARD_S_SUCCESS:
        return
    if code in _LOST_CONTEXT:
        raise PcscUnavailable(text)
    if code in (scard.SCARD_E_NO_SMARTCARD, scard.SCARD_W_UNRESPONSIVE_CARD, scard.SCARD_W_UNPOWERED_CARD):
        raise NoCard(reader)
    if code == scard.SCARD_E_SHARING_VIOLATION:
        raise ReaderBusy(reader)
    if code in (scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE):
        raise ReaderUnknown(reader, ())
    if code == scard.SCARD_W_RESET_CARD:
        raise CardReset
    # SCARD_W_REMOVED_CARD, SCARD_E_NOT_TRANSACTED and whatever else a pulled card brings about
    raise CardRemoved(text)
