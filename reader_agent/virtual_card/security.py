"""What the PIV application remembers while it has power: who has shown what (SP 800-73-5 part 1, 5.1)."""

from dataclasses import dataclass

from reader_agent.cardspec.status import StatusWord


class Refused(Exception):
    """A command ends with this status word and no data."""

    def __init__(self, sw: int) -> None:
        super().__init__(f"{sw:04X}")
        self.sw = sw


@dataclass(slots=True)
class SecurityStatus:
    """Gone with the power, kept across SELECT: an application selected again stays authenticated."""

    pin_verified: bool = False
    pin_fresh: bool = False  # no key that wants the PIN each time has been used since
    management: bool = False  # authenticated with 9B
    challenge: bytes | None = None
    witness: bytes | None = None

    def forget_pin(self) -> None:
        """As after a wrong PIN, and as the holder asks for by VERIFY with P1 = FF."""
        self.pin_verified = self.pin_fresh = False

    def require_management(self) -> None:
        """Refuse whoever has not authenticated with the management key."""
        if not self.management:
            raise Refused(StatusWord.SECURITY_STATUS_NOT_SATISFIED)
