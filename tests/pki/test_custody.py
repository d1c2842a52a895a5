"""Two of n passphrases, ceremonies, and their records."""

import hashlib
import json
import stat
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import pytest

from pki.ceremony import (
    People,
    custody_of,
    hold_issuing_ceremony,
    hold_rollover,
    hold_root_ceremony,
)
from pki.custody import custodians, join, split
from pki.description import Description, TokenPlace
from pki.errors import CustodyRefused, PinRefused, SchemeInvalid
from pki.scheme import AUTHORITIES, Scheme, create_scheme, open_scheme
from pki.token import Token
from pki.token_keys import TokenKeyStore
from tests.pki.conftest import PASSPHRASE, START, issue
from tests.support.softhsm import MODULE, SoftHsm

THREE = {"Ann": b"the first of three", "Ben": b"the second of three", "Cy": b"the third of three"}
SECRET = b"0123456789abcdef0123456789abcdef"
PEOPLE = People(operator="Olu", custodians=("Ann", "Ben", "Cy"), witnesses=("Di",))
OWN_ARC = "1.3.6.1.4.1.99999"
DESCRIBED = Description(id="ashcombe", name="Ashcombe Card", oid_arc=OWN_ARC, public_url=None)


def some(*names: str) -> dict[str, bytes]:
    return {name: THREE[name] for name in names}


class TestCustody:
    """A secret that opens with enough of several passphrases."""

    @pytest.mark.parametrize("needed", [2, 3])
    def test_enough_people_open_it_and_fewer_do_not(self, needed: int) -> None:
        document = split(SECRET, THREE, needed)
        assert custodians(document) == (("Ann", "Ben", "Cy"), needed)
        for count in range(4):
            for group in combinations(THREE, count):
                if count >= needed:
                    assert join(document, some(*group)) == SECRET
                else:
                    with pytest.raises(CustodyRefused, match=f"{needed} of Ann, Ben, Cy are needed"):
                        join(document, some(*group))

    @pytest.mark.usefixtures("full_cost_key_files")
    def test_the_cost_is_in_the_file_and_before_it_was_it_was_the_full_one(self) -> None:
        content = json.loads(split(SECRET, THREE, 2))
        assert content.pop("cost") == 16_384
        assert join(json.dumps(content).encode(), some("Ann", "Cy")) == SECRET
        with pytest.raises(CustodyRefused, match="damaged"):
            join(json.dumps(content | {"cost": 2**40}).encode(), some("Ann", "Cy"))

    def test_a_mistyped_passphrase(self) -> None:
        document = split(SECRET, THREE, 2)
        with pytest.raises(CustodyRefused, match="one of them is mistyped"):
            join(document, {"Ann": THREE["Ann"], "Ben": b"something else"})
        with pytest.raises(CustodyRefused, match="one of them is mistyped"):
            join(document, {"Ann": THREE["Ben"], "Ben": THREE["Ann"]})

    def test_a_stranger(self) -> None:
        with pytest.raises(CustodyRefused, match="Eve keeps no part"):
            join(split(SECRET, THREE, 2), {"Ann": THREE["Ann"], "Eve": THREE["Ben"]})

    @pytest.mark.parametrize(
        ("passphrases", "needed"),
        [
            (THREE, 1),
            (THREE, 4),
            ({"Ann": THREE["Ann"]}, 1),
            ({}, 0),
            ({"Ann": b"the same for both", "Ben": b"the same for both"}, 2),
            ({"Ann": b"too short", "Ben": THREE["Ben"]}, 2),
            ({"": THREE["Ann"], "Ben": THREE["Ben"]}, 2),
            ({str(n): f"passphrase number {n}".encode() for n in range(10)}, 2),
        ],
    )
    def test_what_protects_nothing_is_refused(self, passphrases: Mapping[str, bytes], needed: int) -> None:
        with pytest.raises(CustodyRefused):
            split(SECRET, passphrases, needed)

    def test_the_file_shows_neither_secret_nor_passphrase(self) -> None:
        document = split(SECRET, THREE, 2)
        for hidden in (SECRET, *THREE.values()):
            assert hidden not in document

    @pytest.mark.parametrize("document", [b"", b"{}", b"[]", b'{"format": "x"}', b"\xff"])
    def test_another_file_is_refused(self, document: bytes) -> None:
        with pytest.raises(CustodyRefused, match="custody file"):
            join(document, THREE)


def hold(directory: Path, needed: int = 2) -> Path:
    return hold_root_ceremony(directory, DESCRIBED, THREE, needed, PEOPLE, START)


def opened(directory: Path, *names: str) -> Scheme:
    custody = custody_of(directory)
    assert custody is not None
    return open_scheme(directory, PASSPHRASE, join(custody, some(*names)))


class TestCeremonies:
    """A scheme for real use."""

    def test_from_nothing_to_cards(self, tmp_path: Path) -> None:
        directory = tmp_path / "ashcombe"
        hold(directory)
        scheme = opened(directory, "Ann", "Cy")
        hold_issuing_ceremony(scheme, People(operator="Olu", custodians=("Ann", "Cy")), START)
        # Issuing needs nobody of them.
        online = open_scheme(directory, PASSPHRASE)
        assert set(online.certificates) == set(AUTHORITIES)
        issue(online, "card-authentication")

    def test_one_passphrase_too_few(self, tmp_path: Path) -> None:
        directory = tmp_path / "ashcombe"
        hold(directory)
        with pytest.raises(CustodyRefused, match="2 of Ann, Ben, Cy are needed, and there is Ben"):
            opened(directory, "Ben")

    def test_no_single_passphrase_opens_the_root(self, tmp_path: Path) -> None:
        directory = tmp_path / "ashcombe"
        hold(directory)
        for passphrase in (*THREE.values(), b"".join(THREE.values()), PASSPHRASE):
            with pytest.raises(Exception, match="does not open"):
                open_scheme(directory, PASSPHRASE, passphrase).authority("root")

    @pytest.mark.parametrize("arc", ["1.3.6.1.4.1.32473", "1.3.6.1.4.1.32473.7"])
    def test_the_arc_for_examples_is_refused(self, tmp_path: Path, arc: str) -> None:
        described = Description(id="ashcombe", name="Ashcombe", oid_arc=arc, public_url=None)
        with pytest.raises(SchemeInvalid, match="IANA"):
            hold_root_ceremony(tmp_path / "s", described, THREE, 2, PEOPLE, START)
        assert list(tmp_path.iterdir()) == []

    def test_a_root_with_one_passphrase_has_no_ceremony(self, tmp_path: Path) -> None:
        scheme = create_scheme(
            *(tmp_path / "s", "ashcombe", "Ashcombe", PASSPHRASE, None, START), oid_arc=OWN_ARC
        )
        with pytest.raises(CustodyRefused, match="pki ceremony root"):
            hold_issuing_ceremony(scheme, PEOPLE, START)

    def test_what_broke_off_is_taken_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        directory = tmp_path / "ashcombe"
        hold(directory)
        real = Scheme.publish_crl

        def full(scheme: Scheme, name: str, crl: object) -> None:
            if name == "service":
                raise OSError(28, "No space left on device")
            real(scheme, name, crl)  # type: ignore[arg-type]  # handed on

        monkeypatch.setattr(Scheme, "publish_crl", full)
        with pytest.raises(OSError, match="No space"):
            hold_issuing_ceremony(opened(directory, "Ann", "Ben"), PEOPLE, START)
        monkeypatch.undo()
        before = (directory / "public" / "cards.crt").read_bytes()
        hold_issuing_ceremony(opened(directory, "Ann", "Ben"), PEOPLE, START)
        assert (directory / "public" / "cards.crt").read_bytes() == before
        assert (directory / "public" / "service.crl").exists()

    def test_the_root_on_a_token_whose_pin_nobody_knows(self, softhsm: SoftHsm, tmp_path: Path) -> None:
        softhsm.make_token("issuing", "123456")
        softhsm.make_token("root", "654321")
        place = TokenPlace(module=MODULE, label="issuing", root_label="root")
        described = Description(
            id="ashcombe", name="Ashcombe Card", oid_arc=OWN_ARC, public_url=None, token=place
        )
        directory = tmp_path / "ashcombe"
        hold_root_ceremony(directory, described, THREE, 2, PEOPLE, START, token_pin=b"654321")
        with pytest.raises(PinRefused):
            TokenKeyStore(Token(MODULE, "root", b"654321")).private_key("root")
        custody = custody_of(directory)
        assert custody is not None
        scheme = open_scheme(directory, b"123456", join(custody, some("Ben", "Cy")))
        hold_issuing_ceremony(scheme, PEOPLE, START)
        assert not list(directory.rglob("*.key"))
        issue(open_scheme(directory, b"123456"), "card-authentication")


class TestRecords:
    """Who, what, and the fingerprints."""

    def test_they_say_who_and_what(self, tmp_path: Path) -> None:
        path = hold(tmp_path / "ashcombe")
        record = json.loads(path.read_text())
        root = open_scheme(tmp_path / "ashcombe", PASSPHRASE).certificate_of("root")
        assert record["people"] == {
            "operator": "Olu",
            "custodians": ["Ann", "Ben", "Cy"],
            "witnesses": ["Di"],
        }
        assert record["custody"] == "2 of Ann, Ben, Cy"
        (made,) = record["certificates"]
        assert made["serial"] == f"{root.serial_number:x}"
        readable = path.with_suffix(".txt").read_text()
        assert made["sha256"][:8] in readable
        for name in ("Olu", "Ann", "Ben", "Cy", "Di"):
            assert f"  {name:<24} ____" in readable
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_the_roots_trail_holds_each_ones_hash(self, tmp_path: Path) -> None:
        directory = tmp_path / "ashcombe"
        paths = [hold(directory)]
        scheme = opened(directory, "Ann", "Ben")
        paths.append(hold_issuing_ceremony(scheme, PEOPLE, START))
        scheme, path = hold_rollover(scheme, "cards", PEOPLE, START)
        paths.append(path)
        noted = [
            entry.facts["record_sha256"]
            for entry in scheme.records("root").trail("root")
            if entry.operation == "ceremony"
        ]
        assert noted == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
        assert [made["issuer"] for made in json.loads(paths[2].read_text())["certificates"]] == ["cards-2"]

    def test_they_hold_no_secret(self, tmp_path: Path) -> None:
        path = hold(tmp_path / "ashcombe")
        custody = custody_of(tmp_path / "ashcombe")
        assert custody is not None
        secret = join(custody, some("Ann", "Ben"))
        for content in (path.read_bytes(), path.with_suffix(".txt").read_bytes()):
            for hidden in (secret, *THREE.values()):
                assert hidden not in content
