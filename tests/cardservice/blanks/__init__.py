"""Tests of `cardservice.blanks`."""
