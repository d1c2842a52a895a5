"""Tests of `cardservice.accounts`."""
