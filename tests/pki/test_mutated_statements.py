"""Statements and entitlements with something changed: never accepted, never a crash, only our own errors."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.card_keys import WriteEntitlement
from pki.errors import PkiError
from pki.statements import (
    open_answer,
    open_entitlement,
    open_statement,
    sign_answer,
    sign_entitlement,
    verify_entitlement,
    verify_statement,
)
from tests.pki.card_keys.conftest import TRANSPORT
from tests.pki.conftest import new_key
from tests.pki.mutations import MUTATED, mutations
from tests.pki.test_entitlements import CARD, ENTITLEMENT, ISSUER, ISSUERS, NOW
from tests.pki.test_statements import signed_by
from tests.pki.vectors import ANSWER, REQUEST

KEY = new_key()
STATEMENT = signed_by(KEY, REQUEST.payload())
SIGNED_ENTITLEMENT = sign_entitlement(ENTITLEMENT, ISSUER)
SIGNED_ANSWER = sign_answer(ANSWER, KEY, bytes(32))


def accept_statement(raw: bytes) -> None:
    verify_statement(open_statement(raw), "ashcombe", KEY.public_key())


def accept_entitlement(raw: bytes) -> None:
    verify_entitlement(raw, "ashcombe", ISSUERS, NOW, CARD)


def accept_answer(raw: bytes) -> None:
    open_answer(raw, KEY.public_key(), "ashcombe")


def test_unchanged_they_are_accepted() -> None:
    """Else the rest would say nothing."""
    accept_statement(STATEMENT)
    accept_entitlement(SIGNED_ENTITLEMENT)
    accept_answer(SIGNED_ANSWER)


@settings(MUTATED, max_examples=900)
@given(changed=mutations(STATEMENT))
def test_a_statement(changed: bytes) -> None:
    """The hint that finds a key may change, since nobody signs it; what is signed may not."""
    try:
        opened = open_statement(changed)
        verify_statement(opened, "ashcombe", KEY.public_key())
    except PkiError:
        return
    original = open_statement(STATEMENT)
    assert (opened.payload, opened.signature) == (original.payload, original.signature)
    assert opened.certificate_sha256 != original.certificate_sha256


@settings(MUTATED, max_examples=900)
@given(changed=mutations(SIGNED_ENTITLEMENT))
def test_an_entitlement(changed: bytes) -> None:
    with pytest.raises(PkiError):
        accept_entitlement(changed)


@settings(MUTATED, max_examples=900)
@given(changed=mutations(ENTITLEMENT.payload()))
def test_claims_of_an_entitlement(changed: bytes) -> None:
    """Signed by the issuer as they are: what is read from them is what they say, and the same bytes again."""
    raw = SIGNED_ENTITLEMENT.replace(ENTITLEMENT.payload(), changed)
    try:
        opened = open_entitlement(raw)
    except PkiError:
        return
    assert opened.entitlement.payload() == changed


@settings(MUTATED, max_examples=300)
@given(changed=mutations(SIGNED_ANSWER))
def test_an_answer(changed: bytes) -> None:
    try:
        found = open_answer(changed, KEY.public_key(), "ashcombe")
    except PkiError:
        return
    assert found == ANSWER


@settings(MUTATED, max_examples=300)
@given(data=st.binary(max_size=300))
def test_anything(data: bytes) -> None:
    for accept in (accept_statement, accept_entitlement, accept_answer):
        with pytest.raises(PkiError):
            accept(data)
    with pytest.raises(PkiError):
        WriteEntitlement(TRANSPORT, 0, data)


@settings(MUTATED, max_examples=300)
@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_at_any_moment(moment: datetime) -> None:
    """Accepted within its time, refused with an error of ours outside, and never anything else."""
    within = ENTITLEMENT.issued_at <= moment < ENTITLEMENT.expires_at
    try:
        verify_entitlement(SIGNED_ENTITLEMENT, "ashcombe", ISSUERS, moment, CARD)
    except PkiError:
        assert not within
    else:
        assert within
