"""docs/services/library.md as a new librarian reads it: files loaded, commands typed in their order."""

from pathlib import Path

import pytest

from tests.cardservice.command_line import typed
from tests.support import pages
from tests.support.council import Council

PAGE = "services/library.md"
PIN = "2580\n2580\n"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_pages_commands_do_what_it_says(council: Council, tmp_path: Path) -> None:
    for name, beginning in (("LIBRARY.json", '{\n  "timezone"'), ("STOCK.csv", "barcode,title_id")):
        (tmp_path / name).write_text(pages.block_that_begins(PAGE, beginning), encoding="utf-8")
    stands_for = {
        "LIBRARY.json": str(tmp_path / "LIBRARY.json"),
        "STOCK.csv": str(tmp_path / "STOCK.csv"),
        "CARDHOLDER": str(council.card("adult").holder),
    }
    said = {}
    for command in pages.commands(PAGE, "cardservice"):
        if command[:2] == ["sip2", "serve"]:
            continue  # until SIGTERM: tests/cardservice/sip2 has it
        if command[:2] == ["library", "checkin"]:
            council.clock.advance(days=40)  # late, so that there is something to pay
        # As the page says: a second person approves. Here one person is enough.
        more = ["--approve"] if command[0] == "load" else []
        words = [stands_for.get(word, word) for word in command]
        done = typed(council, *words, *more, answers=PIN if "join" in words else "")
        assert done.exit_code == 0, (command, done.output)
        said[command[1]] = done.stdout
    assert "Due on 2026-07-06." in said["checkout"]  # as the comment beside it says
    assert "is owed for it" in said["checkin"]
    assert "2000123" in said["member"]
    assert "logs in with the password" in said["account"]
