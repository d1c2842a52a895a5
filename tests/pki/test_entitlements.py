"""Entitlements: made, verified, and read by two libraries that are not ours."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import cbor2
import cwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki.errors import StatementMalformed, StatementSignatureInvalid
from pki.statements import (
    CardBinding,
    Entitlement,
    KeyBinding,
    deterministic,
    key_id,
    key_thumbprint,
    open_entitlement,
    sign_entitlement,
    verify_entitlement,
)
from pki.statements.errors import (
    EntitlementExpired,
    EntitlementIssuerUnknown,
    EntitlementNotYetValid,
    EntitlementOfAnotherCard,
)
from tests.pki import witnesses
from tests.pki.conftest import new_key

ISSUER, HOLDER = new_key(), new_key()
ISSUERS = {key_id(ISSUER.public_key()): ISSUER.public_key()}
UID, GUID = bytes.fromhex("04DE5F1EACC040"), UUID("0192f0a1-7b3c-4d5e-8f90-a1b2c3d4e5f6")
NOW = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)
CARD, KEY = CardBinding.of(UID, GUID), KeyBinding.of(HOLDER.public_key())
ENTITLEMENT = Entitlement(
    scheme="ashcombe",
    predicate="age_over_18",
    binding=CARD,
    issued_at=NOW - timedelta(days=1),
    expires_at=NOW + timedelta(days=364),
    status_index=1_048_575,
)
PREDICATES = (
    "age_over_18",
    "born_before_2009_01_01",
    "concession:older",
    "concession:disabled",
    "companion",
    "resident",
    "student",
    "membership:swim",
)
# What the two libraries are asked about, too
EXAMPLES = [replace(ENTITLEMENT, predicate=each, binding=to) for each in PREDICATES for to in (CARD, KEY)]
each_example = pytest.mark.parametrize(
    "entitlement", EXAMPLES, ids=lambda each: f"{each.predicate} {type(each.binding).__name__}"
)


def check(raw: bytes, moment: datetime = NOW, presented: CardBinding | KeyBinding = CARD) -> Entitlement:
    return verify_entitlement(raw, "ashcombe", ISSUERS, moment, presented)


class TestFormat:
    @each_example
    def test_size(self, entitlement: Entitlement) -> None:
        """Several fit a file of 1,000 bytes. With the first index beyond 16 bits, and the last of all."""
        for index in (1 << 16, (1 << 32) - 1):
            assert 150 <= len(sign_entitlement(replace(entitlement, status_index=index), ISSUER)) <= 200

    def test_claims(self) -> None:
        """RFC 8392, 4; the card's identifiers as `docs/pki.md` has them."""
        raw = sign_entitlement(ENTITLEMENT, ISSUER)
        protected, unprotected, payload, signature = cbor2.loads(raw).value
        assert cbor2.loads(protected) == {1: -7, 4: key_id(ISSUER.public_key())}
        assert unprotected == {}
        assert len(signature) == 64
        assert cbor2.loads(payload) == {
            1: "ashcombe",
            4: int((NOW + timedelta(days=364)).timestamp()),
            6: int((NOW - timedelta(days=1)).timestamp()),
            -65537: hashlib.sha256(UID + GUID.bytes).digest()[:16],
            -65538: "age_over_18",
            -65539: 1_048_575,
        }

    def test_confirmation(self) -> None:
        """RFC 8747, 3.1, with RFC 9679's thumbprint, which `cwt` computes, too."""
        raw = sign_entitlement(replace(ENTITLEMENT, binding=KEY), ISSUER)
        claims = cbor2.loads(cbor2.loads(raw).value[2])
        assert claims[8] == {5: key_thumbprint(HOLDER.public_key())}
        assert -65537 not in claims

    @each_example
    def test_what_is_read_is_what_was_made(self, entitlement: Entitlement) -> None:
        opened = open_entitlement(sign_entitlement(entitlement, ISSUER))
        assert opened.entitlement == entitlement
        assert opened.payload == entitlement.payload()

    def test_too_long_for_a_card(self) -> None:
        long = replace(ENTITLEMENT, scheme="s" * 64, binding=KEY)
        with pytest.raises(StatementMalformed, match="too many for a card"):
            sign_entitlement(long, ISSUER)

    def test_moments_are_cut_to_the_second(self) -> None:
        summer = timezone(timedelta(hours=2))
        odd = replace(ENTITLEMENT, issued_at=NOW.replace(microsecond=999_999).astimezone(summer))
        assert odd.issued_at == NOW


def test_thumbprint_of_the_rfc() -> None:
    """RFC 9679, 6: the example key and its thumbprint."""
    x = 0x65EDA5A12577C2BAE829437FE338701A10AAA375E1BB5B5DE108DE439C08551D
    y = 0x1E52ED75701163F7F9E40DDF9F341B3DC9BA860AF7E0CA7CA7E9EECD0084D19C
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    assert key_thumbprint(key).hex() == "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec"
    with pytest.raises(ValueError, match="P-256"):
        key_thumbprint(ec.generate_private_key(ec.SECP384R1()).public_key())


class TestOtherLibraries:
    """Two that know nothing of ours, each on every example and on a changed one."""

    KID = key_id(ISSUER.public_key())

    @each_example
    def test_cwt(self, entitlement: Entitlement) -> None:
        raw = sign_entitlement(entitlement, ISSUER)
        assert witnesses.cwt_verifies(raw, ISSUER.public_key(), self.KID)
        assert not witnesses.cwt_verifies(
            raw.replace(b"ashcombe", b"ashcombf"), ISSUER.public_key(), self.KID
        )

    @each_example
    def test_pycose(self, entitlement: Entitlement) -> None:
        raw = sign_entitlement(entitlement, ISSUER)
        assert witnesses.pycose_verifies(raw, ISSUER.public_key())
        assert not witnesses.pycose_verifies(raw.replace(b"ashcombe", b"ashcombf"), ISSUER.public_key())

    def test_the_claims_are_a_cwt(self) -> None:
        """RFC 8392: `cwt` checks expiry and issue by the machine's clock, so they are of today."""
        today = datetime.now(UTC)
        entitlement = replace(ENTITLEMENT, issued_at=today, expires_at=today + timedelta(days=1))
        pem = ISSUER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        key = cwt.COSEKey.from_pem(pem, kid=self.KID)
        claims = cwt.decode(sign_entitlement(entitlement, ISSUER), key)
        assert (claims[1], claims[6]) == ("ashcombe", int(today.timestamp()))
        past = replace(ENTITLEMENT, issued_at=today - timedelta(days=9), expires_at=today - timedelta(days=8))
        with pytest.raises(cwt.VerifyError):
            cwt.decode(sign_entitlement(past, ISSUER), key)


class TestVerify:
    RAW = sign_entitlement(ENTITLEMENT, ISSUER)

    def test_good(self) -> None:
        assert check(self.RAW) == ENTITLEMENT
        bound_to_key = replace(ENTITLEMENT, binding=KEY)
        assert check(sign_entitlement(bound_to_key, ISSUER), presented=KEY) == bound_to_key

    @pytest.mark.parametrize(
        "presented",
        [
            CardBinding.of(bytes(7), GUID),
            CardBinding.of(UID, UUID(int=1)),
            KEY,
            KeyBinding(CARD.digest * 2),
        ],
        ids=["another UID", "another GUID", "a key", "the same bytes as a key"],
    )
    def test_on_another_card(self, presented: CardBinding | KeyBinding) -> None:
        with pytest.raises(EntitlementOfAnotherCard):
            check(self.RAW, presented=presented)

    def test_first_and_last_moment(self) -> None:
        check(self.RAW, ENTITLEMENT.issued_at)
        check(self.RAW, ENTITLEMENT.expires_at - timedelta(microseconds=1))

    def test_before_and_after(self) -> None:
        with pytest.raises(EntitlementNotYetValid) as early:
            check(self.RAW, ENTITLEMENT.issued_at - timedelta(microseconds=1))
        assert early.value.issued_at == ENTITLEMENT.issued_at
        with pytest.raises(EntitlementExpired) as late:
            check(self.RAW, ENTITLEMENT.expires_at)
        assert late.value.expires_at == ENTITLEMENT.expires_at

    def test_a_naive_moment(self) -> None:
        with pytest.raises(ValueError, match="time zone"):
            check(self.RAW, NOW.replace(tzinfo=None))

    def test_another_issuer(self) -> None:
        with pytest.raises(EntitlementIssuerUnknown):
            check(sign_entitlement(ENTITLEMENT, new_key()))

    def test_another_issuer_under_a_known_identifier(self) -> None:
        other = new_key()
        issuers = {key_id(other.public_key()): ISSUER.public_key()}
        with pytest.raises(StatementSignatureInvalid):
            verify_entitlement(sign_entitlement(ENTITLEMENT, other), "ashcombe", issuers, NOW, CARD)

    def test_another_scheme(self) -> None:
        with pytest.raises(StatementSignatureInvalid, match="another scheme"):
            verify_entitlement(self.RAW, "thornfield", ISSUERS, NOW, CARD)


class TestMalformed:
    """Nothing but the one encoding of the one form is read."""

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "free_school_meals",
            "age_over_0",
            "age_over_100",
            "age_over_18 ",
            "born_before_2009_02_29",
            "born_before_0000_01_01",
            "concession:poor",
            "concession",
            "membership:",
            "membership:Swim",
            "membership:" + "s" * 17,
            "resident\n",
        ],
    )
    def test_what_no_entitlement_states(self, text: str) -> None:
        with pytest.raises(StatementMalformed):
            replace(ENTITLEMENT, predicate=text)
        with pytest.raises(StatementMalformed):
            open_entitlement(signed_claims({-65538: text}))

    def test_the_example_itself_is_read(self) -> None:
        assert open_entitlement(signed_claims({})).entitlement == ENTITLEMENT

    @pytest.mark.parametrize(
        "changed",
        [
            {7: b"id"},
            {1: None},
            {1: ""},
            {4: ENTITLEMENT.issued_at.timestamp()},
            {4: int(ENTITLEMENT.issued_at.timestamp())},
            {4: 1 << 40},
            {6: -1},
            {-65537: b"short"},
            {-65537: None},
            {8: {5: bytes(32)}},
            {-65537: None, 8: {5: bytes(31)}},
            {-65537: None, 8: {5: bytes(32), 1: {}}},
            {-65537: None, 8: {3: bytes(32)}},
            {-65537: None, 8: bytes(32)},
            {-65538: None},
            {-65539: None},
            {-65539: 1 << 32},
            {-65539: True},
        ],
    )
    def test_claims(self, changed: dict[int, Any]) -> None:
        with pytest.raises(StatementMalformed):
            open_entitlement(signed_claims(changed))

    @pytest.mark.parametrize(
        "protected",
        [{1: -7}, {1: -8, 4: bytes(8)}, {1: -7, 4: bytes(7)}, {1: -7, 4: bytes(8), 3: 0}, {4: bytes(8)}, []],
    )
    def test_protected_header(self, protected: object) -> None:
        with pytest.raises(StatementMalformed):
            open_entitlement(signed_claims({}, protected=cbor2.dumps(protected)))

    def test_the_form(self) -> None:
        raw = sign_entitlement(ENTITLEMENT, ISSUER)
        open_entitlement(raw)
        parts = cbor2.loads(raw).value
        for changed in (
            raw[1:],
            b"\xd8\x12" + raw[1:],
            b"\xd1" + raw[1:],
            b"\xd2" + cbor2.dumps(parts[:3]),
            b"\xd2" + cbor2.dumps([parts[0], {4: b"x"}, *parts[2:]]),
            b"\xd2" + cbor2.dumps([*parts[:3], parts[3][:-1]]),
            raw + b"\x00",
            raw[:-1],
            raw + bytes(200),
        ):
            with pytest.raises(StatementMalformed):
                open_entitlement(changed)

    def test_a_longer_encoding_of_the_same_claims(self) -> None:
        claims = deterministic({6: 1}).replace(b"\x06\x01", b"\x06\x18\x01")
        with pytest.raises(StatementMalformed):
            open_entitlement(signed_claims({}, payload=claims))


def signed_claims(
    changed: dict[int, Any], *, protected: bytes | None = None, payload: bytes | None = None
) -> bytes:
    """The example with some claims changed, or left out where None; written by `cbor2`, signature aside."""
    claims = cbor2.loads(ENTITLEMENT.payload()) | changed
    claims = {key: value for key, value in sorted(claims.items()) if value is not None}
    ordered = sorted(claims.items(), key=lambda item: cbor2.dumps(item[0]))
    if protected is None:
        protected = cbor2.dumps({1: -7, 4: bytes(8)})
    if payload is None:
        payload = cbor2.dumps(dict(ordered))
    return b"\xd2" + cbor2.dumps([protected, {}, payload, bytes(64)])
