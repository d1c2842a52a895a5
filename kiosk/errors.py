"""What can go wrong at a face, each with a stable code and a sentence that says what to do."""


class KioskError(Exception):
    """Base of these."""

    code = "kiosk_error"


class ConfigInvalid(KioskError):
    """An option or file of the start does not hold what it must."""

    code = "config_invalid"


class PortTaken(KioskError):
    """Something else listens there."""

    code = "port_taken"

    def __init__(self, port: int, reason: str) -> None:
        super().__init__(f"port {port} of 127.0.0.1 cannot be used ({reason}); give another with --port")
        self.port = port


class TooManyStreams(KioskError):
    """More pages listen than there are threads for."""

    code = "too_many_streams"

    def __init__(self) -> None:
        super().__init__("this face is open in too many windows; close some")


class PageError(KioskError):
    """A request that this face does not answer; `status` is its HTTP status."""

    status = 400


class HostRefused(PageError):
    """The request came by a name that is not this face's (DNS rebinding looks like this)."""

    code = "host_refused"
    status = 421

    def __init__(self) -> None:
        super().__init__("this is not an address of this face")


class OriginRefused(PageError):
    """A page of another origin has sent the request."""

    code = "origin_refused"
    status = 403

    def __init__(self) -> None:
        super().__init__("pages of other addresses may not ask this face")


class Malformed(PageError):
    """The request does not have the shape that the page's own requests have."""

    code = "malformed"
    status = 400

    def __init__(self) -> None:
        super().__init__("the request does not have the documented shape; reload the page")
