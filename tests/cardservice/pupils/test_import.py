"""Joiners, leavers and changes of a school: told first, done as a whole, and taken back."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from cardservice.audit.models import audit
from cardservice.cardholders.models import cardholder, cardholder_token
from cardservice.cardholders.records import read_fields
from cardservice.cardholders.sealing import Field
from cardservice.cli import main
from cardservice.ids import CardholderId
from cardservice.ledger.payers import payers_of
from cardservice.ledger.privacy import find_keys
from cardservice.payments.service import TopUp, top_up
from cardservice.pupils.errors import ImportRefused
from cardservice.pupils.models import import_change, import_run
from cardservice.pupils.reading import MAX_BYTES
from cardservice.pupils.service import import_pupils
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import ACTOR, Council

HEAD = "number,name,born_on,form,allergens"
SCHOOL = ("--school", "ashcombe-primary")
ROLL = (
    "A100,Ava Reed,2015-04-30,5B,milk;nuts",
    "A101,Noah Reed,2017-01-02,3A,",
    "A102,Zoë O'Neill,2016-09-09,4B,",
    "A103,Sam Okoro,2016-03-03,4B,",
)


def run(council: Council, *arguments: str) -> Result:
    """The command in this process, with settings from its environment."""
    settings = council.context.settings
    environment = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": settings.database_url,
        "CARDSERVICE_OWNER_DATABASE_URL": settings.owner_database_url,
        "CARDSERVICE_ERASURE_DATABASE_URL": settings.erasure_database_url,
        "CARDSERVICE_PKI_DIR": str(settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": settings.public_origin,
    }
    return CliRunner().invoke(main, ["import", *arguments], env=environment)


def ok(council: Council, *arguments: str) -> Any:
    """What a command printed, as JSON."""
    result = run(council, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def roll(folder: Path, *lines: str) -> str:
    """A file with these pupils."""
    path = folder / "roll.csv"
    path.write_text("\n".join((HEAD, *lines)) + "\n", encoding="utf-8")
    return str(path)


def people(council: Council) -> dict[str, dict[Field, Any]]:
    """Everybody's record, by name."""
    with council.context.database.reading() as connection:
        holders = [CardholderId(each) for each in connection.scalars(select(cardholder.c.id))]
        records = [read_fields(connection, council.kek, holder) for holder in holders]
    return {values[Field.NAME]: values for values in records}


def holder_of(told: Any, line: int) -> CardholderId:
    """Who joined by this line."""
    return CardholderId(next(UUID(one["cardholder"]) for one in told["joined"] if one["line"] == line))


def test_a_school_year(council: Council, tmp_path: Path) -> None:
    """A dry run changes nothing; then they join, change, and leave; and the last step is undone."""
    file = roll(tmp_path, *ROLL)
    told = ok(council, "pupils", file, *SCHOOL, "--dry-run")
    assert (len(told["joined"]), told["import"], people(council)) == (4, None, {})
    first = ok(council, "pupils", file, *SCHOOL)
    known = people(council)
    assert (known["Ava Reed"][Field.FORM], known["Ava Reed"][Field.ALLERGENS]) == ("5B", ["milk", "nuts"])
    assert known["Zoë O'Neill"][Field.BORN_ON] == "2016-09-09"
    again = ok(council, "pupils", file, *SCHOOL)
    assert (again["joined"], again["changed"], again["left"], again["unchanged"]) == ([], [], [], 4)
    file = roll(tmp_path, "A100,Ava Reed,2015-04-30,6B,milk", *ROLL[1:3], "A104,Mia Field,2018-05-05,2A,")
    second = ok(council, "pupils", file, *SCHOOL)
    assert [(one["line"], one["fields"]) for one in second["changed"]] == [(2, ["allergens", "form"])]
    assert (len(second["joined"]), len(second["left"]), second["unchanged"]) == (1, 1, 2)
    after = people(council)
    assert (after["Ava Reed"][Field.FORM], after["Ava Reed"][Field.ALLERGENS]) == ("6B", ["milk"])
    assert {Field.PUPIL, Field.FORM}.isdisjoint(after["Sam Okoro"])
    refused = run(council, "undo", first["import"])
    assert (refused.exit_code, "undo that one first" in refused.stderr) == (1, True)
    assert ok(council, "undo", second["import"])["erased"] == 1
    assert people(council) == known
    refused = run(council, "undo", second["import"])
    assert (refused.exit_code, "was undone by" in refused.stderr) == (1, True)
    listed = ok(council, "list")["imports"]
    assert [(one["joined"], one["undone_by"] is None) for one in listed] == [(1, False), (0, True), (4, True)]


def test_who_joined_and_has_money_is_not_erased(council: Council, tmp_path: Path) -> None:
    """But is no pupil any more, and named."""
    told = ok(council, "pupils", roll(tmp_path, *ROLL), *SCHOOL)
    ava = holder_of(told, 2)
    top_up(council.context, TopUp(ava, 500, "cash"), actor="test")
    undone = ok(council, "undo", told["import"])
    assert undone["erased"] == 3
    assert undone["kept"] == [{"cardholder": str(ava), "reason": "balance_open"}]
    assert list(people(council)) == ["Ava Reed"]
    assert Field.PUPIL not in people(council)["Ava Reed"]


def test_half_a_roll_is_not_taken_for_a_whole_one(council: Council, tmp_path: Path) -> None:
    """Nor is a file with one bad line: nothing of it is taken."""
    ok(council, "pupils", roll(tmp_path, *ROLL), *SCHOOL)
    before = people(council)
    for lines, reason in (
        (ROLL[:2], "2 of 4 pupils are not in it"),
        ((*ROLL[:3], "A104,=Mia,2018-05-05,2A,"), "line 5: name: '=Mia' begins like a formula"),
    ):
        refused = run(council, "pupils", roll(tmp_path, *lines), *SCHOOL)
        assert (refused.exit_code, reason in refused.stderr) == (1, True), refused.output
    assert people(council) == before
    roll(tmp_path, *ROLL[:2])
    assert len(ok(council, "pupils", str(tmp_path / "roll.csv"), *SCHOOL, "--many-leave")["left"]) == 2


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("raw", "line"),
    [
        pytest.param(f"{HEAD}\n{ROLL[2]}\n".encode("latin-1"), 2, id="encoding"),
        pytest.param("\n".join((HEAD, *ROLL, ROLL[0])).encode(), 6, id="duplicate"),
        pytest.param(b"number,name,form\nA100,Ava Reed,5B\n", 1, id="columns"),
        pytest.param("\n".join((HEAD, ROLL[0], "A101,=1+1,2017-01-02,3A,")).encode(), 3, id="formula"),
        pytest.param(b'number,name,born_on,form\nA100,"Ava', 2, id="cut"),
        pytest.param(b"x" * (MAX_BYTES + 1), 1, id="100 MiB", marks=pytest.mark.long),
    ],
)
def test_a_malformed_file_changes_nothing(council: Council, tmp_path: Path, raw: bytes, line: int) -> None:
    """Whatever is wrong with it: refused with line and reason, and nothing is noted of it."""
    path = tmp_path / "roll.csv"
    path.write_bytes(raw)
    with pytest.raises(ImportRefused) as refused:
        import_pupils(council.context, path, "ashcombe-primary", actor=ACTOR)
    assert refused.value.problems[0].line == line
    assert refused.value.problems[0].reason
    with council.context.database.reading() as connection:
        for kept in (cardholder, import_run, import_change, audit):
            counted = select(func.count()).select_from(kept)
            about = counted.where(audit.c.action.like("import%")) if kept is audit else counted
            assert connection.execute(about).scalar_one() == 0


def test_schools_are_told_apart(council: Council, tmp_path: Path) -> None:
    """The same number at another school is somebody else."""
    ok(council, "pupils", roll(tmp_path, *ROLL), *SCHOOL)
    told = ok(council, "pupils", roll(tmp_path, "A100,Eve Hill,2012-04-30,9K,"), "--school", "ashcombe-high")
    assert (len(told["joined"]), told["left"]) == (1, [])
    assert len(people(council)) == 5


def test_who_joined_is_who_was_added_alone(council: Council, tmp_path: Path) -> None:
    """A payer, a key, tokens: what one has who was added by hand."""
    told = ok(council, "pupils", roll(tmp_path, *ROLL), *SCHOOL)
    ava = holder_of(told, 2)
    top_up(council.context, TopUp(ava, 500, "cash"), actor="test")
    with council.context.database.reading() as connection:
        [payer] = payers_of(connection, ava)
        assert find_keys(connection, [ava]).keys() == {ava}
    assert council.balances(payer) == (500, 0)


def test_who_is_known_is_asked_about(council: Council, tmp_path: Path) -> None:
    """By name and date of birth, or by a number that goes from school to school; nobody is there twice."""
    upn = "Q123456789012"
    first = ok(council, "pupils", roll(tmp_path, *ROLL, f"{upn},Kit Bell,2014-01-01,6A,"), *SCHOOL)
    ava, kit = holder_of(first, 2), holder_of(first, 6)
    # The words of a name in another order; a name that has changed; and a namesake of another day.
    lines = (
        *('B1,"Reed, Ava",2015-04-30,7K,', f"{upn},Kit Bell-Hill,2014-01-01,7K,"),
        *("B3,Noah Reed,2012-01-02,8K,", "B4,Eve Hill,2012-04-30,9K,"),
    )
    high = (roll(tmp_path, *lines), "--school", "ashcombe-high")
    told = ok(council, "pupils", *high, "--dry-run")
    assert told["to_decide"] == [
        {"line": 2, "number": "B1", "cardholders": [str(ava)]},
        {"line": 3, "number": upn, "cardholders": [str(kit)]},
    ]
    refused = run(council, "pupils", *high)
    assert (refused.exit_code, f"line 2: this may be {ava}, who is known" in refused.stderr) == (1, True)
    assert len(people(council)) == 5
    for wrong, reason in (
        (("--same", "B4"), "'B4' is no number of a pupil who joins"),
        (("--same", f"B1={kit}", "--all-same"), "B1 is not recognised as"),
    ):
        assert reason in run(council, "pupils", *high, *wrong).stderr
    done = ok(council, "pupils", *high, "--same", upn, "--new", "B1")
    assert (len(done["joined"]), [one["cardholder"] for one in done["changed"]]) == (3, [str(kit)])
    assert people(council)["Kit Bell-Hill"][Field.PUPIL] == {"school": "ashcombe-high", "number": upn}
    # There are two of that name and day now: which one is said, or it is not decided.
    other = ok(council, "pupils", roll(tmp_path, *ROLL[:1]), "--school", "ashcombe-middle", "--dry-run")
    assert len(other["to_decide"][0]["cardholders"]) == 2
    alone = ("pupils", roll(tmp_path, *ROLL[:1]), "--school", "ashcombe-middle")
    assert "=CARDHOLDER" in run(council, *alone, "--all-same").stderr
    moved = ok(council, *alone, "--same", f"A100={ava}")
    assert (moved["joined"], [one["cardholder"] for one in moved["changed"]]) == ([], [str(ava)])
    ok(council, "undo", moved["import"])
    with council.context.database.reading() as connection:
        back = read_fields(connection, council.kek, ava)[Field.PUPIL]
    assert back == {"school": "ashcombe-primary", "number": "A100"}


def test_two_who_import_at_once(council: Council, tmp_path: Path) -> None:
    """Nobody is there twice."""
    file = Path(roll(tmp_path, *ROLL))
    with ThreadPoolExecutor(3) as pool:
        futures = [
            pool.submit(import_pupils, council.context, file, "ashcombe-primary", actor=ACTOR)
            for _ in range(3)
        ]
        joined = sorted(len(each.result()[1].joiners) for each in futures)
    assert joined == [0, 0, 4]


@pytest.mark.long
def test_ten_thousand(council: Council, tmp_path: Path) -> None:
    """All of them, with what they are found by; how long it took is printed, not judged."""
    lines = (f"A{number},Pupil Number{number},2015-04-30,5B,milk" for number in range(10_000))
    file = roll(tmp_path, *lines)
    began, worked = time.perf_counter(), time.process_time()
    _, plan = import_pupils(council.context, Path(file), "ashcombe-primary", actor=ACTOR)
    took, worked = time.perf_counter() - began, time.process_time() - worked
    print(f"{council.context.database.dialect}: 10,000 pupils in {took:.1f} s, of which {worked:.1f} s here")
    assert len(plan.joiners) == 10_000
    with council.context.database.reading() as connection:
        found = select(func.count(cardholder_token.c.cardholder_id.distinct()))
        assert connection.execute(found).scalar_one() == 10_000
