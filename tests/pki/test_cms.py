"""What a content signer signs: openssl reads it as we do, and nothing else passes for it."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pki import cms, der
from pki.errors import ContentSignatureInvalid
from pki.scheme import Scheme, open_scheme
from tests.pki.conftest import PASSPHRASE, Issued, issue

DETACHED = cms.SignedContent(
    kind=cms.CHUID_OBJECT, content=b"0\x01A\xfe\x00", is_enclosed=False, carries_certificate=True
)
ENCLOSED = cms.SignedContent(
    kind=cms.LDS_SECURITY_OBJECT, content=b"\x30\x00", is_enclosed=True, carries_certificate=False
)
WITH_ATTRIBUTES = replace(
    DETACHED,
    kind=cms.BIOMETRIC_OBJECT,
    carries_certificate=False,
    attributes={cms.FASC_N: der.tlv(der.OCTET_STRING, bytes(25)), cms.ENTRY_UUID: b"\x04\x10" + bytes(16)},
)
KINDS = {"detached": DETACHED, "enclosed": ENCLOSED, "with attributes": WITH_ATTRIBUTES}


@pytest.fixture(scope="module")
def signer(read_only_scheme: Scheme) -> Issued:
    """A content signer."""
    return issue(read_only_scheme, "content-signer")


@pytest.fixture(scope="module")
def read_only_scheme(made_scheme: Path) -> Scheme:
    """The scheme that all tests share."""
    return open_scheme(made_scheme, PASSPHRASE, PASSPHRASE)


@pytest.mark.parametrize("signed", KINDS.values(), ids=KINDS)
def test_openssl_verifies_it(
    signed: cms.SignedContent, signer: Issued, read_only_scheme: Scheme, tmp_path: Path
) -> None:
    """Chain, attributes and signature; the certificate is given beside it where it does not travel along."""
    files = {
        "signed.der": cms.sign(signed, signer.certificate, signer.key),
        "content.bin": signed.content,
        "signer.pem": signer.certificate.public_bytes(Encoding.PEM),
        "authority.pem": read_only_scheme.certificates["service"].public_bytes(Encoding.PEM),
        "root.pem": read_only_scheme.certificates["root"].public_bytes(Encoding.PEM),
    }
    # What is beside a signature is looked through for its signer alone, not for whom that was certified by.
    files["authorities.pem"] = files["root.pem"] + files["authority.pem"]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "signed.der"]
    command += ["-CAfile", "authorities.pem", "-certfile", "signer.pem", "-purpose", "any"]
    command += ["-attime", "1795507200", "-out", "out.bin"]
    detached = [] if signed.is_enclosed else ["-content", "content.bin"]
    done = subprocess.run([*command, *detached], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.bin").read_bytes() == signed.content


@pytest.mark.parametrize("signed", KINDS.values(), ids=KINDS)
def test_we_verify_it(signed: cms.SignedContent, signer: Issued) -> None:
    """And the certificate that travels along is the signer's."""
    made = cms.sign(signed, signer.certificate, signer.key)
    cms.verify(made, signed, signer.certificate)
    assert made == cms.sign(signed, signer.certificate, signer.key)
    if signed.carries_certificate:
        assert cms.carried_certificate(made) == signer.certificate
    else:
        with pytest.raises(ContentSignatureInvalid):
            cms.carried_certificate(made)


@pytest.mark.parametrize(
    "change",
    [
        {"content": b"0\x01B\xfe\x00"},
        {"kind": cms.BIOMETRIC_OBJECT},
        {"is_enclosed": True},
        {"attributes": {cms.FASC_N: der.tlv(der.OCTET_STRING, bytes(25))}},
    ],
    ids=str,
)
def test_nothing_else_was_signed(change: dict[str, object], signer: Issued) -> None:
    """Other content, another kind, another form, other attributes."""
    made = cms.sign(DETACHED, signer.certificate, signer.key)
    with pytest.raises(ContentSignatureInvalid):
        cms.verify(made, replace(DETACHED, **change), signer.certificate)  # type: ignore[arg-type]  # see above


def test_another_signer_has_not(signer: Issued, read_only_scheme: Scheme) -> None:
    """Of the same scheme and name, with another key and number."""
    made = cms.sign(DETACHED, signer.certificate, signer.key)
    other = issue(read_only_scheme, "content-signer")
    with pytest.raises(ContentSignatureInvalid):
        cms.verify(made, DETACHED, other.certificate)
    with pytest.raises(ContentSignatureInvalid):
        cms.verify(cms.sign(DETACHED, signer.certificate, other.key), DETACHED, signer.certificate)


def test_no_changed_byte_passes(signer: Issued) -> None:
    """Every byte in turn."""
    made = cms.sign(ENCLOSED, signer.certificate, signer.key)
    for at in range(len(made)):
        changed = made[:at] + bytes((made[at] ^ 1,)) + made[at + 1 :]
        with pytest.raises(ContentSignatureInvalid):
            cms.verify(changed, ENCLOSED, signer.certificate)


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_refused(raw: bytes, signer: Issued) -> None:
    """What is no signature is an error of ours, never another."""
    with pytest.raises(ContentSignatureInvalid):
        cms.verify(raw, DETACHED, signer.certificate)
    with pytest.raises(ContentSignatureInvalid):
        cms.carried_certificate(raw)
