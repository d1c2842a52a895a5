"""A scheme's directory: made whole or not at all, opened, handed over."""

import json
import shutil
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import AuthorityHandedOver, KeyNotFound, PassphraseMissing, SchemeInvalid, WrongPassphrase
from pki.scheme import AUTHORITIES, Scheme, create_scheme, open_scheme
from pki.sqlite_store import SqliteCertificateStore
from tests.pki.conftest import CARD, PASSPHRASE, START, issue

DAY = timedelta(days=1)


class TestMaking:
    """`create_scheme`."""

    def test_the_layout(self, scheme: Scheme) -> None:
        names = sorted(
            str(path.relative_to(scheme.directory)) for path in scheme.directory.rglob("*") if path.is_file()
        )
        public = [f"public/{name}.{kind}" for name in AUTHORITIES for kind in ("crl", "crt")]
        keys = [f"authorities/{name}.key" for name in ("cards", "service", "terminals")]
        root = ["root/certificates.sqlite", "root/root.key"]
        assert names == sorted([*public, *keys, *root, "certificates.sqlite", "scheme.json"])

    def test_only_the_owner_can_read_what_is_secret(self, scheme: Scheme) -> None:
        for folder in (scheme.directory, scheme.directory / "root", scheme.directory / "authorities"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in [*scheme.directory.rglob("*.key"), *scheme.directory.rglob("*.sqlite")]:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_each_authority_has_a_key_of_its_own(self, scheme: Scheme) -> None:
        keys = [certificate.public_key() for certificate in scheme.certificates.values()]
        points = {key.public_numbers() for key in keys if isinstance(key, ec.EllipticCurvePublicKey)}
        assert len(points) == len(AUTHORITIES)
        for name in AUTHORITIES:
            assert scheme.authority(name).certificate.subject == scheme.certificates[name].subject

    def test_the_path_lengths(self, scheme: Scheme) -> None:
        """RFC 5280, 4.2.1.9."""
        lengths = {
            name: certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
            for name, certificate in scheme.certificates.items()
        }
        assert lengths == {"root": 1, "cards": 0, "service": 0, "terminals": 0}

    @pytest.mark.parametrize("existing", ["a file", "a folder with something in it"])
    def test_nothing_is_written_over(self, tmp_path: Path, existing: str) -> None:
        directory = tmp_path / "scheme"
        if existing == "a file":
            directory.write_text("precious")
        else:
            directory.mkdir()
            (directory / "precious").touch()
        with pytest.raises(SchemeInvalid, match="never written over"):
            create_scheme(directory, "ashcombe", "Ashcombe", PASSPHRASE, None, START)

    def test_an_empty_folder_is_filled(self, tmp_path: Path) -> None:
        directory = tmp_path / "scheme"
        directory.mkdir()
        create_scheme(directory, "ashcombe", "Ashcombe", PASSPHRASE, None, START)
        assert open_scheme(directory, PASSPHRASE).id == "ashcombe"

    def test_it_is_never_half_made(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The disk is full while the last list is published."""
        real = Scheme.publish_crl

        def full(scheme: Scheme, name: str, crl: x509.CertificateRevocationList) -> None:
            if name == "terminals":
                raise OSError(28, "No space left on device")
            real(scheme, name, crl)

        monkeypatch.setattr(Scheme, "publish_crl", full)
        with pytest.raises(OSError, match="No space"):
            create_scheme(tmp_path / "scheme", "ashcombe", "Ashcombe", PASSPHRASE, None, START)
        assert list(tmp_path.iterdir()) == []
        monkeypatch.undo()
        create_scheme(tmp_path / "scheme", "ashcombe", "Ashcombe", PASSPHRASE, None, START)

    @pytest.mark.parametrize(
        "changes",
        [
            {"scheme_id": ""},
            {"scheme_id": "Ashcombe"},
            {"scheme_id": "a" * 33},
            {"scheme_id": "-a"},
            {"name": ""},
            {"name": "x" * 51},
            {"name": "two\nlines"},
            {"oid_arc": "1.3.6.1.4.1."},
            {"oid_arc": "arc"},
            {"oid_arc": "1.03.6"},
            {"public_url": "cards.example"},
            {"public_url": "https://cards.example/"},
        ],
        ids=str,
    )
    def test_other_arguments_are_refused(self, tmp_path: Path, changes: dict[str, Any]) -> None:
        arguments = {"scheme_id": "ashcombe", "name": "Ashcombe", **changes}
        with pytest.raises(SchemeInvalid):
            create_scheme(
                tmp_path / "s", passphrase=PASSPHRASE, root_passphrase=None, moment=START, **arguments
            )
        assert list(tmp_path.iterdir()) == []

    def test_an_empty_passphrase_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PassphraseMissing):
            create_scheme(tmp_path / "s", "ashcombe", "Ashcombe", b"", None, START)
        assert list(tmp_path.iterdir()) == []


class TestOpening:
    """`open_scheme`, and the two passphrases."""

    def test_a_folder_without_a_scheme(self, tmp_path: Path) -> None:
        with pytest.raises(SchemeInvalid, match="pki init"):
            open_scheme(tmp_path, PASSPHRASE)

    @pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 2}'])
    def test_a_description_of_something_else(self, scheme: Scheme, content: str) -> None:
        (scheme.directory / "scheme.json").write_text(content)
        with pytest.raises(SchemeInvalid, match=r"scheme\.json"):
            open_scheme(scheme.directory, PASSPHRASE)

    def test_a_wrong_passphrase(self, scheme: Scheme) -> None:
        opened = open_scheme(scheme.directory, b"wrong")
        for name in AUTHORITIES:
            with pytest.raises(WrongPassphrase, match=f"{name}.key"):
                opened.authority(name)

    def test_the_root_may_have_its_own_passphrase(self, tmp_path: Path) -> None:
        directory = tmp_path / "scheme"
        create_scheme(directory, "ashcombe", "Ashcombe", PASSPHRASE, b"of the root", START)
        opened = open_scheme(directory, PASSPHRASE)
        opened.authority("cards")
        with pytest.raises(WrongPassphrase):
            opened.authority("root")
        open_scheme(directory, PASSPHRASE, b"of the root").authority("root").make_crl(START)

    def test_the_root_can_be_carried_away(self, scheme: Scheme, tmp_path: Path) -> None:
        shutil.move(scheme.directory / "root", tmp_path / "safe")
        opened = open_scheme(scheme.directory, PASSPHRASE)
        issue(opened, "card-authentication")
        with pytest.raises(KeyNotFound, match="root"):
            opened.authority("root")
        shutil.move(tmp_path / "safe", scheme.directory / "root")
        assert len(opened.records("root").issued("root")) == 3
        opened.authority("root").make_crl(START)

    def test_an_unknown_authority(self, scheme: Scheme) -> None:
        with pytest.raises(SchemeInvalid, match="root, cards, service, terminals"):
            scheme.authority("parking")


class TestHandingOver:
    """Another program keeps an authority's records: there is one store, never two."""

    def test_it_gets_what_there_was(self, scheme: Scheme) -> None:
        issued = issue(scheme, "card-authentication").certificate
        crl = scheme.authority("cards").make_crl(START)
        given = scheme.hand_over(["cards", "terminals"], to="cardservice")
        assert [record.serial for record in given["cards"].certificates] == [issued.serial_number]
        assert given["terminals"].certificates == ()
        first, latest = given["cards"].crls
        assert first.number < latest.number
        assert latest.number == crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    def test_from_then_on_pki_refuses_and_says_who_can(self, scheme: Scheme) -> None:
        scheme.hand_over(["cards"], to="cardservice")
        for opened in (scheme, open_scheme(scheme.directory, PASSPHRASE)):
            with pytest.raises(AuthorityHandedOver, match="`cardservice`") as caught:
                opened.authority("cards")
            assert (caught.value.authority, caught.value.to) == ("cards", "cardservice")
            opened.authority("terminals")

    def test_the_other_program_issues_with_its_own_records(self, scheme: Scheme, tmp_path: Path) -> None:
        given = scheme.hand_over(["cards"], to="cardservice")
        store = SqliteCertificateStore(tmp_path / "theirs.sqlite")
        for record in given["cards"].certificates:
            store.record([record])
        authority = scheme.authority("cards", store=store)
        assert authority.store is store
        assert scheme.records("cards").find_by_identity("cards", CARD) == []

    def test_it_can_be_repeated_by_the_same_program_alone(self, scheme: Scheme) -> None:
        issue(scheme, "card-authentication")
        first = scheme.hand_over(["cards"], to="cardservice")
        assert scheme.hand_over(["cards", "terminals"], to="cardservice")["cards"] == first["cards"]
        with pytest.raises(AuthorityHandedOver):
            scheme.hand_over(["service", "cards"], to="another")
        assert dict(scheme.handed_over) == {"cards": "cardservice", "terminals": "cardservice"}

    @pytest.mark.parametrize("name", ["root", "parking"])
    def test_others_cannot_be_handed_over(self, scheme: Scheme, name: str) -> None:
        with pytest.raises(SchemeInvalid, match=name):
            scheme.hand_over([name], to="cardservice")

    def test_the_description_stays_readable(self, scheme: Scheme) -> None:
        scheme.hand_over(["cards"], to="cardservice")
        assert json.loads((scheme.directory / "scheme.json").read_text()) == {
            "format": 1,
            "id": "ashcombe",
            "name": "Ashcombe Card",
            "oid_arc": "1.3.6.1.4.1.32473",
            "public_url": None,
            "handed_over": {"cards": "cardservice"},
        }
