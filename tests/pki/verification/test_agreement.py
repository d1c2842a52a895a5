"""Our fast path beside full validation by the library, on chains that are generated: both say the same.

What only ours asks for (P-256 with SHA-256, both signing bits of an authority, the purpose, and that a leaf
is no authority) is right in all of these chains, so that every difference would be one of RFC 5280's rules.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from pki.errors import VerificationError
from pki.verification import HARD_FAIL, NOT_REQUIRED, Purpose, Verifier, validate_path
from tests.pki.conftest import START
from tests.pki.verification.chains import (
    DAY,
    POLICY,
    URL,
    Chain,
    Listing,
    Making,
    chain,
    crl,
    make,
    name,
    scope,
    usual,
)

OTHER_POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.32473.9.1")
MOMENTS = st.sampled_from([START - 2 * DAY, START, START + DAY / 2, START + 40 * DAY])
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.32473.9.9"), b"\x05\x00")
ENTIRELY = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Drawn:
    """A chain, and which of its certificates another key has signed."""

    makings: tuple[Making, ...]
    forged: int | None

    def made(self) -> Chain:
        holders = list(chain(*self.makings).holders)
        if self.forged is not None:
            for index in range(self.forged, len(holders)):
                signer = make(Making("whoever")).key if index == self.forged else None
                holders[index] = make(self.makings[index], holders[index - 1], signer)
        return Chain(tuple(holders))


def _names(common_name: str, *, excluded: bool) -> x509.NameConstraints:
    subtree = [x509.DirectoryName(name(common_name))]
    return x509.NameConstraints(None if excluded else subtree, subtree if excluded else None)


LIMITS = st.sampled_from(
    [
        (),
        (),
        (),
        ((_names("bus-12", excluded=False), True),),
        ((_names("bus-13", excluded=False), True),),
        ((_names("bus-12", excluded=True), True),),
        ((_names("bus-13", excluded=True), True),),
        ((x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None), True),),
        ((x509.PolicyConstraints(require_explicit_policy=1, inhibit_policy_mapping=0), True),),
        ((x509.InhibitAnyPolicy(0), True),),
        ((UNKNOWN, False),),
        ((UNKNOWN, True),),
    ]
)


@st.composite
def chains(draw: st.DrawFn) -> Drawn:
    """Chains of one to three authorities, mostly right, with some things wrong."""
    makings = list(usual(draw(st.integers(1, 3))))
    for index in range(1, len(makings)):
        last = index == len(makings) - 1
        changes: dict[str, Any] = {"extra": draw(LIMITS)}
        if last:
            changes["extra"] = draw(st.sampled_from([(), (), ((UNKNOWN, False),), ((UNKNOWN, True),)]))
            changes["distribution_point"] = draw(st.sampled_from([None, URL]))
        else:
            changes["path_length"] = draw(st.sampled_from([None, None, 0, 1]))
            changes["is_authority"] = draw(st.sampled_from([True] * 9 + [False]))
        if draw(st.integers(0, 5)) == 0:
            changes["not_after"] = START + DAY / 4
        makings[index] = replace(makings[index], **changes)
    forged = draw(st.sampled_from([None] * 6 + list(range(1, len(makings)))))
    return Drawn(tuple(makings), forged)


@ENTIRELY
@given(drawn=chains(), moment=MOMENTS)
def test_paths(drawn: Drawn, moment: datetime) -> None:
    made = drawn.made()
    ours = accepted_by_us(made, moment)
    theirs = accepted_by_the_library(made, moment)
    event(f"accepted: {theirs}")
    assert ours == theirs


@dataclass(frozen=True)
class DrawnList:
    """A list of the issuing authority about a leaf."""

    listing: Listing
    revoked_before: timedelta | None
    reason: x509.ReasonFlags
    by_another: bool


@st.composite
def lists(draw: st.DrawFn) -> DrawnList:
    return DrawnList(
        Listing(
            next_update=draw(st.sampled_from([START + DAY, START - DAY / 2])),
            scope=draw(
                st.sampled_from(
                    [None, None, scope(URL), scope(URL + "/2"), scope(users=True), scope(authorities=True)]
                )
            ),
        ),
        draw(st.sampled_from([None, None, timedelta(hours=-1), timedelta(hours=1)])),
        draw(st.sampled_from([x509.ReasonFlags.unspecified, x509.ReasonFlags.certificate_hold])),
        draw(st.sampled_from([False, False, False, True])),
    )


@ENTIRELY
@given(drawn=lists(), point=st.sampled_from([None, URL]))
def test_lists(drawn: DrawnList, point: str | None) -> None:
    """One complete list: its scope, its age, whom it names and since when, and who signed it."""
    makings = usual()
    made = chain(*makings[:-1], replace(makings[-1], distribution_point=point))
    listing = drawn.listing
    if drawn.revoked_before is not None:
        entry = (made.leaf.serial_number, START + drawn.revoked_before, drawn.reason)
        listing = replace(listing, revoked=(entry,))
    signer = make(Making("whoever")).key if drawn.by_another else None
    crls = (crl(made.holders[0], Listing()), crl(made.issuing, listing, signer))
    trust = made.trust(crls)
    try:
        Verifier(trust).verify(made.leaf, Purpose.TERMINAL, START, HARD_FAIL)
        ours = True
    except VerificationError:
        ours = False
    try:
        validate_path(made.leaf, trust.roots, trust.intermediates, crls, START, status=True)
        theirs = True
    except VerificationError:
        theirs = False
    event(f"accepted: {theirs}")
    assert ours == theirs


def accepted_by_us(made: Chain, moment: datetime) -> bool:
    try:
        Verifier(made.trust()).verify(made.leaf, Purpose.TERMINAL, moment, NOT_REQUIRED)
    except VerificationError:
        return False
    return True


def accepted_by_the_library(made: Chain, moment: datetime) -> bool:
    trust = made.trust()
    try:
        validate_path(made.leaf, trust.roots, trust.intermediates, (), moment, status=False)
    except VerificationError:
        return False
    return True


def test_a_policy_of_another_scheme_is_no_difference() -> None:
    """The generated chains carry the scheme's policy; this one shows that a wrong one is ours to refuse."""
    makings = usual()
    made = chain(*makings[:-1], replace(makings[-1], policies=(OTHER_POLICY,)))
    assert POLICY != OTHER_POLICY
    assert accepted_by_the_library(made, START)
    assert not accepted_by_us(made, START)
