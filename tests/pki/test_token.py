"""Keys on a PKCS#11 token: a real SoftHSM signs for every signer there is."""

import hashlib
import multiprocessing
import threading
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from uuid import UUID

import pkcs11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFCMAC, CounterLocation, Mode
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import ocsp

from pki.cmac import SoftwareCmacKey, derived
from pki.description import TokenPlace
from pki.errors import (
    KeyExists,
    KeyNotExtractable,
    KeyNotFound,
    PassphraseMissing,
    PinRefused,
    PkiError,
    TokenUnavailable,
)
from pki.keys import KeyStore
from pki.profiles import OCSP_RESPONDER, PROFILES
from pki.request_signatures import sign_request, verify_request
from pki.scheme import AUTHORITIES, Scheme, create_scheme, open_scheme, roll_over
from pki.statements import Answer, open_answer, sign_answer
from pki.token import Token
from pki.token_keys import TokenKeyStore
from pki.trust_list import TrustList, sign_trust_list, verify_trust_list
from pki.verification import Purpose, verify
from tests.pki.conftest import CARD, IDENTITIES, START, csr_for, new_key
from tests.support.softhsm import MODULE, SoftHsm

LABEL, PIN = "scheme", "123456"
ECDSA = ec.ECDSA(hashes.SHA256())


@pytest.fixture
def token(softhsm: SoftHsm) -> Token:
    softhsm.make_token(LABEL, PIN)
    return Token(MODULE, LABEL, PIN.encode())


@pytest.fixture
def store(token: Token) -> TokenKeyStore:
    return TokenKeyStore(token)


def token_scheme(folder: Path, public_url: str | None = None) -> Scheme:
    place = TokenPlace(module=MODULE, label=LABEL, root_label=LABEL)
    return create_scheme(
        *(folder / "ashcombe", "ashcombe", "Ashcombe Card", PIN.encode(), None, START),
        public_url=public_url,
        token=place,
    )


class TestKeys:
    """The seam, as the file store has it."""

    def test_a_key_is_kept_and_found_again(self, store: TokenKeyStore, token: Token) -> None:
        seam: KeyStore = store
        made = seam.generate("cards")
        token.close()
        found = TokenKeyStore(Token(MODULE, LABEL, PIN.encode())).private_key("cards")
        assert made.public_key() == found.public_key()
        made.public_key().verify(found.sign(b"tap", ECDSA), b"tap", ECDSA)

    def test_a_digest_is_signed_as_it_is(self, store: TokenKeyStore) -> None:
        key = store.generate("cards")
        prehashed = ec.ECDSA(Prehashed(hashes.SHA256()))
        key.public_key().verify(key.sign(hashlib.sha256(b"tap").digest(), prehashed), b"tap", ECDSA)

    def test_nothing_is_replaced(self, store: TokenKeyStore) -> None:
        key = store.generate("cards")
        store.generate_cmac_key("cards")
        with pytest.raises(KeyExists, match="the token 'scheme'"):
            store.generate("cards")
        with pytest.raises(KeyExists):
            store.generate_cmac_key("cards")
        assert store.private_key("cards").public_key() == key.public_key()

    def test_what_is_missing_is_named(self, store: TokenKeyStore) -> None:
        for missing in (store.private_key, store.cmac_key):
            with pytest.raises(KeyNotFound, match="'cards' \\(on the token 'scheme'\\)"):
                missing("cards")

    def test_no_key_is_given_away(self, store: TokenKeyStore) -> None:
        key = store.generate("cards")
        refused: list[Callable[[], object]] = [
            key.private_numbers,
            lambda: key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            lambda: key.exchange(ec.ECDH(), new_key().public_key()),
            lambda: store.generate_secret("nonces"),
            lambda: store.secret("nonces"),
        ]
        for ask in refused:
            with pytest.raises(KeyNotExtractable):
                ask()

    def test_the_token_itself_gives_no_key_away(self, store: TokenKeyStore, token: Token) -> None:
        """Not our refusal alone: SoftHSM has the key as sensitive and not extractable."""
        store.generate("cards")
        store.generate_cmac_key("master")
        kinds = ((pkcs11.ObjectClass.PRIVATE_KEY, "cards"), (pkcs11.ObjectClass.SECRET_KEY, "master"))
        for kind, name in kinds:
            with pytest.raises(TokenUnavailable, match="AttributeSensitive"):
                token.use_key(kind, name, lambda key: key[pkcs11.Attribute.VALUE])

    @pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 31, 32, 33, 1000])
    def test_a_cmac_is_that_of_software(self, token: Token, length: int) -> None:
        """RFC 4493, 4: the key of its examples, brought to the token for this."""
        secret = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
        attributes = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
            pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES,
            pkcs11.Attribute.VALUE: secret,
            pkcs11.Attribute.LABEL: "master",
            pkcs11.Attribute.SIGN: True,
            pkcs11.Attribute.TOKEN: True,
        }
        token.use(lambda session: session.create_object(attributes))
        message = bytes(range(256)) * 4
        made = TokenKeyStore(token).cmac_key("master").cmac(message[:length])
        assert made == SoftwareCmacKey(secret).cmac(message[:length])
        if length == 0:  # RFC 4493, 4, example 1
            assert made.hex() == "bb1d6929e95937287fa37d129b756746"

    @pytest.mark.parametrize("length", [1, 16, 17, 32, 100])
    def test_what_is_derived_is_another_implementations(self, length: int) -> None:
        """NIST SP 800-108r1, 4.1, by `cryptography`: counter and length have 4 bytes each."""
        secret = bytes(range(32))
        witness = KBKDFCMAC(
            algorithms.AES, Mode.CounterMode, length, 4, 4, CounterLocation.BeforeFixed, b"nonces", b"", None
        )
        assert derived(SoftwareCmacKey(secret), "nonces", length) == witness.derive(secret)

    def test_a_working_secret_is_derived_on_the_token(self, store: TokenKeyStore, token: Token) -> None:
        made = store.generate_working_secret("nonces")
        with pytest.raises(KeyExists):
            store.generate_working_secret("nonces")
        token.close()
        again = TokenKeyStore(Token(MODULE, LABEL, PIN.encode()))
        assert again.working_secret("nonces") == made
        assert len(made) == 32
        with pytest.raises(KeyNotFound):
            again.working_secret("cardholder-keys")


class TestEverySigner:
    """A guard: whatever builds something signed takes a key on a token."""

    def test_certificate_request_and_list_builders(self, store: TokenKeyStore) -> None:
        key = store.generate("root")
        request = csr_for(key)
        assert request.is_signature_valid
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(START)
            .not_valid_after(START + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        certificate.verify_directly_issued_by(certificate)
        crl = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name)
            .last_update(START)
            .next_update(START + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        assert crl.is_signature_valid(key.public_key())

    @pytest.mark.usefixtures("token")
    def test_ocsp_and_cms_builders(self, tmp_path: Path) -> None:
        scheme = token_scheme(tmp_path)
        cards = scheme.authority("cards")
        key = scheme.key_store.generate("responder")
        responder = cards.issue(csr_for(key), OCSP_RESPONDER, "responder", START)
        leaf = cards.issue(csr_for(new_key()), PROFILES["card-authentication"], CARD, START)
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                *(leaf, cards.certificate, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD),
                *(START, START + timedelta(days=1), None, None),
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, responder)
            .sign(key, hashes.SHA256())
        )
        key.public_key().verify(response.signature, response.tbs_response_bytes, ECDSA)
        signed = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(b"a CHUID")
            .add_signer(responder, key, hashes.SHA256())
            .sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
        )
        assert len(signed) > 500

    def test_statements_requests_and_trust_lists(self, softhsm: SoftHsm, tmp_path: Path) -> None:
        softhsm.make_token(LABEL, PIN)
        scheme = token_scheme(tmp_path)
        key = scheme.key_store.generate("answers")
        answer = Answer(
            scheme="ashcombe",
            id=UUID(CARD),
            body=bytes(32),
            decision="approved",
            reason="approved",
            time=START,
        )
        assert open_answer(sign_answer(answer, key, bytes(32)), key.public_key(), "ashcombe") == answer
        headers = sign_request("GET", "https://cards.example/v1/nonce", {}, None, key, "bus-12", START)
        verify_request(
            *("GET", "https://cards.example/v1/nonce", headers, b""),
            lambda _: key.public_key(),
            START,
        )
        signer = scheme.authority("root").issue(
            csr_for(key), PROFILES["trust-list-signer"], "trust-list", START
        )
        listed = TrustList(
            scheme="ashcombe", number=1, issued=START, expires=START + timedelta(days=1), recognised=()
        )
        signed = sign_trust_list(listed, signer, key)
        assert verify_trust_list(signed, "ashcombe", START, scheme.trust_store()) == listed

    def test_a_whole_scheme(self, softhsm: SoftHsm, tmp_path: Path) -> None:
        """Root, authorities, lists and rollover: no key in any file."""
        softhsm.make_token(LABEL, PIN)
        scheme = token_scheme(tmp_path)
        assert not list(scheme.directory.rglob("*.key"))
        for profile in PROFILES.values():
            authority = scheme.authority(profile.authorities[0])
            authority.issue(csr_for(new_key()), profile, IDENTITIES[profile.name], START)
        succeeded = roll_over(open_scheme(scheme.directory, PIN.encode()), "cards", START)
        leaf = succeeded.authority("cards").issue(
            csr_for(new_key()), PROFILES["card-authentication"], CARD, START
        )
        assert verify(leaf, Purpose.CARD_AUTHENTICATION, START, succeeded.trust_store()).identity == CARD
        for name in AUTHORITIES:
            succeeded.authority(name).make_crls(START)


class TestGoingWrong:
    """Each says what to do."""

    @pytest.mark.usefixtures("token")
    def test_a_mistyped_pin(self) -> None:
        wrong = TokenKeyStore(Token(MODULE, LABEL, b"654321"))
        with pytest.raises(PinRefused, match="not the right one"):
            wrong.private_key("cards")

    def test_a_mistyped_pin_where_another_is_logged_in(self, store: TokenKeyStore) -> None:
        store.generate("cards")
        with pytest.raises(PinRefused):
            TokenKeyStore(Token(MODULE, LABEL, b"654321")).private_key("cards")
        key = TokenKeyStore(Token(MODULE, LABEL, PIN.encode())).private_key("cards")
        key.public_key().verify(key.sign(b"tap", ECDSA), b"tap", ECDSA)

    def test_a_mistyped_pin_is_tried_once(self, token: Token) -> None:
        """A service that went on trying would lock the token. Here it would be let in, if it tried again."""
        wrong = TokenKeyStore(Token(MODULE, LABEL, b"654321"))
        with pytest.raises(PinRefused, match="not the right one"):
            wrong.private_key("cards")
        token.change_pin(b"654321")
        token.close()
        with pytest.raises(PinRefused, match="not the right one"):
            wrong.private_key("cards")
        with pytest.raises(KeyNotFound):
            TokenKeyStore(Token(MODULE, LABEL, b"654321")).private_key("cards")

    @pytest.mark.parametrize("pin", [b"", b"\xff\xfe"])
    def test_what_is_no_pin(self, pin: bytes) -> None:
        with pytest.raises((PassphraseMissing, PinRefused)):
            Token(MODULE, LABEL, pin)

    @pytest.mark.usefixtures("softhsm")
    def test_a_token_that_is_not_there(self) -> None:
        with pytest.raises(TokenUnavailable, match="knows none of this label"):
            TokenKeyStore(Token(MODULE, "another", PIN.encode())).private_key("cards")

    def test_a_library_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(TokenUnavailable, match="cannot be loaded"):
            TokenKeyStore(Token(tmp_path / "absent.so", LABEL, PIN.encode())).private_key("cards")

    def test_a_token_that_is_pulled_out_and_put_back(self, store: TokenKeyStore, softhsm: SoftHsm) -> None:
        key = store.generate("cards")
        softhsm.pull_out()
        for _ in range(2):
            with pytest.raises(TokenUnavailable, match="'scheme'"):
                key.sign(b"tap", ECDSA)
        softhsm.put_back()
        key.public_key().verify(key.sign(b"tap", ECDSA), b"tap", ECDSA)

    def test_a_session_that_the_token_has_ended(self, store: TokenKeyStore, token: Token) -> None:
        key = store.generate("cards")
        token.use(lambda session: session.close())
        key.public_key().verify(key.sign(b"tap", ECDSA), b"tap", ECDSA)

    def test_another_pin(self, store: TokenKeyStore, token: Token) -> None:
        key = store.generate("cards")
        token.change_pin(b"87654321")
        token.close()
        assert key.sign(b"tap", ECDSA)
        token.close()
        with pytest.raises(PinRefused):
            TokenKeyStore(Token(MODULE, LABEL, PIN.encode())).private_key("cards")

    def test_a_scheme_says_it_in_a_sentence(self, softhsm: SoftHsm, tmp_path: Path) -> None:
        softhsm.make_token(LABEL, PIN)
        scheme = token_scheme(tmp_path)
        softhsm.pull_out()
        for name in AUTHORITIES:
            with pytest.raises(TokenUnavailable):
                open_scheme(scheme.directory, PIN.encode()).authority(name).make_crl(START)


class TestProcessesAndThreads:
    """A service forks its workers, and each has threads."""

    def test_a_child_signs_with_the_parents_key(self, store: TokenKeyStore) -> None:
        key = store.generate("cards")
        key.sign(b"in the parent", ECDSA)
        context = multiprocessing.get_context("fork")
        answers: SimpleQueue[bytes | str] = context.SimpleQueue()
        children = [context.Process(target=_sign, args=(key, answers)) for _ in range(2)]
        for child in children:
            child.start()
        signatures = [answers.get() for _ in children]
        for child in children:
            child.join(60)
        for signature in (*signatures, key.sign(b"tap", ECDSA)):
            assert isinstance(signature, bytes), signature
            key.public_key().verify(signature, b"tap", ECDSA)

    def test_a_child_opens_what_its_parent_has_not(self, store: TokenKeyStore) -> None:
        """The library was initialised by the parent, the token is used by the child first."""
        made = store.generate("cards")
        key = TokenKeyStore(Token(MODULE, LABEL, PIN.encode()))
        context = multiprocessing.get_context("fork")
        answers: SimpleQueue[bytes | str] = context.SimpleQueue()
        child = context.Process(target=_sign_by_name, args=(key, answers))
        child.start()
        signature = answers.get()
        child.join(60)
        assert isinstance(signature, bytes), signature
        made.public_key().verify(signature, b"tap", ECDSA)

    def test_many_threads_share_it(self, store: TokenKeyStore) -> None:
        key = store.generate("cards")
        signatures: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: signatures.extend(key.sign(b"tap", ECDSA) for _ in range(25)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(signatures) == 100
        for signature in signatures:
            key.public_key().verify(signature, b"tap", ECDSA)


def _sign_by_name(store: TokenKeyStore, answers: "SimpleQueue[bytes | str]") -> None:
    try:
        answers.put(store.private_key("cards").sign(b"tap", ECDSA))
    except PkiError as error:
        answers.put(str(error))


def _sign(key: ec.EllipticCurvePrivateKey, answers: "SimpleQueue[bytes | str]") -> None:
    try:
        answers.put(key.sign(b"tap", ECDSA))
    except PkiError as error:
        answers.put(str(error))
