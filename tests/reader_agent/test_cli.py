"""The console script, by what a person types; and the folder that it makes."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.scheme import Scheme
from pki.statements import byte_strings
from reader_agent.cli import main
from reader_agent.config import AgentDirectory, Settings, check_settings, create_agent
from reader_agent.errors import ConfigInvalid
from reader_agent.virtual_card.application import Face
from tests.reader_agent.card_service import CardService
from tests.reader_agent.world import World, blank_card, new_order
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers

Run = Callable[..., Result]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Type a command at the terminal of `world`."""
    monkeypatch.setenv("READER_AGENT_DIR", str(world.directory.path))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, catch_exceptions=False)

    return run


TAP = ("tap", "--reader", CONTACTLESS_READER, "--service", "transport", "--action", "single-fare")
TRIP = ("--detail", "from_stop=market-place", "--detail=to_stop=upper-vale")


def test_from_nothing_to_an_enrolled_terminal(
    card_service: CardService, scheme: Scheme, tmp_path: Path
) -> None:
    """`init`, the service certifies, `enrol`."""
    folder = tmp_path / "fresh"
    root = scheme.public_dir / "root.crt"
    runner = CliRunner()
    done = runner.invoke(
        main,
        [
            *("init", str(folder), "--service-url", card_service.url, "--terminal", "till-3"),
            *("--scheme-root", str(root), "--json"),
        ],
    )
    assert done.exit_code == 0, done.output
    csr = x509.load_pem_x509_csr(Path(json.loads(done.stdout)["csr"]).read_bytes())
    certificate = tmp_path / "issued.crt"
    certificate.write_bytes(card_service.add_terminal(csr, "till-3").public_bytes(Encoding.PEM))
    done = runner.invoke(main, ["enrol", str(folder), "--certificate", str(certificate), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"terminal": "till-3", "verified": True}
    assert (folder / "trust.json").exists()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "passphrase").stat().st_mode) == 0o600


def test_another_terminals_certificate_is_refused(world: World, run: Run, tmp_path: Path) -> None:
    """For another key."""
    folder = tmp_path / "other"
    create_agent(folder, Settings(world.service.url, "bus-13"), world.scheme.public_dir / "root.crt")
    done = run("enrol", str(folder), "--certificate", str(world.directory.certificate_file))
    assert done.exit_code == 1
    assert "[certificate_mismatch]" in done.stderr
    assert not AgentDirectory(folder).certificate_file.exists()


def test_init_does_not_take_a_folder_twice(world: World, run: Run) -> None:
    """The key of a terminal is never replaced."""
    done = run(
        *("init", str(world.directory.path), "--service-url", world.service.url, "--terminal", "x"),
        *("--scheme-root", str(world.directory.root_file)),
    )
    assert done.exit_code == 1
    assert "[config_invalid]" in done.stderr


def test_init_goes_on_where_it_broke_off(world: World, tmp_path: Path) -> None:
    """Everything but the last file was written: the same key stays."""
    folder = tmp_path / "fresh"
    settings, root = Settings(world.service.url, "bus-13"), world.directory.root_file
    first = create_agent(folder, settings, root)
    key = x509.load_pem_x509_csr(first.request_file.read_bytes()).public_key()
    first.settings_file.unlink()
    again = create_agent(folder, settings, root)
    assert x509.load_pem_x509_csr(again.request_file.read_bytes()).public_key() == key


@pytest.mark.parametrize(
    ("url", "terminal", "is_good"),
    [
        ("https://cards.example.org", "bus-12", True),
        ("http://127.0.0.1:8000", "bus-12", True),
        ("http://[::1]:8000", "bus-12", True),
        ("http://localhost:8000", "bus-12", True),
        ("http://cards.example.org", "bus-12", False),
        ("http://127.0.0.1.example.org", "bus-12", False),
        ("https://user:secret@cards.example.org", "bus-12", False),
        ("https://cards.example.org?x=1", "bus-12", False),
        ("ftp://cards.example.org", "bus-12", False),
        ("cards.example.org", "bus-12", False),
        ("https://cards.example.org", "bus 12", False),
        ("https://cards.example.org", "", False),
    ],
)
def test_settings(url: str, terminal: str, is_good: bool) -> None:
    """TLS, except to this machine; and an id that can stand in a statement."""
    if is_good:
        check_settings(Settings(url, terminal))
    else:
        with pytest.raises(ConfigInvalid):
            check_settings(Settings(url, terminal))


def test_a_card_is_made_and_pays(readers: Readers, world: World, run: Run, tmp_path: Path) -> None:
    """`personalise`, `tap`, `outbox list`, `outbox show`, `sync`: the receipt, and JSON."""
    card, order = blank_card(tmp_path / "new.json"), new_order(world.service)
    readers.insert(CONTACT_READER, card)
    done = run("personalise", str(order.id), "--reader", CONTACT_READER, "--json")
    assert (done.exit_code, json.loads(done.stdout)["state"]) == (0, "active"), done.output
    readers.pull(CONTACT_READER)
    readers.insert(CONTACTLESS_READER, card, Face.CONTACTLESS)
    done = run(*TAP, *TRIP)
    assert done.exit_code == 0, done.output
    assert "APPROVED  2.40 GBP" in done.stdout
    assert "prepaid 10.00 GBP" in done.stdout
    done = run(*TAP, *TRIP, "--json")
    answer = json.loads(done.stdout)
    assert (answer["decision"], answer["amount_minor"], answer["offline"]) == ("approved", 240, False)
    listed = json.loads(run("outbox", "list", "--json").stdout)["entries"]
    assert [entry["state"] for entry in listed] == ["answered", "answered"]
    shown = json.loads(run("outbox", "show", answer["id"]).stdout)
    assert shown["answer"]["decision"] == "approved"
    done = run("sync")
    assert (done.exit_code, done.stdout) == (0, "0 told, 0 waiting, 0 deleted after their 35 days\n")


def test_a_tap_waits_in_the_outbox(readers: Readers, world: World, run: Run, tmp_path: Path) -> None:
    """`quote`, service stopped, `tap`, `outbox export`, service back, `sync`."""
    readers.insert(CONTACTLESS_READER, world.card_file, Face.CONTACTLESS)
    done = run("quote", "--service", "transport", "--action", "single-fare", *TRIP)
    assert done.stdout.startswith("2.40 GBP, tariff 2026-1\noffline 2.60 GBP, until ")
    world.service.stop()
    done = run(*TAP, *TRIP, "--no-offline")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (3, "NOT PAID  no amount")
    done = run(*TAP, *TRIP)
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "APPROVED (offline)  2.60 GBP")
    done = run("sync")
    assert done.exit_code == 1
    assert "[service_unreachable]" in done.stderr
    done = run("outbox", "export", str(tmp_path / "outbox"), "--json")
    assert json.loads(done.stdout) == {"file": str(tmp_path / "outbox"), "entries": 1, "damaged": []}
    [advice] = byte_strings((tmp_path / "outbox").read_bytes(), 1)
    assert advice.startswith(b"\x84\x50" + world.card.bytes)
    assert run("outbox", "export", str(tmp_path / "outbox")).exit_code == 1
    world.service.start()
    done = run("sync", "--json")
    assert (done.exit_code, json.loads(done.stdout)["waiting"]) == (0, 0)
    assert world.service.charged == 260


def test_no_card_says_so(readers: Readers, run: Run) -> None:
    """One sentence, its code, exit status 1."""
    assert readers.pcscd.is_running
    done = run(*TAP, *TRIP, "--wait", "0")
    assert done.exit_code == 1
    assert done.stderr.startswith("main tap: there is no card on ")
    assert done.stderr.endswith("[no_card]\n")


@pytest.mark.parametrize("detail", ["from_stop", "=x", "from_stop=twice"])
def test_details_that_are_none(run: Run, detail: str) -> None:
    """A usage error."""
    done = run(*TAP, *TRIP, "--detail", detail)
    assert done.exit_code == 2


def test_personalise_wants_a_card_or_none(world: World, run: Run) -> None:
    """--reader, or --give-up; the latter closes the order."""
    order = new_order(world.service)
    assert run("personalise", str(order.id)).exit_code == 2
    assert run("personalise", str(order.id), "--give-up", "--reader", CONTACT_READER).exit_code == 2
    assert run("personalise", str(order.id), "--give-up", "--uid", "04a1b2c3d4e5f6").exit_code == 2
    assert run("personalise", str(order.id), "--reader", CONTACT_READER, "--uid", "04a1").exit_code == 2
    done = run("personalise", str(order.id), "--give-up")
    assert (done.exit_code, done.stdout) == (0, "Given up; the card is revoked.\n")
    assert order.state == "failed"


def test_doctor_finds_what_is_wrong(readers: Readers, world: World, run: Run) -> None:
    """All well; then the service is stopped, and the folder opened to everybody."""
    assert readers.pcscd.is_running
    done = run("doctor")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("ok ") == 8
    world.service.stop()
    world.directory.path.chmod(0o755)
    done = run("doctor", "--json")
    assert done.exit_code == 1
    bad = [item["what"] for item in json.loads(done.stdout)["findings"] if not item["well"]]
    assert bad == ["folder", "service"]


def test_no_folder(run: Run, tmp_path: Path) -> None:
    """It says how to make one."""
    done = run("sync", "--agent", str(tmp_path / "nowhere"))
    assert done.exit_code == 1
    assert "reader-agent init" in done.stderr
