"""A session with a PKCS#11 token, which survives forks, and says clearly when the token has gone.

`python-pkcs11` is imported here alone, and only where a scheme keeps its keys on a token.
"""

import hmac
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
from pkcs11 import exceptions as failures
from pkcs11.util.ec import encode_named_curve_parameters

from pki.errors import PassphraseMissing, PinRefused, TokenUnavailable

T = TypeVar("T")

# What tells that the session is over though the token may be there: it is opened anew, once.
_SESSION_OVER = (
    *(failures.SessionHandleInvalid, failures.SessionClosed, failures.UserNotLoggedIn),
    *(failures.DeviceRemoved, failures.KeyHandleInvalid, failures.ObjectHandleInvalid),
)
# PKCS#11 3.0, 6.7: library and log-in belong to the process, whichever object of ours uses them. So all wait
# for one lock, and a PIN that was taken is remembered: once logged in, a token looks at no other.
_LOCK = threading.RLock()
_TAKEN_PINS: dict[tuple[Path, str], str] = {}
# By library, the process that has initialised it
_INITIALISED_IN: dict[Path, int] = {}
_WRONG_PIN = (failures.PinIncorrect, failures.PinInvalid, failures.PinLenRange)
_CANNOT = (failures.MechanismInvalid, failures.MechanismParamInvalid, failures.FunctionNotSupported)
# Never to be read, never to leave the token. PKCS#11 3.0, 4.9
_KEPT = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.TOKEN: True}


def _after_fork() -> None:
    """Another thread of the parent may have held the lock."""
    global _LOCK  # noqa: PLW0603 -- one lock for each process, as PKCS#11 has it
    _LOCK = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


class Token:
    """One token, with its PIN. Opened when it is first used, and by each process for itself."""

    def __init__(self, module: Path, label: str, pin: bytes) -> None:
        if not pin:
            raise PassphraseMissing("a token is opened with a PIN, and none was given")
        self.module = module
        self.label = label
        self._pin = _text(label, pin)
        self._session: pkcs11.Session | None = None
        self._process = 0
        # A wrong PIN is tried once: a service that went on trying would lock the token.
        self._refused: PinRefused | None = None
        self._found: dict[tuple[ObjectClass, str], Any] = {}

    def __str__(self) -> str:
        return f"the token {self.label!r}"

    def use(self, action: Callable[[pkcs11.Session], T]) -> T:
        """What `action` returns of the open session. Raises TokenUnavailable and PinRefused."""
        with _LOCK:
            try:
                return action(self._opened())
            except _SESSION_OVER:
                self._forget()
            except failures.PKCS11Error as error:
                raise self._gone(error) from error
            try:
                return action(self._opened())
            except failures.PKCS11Error as error:
                raise self._gone(error) from error

    def use_key(self, kind: ObjectClass, name: str, action: Callable[[Any], T]) -> T | None:
        """What `action` returns of the object of that name; None where there is no such object."""

        def on_session(session: pkcs11.Session) -> T | None:
            found = self._object(session, kind, name)
            return None if found is None else action(found)

        return self.use(on_session)

    def make_key_pair(self, name: str) -> None:
        """A P-256 key of this name, made on the token. FIPS 186-5, A.2."""
        parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}

        def make(session: pkcs11.Session) -> None:
            session.create_domain_parameters(KeyType.EC, parameters, local=True).generate_keypair(
                store=True,
                label=name,
                id=name.encode(),
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                private_template=_KEPT,
            )

        self.use(make)

    def make_aes_key(self, name: str, length_bits: int) -> None:
        """An AES key of this name for CMACs, made on the token."""

        def make(session: pkcs11.Session) -> None:
            session.generate_key(
                KeyType.AES,
                length_bits,
                store=True,
                label=name,
                id=name.encode(),
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                template=_KEPT,
            )

        self.use(make)

    def change_pin(self, new: bytes) -> None:
        """Give the token another PIN, and use that from now on. Raises TokenUnavailable and PinRefused."""
        wanted = _text(self.label, new)
        self.use(lambda session: session.set_pin(self._pin, wanted))
        self._pin = _TAKEN_PINS[self.module, self.label] = wanted

    def close(self) -> None:
        """End the session; it is opened anew when it is needed again."""
        with _LOCK:
            self._forget()

    def _object(self, session: pkcs11.Session, kind: ObjectClass, name: str) -> Any:
        key = (kind, name)
        if key not in self._found:
            found = list(session.get_objects({Attribute.CLASS: kind, Attribute.LABEL: name}))
            if len(found) > 1:
                raise TokenUnavailable(self.label, f"it has {len(found)} objects called {name!r}, not one")
            if not found:
                return None
            self._found[key] = found[0]
        return self._found[key]

    def _opened(self) -> pkcs11.Session:
        if self._process != os.getpid():
            # A parent's session: closing it here could close one of ours that has the same handle.
            self._session, self._found, self._process = None, {}, os.getpid()
        opened = self._session or self._open()
        self._session = opened
        return opened

    def _open(self) -> pkcs11.Session:
        if self._refused is not None:
            raise self._refused
        try:
            return self._logged_in(self._found_token())
        except failures.NoSuchToken as error:
            raise TokenUnavailable(self.label, f"{self.module} knows none of this label") from error
        except failures.MultipleTokensReturned as error:
            raise TokenUnavailable(self.label, f"{self.module} knows several of that label") from error
        except (*_WRONG_PIN, failures.UserAlreadyLoggedIn) as error:
            reason = "it is not the right one; the token counts wrong ones"
            self._refused = PinRefused(self.label, reason)
            raise self._refused from error
        except failures.PinLocked as error:
            self._refused = PinRefused(self.label, "it is locked; its officer unlocks it")
            raise self._refused from error

    def _found_token(self) -> Any:
        library = self._library()
        try:
            return library.get_token(token_label=self.label)
        except failures.NoSuchToken:  # the library may have looked before it was there
            library.reinitialize()
            return library.get_token(token_label=self.label)

    def _logged_in(self, token: pkcs11.Token) -> pkcs11.Session:
        key = (self.module, self.label)
        try:
            session = token.open(rw=True, user_pin=self._pin)
        except failures.UserAlreadyLoggedIn:
            if not hmac.compare_digest(_TAKEN_PINS.get(key, "").encode(), self._pin.encode()):
                raise
            return token.open(rw=True)
        _TAKEN_PINS[key] = self._pin
        return session

    def _library(self) -> Any:
        """The library, initialised in this process: a child does it for itself. PKCS#11 3.0, 5.4."""
        try:
            library = pkcs11.lib(str(self.module))
        except (RuntimeError, OSError, failures.PKCS11Error) as error:
            raise TokenUnavailable(self.label, f"{self.module} cannot be loaded ({error})") from error
        if _INITIALISED_IN.setdefault(self.module, os.getpid()) != os.getpid():
            try:
                library.reinitialize()
            except failures.PKCS11Error:
                library.initialize()
            _INITIALISED_IN[self.module] = os.getpid()
        return library

    def _forget(self) -> None:
        session, self._session, self._found = self._session, None, {}
        if session is not None and self._process == os.getpid():
            try:
                session.close()
            except failures.PKCS11Error:
                return  # it was over already

    def _gone(self, error: failures.PKCS11Error) -> TokenUnavailable:
        """What is said; and the next use looks for the token anew, which may have come back by then."""
        name = type(error).__name__
        if isinstance(error, _CANNOT):
            return TokenUnavailable(self.label, f"it cannot do what is asked of it ({name})")
        self._forget()
        _INITIALISED_IN[self.module] = 0
        return TokenUnavailable(self.label, f"{name}; is it still there?")


def _text(label: str, pin: bytes) -> str:
    """PKCS#11 3.0, 5.6: a PIN is text."""
    try:
        return pin.decode()
    except UnicodeDecodeError as error:
        raise PinRefused(label, "a PIN is text in UTF-8") from error
