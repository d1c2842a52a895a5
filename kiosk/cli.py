"""The console script `kiosk`: today it launches the demonstration."""

import sys

from kiosk.demo import launcher


def main() -> None:
    """Run `kiosk demo …`."""
    if sys.argv[1:2] != ["demo"]:
        print("usage: kiosk demo [--help]", file=sys.stderr)
        sys.exit(2)
    del sys.argv[1]
    launcher.main()
