"""Ceremonies, rollover, audit and the trust list, as people run them: processes of their own."""

import getpass
import json
import re
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import click
import pytest

from pki.cli import main
from tests.pki.conftest import CARD, PASSPHRASE
from tests.pki.test_cli import answer, issue_card, made, run, write_csr
from tests.support.softhsm import MODULE, SoftHsm

__all__ = ["made"]  # the fixture

OWN_ARC = "1.3.6.1.4.1.99999"
THREE = {"ann": "the first of three", "ben": "the second of three", "cy": "the third of three"}


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "scheme"))


def files(folder: Path, *names: str) -> list[str]:
    """The custodians' options."""
    for name, passphrase in THREE.items():
        (folder / f"{name}.txt").write_text(f"{passphrase}\n")
    return [part for name in names for part in ("--custodian-file", f"{name}={folder / name}.txt")]


def make_root(folder: Path) -> Path:
    directory = folder / "real"
    done = run(
        *("ceremony", "root", directory, "--scheme-id", "real", "--name", "Real Card", "--oid-arc", OWN_ARC),
        *("--witness", "Di", *files(folder, *THREE)),
    )
    assert done.returncode == 0, done.stderr
    return directory


class TestInit:
    """`pki init DIR` is enough."""

    def test_everything_has_a_default(self, tmp_path: Path) -> None:
        directory = tmp_path / "My Town's Scheme"
        done = run("init", directory, PKI_PASSPHRASE="x")
        assert done.returncode == 0, done.stderr
        shown = answer("show", directory)
        assert (shown["scheme"], shown["name"]) == ("my-town-s-scheme", "My Town S Scheme")
        assert shown["oid_arc"] == "1.3.6.1.4.1.32473"
        issue_card(Path(directory), "--passphrase-file", _file(tmp_path, "x"))

    def test_a_name_that_makes_no_id(self, tmp_path: Path) -> None:
        done = run("init", tmp_path / "…", PKI_PASSPHRASE="x")
        assert (done.returncode, "give --scheme-id" in done.stderr) == (1, True)

    def test_on_a_token(self, softhsm: SoftHsm, tmp_path: Path) -> None:
        softhsm.make_token("scheme", "123456")
        directory, environment = tmp_path / "s", {"PKI_PASSPHRASE": "123456", **softhsm.variables}
        done = run("init", directory, "--pkcs11-module", MODULE, "--token", "scheme", **environment)
        assert done.returncode == 0, done.stderr
        assert not list(directory.rglob("*.key"))
        done = run("crl", directory, **environment)
        assert done.returncode == 0, done.stderr
        done = run("crl", directory, **environment | {"PKI_PASSPHRASE": "654321"})
        assert done.returncode == 1
        assert done.stderr.startswith("pki crl: the token 'scheme' does not take the PIN")
        softhsm.pull_out()
        done = run("crl", directory, **environment)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "knows none of this label" in done.stderr

    def test_half_a_token_is_a_wrong_call(self, tmp_path: Path) -> None:
        assert run("init", tmp_path / "s", "--token", "scheme", PKI_PASSPHRASE="x").returncode == 2


class TestCeremony:
    """Two of three open the root."""

    def test_from_the_root_to_a_successor(self, tmp_path: Path) -> None:
        directory = make_root(tmp_path)
        two = files(tmp_path, "cy", "ann")
        done = run("ceremony", "issuing", directory, *two, PKI_PASSPHRASE="x")
        assert done.returncode == 0, done.stderr
        done = run("crl", directory, "--authority", "root", *two, PKI_PASSPHRASE="x")
        assert done.returncode == 0, done.stderr
        rolled = answer(
            "rollover", directory, "--authority", "cards", *two, "--passphrase-file", _file(tmp_path, "x")
        )
        assert rolled["issuer"] == "cards-2"
        record = json.loads(Path(rolled["record"]).read_text())
        assert record["people"]["custodians"] == ["ann", "cy"]
        records = sorted(path.name[17:] for path in (directory / "ceremonies").iterdir())
        assert records == [
            *("issuing.json", "issuing.txt", "rollover-cards.json", "rollover-cards.txt"),
            *("root.json", "root.txt"),
        ]
        assert stat.S_IMODE((directory / "root" / "custody.json").stat().st_mode) == 0o600
        assert run("audit", directory).returncode == 0
        # Issuing needs none of them.
        csr = write_csr(tmp_path)
        done = run(
            *("issue", directory, "--profile", "terminal", "--csr", csr, "--identity", "bus-12"),
            PKI_PASSPHRASE="x",
        )
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        ("who", "sentence"),
        [
            ((), "2 of ann, ben, cy are needed, and there is nobody"),
            (("ben",), "2 of ann, ben, cy are needed, and there is ben"),
        ],
    )
    def test_too_few(self, tmp_path: Path, who: tuple[str, ...], sentence: str) -> None:
        directory = make_root(tmp_path)
        done = run("ceremony", "issuing", directory, *files(tmp_path, *who), PKI_PASSPHRASE="x")
        assert (done.returncode, done.stdout) == (1, "")
        assert sentence in done.stderr
        assert not (directory / "public" / "cards.crt").exists()

    def test_a_mistyped_passphrase(self, tmp_path: Path) -> None:
        directory = make_root(tmp_path)
        two = files(tmp_path, "ann", "ben")
        (tmp_path / "ben.txt").write_text("something else\n")
        done = run("ceremony", "issuing", directory, *two, PKI_PASSPHRASE="x")
        assert done.returncode == 1
        assert "one of them is mistyped" in done.stderr

    def test_the_arc_for_examples(self, tmp_path: Path) -> None:
        done = run(
            *("ceremony", "root", tmp_path / "s", "--scheme-id", "s", "--name", "S"),
            *("--oid-arc", "1.3.6.1.4.1.32473", *files(tmp_path, "ann", "ben")),
        )
        assert done.returncode == 1
        assert "IANA" in done.stderr
        assert not (tmp_path / "s").exists()

    def test_who_has_no_file_is_asked_and_here_nobody_can_be(self, tmp_path: Path) -> None:
        done = run(
            *("ceremony", "root", tmp_path / "s", "--scheme-id", "s", "--name", "S", "--oid-arc", OWN_ARC),
            *("--custodian", "Ann Field", "--custodian", "Ben Hill"),
        )
        assert done.returncode == 1
        assert 'give --custodian-file "Ann Field=FILE"' in done.stderr

    @pytest.mark.parametrize("option", ["ann", "=file", "ann="])
    def test_an_option_of_another_form(self, tmp_path: Path, option: str) -> None:
        done = run(
            *("ceremony", "root", tmp_path / "s", "--scheme-id", "s", "--name", "S", "--oid-arc", OWN_ARC),
            *("--custodian-file", option),
        )
        assert done.returncode == 2


class TestAudit:
    """`pki audit` says what does not hold."""

    def test_what_is_in_order(self, directory: Path) -> None:
        issue_card(directory)
        found = answer("audit", directory)
        assert found["valid"] is True
        cards = next(each for each in found["authorities"] if each["authority"] == "cards")
        assert (cards["entries"], cards["certificates"]) == (2, 1)
        assert answer("audit", directory, "--authority", "cards", "--reached", cards["head"])["valid"]

    def test_what_was_changed(self, directory: Path) -> None:
        issue_card(directory)
        with closing(sqlite3.connect(directory / "certificates.sqlite")) as connection, connection:
            connection.execute("DROP TRIGGER trail_unchanged")
            connection.execute("UPDATE trail SET actor = 'x' WHERE authority = 'cards' AND sequence = 2")
        done = run("audit", directory, "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout)["code"] == "trail_broken"
        assert done.stderr.startswith("pki audit: the trail of 'cards' breaks at entry 2:")

    def test_a_head_of_another_form_is_a_wrong_call(self, directory: Path) -> None:
        for options in (("--authority", "cards", "--reached", "1:xx"), ("--reached", f"1:{'00' * 32}")):
            assert run("audit", directory, *options).returncode == 2

    def test_the_trail_names_who_did_it(self, directory: Path) -> None:
        issue_card(directory)
        with closing(sqlite3.connect(directory / "certificates.sqlite")) as connection:
            actors = {row[0] for row in connection.execute("SELECT actor FROM trail")}
        assert actors == {getpass.getuser()}


class TestTrustList:
    """Made, read and verified."""

    def test_from_signer_to_verifier(self, directory: Path, tmp_path: Path) -> None:
        answer("trust-list", "signer", directory)
        recognised = [
            {
                "scheme": "beckford",
                "name": "Beckford Card",
                "certificate": str(directory / "public" / "cards.crt"),
                "purposes": ["card-authentication"],
            }
        ]
        (tmp_path / "recognised.json").write_text(json.dumps(recognised))
        sign = ("trust-list", "sign", directory, "--from", tmp_path / "recognised.json")
        assert [answer(*sign)["number"] for _ in range(2)] == [1, 2]
        verify = (
            *("trust-list", "verify", directory / "public" / "trust-list.cose"),
            *("--scheme", "ashcombe", "--trust", directory / "public"),
        )
        assert answer(*verify)["recognised"][0]["purposes"] == ["card-authentication"]
        done = run(*verify, "--at", "2000-01-01T00:00:00Z")
        assert done.returncode == 1

    @pytest.mark.parametrize("content", ["", "{}", "[{}]", '["x"]', "\\xff"])
    def test_a_file_of_something_else(self, directory: Path, tmp_path: Path, content: str) -> None:
        answer("trust-list", "signer", directory)
        (tmp_path / "recognised.json").write_text(content)
        done = run(
            *("trust-list", "sign", directory, "--from", tmp_path / "recognised.json"),
            PKI_PASSPHRASE=PASSPHRASE.decode(),
        )
        if content == "{}":  # recognises nobody
            assert done.returncode == 0
        else:
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_profile_that_several_issue_wants_one_named(directory: Path) -> None:
    csr = write_csr(directory)
    issue = ("issue", directory, "--profile", "ocsp-responder", "--csr", csr, "--identity", "ocsp-1")
    done = run(*issue, PKI_PASSPHRASE=PASSPHRASE.decode())
    assert done.returncode == 2
    assert "--authority root|cards|terminals|service" in done.stderr
    assert answer(*issue, "--authority", "terminals")["authority"] == "terminals"


def test_a_holders_name(directory: Path) -> None:
    csr = write_csr(directory)
    issue = ("issue", directory, "--csr", csr, "--identity", CARD, "--holder-name", "Zoë Field", "--profile")
    assert "CN=Zoë Field" in answer(*issue, "signature")["subject"]
    done = run(*issue, "card-authentication", PKI_PASSPHRASE=PASSPHRASE.decode())
    assert (done.returncode, "no name" in done.stderr) == (1, True)


@pytest.mark.parametrize("name", sorted(main.commands))
def test_each_command_has_help_with_an_example(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0
    command = main.commands[name]
    below = command.commands if isinstance(command, click.Group) else None
    for shown in [done.stdout] if below is None else [run(name, each, "--help").stdout for each in below]:
        assert re.search(r"^    pki ", shown, re.MULTILINE), shown
        assert "--json" in shown
        said = re.sub(r"\s+", " ", shown)
        assert "Exit status: 0 done; 1 it could not be done" in said
        assert "2 a wrong call" in said


def test_the_help_says_what_exit_statuses_mean() -> None:
    """0, 1 and 2, for all commands; the command list is whole."""
    said = re.sub(r"\s+", " ", run("--help").stdout)
    assert "Exit status: 0 done; 1 it could not be done" in said
    assert "2 a wrong call" in said
    promised = {"init", "ceremony", "issue", "show", "revoke", "suspend", "release", "crl", "status-list"}
    assert promised | {"verify", "audit", "serve", "ocsp"} <= set(main.commands)


def _file(folder: Path, passphrase: str) -> Path:
    path = folder / "passphrase"
    path.write_text(passphrase)
    return path
