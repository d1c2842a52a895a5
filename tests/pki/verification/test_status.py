"""Evidence of each kind, and how much of it is wanted. A terminal's certificate under one authority."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki.errors import CertificateRevoked, PurposeRefused, StatusStale, StatusUnknown
from pki.extensions import status_index_extension
from pki.profiles import EXAMPLE_ARC
from pki.profiles.model import key_usage
from pki.status_list import CardStatus, StatusListBuilder, StatusListToken
from pki.status_list.allocation import LIST_SIZE
from pki.verification import (
    HARD_FAIL,
    CrlEvidence,
    EvidenceKind,
    Finding,
    OcspEvidence,
    Purpose,
    Revocation,
    RevocationPolicy,
    StatusListEvidence,
    VerifiedCertificate,
    Verifier,
)
from pki.verification.errors import CertificateSuspended
from pki.verification.status import judge
from tests.pki.conftest import START, new_key
from tests.pki.verification.chains import (
    DAY,
    URL,
    Chain,
    Holder,
    Listing,
    Making,
    chain,
    crl,
    make,
    name,
    scope,
    usual,
    usual_but,
)

HOUR = timedelta(hours=1)
LONG_AGO, LONG_AFTER, FAR = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2100, 2101))
# RFC 5019, 2.1.1 names certificates by it, and so do most clients; it protects nothing here
SHA_1 = hashes.SHA1()  # noqa: S303
COMPROMISE, HOLD = x509.ReasonFlags.key_compromise, x509.ReasonFlags.certificate_hold
SHARDED = usual_but(2, distribution_point=URL)


def check(
    made: Chain,
    *listings: Listing,
    moment: datetime = START,
    policy: RevocationPolicy = HARD_FAIL,
) -> VerifiedCertificate:
    """With these lists of the issuing authority, and one of the root that is right for a year."""
    root = crl(made.holders[0], Listing(next_update=START + 365 * DAY))
    lists = [crl(made.issuing, listing) for listing in listings]
    return Verifier(made.trust((root, *lists))).verify(made.leaf, Purpose.TERMINAL, moment, policy)


def revoking(made: Chain, reason: x509.ReasonFlags = COMPROMISE, at: datetime = START - HOUR) -> Listing:
    return Listing(revoked=((made.leaf.serial_number, at, reason),))


class TestLists:
    MADE = chain(*usual())

    def test_evidence_is_returned(self) -> None:
        verified = check(self.MADE, Listing(number=7))
        assert [each.kind for each in verified.evidence] == [EvidenceKind.CRL, EvidenceKind.CRL]
        assert [each.issuer for each in verified.crls] == [
            self.MADE.issuing.certificate.subject,
            self.MADE.holders[0].certificate.subject,
        ]
        assert verified.evidence[0].next_update == START + DAY

    @pytest.mark.parametrize("reason", [COMPROMISE, x509.ReasonFlags.unspecified])
    def test_revoked(self, reason: x509.ReasonFlags) -> None:
        with pytest.raises(CertificateRevoked, match="bus-12") as caught:
            check(self.MADE, revoking(self.MADE, reason))
        assert (caught.value.reason, caught.value.revoked_at) == (reason.name, START - HOUR)
        assert not isinstance(caught.value, CertificateSuspended)

    def test_suspended_and_released(self) -> None:
        on_hold = revoking(self.MADE, HOLD)
        with pytest.raises(CertificateSuspended) as caught:
            check(self.MADE, on_hold)
        assert caught.value.code == "certificate_suspended"
        check(self.MADE, on_hold, Listing(number=2, this_update=START - HOUR))

    def test_a_revocation_is_never_taken_back(self) -> None:
        """By evidence of another kind: a list that is older than the response counts all the same."""
        good = Finding(EvidenceKind.OCSP, START, START + DAY, None, ())
        revocation = Revocation(START - DAY, "key_compromise")
        bad = Finding(EvidenceKind.CRL, START - DAY, START + DAY, revocation, ())
        with pytest.raises(CertificateRevoked):
            judge(self.MADE.leaf, (good, bad), START, HARD_FAIL)

    def test_of_another_key(self) -> None:
        """A list that its authority has not signed says nothing."""
        root = crl(self.MADE.holders[0], Listing())
        forged = crl(self.MADE.issuing, Listing(), new_key())
        with pytest.raises(StatusUnknown):
            Verifier(self.MADE.trust((root, forged))).verify(self.MADE.leaf, Purpose.TERMINAL, START)

    def test_an_entry_that_nobody_understands(self) -> None:
        """RFC 5280, 5.3: a critical extension of an entry; the list then clears nobody of that number."""
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(self.MADE.leaf.serial_number)
            .revocation_date(START)
            .add_extension(
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.32473.9.9"), b"\x05\x00"), True
            )
            .build()
        )
        issuer = self.MADE.issuing
        strange = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(START)
            .next_update(START + DAY)
            .add_revoked_certificate(entry)
            .sign(issuer.key, hashes.SHA256())
        )
        assert list(CrlEvidence([strange]).about(self.MADE.leaf, issuer.certificate)) == []


class TestDeltaLists:
    """RFC 5280, 5.2.4 and 6.3.3 (c)."""

    MADE = chain(*usual())
    COMPLETE = Listing(number=10, next_update=START + DAY)

    def delta(self, **changes: Any) -> Listing:
        late = replace(revoking(self.MADE), number=12, base=10, this_update=START - HOUR)
        return replace(late, **changes)

    def test_revokes_what_the_complete_list_did_not(self) -> None:
        check(self.MADE, self.COMPLETE)
        with pytest.raises(CertificateRevoked):
            check(self.MADE, self.COMPLETE, self.delta())

    def test_releases(self) -> None:
        on_hold = replace(revoking(self.MADE, HOLD), number=10)
        removed = ((self.MADE.leaf.serial_number, START - HOUR, x509.ReasonFlags.remove_from_crl),)
        with pytest.raises(CertificateSuspended):
            check(self.MADE, on_hold, self.delta(revoked=()))
        check(self.MADE, on_hold, self.delta(revoked=removed))

    @pytest.mark.parametrize(
        "changes",
        [{"base": 11, "number": 12}, {"number": 10}, {"number": 9, "base": 8}, {"scope": scope(users=True)}],
        ids=["for a later complete list", "no newer", "older", "another scope"],
    )
    def test_that_does_not_go_with_the_complete_list(self, changes: dict[str, Any]) -> None:
        check(self.MADE, self.COMPLETE, self.delta(**changes))

    def test_alone_says_nothing(self) -> None:
        with pytest.raises(StatusUnknown):
            check(self.MADE, self.delta(revoked=()))

    def test_keeps_the_status_current(self) -> None:
        """The complete list is a day late; the delta list is of this hour, and both tell the state."""
        late = START + 2 * DAY
        with pytest.raises(StatusStale):
            check(self.MADE, self.COMPLETE, moment=late)
        check(self.MADE, self.COMPLETE, self.delta(revoked=(), next_update=late + HOUR), moment=late)


class TestShards:
    """RFC 5280, 5.2.5: the list of the certificate's own distribution point."""

    def test_its_own(self) -> None:
        check(SHARDED, Listing(scope=scope(URL)))
        with pytest.raises(CertificateRevoked):
            check(SHARDED, replace(revoking(SHARDED), scope=scope(URL)))

    @pytest.mark.parametrize(
        "other",
        [
            scope(URL + "/2"),
            scope(authorities=True),
            scope(URL, authorities=True),
            scope(URL, indirect=True),
            scope(URL, reasons=frozenset({COMPROMISE})),
        ],
        ids=["another shard", "authorities only", "authorities of its shard", "indirect", "some reasons"],
    )
    def test_others_clear_nobody(self, other: x509.IssuingDistributionPoint) -> None:
        with pytest.raises(StatusUnknown):
            check(SHARDED, Listing(scope=other))

    def test_without_a_distribution_point(self) -> None:
        with pytest.raises(StatusUnknown):
            check(chain(*usual()), Listing(scope=scope(URL)))

    def test_users_only(self) -> None:
        check(SHARDED, Listing(scope=scope(users=True)))

    def test_a_revocation_in_any_scope_counts(self) -> None:
        with pytest.raises(CertificateRevoked):
            check(SHARDED, Listing(scope=scope(URL)), revoking(SHARDED))


class TestPolicy:
    """How old evidence may be."""

    MADE = chain(*usual())
    SOFT = RevocationPolicy.soft_fail(3 * DAY)

    @pytest.mark.parametrize(
        ("age", "error"),
        [(2 * DAY, None), (2 * DAY + HOUR, None), (3 * DAY, None), (3 * DAY + HOUR, StatusStale)],
        ids=str,
    )
    def test_soft_fail(self, age: timedelta, error: type[Exception] | None) -> None:
        """The list is of a day before START and should have been renewed a day after."""
        moment = START - DAY + age
        if error is None:
            verified = check(self.MADE, Listing(), moment=moment, policy=self.SOFT)
            assert verified.evidence[0].this_update == START - DAY
        else:
            with pytest.raises(error):
                check(self.MADE, Listing(), moment=moment, policy=self.SOFT)

    def test_hard_fail(self) -> None:
        with pytest.raises(StatusStale) as caught:
            check(self.MADE, Listing(), moment=START + DAY + HOUR)
        assert caught.value.next_update == START + DAY

    def test_soft_fail_needs_some_evidence(self) -> None:
        with pytest.raises(StatusUnknown):
            check(self.MADE, policy=self.SOFT)

    def test_stale_evidence_still_revokes(self) -> None:
        with pytest.raises(CertificateRevoked):
            check(self.MADE, revoking(self.MADE), moment=START + 30 * DAY, policy=self.SOFT)

    def test_for_an_authority_as_well(self) -> None:
        """The root's list is late; a soft failure bears it up to the age, and is not remembered beyond."""
        root = crl(self.MADE.holders[0], Listing())
        own = crl(self.MADE.issuing, Listing(next_update=START + 30 * DAY))
        verifier = Verifier(self.MADE.trust((root, own)))
        moment = START + DAY + HOUR
        with pytest.raises(StatusStale, match="authority 1"):
            verifier.verify(self.MADE.leaf, Purpose.TERMINAL, moment)
        verifier.verify(self.MADE.leaf, Purpose.TERMINAL, moment, self.SOFT)
        with pytest.raises(StatusStale, match="authority 1"):
            verifier.verify(self.MADE.leaf, Purpose.TERMINAL, START + 3 * DAY, self.SOFT)

    def test_a_revoked_authority(self) -> None:
        authority = self.MADE.issuing.certificate
        revoked = ((authority.serial_number, START + HOUR, COMPROMISE),)
        root = crl(self.MADE.holders[0], Listing(revoked=revoked))
        own = crl(self.MADE.issuing, Listing())
        verifier = Verifier(self.MADE.trust((root, own)))
        verifier.verify(self.MADE.leaf, Purpose.TERMINAL, START)
        with pytest.raises(CertificateRevoked, match="authority 1"):
            verifier.verify(self.MADE.leaf, Purpose.TERMINAL, START + HOUR)


class TestRemembered:
    """An accepted certificate is remembered where that is asked for, and while nothing can change."""

    MADE = chain(*usual())

    def verifier(self, listing: Listing, remembered: int) -> Verifier:
        root = crl(self.MADE.holders[0], Listing(next_update=START + 365 * DAY))
        return Verifier(self.MADE.trust((root, crl(self.MADE.issuing, listing))), remembered=remembered)

    @pytest.mark.parametrize("remembered", [0, 1])
    def test_if_asked_for(self, remembered: int) -> None:
        verifier = self.verifier(Listing(), remembered)
        first, again = (verifier.verify(self.MADE.leaf, Purpose.TERMINAL, START) for _ in range(2))
        assert (first is again) is bool(remembered)
        later = verifier.verify(self.MADE.leaf, Purpose.TERMINAL, START + HOUR)
        assert later == replace(first, moment=START + HOUR)

    def test_not_beyond_the_list(self) -> None:
        verifier = self.verifier(Listing(), 1)
        verifier.verify(self.MADE.leaf, Purpose.TERMINAL, START + DAY)
        with pytest.raises(StatusStale):
            verifier.verify(self.MADE.leaf, Purpose.TERMINAL, START + DAY + HOUR)

    def test_not_beyond_a_revocation_that_is_to_come(self) -> None:
        verifier = self.verifier(revoking(self.MADE, at=START + HOUR), 1)
        verifier.verify(self.MADE.leaf, Purpose.TERMINAL, START)
        with pytest.raises(CertificateRevoked):
            verifier.verify(self.MADE.leaf, Purpose.TERMINAL, START + HOUR)

    def test_not_beyond_one_that_only_another_list_knows_of(self) -> None:
        """The list of its shard clears it for a day; the whole one has it revoked in an hour."""
        root = crl(SHARDED.holders[0], Listing(next_update=START + 365 * DAY))
        shard = crl(SHARDED.issuing, Listing(scope=scope(URL), next_update=START + 30 * DAY))
        whole = crl(SHARDED.issuing, revoking(SHARDED, at=START + HOUR))
        verifier = Verifier(SHARDED.trust((root, shard, whole)), remembered=1)
        verifier.verify(SHARDED.leaf, Purpose.TERMINAL, START)
        with pytest.raises(CertificateRevoked):
            verifier.verify(SHARDED.leaf, Purpose.TERMINAL, START + 2 * HOUR)

    def test_not_for_another_purpose(self) -> None:
        verifier = self.verifier(Listing(), 1)
        verifier.verify(self.MADE.leaf, Purpose.TERMINAL, START)
        with pytest.raises(PurposeRefused):
            verifier.verify(self.MADE.leaf, Purpose.STAFF, START)

    def test_so_many_and_no_more(self) -> None:
        verifier = self.verifier(Listing(), 2)
        leaves = [make(usual()[-1], self.MADE.issuing).certificate for _ in range(3)]
        first = [verifier.verify(leaf, Purpose.TERMINAL, START) for leaf in leaves]
        again = [verifier.verify(leaf, Purpose.TERMINAL, START) for leaf in reversed(leaves)]
        assert [one is other for one, other in zip(first, reversed(again), strict=True)] == [
            False,
            True,
            True,
        ]


def ocsp_response(
    made: Chain,
    *,
    signer: Holder | None = None,
    issuer: x509.Certificate | None = None,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    reason: x509.ReasonFlags | None = None,
    next_update: datetime | None = START + DAY,
    algorithm: hashes.SHA1 | hashes.SHA256 | None = None,
) -> bytes:
    """By `cryptography`'s builder; signed by the issuing authority unless told otherwise."""
    responder = signer or made.issuing
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=made.leaf,
            issuer=issuer or made.issuing.certificate,
            algorithm=algorithm or SHA_1,
            cert_status=status,
            this_update=START - HOUR,
            next_update=next_update,
            revocation_time=START - HOUR if revoked else None,
            revocation_reason=reason,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
    )
    if signer is not None:
        builder = builder.certificates([signer.certificate])
    response = builder.sign(responder.key, hashes.SHA256())
    return response.public_bytes(Encoding.DER)


class TestOcsp:
    """RFC 6960."""

    MADE = chain(*usual())

    def check(self, response: bytes, moment: datetime = START) -> VerifiedCertificate:
        root = crl(self.MADE.holders[0], Listing())
        verifier = Verifier(self.MADE.trust((root,)), [OcspEvidence([response])])
        return verifier.verify(self.MADE.leaf, Purpose.TERMINAL, moment)

    def responder(self, issuer: Holder | None = None, not_after: datetime = LONG_AFTER) -> Holder:
        """Whom the issuing authority, or another one, has appointed."""
        key, parent = new_key(), issuer or self.MADE.issuing
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name("responder"))
            .issuer_name(parent.certificate.subject)
            .public_key(key.public_key())
            .serial_number(4711)
            # `cryptography` takes the moment of signing from the machine's clock
            .not_valid_before(LONG_AGO)
            .not_valid_after(not_after)
            .add_extension(key_usage(("digital_signature",)), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
            .sign(parent.key, hashes.SHA256())
        )
        return Holder(certificate, key)

    @pytest.mark.parametrize("algorithm", [SHA_1, hashes.SHA256()], ids=lambda each: each.name)
    def test_good(self, algorithm: hashes.SHA1 | hashes.SHA256) -> None:
        verified = self.check(ocsp_response(self.MADE, algorithm=algorithm))
        assert [each.kind for each in verified.evidence] == [EvidenceKind.OCSP, EvidenceKind.CRL]

    def test_by_an_appointed_responder(self) -> None:
        self.check(ocsp_response(self.MADE, signer=self.responder()))

    @pytest.mark.parametrize(
        ("reason", "error"), [(COMPROMISE, CertificateRevoked), (HOLD, CertificateSuspended)]
    )
    def test_revoked(self, reason: x509.ReasonFlags, error: type[CertificateRevoked]) -> None:
        with pytest.raises(error) as caught:
            self.check(ocsp_response(self.MADE, status=ocsp.OCSPCertStatus.REVOKED, reason=reason))
        assert caught.value.reason == reason.name

    def test_stale(self) -> None:
        with pytest.raises(StatusStale):
            self.check(ocsp_response(self.MADE), START + 2 * DAY)

    def test_what_says_nothing(self) -> None:
        other = chain(*usual())
        appointed_elsewhere = self.responder(other.issuing)
        no_responder = make(Making("responder", is_authority=False), self.MADE.issuing)
        for response in (
            b"",
            b"not a response",
            ocsp_response(self.MADE)[:-1],
            ocsp_response(self.MADE, status=ocsp.OCSPCertStatus.UNKNOWN),
            ocsp_response(self.MADE, next_update=None),
            ocsp_response(other),
            ocsp_response(self.MADE, issuer=other.issuing.certificate),
            ocsp_response(self.MADE, signer=other.issuing),
            ocsp_response(self.MADE, signer=appointed_elsewhere),
            ocsp_response(self.MADE, signer=no_responder),
        ):
            with pytest.raises(StatusUnknown):
                self.check(response)

    def test_a_responder_that_has_run_out(self) -> None:
        """It was appointed until yesterday, and signs today."""
        with pytest.raises(StatusUnknown):
            self.check(ocsp_response(self.MADE, signer=self.responder(not_after=LONG_AGO + DAY)))

    def test_a_responder_is_believed_no_longer_than_it_is_appointed(self) -> None:
        evidence = OcspEvidence([ocsp_response(self.MADE, signer=self.responder(), next_update=FAR)])
        (finding,) = evidence.about(self.MADE.leaf, self.MADE.issuing.certificate)
        assert finding.next_update == LONG_AFTER


class TestStatusList:
    """Token Status List, as evidence: the certificate names its place."""

    INDEX = 4711
    LIST = "https://cards.example/pki/status/0"
    MADE = usual_but(2, extra=((status_index_extension(EXAMPLE_ARC, INDEX), False),))

    def check(self, status: CardStatus, made: Chain = MADE, moment: datetime = START) -> VerifiedCertificate:
        builder = StatusListBuilder(10_000)
        builder.set(self.INDEX, status)
        token = StatusListToken(
            uri=self.LIST, issued_at=START - HOUR, expires_at=START + DAY, ttl=HOUR, statuses=builder.build()
        )
        evidence = StatusListEvidence(token, b"the list", made.issuing.certificate)
        root = crl(made.holders[0], Listing(next_update=START + 30 * DAY))
        verifier = Verifier(made.trust((root,)), [evidence])
        return verifier.verify(made.leaf, Purpose.TERMINAL, moment)

    def test_valid(self) -> None:
        verified = self.check(CardStatus.VALID)
        assert verified.evidence[0].kind is EvidenceKind.STATUS_LIST
        assert verified.evidence[0].sources == (b"the list",)

    @pytest.mark.parametrize(
        ("status", "error"),
        [(CardStatus.INVALID, CertificateRevoked), (CardStatus.SUSPENDED, CertificateSuspended)],
    )
    def test_not_valid(self, status: CardStatus, error: type[CertificateRevoked]) -> None:
        with pytest.raises(error):
            self.check(status)

    def test_stale(self) -> None:
        with pytest.raises(StatusStale):
            self.check(CardStatus.VALID, moment=START + 2 * DAY)

    @pytest.mark.parametrize(
        "extension",
        [
            (),
            ((status_index_extension(EXAMPLE_ARC, 10_000), False),),
            ((status_index_extension(EXAMPLE_ARC, LIST_SIZE + INDEX), False),),
            ((x509.UnrecognizedExtension(status_index_extension(EXAMPLE_ARC, 1).oid, b"\x05\x00"), False),),
        ],
        ids=["no place", "beyond the list", "of another list", "malformed"],
    )
    def test_what_has_no_place(self, extension: tuple[tuple[x509.ExtensionType, bool], ...]) -> None:
        with pytest.raises(StatusUnknown):
            self.check(CardStatus.VALID, usual_but(2, extra=extension))
