"""`python -m kiosk.demo`, for `make demo`."""

from kiosk.demo.launcher import main

main()
