"""Keys of RSA and P-384, as cards of others have them: made on the card, used by session and OpenSC.

Padding is judged by openssl alone, which knows nothing of ours.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import Algorithm, KeyReference, ObjectId
from reader_agent.cli import main
from reader_agent.conformance import Outcome, examine
from reader_agent.errors import CardProofInvalid, CardRefused, KeyUnsuitable, PinNeeded
from reader_agent.piv import signing
from reader_agent.piv.session import CardPublicKey, PivSession
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.virtual_card.conftest import PIN as PADDED_PIN
from tests.reader_agent.virtual_card.conftest import PUK
from tests.reader_agent.virtual_card.host import EXPIRES_ON, GUID, make_certificate
from tests.reader_agent.virtual_card.test_opensc import pkcs11_tool
from tests.reader_agent.world import DirectConnection
from tests.support.pcsc import CONTACT_READER, Readers

PIN = "123456"
A, C, D, E = (KeyReference(slot) for slot in (0x9A, 0x9C, 0x9D, 0x9E))
MESSAGE = b"I declare that I have read this.\n"
# Two cards, so that each kind of key is in each place where it matters.
CARDS = {
    "rsa-signs": {A: Algorithm.ECC_P384, C: Algorithm.RSA_2048, D: Algorithm.RSA_2048, E: Algorithm.RSA_2048},
    "p384-signs": {
        A: Algorithm.RSA_2048,
        C: Algorithm.ECC_P384,
        D: Algorithm.ECC_P384,
        E: Algorithm.ECC_P384,
    },
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both cards, whose keys were made by the commands of the standard, once: RSA takes its time."""
    folder = tmp_path_factory.mktemp("others")
    for name, slots in CARDS.items():
        memory = factory_memory(os.urandom, pin=PADDED_PIN, puk=PUK)
        CardState.create(folder / f"{name}.json", memory).close()
        with DirectConnection.to(folder / f"{name}.json") as connection:
            session = PivSession(connection)
            session.select()
            session.authenticate_management(piv.WELL_KNOWN_TRANSPORT_KEY)
            for slot, algorithm in slots.items():
                key = session.generate(slot, algorithm)
                der = make_certificate(key).public_bytes(Encoding.DER)
                session.write(piv.CERTIFICATE_OF[slot], piv.encode_certificate(der))
            session.write(ObjectId.CHUID, piv.Chuid(GUID, EXPIRES_ON).encode())
    return folder


@pytest.fixture
def card(made: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of one of them."""
    return Path(shutil.copy(made / f"{request.param}.json", tmp_path / "card.json"))


both = pytest.mark.parametrize("card", CARDS, indirect=True)
rsa_signs = pytest.mark.parametrize("card", ["rsa-signs"], indirect=True)
p384_signs = pytest.mark.parametrize("card", ["p384-signs"], indirect=True)


@contextmanager
def opened(card: Path, face: Face = Face.CONTACT) -> Iterator[PivSession]:
    """A session with the card."""
    with DirectConnection.to(card, face) as connection:
        session = PivSession(connection)
        session.select()
        yield session


def certified(session: PivSession, slot: KeyReference) -> CardPublicKey:
    """The key of a slot, by its certificate."""
    return signing.require_suitable(session.certificate(slot).public_key())


def openssl_verifies(folder: Path, key: CardPublicKey, signature: bytes, *, pss: bool = False) -> bool:
    """Whether openssl finds it a signature of the message."""
    (folder / "key.pub").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (folder / "signature").write_bytes(signature)
    (folder / "message").write_bytes(MESSAGE)
    padded = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32") if pss else ()
    name = f"-{signing.hash_of(key).name}"
    command = ("openssl", "dgst", name, *padded, "-verify", "key.pub", "-signature", "signature", "message")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout == "Verified OK\n"


@both
@pytest.mark.parametrize("slot", [A, C, E], ids=["9A", "9C", "9E"])
@pytest.mark.parametrize("pss", [False, True])
def test_each_key_signs_as_its_certificate_says(
    card: Path, slot: KeyReference, pss: bool, tmp_path: Path
) -> None:
    """By its own algorithm and hash; 9A and 9C after the PIN, 9C after each."""
    with opened(card) as session:
        key = certified(session, slot)
        digest = hashlib.new(signing.hash_of(key).name, MESSAGE).digest()
        if slot != E:
            with pytest.raises(PinNeeded):
                signing.sign(session, slot, key, digest, pss=pss)
            session.verify_pin(PIN)
        signature = signing.sign(session, slot, key, digest, pss=pss)
        if slot == C:
            with pytest.raises(PinNeeded):
                signing.sign(session, slot, key, digest, pss=pss)
    is_rsa = isinstance(key, rsa.RSAPublicKey)
    assert openssl_verifies(tmp_path, key, signature, pss=pss and is_rsa)
    if is_rsa:
        assert not openssl_verifies(tmp_path, key, signature, pss=not pss)


@rsa_signs
def test_another_key_than_the_certified_one_is_noticed(card: Path) -> None:
    """The signature is verified before anybody gets it."""
    other = rsa.generate_private_key(65537, 2048).public_key()
    with opened(card) as session, pytest.raises(CardProofInvalid):
        signing.sign(session, E, other, bytes(32))


@pytest.mark.parametrize("curve", [ec.SECP224R1(), ec.SECP521R1()])
def test_keys_that_no_piv_card_has(curve: ec.EllipticCurve) -> None:
    """Other curves, other lengths, other algorithms."""
    for key in (
        ec.generate_private_key(curve).public_key(),
        rsa.generate_private_key(65537, 4096).public_key(),
        None,
    ):
        with pytest.raises(KeyUnsuitable):
            signing.require_suitable(key)


@both
def test_an_algorithm_that_is_not_the_keys_is_refused(card: Path) -> None:
    """Part 2, 3.2.4: P1 is the algorithm of the key that P2 names."""
    with opened(card) as session:
        own = CARDS["rsa-signs" if isinstance(certified(session, E), rsa.RSAPublicKey) else "p384-signs"][E]
        for algorithm in (*piv.SIGNED_LENGTH, Algorithm.AES_128):
            if algorithm not in (own, Algorithm.AES_128):
                with pytest.raises(CardRefused) as refused:
                    session.sign(bytes(piv.SIGNED_LENGTH[algorithm]), E, algorithm)
                assert refused.value.sw == 0x6A86


@rsa_signs
def test_a_block_that_is_no_number_below_the_modulus_is_refused(card: Path) -> None:
    """RFC 8017, 5.2.1: out of range."""
    with opened(card) as session:
        with pytest.raises(CardRefused) as refused:
            session.sign(b"\xff" * 256, E, Algorithm.RSA_2048)
        assert refused.value.sw == 0x6A80
        # Nothing is left of it: the next block is signed.
        assert len(session.sign(b"\x00" + b"\x5a" * 255, E, Algorithm.RSA_2048)) == 256


@rsa_signs
def test_an_rsa_key_for_key_management_deciphers(card: Path) -> None:
    """Part 2, appendix A: 9D, after the PIN, gives back what was encrypted for it, padding and all."""
    with opened(card) as session:
        key = certified(session, D)
        assert isinstance(key, rsa.RSAPublicKey)
        encrypted = key.encrypt(b"a secret", padding.PKCS1v15())
        with pytest.raises(PinNeeded):
            session.sign(encrypted, D, Algorithm.RSA_2048)
        session.verify_pin(PIN)
        plain = session.sign(encrypted, D, Algorithm.RSA_2048)
    assert plain.startswith(b"\x00\x02")
    assert plain.endswith(b"\x00a secret")


@p384_signs
def test_without_contact_9e_alone_signs(card: Path) -> None:
    with opened(card, Face.CONTACTLESS) as session:
        key = certified(session, E)
        signing.sign(session, E, key, hashlib.sha384(MESSAGE).digest())
        with pytest.raises(CardRefused) as refused:
            session.sign(bytes(256), A, Algorithm.RSA_2048)
        assert refused.value.sw == 0x6982


@both
def test_the_conformance_checks_know_these_keys(card: Path) -> None:
    """All three sign, and none of their checks is left out; what wants P-256 alone says so."""
    with DirectConnection.to(card) as connection:
        results = {result.check.name: result for result in examine(connection, PIN)}
    for name in ("key 9E signs without the PIN", "key 9A signs with the PIN", "key 9C signs with the PIN"):
        assert results[name].outcome is Outcome.PASSED, results[name].detail
    assert results["key 9A wants the PIN"].detail == "refused with 6982"
    assert results["a command in a chain"].outcome is Outcome.SKIPPED
    assert not [found for found in results.values() if found.outcome is Outcome.FAILED]


@pytest.mark.parametrize(
    ("card", "mechanism", "slot", "number", "more"),
    [
        ("p384-signs", "SHA256-RSA-PKCS", A, "01", ()),
        ("p384-signs", "SHA256-RSA-PKCS-PSS", A, "01", ("--salt-len", "32")),
        ("rsa-signs", "SHA256-RSA-PKCS", C, "02", ()),
        ("p384-signs", "ECDSA", C, "02", ("--signature-format", "openssl")),
        ("rsa-signs", "ECDSA", A, "01", ("--signature-format", "openssl")),
    ],
    indirect=["card"],
)
def test_opensc_signs_with_them_and_openssl_verifies(
    readers: Readers,
    card: Path,
    mechanism: str,
    slot: KeyReference,
    number: str,
    more: tuple[str, ...],
    tmp_path: Path,
) -> None:
    """OpenSC takes the card for one with such keys; what it sends and gets is what others do."""
    with opened(card) as session:
        key = certified(session, slot)
    hashed = hashlib.new(signing.hash_of(key).name, MESSAGE).digest()
    (tmp_path / "input").write_bytes(hashed if mechanism == "ECDSA" else MESSAGE)
    readers.insert(CONTACT_READER, card)
    done = pkcs11_tool(
        readers,
        CONTACT_READER,
        *("--login", "--pin", PIN, "--sign", "--mechanism", mechanism, *more, "--id", number),
        *("--input-file", tmp_path / "input", "--output-file", tmp_path / "output"),
    )
    assert done.returncode == 0, done.stderr
    signature = (tmp_path / "output").read_bytes()
    assert openssl_verifies(tmp_path, key, signature, pss=mechanism.endswith("PSS"))


@pytest.mark.parametrize(
    ("card", "options", "name"),
    [("rsa-signs", [], "sha256"), ("rsa-signs", ["--pss"], "sha256"), ("p384-signs", [], "sha384")],
    indirect=["card"],
)
def test_a_holder_signs_a_file_with_such_a_card(
    readers: Readers, card: Path, options: list[str], name: str, tmp_path: Path
) -> None:
    """`reader-agent sign` needs no telling which key it is."""
    (tmp_path / "pin").write_text(PIN)
    (tmp_path / "message").write_bytes(MESSAGE)
    readers.insert(CONTACT_READER, card)
    command = ["sign", str(tmp_path / "message"), "--reader", CONTACT_READER, "--json", *options]
    done = CliRunner().invoke(main, [*command, "--pin-file", str(tmp_path / "pin")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["hash"], told["digest"]) == (name, hashlib.new(name, MESSAGE).hexdigest())
    readers.pull(CONTACT_READER)
    with opened(card) as session:
        key = certified(session, C)
    signature = (tmp_path / "message.sig").read_bytes()
    assert openssl_verifies(tmp_path, key, signature, pss="--pss" in options)


@pytest.mark.long
def test_an_rsa_key_of_3072_bits(made: Path, tmp_path: Path) -> None:
    """SP 800-78-5 has it, too: made, certified, and it signs."""
    card = Path(shutil.copy(made / "rsa-signs.json", tmp_path / "card.json"))
    with opened(card) as session:
        session.authenticate_management(piv.WELL_KNOWN_TRANSPORT_KEY)
        key = session.generate(E, Algorithm.RSA_3072)
        signature = signing.sign(session, E, key, hashlib.sha256(MESSAGE).digest(), pss=True)
    assert openssl_verifies(tmp_path, key, signature, pss=True)
    assert isinstance(signing.hash_of(key), hashes.SHA256)
