"""A client of others borrows, renews, brings back and pays."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cardservice.circulation.conftest import PIN
from tests.cardservice.sip2.conftest import Desk

WITNESS = Path(__file__).parent / "witness.py"


def witness(desk: Desk, folder: Path, pin: str, *steps: list[Any]) -> list[Any]:
    """What the client made of our answers."""
    asked = {
        "port": desk.acs.port, "user": "kiosk", "password": desk.passwords["kiosk"],
        "patron": "1001", "pin": pin, "steps": steps,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(WITNESS)], input=json.dumps(asked), cwd=folder,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stderr)
    return found


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_client_of_others(desk: Desk, tmp_path: Path) -> None:
    status, info, lent, charged = witness(
        desk, tmp_path, PIN,
        ["patron_status"],
        ["patron_information", "charged"],
        ["checkout", "F1"],
        ["patron_information", "charged"],
    )[2:]  # fmt: skip
    assert status["variable"]["CQ"] == ["Y"]
    assert (info["fixed"]["ChargedItemsCount"], info["variable"]["AE"]) == ("0000", ["Reader 1001"])
    assert (lent["fixed"]["Ok"], lent["variable"]["AJ"]) == ("1", ["Metropolis"])
    assert lent["variable"]["AH"] == ["20260622    235959"]
    assert charged["variable"]["AU"] == ["F1"]
    desk.town.clock.advance(days=9)
    back, item, fines, paid, again, book = witness(
        desk, tmp_path, PIN,
        ["checkin", "F1"],
        ["item_information", "F1"],
        ["patron_information", "fine"],
        ["fee_paid", 4, 0, "2.00", "", "till-7", "GBP"],
        ["patron_information", "fine"],
        ["checkout", "B1"],
    )[2:]  # fmt: skip
    assert (back["fixed"]["Ok"], back["variable"]["AQ"]) == ("1", ["central"])
    assert item["fixed"]["CirculationStatus"] == "03"
    assert (fines["variable"]["BV"], fines["variable"]["AV"]) == (["2.00"], ["2.00 late return"])
    assert (paid["fixed"]["PaymentAccepted"], paid["variable"]["BK"]) == ("Y", ["till-7"])
    assert again["variable"]["BV"] == ["0.00"]
    assert book["fixed"]["Ok"] == "1"
    desk.town.clock.advance(days=1)
    renewed, ended = witness(
        desk, tmp_path, PIN, ["renew", "B1"], ["end_patron_session"]
    )[2:]  # fmt: skip
    assert (renewed["fixed"]["Ok"], renewed["variable"]["AH"]) == ("1", ["20260716    235959"])
    assert ended["fixed"]["EndSession"] == "Y"
    [wrong] = witness(desk, tmp_path, "0000", ["patron_status"])[2:]
    assert (wrong["variable"]["CQ"], wrong["variable"]["AE"]) == (["N"], [""])
