"""The command line, as an administrator types it, on both databases."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.cli import main
from cardservice.config import load_settings
from cardservice.context import open_context
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.errors import AuthorityHandedOver
from pki.scheme import create_scheme, open_scheme
from tests.support.council import DEMO_DATA, START, csr, new_id
from tests.support.databases import DatabaseUrls

PASSPHRASE = "a passphrase of the tests"
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def new_scheme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scheme as `pki init` leaves it; not to be changed."""
    directory = tmp_path_factory.mktemp("new") / "scheme"
    create_scheme(directory, "ashcombe", "Ashcombe Card", PASSPHRASE.encode(), None, START)
    return directory


@pytest.fixture
def scheme(new_scheme: Path, tmp_path: Path) -> Path:
    """A scheme of this test's own."""
    return Path(shutil.copytree(new_scheme, tmp_path / "scheme"))


@pytest.fixture
def environment(scheme: Path, tmp_path: Path, empty_database_urls: DatabaseUrls) -> dict[str, str]:
    """The settings; the database is empty yet."""
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    (tmp_path / "passphrase").chmod(0o600)
    return {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": empty_database_urls.service,
        "CARDSERVICE_OWNER_DATABASE_URL": empty_database_urls.owner,
        "CARDSERVICE_PKI_DIR": str(scheme),
        "CARDSERVICE_PASSPHRASE_FILE": str(tmp_path / "passphrase"),
        "CARDSERVICE_PUBLIC_ORIGIN": "http://127.0.0.1:8080",
    }


@pytest.fixture
def run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command; its result."""
    for name in [name for name in os.environ if name.startswith("CARDSERVICE_")]:
        monkeypatch.delenv(name)
    return lambda *command: CliRunner().invoke(main, command, env=environment)


@pytest.fixture
def council(run: Run) -> Run:
    """A service that is set up, with a provider."""
    ok(run("init", "--currency", "GBP", "--timezone", "Europe/London"))
    ok(run("provider", "add", "vale-buses", "--name", "Vale Buses"))
    return run


def ok(result: Result) -> Any:
    """What a command printed, as JSON where it is."""
    assert result.exit_code == 0, result.output
    try:
        return json.loads(result.stdout)
    except ValueError:
        return result.stdout


def refused(result: Result) -> str:
    """What a command said when it would not."""
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("cardservice: ")
    return result.stderr


def test_init_is_taken_up_again(run: Run, environment: dict[str, str]) -> None:
    """Run twice it changes nothing; with another currency it refuses; pki's commands keep off from now on."""
    before = refused(run("provider", "add", "vale-buses", "--name", "Vale Buses"))
    assert "cardservice init" in before
    for _ in range(2):
        made = ok(run("init", "--currency", "GBP", "--timezone", "Europe/London", "--json"))
        assert made == {"scheme": "ashcombe", "currency": "GBP"}
    assert "keeps its currency" in refused(run("init", "--currency", "EUR", "--timezone", "Europe/London"))
    for wrong in (("gbp", "Europe/London"), ("GBP", "Europe/Ashcombe")):
        refused(run("init", "--currency", wrong[0], "--timezone", wrong[1]))
    directory = Path(environment["CARDSERVICE_PKI_DIR"])
    with pytest.raises(AuthorityHandedOver):
        open_scheme(directory, PASSPHRASE.encode()).authority("cards")
    for path in (directory / "cardservice").iterdir():
        if path.suffix != ".crt":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    url = environment["CARDSERVICE_DATABASE_URL"]
    if url.startswith("sqlite:///"):
        assert stat.S_IMODE(Path(url.removeprefix("sqlite:///")).stat().st_mode) == 0o600


def test_people_and_money(council: Run) -> None:
    """A person, money in, a family that pays; the ledger adds up."""
    person = ok(council("cardholder", "add", "Morgan Reed", "--category", "young", "--json"))
    holder = person["cardholder"]
    payment = str(new_id())
    for _ in range(2):
        paid = ok(council("topup", holder, "20.00", "--id", payment, "--json"))
    assert paid["transaction"] == payment
    assert {entry["account"]: entry["amount_minor"] for entry in paid["accounts"]} == {
        "payer:arrears": 0,
        "payer:prepaid": 2000,
    }
    assert "taken" in refused(council("topup", holder, "30.00", "--id", payment))
    assert ok(council("balance", holder)) == "arrears: 0.00 GBP\nprepaid: 20.00 GBP\n"
    family = ok(council("payer", "add", "--json"))["payer"]
    ok(council("payer", "assign", holder, family))
    assert "prepaid: 0.00 GBP" in ok(council("balance", holder))
    assert "nothing wrong" in ok(council("ledger", "verify"))
    assert ok(council("security", "list", "--json")) == {"events": []}


@pytest.mark.parametrize("amount", ["0", "0.00", "-1", "1.001", "lots", "NaN", "inf", "1e40"])
def test_amounts_refused(council: Run, amount: str) -> None:
    """No amount, none that is not whole pence, nothing that is no number."""
    holder = ok(council("cardholder", "add", "Morgan Reed", "--json"))["cardholder"]
    assert "20.00" in refused(council("topup", "--", holder, amount))
    assert "prepaid: 0.00 GBP" in ok(council("balance", holder))


def test_cards(council: Run) -> None:
    """Ordered, shown, revoked once."""
    holder = ok(council("cardholder", "add", "Morgan Reed", "--json"))["cardholder"]
    card = ok(council("card", "order", holder, "--kind", "citizen", "--json"))["card"]
    assert ok(council("card", "show", card, "--json"))["state"] == "ordered"
    ok(council("card", "revoke", card, "--reason", "lost"))
    shown = ok(council("card", "show", card, "--json"))
    assert [change["state"] for change in shown["history"]] == ["ordered", "revoked"]
    assert "is revoked already" in refused(council("card", "revoke", card, "--reason", "lost"))
    assert "no card" in refused(council("card", "show", str(new_id())))
    assert "no identifier" in refused(council("card", "show", "the-card"))
    assert council("card", "revoke", card, "--reason", "bored").exit_code == 2


def test_terminals(council: Run, tmp_path: Path) -> None:
    """Certified for their own key, refused with a role that nobody knows, revoked once."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = tmp_path / "terminal.csr"
    request.write_bytes(csr(key, "bus").public_bytes(Encoding.PEM))
    options = ("--csr", str(request), "--provider", "vale-buses")
    out = tmp_path / "terminal.crt"
    added = council("terminal", "add", "bus-12", *options, "--role", "validator", "--out", str(out))
    ok(added)
    assert x509.load_pem_x509_certificate(out.read_bytes()).public_key() == key.public_key()
    said = refused(council("terminal", "add", "bus-13", *options, "--role", "emperor"))
    assert "'emperor' is no role" in said
    assert "validator" in said
    ok(council("terminal", "revoke", "bus-12"))
    assert "already" in refused(council("terminal", "revoke", "bus-12"))


def test_what_the_services_authority_issues(
    council: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    """Staff and servers: issued, audited, revoked; a card or the service itself is not."""
    request = csr(ec.generate_private_key(ec.SECP256R1()), "whoever").public_bytes(Encoding.PEM)
    (tmp_path / "m.csr").write_bytes(request)
    issue = ("pki", "issue", "--csr", str(tmp_path / "m.csr"), "--out", str(tmp_path / "m.crt"), "--identity")
    made = ok(council(*issue, "m.jones", "--profile", "staff", "--json"))
    certificate = x509.load_pem_x509_certificate((tmp_path / "m.crt").read_bytes())
    assert made["serial"] == f"{certificate.serial_number:x}"
    audited = ok(council("pki", "audit", "--json"))["authorities"]
    service = next(found for found in audited if found["authority"] == "service")
    # With those of the answers and of what is written to cards, which were issued when it was set up.
    assert (service["certificates"], service["revoked"]) == (3, 0)
    assert ok(council("pki", "revoke", "--identity", "m.jones", "--json"))["revoked"] == [made["serial"]]
    assert "no certificate of 'm.jones'" in refused(council("pki", "revoke", "--identity", "m.jones"))
    context = open_context(load_settings(environment))
    with context.database.reading() as connection:
        by = [entry.actor for entry in DatabaseCertificateStore(connection).trail("service")]
    context.close()
    assert set(by) == {"pki", "cardservice"}  # who began it, and who goes on
    # What answers are signed with cannot be revoked by a slip.
    refused(council("pki", "revoke", "--identity", "cardservice"))
    ok(council("pki", "audit", "--authority", "service", "--reached", service["head"]))
    forged = service["head"][:-1] + ("1" if service["head"].endswith("0") else "0")
    assert "is not the one" in refused(council("pki", "audit", "--authority", "service", "--reached", forged))
    for profile in ("card-authentication", "terminal", "service", "ocsp-responder"):
        assert council(*issue, "x", "--profile", profile).exit_code == 2
    assert council("pki", "audit", "--reached", service["head"]).exit_code == 2
    assert council("pki", "audit", "--authority", "service", "--reached", "x").exit_code == 2


def test_tariffs(council: Run, environment: dict[str, str], tmp_path: Path) -> None:
    """A feed and its map; the same again is no new version; what is wrong is named by file and line."""
    files = (str(DEMO_DATA / "feed"), "--map", str(DEMO_DATA / "map.json"))
    first = ok(council("load", "transport", *files, "--json"))
    assert (first["new"], first["state"]) == (True, "open")
    assert "somebody else must approve" in refused(council("tariff", "approve", first["draft"]))
    assert "somebody else must approve" in refused(council("load", "transport", *files, "--approve"))
    assert first["draft"] in ok(council("tariff", "preview", first["draft"]))
    assert len(ok(council("tariff", "list", "--json"))["drafts"]) == 1
    environment["LOGNAME"] = "somebody-else"
    assert ok(council("tariff", "approve", first["draft"], "--json"))["state"] == "approved"
    [version] = ok(council("tariff", "list", "transport", "--json"))["versions"]
    assert version["approved_by"] == "cli:somebody-else"
    back = ok(council("tariff", "return", "transport", version["version"], "--from", "2026-12-01", "--json"))
    assert back["preview"]["changes"] == []
    gone = ok(council("tariff", "withdraw", back["draft"], "--reason", "a trial", "--json"))
    assert (gone["state"], gone["closed_because"]) == ("withdrawn", "a trial")
    assert any("calendar.txt" in line for line in first["report"])
    again = ok(council("load", "transport", *files, "--json"))
    assert (again["version"], again["new"]) == (first["version"], False)
    assert "no service ferry" in refused(council("load", "ferry", *files))
    (tmp_path / "map.json").write_text("{}")
    assert "map.json" in refused(
        council("load", "transport", str(DEMO_DATA / "feed"), "--map", str(tmp_path / "map.json"))
    )


def test_unsafe_settings_do_not_serve(council: Run, environment: dict[str, str]) -> None:
    """In production every objection is named at once, and nothing is started."""
    environment["CARDSERVICE_MODE"] = "production"
    environment["CITIZEN_CARD_CLOCK_OFFSET_S"] = "60"
    said = refused(council("serve"))
    for objection in ("https://", "CITIZEN_CARD_CLOCK_OFFSET_S", "example arc"):
        assert objection in said
    Path(environment["CARDSERVICE_PKI_DIR"], "cardservice", "nonces.secret").unlink()
    said = refused(council("serve", "--bind", "0.0.0.0:8080"))
    for objection in ("nonces", "0.0.0.0:8080", "CITIZEN_CARD_CLOCK_OFFSET_S"):
        assert objection in said


def test_a_setting_that_is_missing_is_named(run: Run, environment: dict[str, str]) -> None:
    """Not a traceback."""
    del environment["CARDSERVICE_PKI_DIR"]
    assert "CARDSERVICE_PKI_DIR" in refused(run("balance", str(new_id())))


def test_a_wrong_passphrase_is_said(council: Run, environment: dict[str, str]) -> None:
    """Not a traceback, and not the passphrase."""
    Path(environment["CARDSERVICE_PASSPHRASE_FILE"]).write_text("another one\n")
    said = refused(council("balance", str(new_id())))
    assert "passphrase does not open" in said
    assert "another one" not in said


def test_help_names_every_command() -> None:
    """The console script is there, and says what it can do."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "cardservice"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = main.list_commands(click.Context(main))
    assert {"init", "serve", "ledger"} <= set(names)
    for name in names:
        assert f"  {name} " in done.stdout
