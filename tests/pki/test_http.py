"""What is published over HTTP: at the addresses that stand in certificates, with what caches need."""

import shutil
import threading
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.authority import BACKDATING
from pki.http.server import create_app
from pki.ocsp import MAX_REQUEST_BYTES, cert_id
from pki.ocsp.request import MAX_CERTIFICATES
from pki.profiles import Profile
from pki.profiles.leaves import LEAVES
from pki.published import publish
from pki.scheme import Scheme, create_scheme, open_scheme, roll_over
from pki.signers import STATUS_LIST_SIGNER
from pki.status_list import CardStatus, open_token
from pki.status_list.allocation import place
from pki.status_list.token import signer_sha256
from tests.pki.conftest import IDENTITIES, PASSPHRASE, START, Issued, csr_for, issue, new_key
from tests.pki.linting import crl_findings, ocsp_findings
from tests.pki.ocsp_office import batch

PUBLIC_URL = "https://cards.example/pki"
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Face:
    """A scheme with what it publishes, and a clock to turn."""

    scheme: Scheme
    clock: Clock
    client: FlaskClient

    def issue(self, profile: str = "card-authentication") -> Issued:
        return issue(self.scheme, profile, self.clock.now)

    def crl(self, path: str) -> x509.CertificateRevocationList:
        answer = self.client.get(f"/pki/{path}")
        assert answer.status_code == 200
        assert crl_findings(answer.data) == []
        return x509.load_der_x509_crl(answer.data)

    def ocsp(self, request: bytes) -> ocsp.OCSPResponse:
        answer = self.client.post("/pki/ocsp", data=request, content_type="application/ocsp-request")
        assert (answer.status_code, answer.content_type) == (200, "application/ocsp-response")
        return ocsp.load_der_ocsp_response(answer.data)

    def asking_for(self, issued: Issued, authority: str = "cards") -> bytes:
        return batch([cert_id(self.scheme.certificate_of(authority), issued.certificate.serial_number)])


@pytest.fixture(scope="module")
def public_scheme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("scheme") / "ashcombe"
    create_scheme(directory, "ashcombe", "Ashcombe Card", PASSPHRASE, None, START, public_url=PUBLIC_URL)
    return directory


@pytest.fixture
def face(public_scheme: Path, tmp_path: Path) -> Face:
    scheme = open_scheme(Path(shutil.copytree(public_scheme, tmp_path / "ashcombe")), PASSPHRASE)
    clock = Clock()
    return Face(scheme, clock, create_app(publish(scheme, clock), "/pki").test_client())


def shard_of(certificate: x509.Certificate) -> str:
    (point,) = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name is not None
    return str(point.full_name[0].value).removeprefix(f"{PUBLIC_URL}/")


class TestAddresses:
    """Each address that a certificate names is answered with what it is there for."""

    def test_of_a_card(self, face: Face) -> None:
        certificate = face.issue().certificate
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        responder, issuer = (each.access_location.value for each in access)
        answer = face.client.get(issuer.removeprefix("https://cards.example"))
        assert answer.content_type == "application/pkix-cert"
        certificate.verify_directly_issued_by(x509.load_der_x509_certificate(answer.data))
        assert responder == f"{PUBLIC_URL}/ocsp"
        crl = face.crl(shard_of(certificate))
        scope = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
        assert scope.critical
        assert scope.value.full_name == [
            x509.UniformResourceIdentifier(f"{PUBLIC_URL}/{shard_of(certificate)}")
        ]

    @pytest.mark.parametrize(
        ("profile", "authority"),
        [(each, authority) for each in LEAVES for authority in each.authorities],
        ids=lambda each: each if isinstance(each, str) else each.name,
    )
    def test_of_each_profile(self, face: Face, profile: Profile, authority: str) -> None:
        """Its list and its OCSP response, good and revoked, as pkilint judges them."""
        issuer, csr = face.scheme.authority(authority), csr_for(new_key())
        issued = issuer.issue(csr, profile, IDENTITIES[profile.name], START)
        path = f"{authority}.crl" if profile.no_status else shard_of(issued)
        assert face.crl(path).get_revoked_certificate_by_serial_number(issued.serial_number) is None
        issuer.revoke(issued.serial_number, START + HOUR, "key_compromise")
        face.clock.now = START + 2 * HOUR
        # The list of everything is made by whoever revokes; a card's shard, when it is asked for.
        face.scheme.publish_crl(authority, issuer.make_crl(face.clock.now))
        crl = face.crl(path)
        assert crl.issuer == issued.issuer
        assert crl.get_revoked_certificate_by_serial_number(issued.serial_number) is not None
        if authority != "root":  # which nobody answers for: it is offline
            request = batch([cert_id(face.scheme.certificate_of(authority), issued.serial_number)])
            answer = face.client.post("/pki/ocsp", data=request, content_type="application/ocsp-request")
            response = ocsp.load_der_ocsp_response(answer.data)
            assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
            assert ocsp_findings(answer.data) == []

    def test_of_an_authority(self, face: Face) -> None:
        """The root is offline: its list is the one that lies in the public folder."""
        crl = face.crl(shard_of(face.scheme.certificates["cards"]))
        assert crl.issuer == face.scheme.certificates["root"].subject
        with pytest.raises(x509.ExtensionNotFound):
            crl.extensions.get_extension_for_class(x509.FreshestCRL)

    def test_of_delta_lists(self, face: Face) -> None:
        """RFC 5280, 5.2.6: a complete list says where its changes are; a delta list says nothing of that."""
        for path in ("cards.crl", shard_of(face.issue().certificate)):
            (point,) = face.crl(path).extensions.get_extension_for_class(x509.FreshestCRL).value
            assert point.full_name is not None
            delta = face.crl(str(point.full_name[0].value).removeprefix(f"{PUBLIC_URL}/"))
            assert _base(delta) == _number(face.crl(path))
            with pytest.raises(x509.ExtensionNotFound):
                delta.extensions.get_extension_for_class(x509.FreshestCRL)

    def test_of_a_former_key(self, face: Face) -> None:
        """RFC 5280, 6.3.3: whoever has a certificate of the former key finds its status as before."""
        before = face.issue()
        scheme = roll_over(face.scheme, "cards", START)
        client = create_app(publish(scheme, face.clock), "/pki").test_client()
        rolled = Face(scheme, face.clock, client)
        after = rolled.issue()
        scheme.authority("cards").revoke(before.certificate.serial_number, START, "superseded")
        for issuer, issued, revoked in (("cards", before, 1), ("cards-2", after, 0)):
            assert shard_of(issued.certificate).startswith(f"{issuer}/")
            assert (
                len(rolled.crl(shard_of(issued.certificate)))
                == len(rolled.crl(f"{issuer}/delta.crl"))
                == revoked
            )
            response = rolled.ocsp(rolled.asking_for(issued, issuer))
            status = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
            assert response.certificate_status is status
            other = rolled.ocsp(rolled.asking_for(issued, {"cards": "cards-2", "cards-2": "cards"}[issuer]))
            assert other.certificate_status is ocsp.OCSPCertStatus.UNKNOWN

    def test_of_a_key_whose_time_is_over(self, face: Face) -> None:
        """It signs nothing any more; its last list stands, and its successor answers as ever."""
        face.crl("cards/delta.crl")
        last = face.scheme.authority("cards").make_list(START + 9 * 365 * DAY)
        scheme = roll_over(face.scheme, "cards", START + 9 * 365 * DAY)
        face.clock.now = face.scheme.certificate_of("cards").not_valid_after_utc + DAY
        for name in ("service", "terminals"):
            scheme = roll_over(scheme, name, START + 9 * 365 * DAY)
        later = Face(scheme, face.clock, create_app(publish(scheme, face.clock), "/pki").test_client())
        issued = later.issue()
        response = later.ocsp(later.asking_for(issued, "cards-2"))
        assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
        old = later.ocsp(later.asking_for(issued, "cards"))
        assert old.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
        assert _number(later.crl("cards.crl")) >= last.number
        assert later.crl("cards-2.crl").next_update_utc == face.clock.now + 7 * DAY

    @pytest.mark.parametrize(
        "path",
        [
            *("bakers.crt", "bakers.crl", "bakers/0.crl", "bakers/delta.crl", "root/delta.crl", "root/0.crl"),
            *(
                "cards/16.crl",
                "cards/99999999999999999999.crl",
                "cards/-1.crl",
                "cards/x.crl",
                "cards/16-delta.crl",
            ),
            *(
                "terminals/0.crl",
                "status/1",
                "status/-1",
                "status/99999999999999999999",
                "status/",
                "..%2fscheme.json",
            ),
            *("", "ocsp/", "%00.crl"),
        ],
    )
    def test_what_is_not_there(self, face: Face, path: str) -> None:
        answer = face.client.get(f"/pki/{path}")
        assert answer.status_code in {404, 405}
        assert answer.headers["Cache-Control"] == "no-store"


class TestLists:
    """They say at once what was recorded, and are renewed in good time."""

    def test_suspended_released_and_revoked(self, face: Face) -> None:
        issued, other = face.issue(), face.issue()
        serial = issued.certificate.serial_number
        cards = face.scheme.authority("cards")
        shard = shard_of(issued.certificate)
        delta = shard.replace(".crl", "-delta.crl")
        assert [len(face.crl(path)) for path in (shard, delta, "cards.crl", "cards/delta.crl")] == [0] * 4

        face.clock.now += HOUR
        cards.suspend(serial, face.clock.now)
        assert _reasons(face.crl(shard)) == {serial: x509.ReasonFlags.certificate_hold}
        assert _reasons(face.crl("cards/delta.crl")) == {serial: x509.ReasonFlags.certificate_hold}

        face.clock.now += HOUR
        cards.release(serial, face.clock.now)
        assert _reasons(face.crl(shard)) == {}
        assert _reasons(face.crl("cards/delta.crl")) == {serial: x509.ReasonFlags.remove_from_crl}

        face.clock.now += HOUR
        cards.revoke(serial, face.clock.now, "key_compromise")
        assert _reasons(face.crl(shard)) == {serial: x509.ReasonFlags.key_compromise}
        assert _reasons(face.crl("cards/delta.crl")) == {serial: x509.ReasonFlags.key_compromise}
        if shard_of(other.certificate) != shard:
            assert _reasons(face.crl(shard_of(other.certificate))) == {}

    def test_a_delta_goes_with_the_newest_complete_list(self, face: Face) -> None:
        issued = face.issue()
        cards = face.scheme.authority("cards")
        cards.revoke(issued.certificate.serial_number, START + HOUR, "superseded")
        face.clock.now += HOUR
        before = face.crl("cards/delta.crl")
        assert _base(before) == _number(face.crl("cards.crl"))
        assert len(before) == 1
        face.clock.now += HOUR
        cards.make_list(face.clock.now)
        after = face.crl("cards/delta.crl")
        assert _base(after) == _number(face.crl("cards.crl")) > _base(before)
        assert len(after) == 0

    def test_a_list_is_the_same_until_something_changes(self, face: Face) -> None:
        issued = face.issue()
        for path in ("cards.crl", "cards/delta.crl", shard_of(issued.certificate)):
            first = face.crl(path)
            face.clock.now += HOUR
            assert face.crl(path) == first

    @pytest.mark.parametrize("path", ["cards.crl", "cards/delta.crl"])
    def test_it_is_renewed_after_a_day(self, face: Face, path: str) -> None:
        first = face.crl(path)
        face.clock.now += DAY
        second = face.crl(path)
        assert _number(second) > _number(first)
        assert second.next_update_utc == face.clock.now + 7 * DAY

    def test_numbers_never_come_twice(self, face: Face) -> None:
        """RFC 5280, 5.2.3: of complete lists, deltas and shards together."""
        issued = face.issue()
        paths = ["cards.crl", "cards/delta.crl", shard_of(issued.certificate)]
        numbers = []
        for _ in range(3):
            face.clock.now += 2 * DAY
            numbers += [_number(face.crl(path)) for path in paths]
        assert sorted(set(numbers)) == sorted(numbers)


class TestCaches:
    """RFC 9111: what may be kept, how long, and how to ask whether it is still so."""

    PATHS = ("cards.crt", "cards.crl", "cards/delta.crl", "status/0", "root.crl")

    @pytest.mark.parametrize("path", PATHS)
    def test_what_may_be_kept(self, face: Face, path: str) -> None:
        answer = face.client.get(f"/pki/{path}")
        assert answer.status_code == 200
        assert answer.cache_control.public
        assert answer.cache_control.max_age
        assert answer.last_modified is not None
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize("path", PATHS)
    def test_a_question_whether_it_is_still_so(self, face: Face, path: str) -> None:
        first = face.client.get(f"/pki/{path}")
        etag = first.headers["ETag"]
        for headers in ({"If-None-Match": etag}, {"If-Modified-Since": first.headers["Last-Modified"]}):
            answer = face.client.get(f"/pki/{path}", headers=headers)
            assert (answer.status_code, answer.data) == (304, b"")
            assert answer.headers["ETag"] == etag
            assert answer.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert face.client.get(f"/pki/{path}", headers={"If-None-Match": '"other"'}).data == first.data

    @pytest.mark.parametrize("path", PATHS)
    def test_head(self, face: Face, path: str) -> None:
        whole, head = face.client.get(f"/pki/{path}"), face.client.head(f"/pki/{path}")
        assert (head.status_code, head.data) == (200, b"")
        for name in ("Content-Type", "Content-Length", "ETag", "Last-Modified", "Cache-Control"):
            assert head.headers[name] == whole.headers[name]

    def test_lists_expire_when_they_say(self, face: Face) -> None:
        answer = face.client.get("/pki/cards.crl")
        assert answer.expires == face.crl("cards.crl").next_update_utc
        assert answer.last_modified == START - BACKDATING
        assert answer.cache_control.max_age == 60

    @pytest.mark.parametrize("method", ["put", "delete", "patch"])
    def test_other_methods(self, face: Face, method: str) -> None:
        assert face.client.open("/pki/cards.crl", method=method.upper()).status_code == 405


class TestOcsp:
    """RFC 6960, A.1 and RFC 5019, 5 and 6."""

    def test_get_is_as_post(self, face: Face) -> None:
        issued = face.issue()
        request = face.asking_for(issued)
        posted = face.client.post("/pki/ocsp", data=request, content_type="application/ocsp-request")
        for encoded in (quote(b64encode(request).decode(), safe=""), b64encode(request).decode()):
            answer = face.client.get(f"/pki/ocsp/{encoded}")
            assert answer.data == posted.data
            assert answer.content_type == "application/ocsp-response"
        response = ocsp.load_der_ocsp_response(answer.data)
        assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert ocsp_findings(answer.data) == []
        assert (answer.last_modified, answer.expires) == (response.this_update_utc, response.next_update_utc)
        assert answer.cache_control.public
        assert answer.cache_control.no_transform
        assert answer.cache_control.must_revalidate
        again = face.client.get(f"/pki/ocsp/{encoded}", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
        assert posted.cache_control.no_store

    @pytest.mark.parametrize("filler", range(16))
    def test_whatever_base64_has_in_it(self, face: Face, filler: int) -> None:
        """Also `+`, `/` and `//`, escaped or not."""
        serial = int.from_bytes(bytes([0x7F, *b"\xff" * 11, 0xFB, 0xEF, 0xBE, filler]), "big")
        request = batch([cert_id(face.scheme.certificate_of("cards"), serial)])
        encoded = b64encode(request).decode()
        assert "//" in encoded
        for path in (encoded, quote(encoded, safe="")):
            answer = face.client.get(f"/pki/ocsp/{path}")
            assert answer.status_code == 200
            response = ocsp.load_der_ocsp_response(answer.data)
            assert response.serial_number == serial

    def test_what_is_revoked_is_told_at_once(self, face: Face) -> None:
        issued = face.issue()
        cards = face.scheme.authority("cards")
        request = face.asking_for(issued)
        assert face.ocsp(request).certificate_status is ocsp.OCSPCertStatus.GOOD
        cards.suspend(issued.certificate.serial_number, START)
        held = face.ocsp(request)
        assert held.revocation_reason is x509.ReasonFlags.certificate_hold
        cards.release(issued.certificate.serial_number, START)
        assert face.ocsp(request).certificate_status is ocsp.OCSPCertStatus.GOOD

    def test_the_responder_is_certified_and_renewed_in_time(self, face: Face) -> None:
        issued = face.issue()
        request = face.asking_for(issued)
        seen = set()
        for _ in range(9):
            (responder,) = face.ocsp(request).certificates
            responder.verify_directly_issued_by(face.scheme.certificate_of("cards"))
            assert responder.not_valid_after_utc - face.clock.now > 9 * DAY
            seen.add(responder.serial_number)
            face.clock.now += 6 * DAY
        assert len(seen) == 3
        recorded = face.scheme.records("cards").find_by_identity("cards", "ocsp-cards")
        assert {each.serial for each in recorded} == seen

    def test_of_the_root_nobody_answers(self, face: Face) -> None:
        root = face.scheme.certificates["root"]
        authority = face.scheme.certificates["cards"]
        answer = face.ocsp(batch([cert_id(root, authority.serial_number)]))
        assert answer.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED

    @pytest.mark.parametrize(
        ("path", "options", "status"),
        [
            ("ocsp", {"data": b"x"}, 415),
            ("ocsp", {"data": b"x", "content_type": "text/plain"}, 415),
            ("ocsp", {"data": bytes(MAX_REQUEST_BYTES + 1), "content_type": "application/ocsp-request"}, 413),
            ("ocsp", {"json": {}}, 415),
        ],
    )
    def test_what_is_not_posted(self, face: Face, path: str, options: dict[str, object], status: int) -> None:
        assert face.client.post(f"/pki/{path}", **options).status_code == status

    @pytest.mark.parametrize("path", ["=", "AA==x", "%ff", "zz", "MAA=", "a" * 1_025])
    def test_what_is_no_request(self, face: Face, path: str) -> None:
        answer = face.client.get(f"/pki/ocsp/{path}")
        if len(path) > 1_024:
            assert answer.status_code == 414
        else:
            assert (answer.status_code, answer.data.hex()) == (200, "30030a0101")
            assert answer.cache_control.no_store

    def test_the_most_that_is_answered(self, face: Face) -> None:
        cards = face.scheme.certificate_of("cards")
        most = batch([cert_id(cards, 2**127 + number) for number in range(MAX_CERTIFICATES)])
        assert len(most) < MAX_REQUEST_BYTES
        answer = face.client.post("/pki/ocsp", data=most, content_type="application/ocsp-request")
        assert answer.data.count(b"\x82\x00") >= MAX_CERTIFICATES

    @given(st.binary(max_size=300))
    @settings(max_examples=300, deadline=None)  # the first one makes what the others use
    def test_any_bytes(self, public_scheme: Path, data: bytes) -> None:
        client = _client(public_scheme)
        answer = client.post("/ocsp", data=data, content_type="application/ocsp-request")
        assert (answer.status_code, answer.data.hex()) == (200, "30030a0101")
        assert client.get("/ocsp/" + quote(data)).status_code in {200, 404, 405, 414}


class TestStatusLists:
    def test_a_card_is_found_in_it(self, face: Face) -> None:
        issued = face.issue()
        (recorded,) = face.scheme.records("cards").find_by_identity("cards", _card(issued))
        assert recorded.status_index is not None
        number, index = place(recorded.status_index)
        cards = face.scheme.authority("cards")

        def status() -> CardStatus:
            answer = face.client.get(f"/pki/status/{number}")
            assert answer.content_type == "application/statuslist+cwt"
            (signer,) = face.scheme.records("service").find_by_identity("service", STATUS_LIST_SIGNER)
            certificate = x509.load_der_x509_certificate(signer.der)
            certificate.verify_directly_issued_by(face.scheme.certificates["service"])
            assert signer_sha256(answer.data) == _sha256(signer.der)
            key = certificate.public_key()
            assert isinstance(key, ec.EllipticCurvePublicKey)
            uri = f"{PUBLIC_URL}/status/{number}"
            return open_token(answer.data, key, uri, face.clock.now).statuses.status(index)

        assert status() is CardStatus.VALID
        face.clock.now += HOUR
        cards.suspend(issued.certificate.serial_number, face.clock.now)
        assert status() is CardStatus.SUSPENDED
        face.clock.now += HOUR
        cards.release(issued.certificate.serial_number, face.clock.now)
        assert status() is CardStatus.VALID
        face.clock.now += HOUR
        cards.revoke(issued.certificate.serial_number, face.clock.now, "key_compromise")
        assert status() is CardStatus.INVALID

    def test_a_certificate_that_took_the_place_of_another_counts(self, face: Face) -> None:
        """A card that was personalised again is not void by what it had before."""
        first = face.issue()
        face.clock.now += HOUR
        face.issue()
        cards = face.scheme.authority("cards")
        cards.revoke(first.certificate.serial_number, face.clock.now, "superseded")
        assert list(face.scheme.records("cards").ended_cards("cards", 0, 2**31)) == []

    def test_each_process_says_the_same(self, face: Face) -> None:
        """Only the signature is another: a cache between takes either for the other."""
        other = create_app(publish(face.scheme, face.clock), "/pki").test_client()
        mine, theirs = face.client.get("/pki/status/0"), other.get("/pki/status/0")
        assert mine.data != theirs.data
        assert mine.headers["ETag"] == theirs.headers["ETag"]

    def test_without_changes_it_is_signed_anew_each_hour(self, face: Face) -> None:
        first = face.client.get("/pki/status/0")
        face.clock.now += timedelta(minutes=59)
        assert face.client.get("/pki/status/0").data == first.data
        face.clock.now += timedelta(minutes=1)
        second = face.client.get("/pki/status/0")
        assert second.headers["ETag"] != first.headers["ETag"]
        assert second.expires is not None
        assert first.expires is not None
        assert second.expires > first.expires

    @pytest.mark.parametrize(
        ("accept", "status"),
        [
            ("application/statuslist+cwt", 200),
            ("*/*", 200),
            ("application/statuslist+jwt, application/statuslist+cwt;q=0.5", 200),
            ("application/statuslist+jwt", 406),
        ],
    )
    def test_what_the_client_reads(self, face: Face, accept: str, status: int) -> None:
        assert face.client.get("/pki/status/0", headers={"Accept": accept}).status_code == status

    def test_the_past_is_not_told(self, face: Face) -> None:
        """Token Status List, 8.4."""
        assert face.client.get("/pki/status/0?time=1686925000").status_code == 501


def test_without_a_public_url_there_are_no_shards_and_no_status_lists(made_scheme: Path) -> None:
    client = _client(made_scheme)
    assert client.get("/cards.crl").status_code == 200
    assert client.get("/status/0").status_code == 404
    assert client.get("/cards/0.crl").status_code == 404


def test_many_at_a_time(face: Face) -> None:
    """Threads that all want what has to be made first."""
    issued = face.issue()
    request = face.asking_for(issued)
    paths = ["/pki/status/0", f"/pki/{shard_of(issued.certificate)}", "/pki/cards/delta.crl"]
    found: list[int] = []

    def ask() -> None:
        client = face.client.application.test_client()
        found.extend(client.get(path).status_code for path in paths)
        answer = client.post("/pki/ocsp", data=request, content_type="application/ocsp-request")
        found.append(ocsp.load_der_ocsp_response(answer.data).certificate_status is ocsp.OCSPCertStatus.GOOD)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(200) == 3 * len(threads)
    assert found.count(1) == len(threads)


@cache
def _client(directory: Path) -> FlaskClient:
    return create_app(publish(open_scheme(directory, PASSPHRASE), lambda: START), "").test_client()


def _card(issued: Issued) -> str:
    (attribute,) = issued.certificate.subject
    return str(attribute.value)


def _sha256(data: bytes) -> bytes:
    return sha256(data).digest()


def _reasons(crl: x509.CertificateRevocationList) -> dict[int, x509.ReasonFlags]:
    return {
        entry.serial_number: entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        for entry in crl
    }


def _number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def _base(crl: x509.CertificateRevocationList) -> int:
    indicator = crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    assert indicator.critical
    return indicator.value.crl_number
