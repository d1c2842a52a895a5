"""OCSP without HTTP: what is asked, what is answered, and what `cryptography` and pkilint make of it."""

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import OCSPExtensionOID

from pki import der
from pki.errors import DerMalformed
from pki.ocsp import (
    MAX_REQUEST_BYTES,
    OcspAnswer,
    OcspResponder,
    OcspSigner,
    ResponseStatus,
    cert_id,
    parse_request,
)
from pki.ocsp.cert_id import HASHES, SHA1
from pki.ocsp.request import MAX_CERTIFICATES
from pki.ocsp.responder import VALIDITY
from pki.scheme import open_scheme
from tests.pki.conftest import PASSPHRASE, START
from tests.pki.linting import ocsp_findings
from tests.pki.ocsp_office import GOOD, HELD, Office, batch, open_office
from tests.pki.ocsp_office import HASHES as NAMES

HOUR = timedelta(hours=1)
NONCE = bytes(range(32))


@pytest.fixture
def office(made_scheme: Path) -> Office:
    return open_office(open_scheme(made_scheme, PASSPHRASE))


def read(answer: OcspAnswer) -> ocsp.OCSPResponse:
    response = ocsp.load_der_ocsp_response(answer.der)
    assert response.response_status.value == answer.status
    return response


def verify(response: ocsp.OCSPResponse, signer: OcspSigner) -> None:
    """As a client does: the responder that the authority has certified has signed it."""
    (certificate,) = response.certificates
    assert certificate == signer.certificate
    certificate.verify_directly_issued_by(signer.issuer)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))


class TestStatuses:
    """RFC 6960, 2.2."""

    @pytest.mark.parametrize(
        ("serial", "status", "reason"),
        [
            (1, ocsp.OCSPCertStatus.GOOD, None),
            (2**127, ocsp.OCSPCertStatus.REVOKED, x509.ReasonFlags.key_compromise),
            (3, ocsp.OCSPCertStatus.REVOKED, x509.ReasonFlags.certificate_hold),
            (4, ocsp.OCSPCertStatus.REVOKED, None),
            (5, ocsp.OCSPCertStatus.UNKNOWN, None),
            (2**159 - 1, ocsp.OCSPCertStatus.UNKNOWN, None),
        ],
    )
    @pytest.mark.parametrize("nonce", [None, NONCE], ids=["", "nonce"])
    def test_each(
        self,
        office: Office,
        serial: int,
        status: ocsp.OCSPCertStatus,
        reason: x509.ReasonFlags | None,
        nonce: bytes | None,
    ) -> None:
        answer = office.responder().respond(office.request(serial, nonce), START + HOUR)
        response = read(answer)
        verify(response, office.signers["cards"])
        assert (response.serial_number, response.certificate_status) == (serial, status)
        assert response.revocation_reason == reason
        if status is ocsp.OCSPCertStatus.REVOKED:
            assert response.revocation_time_utc == START
        assert response.this_update_utc == response.produced_at_utc == START + HOUR
        assert response.next_update_utc == START + HOUR + VALIDITY
        assert ocsp_findings(answer.der) == []

    @pytest.mark.parametrize("algorithm", list(NAMES))
    def test_each_hash(self, office: Office, algorithm: str) -> None:
        """The name of the certificate comes back as it was given."""
        data = office.request(2**127, algorithm=algorithm)
        response = read(office.responder().respond(data, START))
        asked = ocsp.load_der_ocsp_request(data)
        assert response.hash_algorithm.name == algorithm
        assert response.issuer_key_hash == asked.issuer_key_hash
        assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED

    def test_an_authority_that_answers_for_itself(self, office: Office) -> None:
        """RFC 6960, 2.6: then no certificate is needed with the answer."""
        issuer = office.issuer()
        signer = OcspSigner("cards", issuer, issuer, office.issuer_keys["cards"])
        answer = OcspResponder([signer], office.records).respond(office.request(1), START)
        response = read(answer)
        assert response.certificates == []
        key = issuer.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))
        assert ocsp_findings(answer.der) == []

    def test_an_answer_ends_with_its_responder(self, office: Office) -> None:
        signer = office.signers["cards"]
        end = signer.certificate.not_valid_after_utc
        assert read(office.responder().respond(office.request(), end - HOUR)).next_update_utc == end

    @pytest.mark.parametrize("moment", [START - HOUR, START + timedelta(days=30)])
    def test_outside_its_validity_a_responder_signs_nothing(self, office: Office, moment: datetime) -> None:
        answer = office.responder().respond(office.request(), moment)
        assert (answer.status, answer.next_update) == (ResponseStatus.INTERNAL_ERROR, None)


class TestNonces:
    """RFC 9654, 2.1."""

    @pytest.mark.parametrize("size", [1, 15, 16, 32, 33, 127, 128])
    def test_it_comes_back(self, office: Office, size: int) -> None:
        nonce = bytes(range(size))
        answer = office.responder().respond(office.request(1, nonce), START)
        found = read(answer).extensions.get_extension_for_class(x509.OCSPNonce).value
        assert found.nonce == nonce
        assert answer.next_update is None  # nobody else may be given it

    @pytest.mark.parametrize(
        "nonces",
        [[b""], [bytes(129)], [NONCE, NONCE]],
        ids=["empty", "129 octets", "two"],
    )
    def test_it_is_refused(self, office: Office, nonces: list[bytes]) -> None:
        extensions = [
            der.extension(OCSPExtensionOID.NONCE, der.tlv(der.OCTET_STRING, nonce)) for nonce in nonces
        ]
        data = batch([cert_id(office.issuer(), 1)], *extensions)
        assert office.responder().respond(data, START).status is ResponseStatus.MALFORMED_REQUEST

    def test_without_one_there_is_none(self, office: Office) -> None:
        response = read(office.responder().respond(office.request(), START))
        assert list(response.extensions) == []


class TestKept:
    """What was signed before is given again while it says the same."""

    def test_it_is_signed_once(self, office: Office) -> None:
        responder = office.responder()
        first = responder.respond(office.request(), START)
        assert responder.respond(office.request(), START + HOUR) == first
        assert responder.respond(office.request(algorithm="sha1"), START) != first
        assert responder.respond(office.request(nonce=NONCE), START) != first

    def test_a_revocation_is_told_at_once(self, office: Office) -> None:
        responder = office.responder()
        responder.respond(office.request(), START)
        office.records.statuses[1] = HELD
        held = read(responder.respond(office.request(), START + HOUR))
        assert held.revocation_reason is x509.ReasonFlags.certificate_hold
        office.records.statuses[1] = GOOD
        assert (
            read(responder.respond(office.request(), START + HOUR)).certificate_status
            is ocsp.OCSPCertStatus.GOOD
        )

    def test_it_is_renewed_in_the_middle_of_its_time(self, office: Office) -> None:
        responder = office.responder()
        first = responder.respond(office.request(), START)
        assert responder.respond(office.request(), START + VALIDITY / 2 - HOUR) == first
        renewed = responder.respond(office.request(), START + VALIDITY / 2)
        assert renewed.this_update == START + VALIDITY / 2

    def test_it_is_not_given_before_its_time(self, office: Office) -> None:
        """A clock that was set back."""
        responder = office.responder()
        later = responder.respond(office.request(), START + HOUR)
        assert responder.respond(office.request(), START) != later

    def test_strangers_cannot_fill_the_memory(self, office: Office) -> None:
        responder = office.responder(kept=1)
        first = responder.respond(office.request(1), START)
        responder.respond(office.request(5), START)
        assert responder.respond(office.request(1), START) is first
        responder.respond(office.request(3), START)
        assert responder.respond(office.request(1), START) is not first

    def test_signed_before_anybody_asks(self, office: Office) -> None:
        responder = office.responder()
        assert responder.presign("cards", [1, 3], START) == 4
        for algorithm in ("sha1", "sha256"):
            answer = responder.respond(office.request(3, algorithm=algorithm), START + HOUR)
            assert answer.this_update == START
            verify(read(answer), office.signers["cards"])


class TestBatches:
    """Several certificates in one request, which nothing but our own code and `openssl` reads."""

    def test_each_is_answered_in_its_place(self, office: Office) -> None:
        asked = [cert_id(office.issuer(), serial) for serial in (1, 2**127, 3, 99)]
        answer = office.responder().respond(batch(asked), START)
        assert _statuses(answer.der) == [
            *((asked[0].raw, "80"), (asked[1].raw, "a1"), (asked[2].raw, "a1"), (asked[3].raw, "82"))
        ]
        assert ocsp_findings(answer.der) == []

    def test_another_issuers_are_unknown(self, office: Office) -> None:
        """RFC 6960, 2.2; each authority's responder speaks for it alone."""
        asked = [cert_id(office.issuer("terminals"), 1), cert_id(office.issuer(), 1)]
        answer = office.responder().respond(batch(asked), START)
        assert [status for _, status in _statuses(answer.der)] == ["82", "82"]
        assert office.records.asked == 1  # by the terminals' authority, for its own

    def test_what_no_issuer_here_has_issued(self, office: Office) -> None:
        stranger = office.certificate(1)
        asked = [cert_id(stranger, 1), cert_id(office.issuer(), 1)]
        answer = office.responder().respond(batch(asked), START)
        assert [status for _, status in _statuses(answer.der)] == ["82", "80"]
        alone = office.responder().respond(batch(asked[:1]), START)
        assert alone.der.hex() == "30030a0106"  # RFC 6960, 2.3: unauthorized, and nobody signs it

    def test_the_most(self, office: Office) -> None:
        asked = [cert_id(office.issuer(), serial) for serial in range(1, MAX_CERTIFICATES + 2)]
        most = office.responder().respond(batch(asked[:-1]), START)
        assert len(_statuses(most.der)) == MAX_CERTIFICATES
        one_more = office.responder().respond(batch(asked), START)
        assert one_more.status is ResponseStatus.MALFORMED_REQUEST


class TestRequests:
    """What is read, and what is refused."""

    @pytest.mark.parametrize("algorithm", list(HASHES))
    def test_the_name_of_a_certificate_is_the_librarys(self, office: Office, algorithm: bytes) -> None:
        data = office.request(2**127, algorithm=HASHES[algorithm])
        (asked,) = parse_request(data).certificates
        mine = cert_id(office.issuer(), 2**127, algorithm)
        assert (mine.issuer_name_hash, mine.issuer_key_hash) == (
            asked.issuer_name_hash,
            asked.issuer_key_hash,
        )
        assert (mine.serial, mine.hash_algorithm) == (asked.serial, asked.hash_algorithm)

    def test_with_everything_that_may_be_there(self, office: Office) -> None:
        """Version, requestor, extensions and a signature that nobody looks at. RFC 6960, 4.1.1."""
        one = cert_id(office.issuer(), 1, SHA1)
        ignored = der.extension(x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.4"), der.tlv(der.SEQUENCE))
        nonce = der.extension(OCSPExtensionOID.NONCE, der.tlv(der.OCTET_STRING, NONCE), critical=True)
        body = der.tlv(
            der.SEQUENCE,
            der.tlv(der.context(0), der.integer(0)),
            der.tlv(der.context(1), der.tlv(der.context(6, constructed=False), b"urn:x")),
            der.tlv(
                der.SEQUENCE,
                der.tlv(der.SEQUENCE, one.raw, der.tlv(der.context(0), der.tlv(der.SEQUENCE, ignored))),
            ),
            der.tlv(der.context(2), der.tlv(der.SEQUENCE, ignored, nonce)),
        )
        signature = der.tlv(der.context(0), der.tlv(der.SEQUENCE, der.ECDSA_WITH_SHA256))
        read_back = parse_request(der.tlv(der.SEQUENCE, body, signature))
        assert (read_back.certificates, read_back.nonce) == ((one,), NONCE)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\x30\x00",
            b"\x30\x02\x30\x00",
            b"\x30\x04\x30\x02\x30\x00",
            b"\x30\x06\x30\x04\x30\x02\x30\x00",
            b"GET / HTTP/1.1",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30" * 200,
            bytes(MAX_REQUEST_BYTES + 1),
        ],
        ids=lambda data: data[:8].hex() or "nothing",
    )
    def test_what_is_no_request(self, office: Office, data: bytes) -> None:
        with pytest.raises(DerMalformed):
            parse_request(data)
        assert office.responder().respond(data, START).der.hex() == "30030a0101"

    @pytest.mark.parametrize(
        ("extension", "sentence"),
        [
            (der.extension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00", critical=True), "critical"),
            (der.tlv(der.SEQUENCE, der.object_identifier(x509.ObjectIdentifier("1.2.3"))), "an extension"),
            (
                der.tlv(
                    der.SEQUENCE,
                    der.object_identifier(x509.ObjectIdentifier("1.2.3")),
                    b"\x01\x01\x00",
                    der.tlv(der.OCTET_STRING, b""),
                ),
                "critical or does not say",
            ),
        ],
    )
    def test_extensions(self, office: Office, extension: bytes, sentence: str) -> None:
        with pytest.raises(DerMalformed, match=sentence):
            parse_request(batch([cert_id(office.issuer(), 1)], extension))

    def test_a_negative_serial_number_was_never_issued(self, office: Office) -> None:
        one = cert_id(office.issuer(), 1)
        raw = one.raw.replace(b"\x02\x01\x01", b"\x02\x01\xff")
        answer = office.responder().respond(batch([type(one)(raw, b"", b"", b"", -1)]), START)
        assert read(answer).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


@pytest.mark.parametrize(
    ("serial", "sentence"), [(1, "good"), (2**127, "revoked"), (3, "revoked"), (99, "unknown")]
)
@pytest.mark.parametrize("nonce", ["-nonce", "-no_nonce"])
@pytest.mark.parametrize("algorithm", ["-sha1", "-sha256"])
def test_openssl_asks_and_believes(
    made_scheme: Path, office: Office, tmp_path: Path, serial: int, sentence: str, nonce: str, algorithm: str
) -> None:
    """The delegated responder is accepted by the chain to the root alone."""
    done = openssl(made_scheme, office, tmp_path, algorithm, nonce, "-serial", f"0x{serial:x}")
    assert f"0x{serial:x}: {sentence}" in done.stdout


def test_openssl_asks_for_several(made_scheme: Path, office: Office, tmp_path: Path) -> None:
    serials = [argument for serial in (1, 2**127, 99) for argument in ("-serial", f"0x{serial:x}")]
    done = openssl(made_scheme, office, tmp_path, *serials)
    told = [line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("0x")]
    assert told == ["good", "revoked", "unknown"]


def openssl(made_scheme: Path, office: Office, folder: Path, *asked: str) -> subprocess.CompletedProcess[str]:
    """`openssl ocsp` makes a request, and then reads our answer to it."""
    public, request, response = made_scheme / "public", folder / "request", folder / "response"
    # The nonce, if there is one, is the request's: reading it must not add another.
    read = [*(argument for argument in asked if argument != "-nonce"), "-no_nonce"]
    command = [*("openssl", "ocsp", "-issuer", str(public / "cards.crt"))]
    subprocess.run([*command, *asked, "-reqout", str(request)], check=True, capture_output=True)
    response.write_bytes(office.responder().respond(request.read_bytes(), START + HOUR).der)
    done = subprocess.run(
        [
            *(*command, *read, "-reqin", str(request), "-respin", str(response)),
            *("-CAfile", str(public / "root.crt"), "-verify_other", str(public / "cards.crt")),
            *("-attime", str(int((START + HOUR).timestamp())), "-validity_period", str(10**9)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "Response verify OK\n"
    return done


def _statuses(response: bytes) -> list[tuple[bytes, str]]:
    """Name and tag of the status of each certificate, in their order. RFC 6960, 4.2.1."""
    basic = der.read(der.read(response).children(2)[1].content).children(2)[1].content
    singles = der.read(der.read(basic).children(4)[0].whole).children(4)[2].children(MAX_CERTIFICATES)
    parts = [single.children(4) for single in singles]
    return [(name.whole, f"{status.tag:02x}") for name, status, *_ in parts]
