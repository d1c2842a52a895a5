"""Lists, requests and answers with something changed in them: never a crash, and never accepted.

1,000 mutations of each kind run each time.
"""

import hashlib
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from pki import der
from pki.errors import DerMalformed, PkiError, SchemeInvalid
from pki.ocsp import OcspResponder, ResponseStatus, parse_request
from pki.scheme import Scheme, open_scheme
from pki.status_list import CardStatus, StatusList, StatusListBuilder, StatusListToken, open_token, sign_token
from pki.trust import load_crl
from tests.pki.conftest import PASSPHRASE, START, issue, new_key
from tests.pki.ocsp_office import Office, open_office

Mutation = Callable[[bytes], bytes]
MUTATIONS = settings(max_examples=1_000, deadline=None)

KEY = new_key()
URI = "https://cards.example/pki/status/0"


def _flip(at: float, bits: int) -> Mutation:
    def mutate(data: bytes) -> bytes:
        index = int(at * len(data))
        return data[:index] + bytes([data[index] ^ bits]) + data[index + 1 :]

    return mutate


def _exchange(at: float, size: int, by: bytes) -> Mutation:
    def mutate(data: bytes) -> bytes:
        index = int(at * len(data))
        return data[:index] + by + data[index + size :]

    return mutate


def _move(at: float, size: int, to: float) -> Mutation:
    def mutate(data: bytes) -> bytes:
        index = int(at * len(data))
        part, rest = data[index : index + size], data[:index] + data[index + size :]
        target = int(to * len(rest))
        return rest[:target] + part + rest[target:]

    return mutate


places = st.floats(0, 1, exclude_max=True)
mutations = st.one_of(
    st.builds(_flip, places, st.integers(1, 255)),
    st.builds(_exchange, places, st.integers(0, 40), st.binary(max_size=40)),
    st.builds(_move, places, st.integers(1, 60), places),
)


@pytest.fixture(scope="module")
def revoking(made_scheme: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scheme, bytes, Path]:
    """A scheme, a list of it with an entry, and a file to put others into."""
    folder = tmp_path_factory.mktemp("revoking")
    scheme = open_scheme(Path(shutil.copytree(made_scheme, folder / "ashcombe")), PASSPHRASE)
    certificate = issue(scheme, "card-authentication").certificate
    scheme.authority("cards").revoke(certificate.serial_number, START, "key_compromise")
    return scheme, scheme.authority("cards").make_list(START).der, folder / "list.crl"


@given(mutation=mutations)
@MUTATIONS
def test_a_revocation_list(revoking: tuple[Scheme, bytes, Path], mutation: Mutation) -> None:
    """It cannot be read, or nobody has signed it."""
    scheme, original, path = revoking
    path.write_bytes(mutated := mutation(original))
    if mutated == original:
        return
    key = scheme.certificates["cards"].public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        authentic = load_crl(path).is_signature_valid(key)
    except (SchemeInvalid, ValueError, x509.InvalidVersion):
        # `cryptography` reads some of it only when it is asked for it
        return
    assert not authentic


@pytest.fixture(scope="module")
def office(made_scheme: Path) -> Office:
    return open_office(open_scheme(made_scheme, PASSPHRASE))


@pytest.fixture(scope="module")
def responder(office: Office) -> OcspResponder:
    return office.responder()


@pytest.fixture(scope="module")
def request_with_nonce(office: Office) -> bytes:
    return office.request(2**127, bytes(32))


@given(mutation=mutations)
@MUTATIONS
def test_an_ocsp_request(responder: OcspResponder, request_with_nonce: bytes, mutation: Mutation) -> None:
    """Whatever comes is answered: refused, or about exactly what it asks for."""
    mutated = mutation(request_with_nonce)
    answer = responder.respond(mutated, START)
    try:
        asked = parse_request(mutated)
    except DerMalformed:
        assert answer.status is ResponseStatus.MALFORMED_REQUEST
        return
    if answer.status is ResponseStatus.UNAUTHORIZED:
        return
    assert answer.status is ResponseStatus.SUCCESSFUL
    basic = der.read(der.read(answer.der).children(2)[1].content).children(2)[1].content
    singles = der.read(der.read(basic).children(4)[0].whole).children(4)[2].children(64)
    assert [single.children(4)[0].whole for single in singles] == [each.raw for each in asked.certificates]
    for single, each in zip(singles, asked.certificates, strict=True):
        status = single.children(4)[1]
        assert (status.tag == der.context(1)) <= (each.serial in {2**127, 3, 4})


@pytest.fixture(scope="module")
def response(responder: OcspResponder, office: Office) -> bytes:
    return responder.respond(office.request(1), START).der


@given(mutation=mutations)
@MUTATIONS
def test_an_ocsp_response(office: Office, response: bytes, mutation: Mutation) -> None:
    """As `cryptography` reads it: what still verifies still says the same."""
    mutated = mutation(response)
    key = office.signers["cards"].certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        read = ocsp.load_der_ocsp_response(mutated)
        if read.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return
        key.verify(read.signature, read.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature):
        return
    original = ocsp.load_der_ocsp_response(response)
    assert read.tbs_response_bytes == original.tbs_response_bytes


def _token() -> bytes:
    builder = StatusListBuilder(4_096)
    builder.set_all(range(0, 4_096, 50), CardStatus.INVALID)
    token = StatusListToken(
        uri=URI,
        issued_at=START,
        expires_at=START + timedelta(days=7),
        ttl=timedelta(minutes=5),
        statuses=builder.build(),
    )
    return sign_token(token, KEY, hashlib.sha256(b"signer").digest())


TOKEN = _token()
LIST = open_token(TOKEN, KEY.public_key(), URI, START).statuses


@given(mutation=mutations)
@MUTATIONS
def test_a_status_list(mutation: Mutation) -> None:
    """Only the thumbprint may change: it finds a key and proves nothing."""
    mutated = mutation(TOKEN)
    try:
        token = open_token(mutated, KEY.public_key(), URI, START)
    except PkiError:
        return
    assert token == open_token(TOKEN, KEY.public_key(), URI, START)


@given(mutation=mutations)
@MUTATIONS
def test_a_compressed_list(mutation: Mutation) -> None:
    """Of a signer that has gone mad: still our errors alone, and never more than a megabyte."""
    try:
        found = StatusList.from_compressed(mutation(LIST.compressed()))
        found.status(17)
    except PkiError:
        return
    assert len(found.octets) <= 1 << 20


@given(st.binary(max_size=400))
@MUTATIONS
def test_any_bytes(responder: OcspResponder, data: bytes) -> None:
    with pytest.raises(PkiError):
        open_token(data, KEY.public_key(), URI, START)
    assert responder.respond(data, START).status is ResponseStatus.MALFORMED_REQUEST
