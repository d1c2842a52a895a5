"""The desk and its machines by their commands: a librarian's day, and the port as a program of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cardservice.cli import main
from tests.cardservice.circulation.conftest import STOCK
from tests.cardservice.services.library_terms import TERMS
from tests.cardservice.sip2.acs import Machine

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def run(environment: dict[str, str], *arguments: str, given: str = "") -> Result:
    """The command in this process."""
    settings = {**environment, "CARDSERVICE_TARIFF_APPROVAL": "one-person"}
    return CliRunner().invoke(main, arguments, env=settings, input=given)


def done(environment: dict[str, str], *arguments: str, given: str = "") -> Any:
    """What it says in JSON."""
    result = run(environment, *arguments, "--json", given=given)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def library(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """A library that is set up by its commands, with the member 2000123."""
    terms = {**TERMS, "first_day": "2026-01-01", "last_day": "2030-12-31"}
    (tmp_path / "library.json").write_text(json.dumps(terms), encoding="utf-8")
    (tmp_path / "stock.csv").write_text(STOCK, encoding="utf-8")
    assert run(environment, "load", "library", str(tmp_path / "library.json"), "--approve").exit_code == 0
    assert done(environment, "library", "import", str(tmp_path / "stock.csv"))["copies"] == 5
    holder = done(environment, "cardholder", "add", "Morgan Reed")["cardholder"]
    done(environment, "library", "join", holder, "2000123", "--pin-stdin", given="2580\n")
    return environment


def test_a_librarians_day(library: dict[str, str], tmp_path: Path) -> None:
    lent = done(library, "library", "checkout", "2000123", "B1", "--place", "central")
    assert (lent["ok"], lent["title"]) == (True, "Emma")
    words = run(library, "library", "checkout", "2000123", "B2", "--place", "central").stdout
    assert words.startswith("Emma (B2). Due on ")
    refused = run(library, "library", "checkout", "2000123", "nothing")
    assert (refused.exit_code, refused.stderr) == (
        1, "cardservice: This is not known here; please ask a librarian. (copy_unknown)\n",
    )  # fmt: skip
    told = run(library, "library", "checkout", "9", "B3", "--json")
    assert (told.exit_code, json.loads(told.stdout)["reason"]) == (1, "member_unknown")
    assert len(done(library, "library", "member", "2000123")["on_loan"]) == 2
    assert "has Emma (B1) until" in run(library, "library", "member", "2000123").stdout
    assert done(library, "library", "item", "B1")["state"] == "lent"
    every = done(library, "library", "renew", "2000123")["renewals"]
    assert [each["reason"] for each in every] == ["renewal_too_early"] * 2
    assert done(library, "library", "hold", "2000123", "dune", "--place", "north")["kept"]
    assert done(library, "library", "hold", "2000123", "dune", "--cancel")["ok"]
    assert done(library, "library", "expire") == {"expired": 0}
    assert done(library, "library", "checkin", "B1", "--place", "central")["ok"]
    assert "not on loan" in run(library, "library", "checkin", "B1").stdout
    assert done(library, "library", "history", "2000123", "--keep")["history"] == []
    done(library, "library", "checkin", "B2")
    assert [row["title"] for row in done(library, "library", "history", "2000123")["history"]] == ["Emma"]
    owing = run(library, "library", "pay", "2000123", "1.00")
    assert (owing.exit_code, "more_than_owed" in owing.stderr) == (1, True)
    assert done(library, "library", "takings", "2026-06-15") == {"takings": []}
    assert done(library, "library", "bar", "2000123")["ok"]
    assert done(library, "library", "bar", "2000123", "--lift")["ok"]
    done(library, "library", "withdraw", "F1")
    done(library, "library", "pin", "2000123", "--pin-stdin", given="1357\n")
    assert run(library, "library", "pin", "2000123", "--pin-stdin", given="\n").exit_code == 1
    bad = tmp_path / "bad.csv"
    bad.write_text(STOCK + "B9\n", encoding="utf-8")
    assert "bad.csv:7: has 1 columns" in run(library, "library", "import", str(bad)).stderr
    assert done(library, "library", "member", "2000123")["on_loan"] == []
    assert "cardservice library checkout 2000123 B0001" in run(library, "library", "--help").stdout


def test_the_port_is_a_program(library: dict[str, str]) -> None:
    made = done(library, "sip2", "account", "add", "kiosk-1", "--institution", "ASH", "--place", "central")
    assert (
        run(library, "sip2", "account", "add", "kiosk-1", "--institution", "A", "--place", "c").exit_code == 1
    )
    assert run(library, "sip2", "account", "set", "kiosk-1", "--profile", '{"kind": "x"}').exit_code == 1
    done(library, "sip2", "account", "set", "kiosk-1", "--profile", '{"kind": "pc-booking"}')
    assert done(library, "sip2", "account", "list")["accounts"][0]["profile"]["kind"] == "pc-booking"
    open_port = run(library, "sip2", "serve", "--host", "10.1.0.5")
    assert (open_port.exit_code, "--tls-certificate" in open_port.stderr) == (1, True)
    program = "from cardservice.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "sip2", "serve", "--port", "0"],
        env=library, stdout=subprocess.PIPE, text=True,
    ) as served:  # fmt: skip
        try:
            assert served.stdout is not None
            port = int(served.stdout.readline().rpartition(":")[2])
            with Machine(port) as machine:
                assert machine.log_in("kiosk-1", made["password"]).fixed == ("1",)
                told = machine.exchange(b"2300120260615    110000AO|AA2000123|AC|AD2580|\r")
                assert (told[:2], b"AEMorgan Reed|" in told) == (b"24", True)
                served.terminate()
                assert machine.receive() == b""
            assert served.wait(60) == 0
        finally:
            served.kill()
    done(library, "sip2", "account", "close", "kiosk-1")
    assert run(library, "sip2", "account", "close", "kiosk-1").exit_code == 1
