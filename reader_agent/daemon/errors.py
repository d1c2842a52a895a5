"""What a face can do wrong, or come too late for. What goes wrong with a card is in the answer, not here."""

from pathlib import Path

from reader_agent.errors import AgentError


class DaemonError(AgentError):
    """Base of these; each becomes a problem document in `problems.py`."""

    code = "daemon_error"


class HostRefused(DaemonError):
    """The request came by a name that is not this daemon's (DNS rebinding looks like this)."""

    code = "host_refused"

    def __init__(self) -> None:
        super().__init__("this is not an address of the reader agent")


class OriginRefused(DaemonError):
    """A web page of another origin has sent the request."""

    code = "origin_refused"

    def __init__(self) -> None:
        super().__init__("pages do not speak to the reader agent")


class TokenRefused(DaemonError):
    """No token, or a wrong one."""

    code = "token_refused"

    def __init__(self) -> None:
        super().__init__("send the token of the agent's folder; it is a new one after each start")


class Malformed(DaemonError):
    """The request is not of the documented shape; `fields` says where."""

    code = "malformed"

    def __init__(self, fields: object = None) -> None:
        super().__init__("the request does not have the documented shape")
        self.fields = fields


class TapUnknown(DaemonError):
    """There never was such a handle, or it is long forgotten."""

    code = "tap_unknown"

    def __init__(self) -> None:
        super().__init__("there is no such tap; wait for the next card")


class TapOver(DaemonError):
    """The card of this handle has gone, or was swapped, or lay there too long."""

    code = "tap_over"

    def __init__(self) -> None:
        super().__init__("the card of this tap is not there any more; present it again")


class TapBusy(DaemonError):
    """A payment with this card is going on."""

    code = "tap_busy"

    def __init__(self) -> None:
        super().__init__("this tap is paying already; wait for its answer")


class TapSpent(DaemonError):
    """This tap has paid: one tap, one sale."""

    code = "tap_spent"

    def __init__(self) -> None:
        super().__init__("this tap has paid already; present the card again for another sale")


class KeyConflict(DaemonError):
    """The key belongs to another payment."""

    code = "key_conflict"

    def __init__(self) -> None:
        super().__init__("this key was used for another payment; make a new one for each")


class CardUnusable(DaemonError):
    """The service says that nothing may be done with this card; `reason` is its code."""

    code = "card_unusable"

    def __init__(self, reason: str) -> None:
        super().__init__("this card is refused")
        self.reason = reason


class RoleNotAllowed(DaemonError):
    """The service shows no holders to a terminal of this role."""

    code = "role_not_allowed"

    def __init__(self) -> None:
        super().__init__("this terminal may not see who holds a card; its role is set at the service")


class CatalogueMissing(DaemonError):
    """The service in question is not sold by a catalogue."""

    code = "catalogue_missing"

    def __init__(self) -> None:
        super().__init__("this service has no catalogue; ask for a quote")


class CatalogueRefused(DaemonError):
    """The card service gives this terminal no catalogue; `reason` is its code."""

    code = "catalogue_refused"

    def __init__(self, reason: str) -> None:
        super().__init__("the card service gives this terminal no catalogue of this")
        self.reason = reason


class SaleUnknown(DaemonError):
    """This terminal's outbox has no such sale, or it was sold without the service and nobody was told yet."""

    code = "sale_unknown"

    def __init__(self) -> None:
        super().__init__("this terminal has told the service of no such sale")


class RefundRefused(DaemonError):
    """The card service gives nothing back; `reason` is its code."""

    code = "refund_refused"

    def __init__(self, reason: str) -> None:
        super().__init__("the card service gives nothing back for this")
        self.reason = reason


class PayInRefused(DaemonError):
    """The card service begins no such payment, or knows none; `reason` is its code."""

    code = "payment_refused"

    def __init__(self, reason: str) -> None:
        super().__init__("the card service refuses this payment")
        self.reason = reason


class LossNotTaken(DaemonError):
    """The card service takes no loss from this terminal; `reason` is its code."""

    code = "loss_not_taken"

    def __init__(self, reason: str) -> None:
        super().__init__("the card service takes no loss from this terminal")
        self.reason = reason


class StillRunning(DaemonError):
    """What was asked takes longer than a request should wait."""

    code = "still_running"

    def __init__(self) -> None:
        super().__init__("it is still going on; send the same request again")


class TooManyStreams(DaemonError):
    """More listeners than there are threads for."""

    code = "too_many_streams"

    def __init__(self) -> None:
        super().__init__("too many event streams are open; close some")


class Stopping(DaemonError):
    """The daemon was told to end."""

    code = "stopping"

    def __init__(self) -> None:
        super().__init__("the reader agent is being stopped")


class DaemonRunning(DaemonError):
    """Another daemon runs on this folder."""

    code = "daemon_running"

    def __init__(self, directory: Path) -> None:
        super().__init__(f"a reader agent is running on {directory} already; end it first")
        self.directory = directory


class PortTaken(DaemonError):
    """Something else listens there."""

    code = "port_taken"

    def __init__(self, port: int, reason: str) -> None:
        super().__init__(f"port {port} of 127.0.0.1 cannot be used ({reason}); give another with --port")
        self.port = port
