"""The list of recognised schemes: signed by the root's word, and refused for each reason there is."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cwt import COSE, COSEKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pki.errors import PkiError, StatementMalformed, StatementSignatureInvalid, TrustListRefused
from pki.profiles import TRUST_LIST_SIGNER
from pki.scheme import Scheme, create_scheme
from pki.statements.cbor import decode_deterministic, deterministic
from pki.trust_list import (
    Recognised,
    TrustList,
    open_trust_list,
    sign_trust_list,
    verify_trust_list,
)
from tests.pki.conftest import PASSPHRASE, START, Issued, csr_for, issue, new_key

DAY = timedelta(days=1)


@pytest.fixture
def listed(other: Scheme) -> TrustList:
    return TrustList(
        scheme="ashcombe",
        number=3,
        issued=START,
        expires=START + 90 * DAY,
        recognised=(
            Recognised(
                scheme="beckford",
                name="Beckford Card",
                certificate=other.certificates["cards"],
                purposes=("card-authentication",),
                crl_url="https://beckford.example/pki/cards.crl",
            ),
        ),
    )


def signer_of(scheme: Scheme) -> Issued:
    key = new_key()
    return Issued(scheme.authority("root").issue(csr_for(key), TRUST_LIST_SIGNER, "trust-list", START), key)


def signed(scheme: Scheme, listed: TrustList) -> bytes:
    signer = signer_of(scheme)
    return sign_trust_list(listed, signer.certificate, signer.key)


def test_it_comes_back(scheme: Scheme, listed: TrustList, other: Scheme) -> None:
    data = signed(scheme, listed)
    found = verify_trust_list(data, "ashcombe", START + DAY, scheme.trust_store(), newest_number=3)
    assert found == listed
    assert found.authorities_for("card-authentication") == (other.certificates["cards"],)
    assert found.authorities_for("terminal") == ()


def test_an_independent_library_verifies_it(scheme: Scheme, listed: TrustList) -> None:
    """RFC 9052: `cwt` with the key of the certificate in the header."""
    signer = signer_of(scheme)
    data = sign_trust_list(listed, signer.certificate, signer.key)
    numbers = signer.key.public_key().public_numbers()
    key = COSEKey.new(
        {
            1: 2,
            3: -7,
            -1: 1,
            -2: numbers.x.to_bytes(32, "big"),
            -3: numbers.y.to_bytes(32, "big"),
        }
    )
    external = deterministic(["ashcombe", "trust-list", 1])
    assert COSE.new().decode(data, key, external_aad=external) == open_trust_list(data).payload


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scheme": "beckford"}, "not of beckford"),
        ({"moment": START - DAY}, "out of date"),
        ({"moment": START + 91 * DAY}, "fetch a new one"),
        ({"newest_number": 4}, "number 4 has been seen"),
    ],
)
def test_what_it_is_not_for(
    scheme: Scheme, listed: TrustList, changes: dict[str, Any], sentence: str
) -> None:
    asked: dict[str, Any] = {"scheme": "ashcombe", "moment": START, "trust": scheme.trust_store()} | changes
    with pytest.raises(TrustListRefused, match=sentence):
        verify_trust_list(signed(scheme, listed), **asked)


class TestSigners:
    """Only who the root has certified for it."""

    def test_another_schemes(self, scheme: Scheme, other: Scheme, listed: TrustList) -> None:
        with pytest.raises(TrustListRefused, match="not issued by the scheme's root"):
            verify_trust_list(signed(other, listed), "ashcombe", START, scheme.trust_store())

    def test_an_issuing_authoritys(self, scheme: Scheme, listed: TrustList) -> None:
        """The key of `service`, stolen, recognises nobody."""
        statement = issue(scheme, "statement-signer")
        data = sign_trust_list(listed, statement.certificate, statement.key)
        with pytest.raises(TrustListRefused, match="not issued by the scheme's root"):
            verify_trust_list(data, "ashcombe", START, scheme.trust_store())

    def test_one_that_the_root_has_certified_for_something_else(
        self, scheme: Scheme, listed: TrustList
    ) -> None:
        key = scheme.key_store.private_key("cards")
        data = sign_trust_list(listed, scheme.certificates["cards"], key)
        with pytest.raises(TrustListRefused, match="not for trust lists"):
            verify_trust_list(data, "ashcombe", START, scheme.trust_store())

    def test_a_revoked_one(self, scheme: Scheme, listed: TrustList) -> None:
        signer, root = signer_of(scheme), scheme.authority("root")
        data = sign_trust_list(listed, signer.certificate, signer.key)
        root.revoke(signer.certificate.serial_number, START, "key_compromise")
        scheme.publish_crl("root", root.make_crl(START))
        with pytest.raises(TrustListRefused, match="was revoked"):
            verify_trust_list(data, "ashcombe", START, scheme.trust_store())

    def test_without_the_roots_list(self, scheme: Scheme, listed: TrustList) -> None:
        data, trust = signed(scheme, listed), scheme.trust_store()
        with pytest.raises(TrustListRefused, match="is missing"):
            verify_trust_list(data, "ashcombe", START, replace(trust, crls=()))
        long = signed(scheme, replace(listed, expires=START + 600 * DAY))
        with pytest.raises(TrustListRefused, match="fetch a new one"):
            verify_trust_list(long, "ashcombe", START + 500 * DAY, trust)

    def test_a_certificate_with_another_key(self, scheme: Scheme, listed: TrustList) -> None:
        signer = signer_of(scheme)
        with pytest.raises(TrustListRefused, match="not that of"):
            sign_trust_list(listed, signer.certificate, new_key())


@pytest.mark.parametrize(
    "change",
    [
        {"purposes": ()},
        {"purposes": ("parking",)},
        {"purposes": ("terminal", "card-authentication")},
        {"name": ""},
        {"scheme": "two words"},
    ],
    ids=str,
)
def test_what_cannot_be_recognised(scheme: Scheme, listed: TrustList, change: dict[str, Any]) -> None:
    entry = replace(listed.recognised[0], **change)
    if change == {"purposes": ("terminal", "card-authentication")}:  # put in order
        assert signed(scheme, replace(listed, recognised=(entry,)))
        return
    with pytest.raises(StatementMalformed):
        signed(scheme, replace(listed, recognised=(entry,)))


def test_a_leaf_is_no_authority(scheme: Scheme, listed: TrustList) -> None:
    leaf = issue(scheme, "terminal").certificate
    with pytest.raises(StatementMalformed, match="no authority"):
        signed(scheme, replace(listed, recognised=(replace(listed.recognised[0], certificate=leaf),)))


@pytest.mark.parametrize("change", [{"number": 0}, {"expires": START}], ids=str)
def test_a_list_has_a_number_and_an_end(scheme: Scheme, listed: TrustList, change: dict[str, Any]) -> None:
    with pytest.raises(StatementMalformed):
        signed(scheme, replace(listed, **change))


def test_another_key_than_the_headers(scheme: Scheme, listed: TrustList) -> None:
    """The signature of one signer under the certificate of another."""
    data = signed(scheme, listed)
    other_signature = open_trust_list(signed(scheme, listed)).signature
    forged = data.replace(open_trust_list(data).signature, other_signature)
    with pytest.raises(StatementSignatureInvalid):
        verify_trust_list(forged, "ashcombe", START, scheme.trust_store())


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory, other: Scheme) -> tuple[bytes, Scheme]:
    directory = tmp_path_factory.mktemp("mutated") / "ashcombe"
    scheme = create_scheme(directory, "ashcombe", "Ashcombe Card", PASSPHRASE, None, START)
    listed = TrustList(
        scheme="ashcombe",
        number=1,
        issued=START,
        expires=START + DAY,
        recognised=(
            Recognised(
                scheme="beckford",
                name="Beckford Card",
                certificate=other.certificates["cards"],
                purposes=("card-authentication",),
            ),
        ),
    )
    return signed(scheme, listed), scheme


@settings(max_examples=1_000, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(min_value=0), change=st.integers(min_value=1, max_value=255), cut=st.booleans())
def test_no_mutation_is_accepted(sample: tuple[bytes, Scheme], place: int, change: int, cut: bool) -> None:
    data, scheme = sample
    at = place % len(data)
    mutated = data[:at] if cut else data[:at] + bytes([data[at] ^ change]) + data[at + 1 :]
    with pytest.raises(PkiError):
        verify_trust_list(mutated, "ashcombe", START, scheme.trust_store())


def test_a_field_that_is_not_known_is_refused(sample: tuple[bytes, Scheme]) -> None:
    data, _ = sample
    content = decode_deterministic(open_trust_list(data).payload)
    assert isinstance(content, dict)
    for changed in (content | {6: 1}, content | {2: True}, content | {5: [{1: "x"}]}):
        payload = deterministic(changed)
        parts = decode_deterministic(data[1:])
        assert isinstance(parts, list)
        with pytest.raises(StatementMalformed):
            open_trust_list(data[:1] + deterministic([parts[0], {}, payload, parts[3]]))
