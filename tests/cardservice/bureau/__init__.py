"""Tests of `cardservice.bureau`."""
