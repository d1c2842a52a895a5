"""Programs that tests start can be interrupted, however the suite itself was started."""

import signal


def pytest_configure() -> None:
    """Take SIGINT up again where it is ignored.

    A shell starts what runs in the background with SIGINT ignored, and whoever is started so leaves that to
    all that it starts: a program that ends well on Ctrl-C would then not end at all.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
