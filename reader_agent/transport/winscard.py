"""pyscard's plain functions and the constants of PC/SC: the only module that imports `smartcard`."""

from smartcard import scard

__all__ = ["scard"]
