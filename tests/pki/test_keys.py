"""The store of encrypted key files."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import KeyExists, KeyNotFound, KeyUnreadable, PassphraseMissing, WrongPassphrase
from pki.keys import FileKeyStore, KeyStore, passphrase_from

PASSPHRASE = b"correct horse"


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return FileKeyStore(tmp_path / "keys", PASSPHRASE)


def test_a_key_is_kept_and_found_again(store: KeyStore) -> None:
    made = store.generate("cards")
    found = store.private_key("cards")
    assert made.private_numbers() == found.private_numbers()
    assert isinstance(made.curve, ec.SECP256R1)


def test_openssl_reads_the_key_with_the_passphrase_and_not_without(store: KeyStore, tmp_path: Path) -> None:
    key = store.generate("cards")
    command = ["openssl", "pkey", "-in", str(tmp_path / "keys" / "cards.key"), "-pubout", "-passin"]
    done = subprocess.run([*command, "pass:correct horse"], capture_output=True, check=True)
    public = serialization.load_pem_public_key(done.stdout)
    assert public == key.public_key()
    assert subprocess.run([*command, "pass:wrong"], capture_output=True, check=False).returncode != 0


@pytest.mark.usefixtures("full_cost_key_files")
def test_the_derivation_is_memory_hard(store: KeyStore, tmp_path: Path) -> None:
    """By the cost that everybody's files have but those of the other tests."""
    store.generate("cards")
    done = subprocess.run(
        ["openssl", "asn1parse", "-in", str(tmp_path / "keys" / "cards.key")],
        capture_output=True,
        check=True,
        text=True,
    )
    assert "PBES2" in done.stdout
    assert "1.3.6.1.4.1.11591.4.11" in done.stdout or "scrypt" in done.stdout
    assert re.findall(r"INTEGER +:([0-9A-F]+)", done.stdout) == ["4000", "08", "01"]  # 16 MiB
    assert "aes-256-cbc" in done.stdout
    made = store.generate_secret("master")
    assert json.loads((tmp_path / "keys" / "master.secret").read_bytes())["cost"] == 0x4000
    assert store.secret("master") == made


def test_a_program_of_its_own_writes_at_full_cost(tmp_path: Path) -> None:
    """What makes tests fast is in this process alone."""
    program = (
        "import sys; from pathlib import Path; from pki.keys import FileKeyStore;"
        "FileKeyStore(Path(sys.argv[1]), b'correct horse').generate_secret('master')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "keys")], check=True)
    assert json.loads((tmp_path / "keys" / "master.secret").read_bytes())["cost"] == 0x4000


@pytest.mark.usefixtures("full_cost_key_files")
def test_a_secret_of_before_files_said_their_cost_is_read(store: KeyStore, tmp_path: Path) -> None:
    made = store.generate_secret("master")
    _rewrite_cost(tmp_path / "keys" / "master.secret", None)
    assert store.secret("master") == made


@pytest.mark.parametrize("cost", [0, 1, 3, -2, 2**15, 2**62, 2.0, "2", True, []])
def test_a_cost_that_none_has_is_refused(store: KeyStore, tmp_path: Path, cost: object) -> None:
    """Neither what scrypt does not take, nor what would take all memory."""
    store.generate_secret("master")
    _rewrite_cost(tmp_path / "keys" / "master.secret", cost)
    with pytest.raises(KeyUnreadable, match="damaged"):
        store.secret("master")


def _rewrite_cost(path: Path, cost: object) -> None:
    content = json.loads(path.read_bytes())
    del content["cost"]
    path.write_text(json.dumps(content if cost is None else content | {"cost": cost}))


def test_only_the_owner_can_read(store: KeyStore, tmp_path: Path) -> None:
    store.generate("cards")
    store.generate_secret("master")
    folder = tmp_path / "keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert sorted(path.name for path in folder.iterdir()) == ["cards.key", "master.secret"]


def test_a_key_is_never_replaced(store: KeyStore) -> None:
    key = store.generate("cards")
    secret = store.generate_secret("cards")
    with pytest.raises(KeyExists):
        store.generate("cards")
    with pytest.raises(KeyExists):
        store.generate_secret("cards")
    assert store.private_key("cards").private_numbers() == key.private_numbers()
    assert store.secret("cards") == secret


def test_a_wrong_passphrase_says_so(store: KeyStore, tmp_path: Path) -> None:
    store.generate("cards")
    store.generate_secret("master")
    other = FileKeyStore(tmp_path / "keys", b"incorrect horse")
    with pytest.raises(WrongPassphrase, match=r"cards\.key"):
        other.private_key("cards")
    with pytest.raises(WrongPassphrase, match=r"master\.secret"):
        other.secret("master")


def test_a_missing_key_says_which(store: KeyStore) -> None:
    with pytest.raises(KeyNotFound, match="'cards'"):
        store.private_key("cards")
    with pytest.raises(KeyNotFound, match="'master'"):
        store.secret("master")


@pytest.mark.parametrize("length", [16, 32])
def test_a_secret_is_kept_and_found_again(store: KeyStore, tmp_path: Path, length: int) -> None:
    made = store.generate_secret("master", length)
    assert len(made) == length
    assert store.secret("master") == made
    assert made not in (tmp_path / "keys" / "master.secret").read_bytes()


def test_a_secret_under_another_name_is_refused(store: KeyStore, tmp_path: Path) -> None:
    store.generate_secret("master")
    (tmp_path / "keys" / "master.secret").rename(tmp_path / "keys" / "nonces.secret")
    with pytest.raises(WrongPassphrase):
        store.secret("nonces")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format": "other"}', b"\xff", b"not JSON"])
def test_a_damaged_secret_says_so(store: KeyStore, tmp_path: Path, content: bytes) -> None:
    store.generate_secret("master")
    (tmp_path / "keys" / "master.secret").write_bytes(content)
    with pytest.raises(KeyUnreadable):
        store.secret("master")


def test_a_key_that_is_not_encrypted_is_refused(store: KeyStore, tmp_path: Path) -> None:
    store.generate("cards")
    plain = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "keys" / "cards.key").write_bytes(plain)
    with pytest.raises(KeyUnreadable, match="not an encrypted private key"):
        store.private_key("cards")


def test_a_key_on_another_curve_is_refused(store: KeyStore, tmp_path: Path) -> None:
    store.generate("cards")
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSPHRASE),
    )
    (tmp_path / "keys" / "cards.key").write_bytes(other)
    with pytest.raises(KeyUnreadable, match="P-256"):
        store.private_key("cards")


@pytest.mark.parametrize("name", ["../cards", "a/b", "", "Cards", ".hidden"])
def test_a_name_cannot_leave_the_folder(store: KeyStore, name: str) -> None:
    with pytest.raises(ValueError, match="a key's name"):
        store.private_key(name)


def test_the_passphrase_comes_from_the_file_then_the_environment_then_the_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(b"from file\n")
    monkeypatch.setenv("PKI_PASSPHRASE", "from environment")
    assert passphrase_from(file, "PKI_PASSPHRASE", lambda: "from prompt") == b"from file"
    assert passphrase_from(None, "PKI_PASSPHRASE", lambda: "from prompt") == b"from environment"
    monkeypatch.delenv("PKI_PASSPHRASE")
    assert passphrase_from(None, "PKI_PASSPHRASE", lambda: "from prompt") == b"from prompt"
    with pytest.raises(PassphraseMissing, match="PKI_PASSPHRASE"):
        passphrase_from(None, "PKI_PASSPHRASE")


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n"])
def test_an_empty_passphrase_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    with pytest.raises(PassphraseMissing):
        passphrase_from(file, "PKI_PASSPHRASE")
    with pytest.raises(PassphraseMissing):
        FileKeyStore(tmp_path, b"")


def test_a_passphrase_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PassphraseMissing, match="absent"):
        passphrase_from(tmp_path / "absent", "PKI_PASSPHRASE")
