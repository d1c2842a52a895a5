"""A school's file is taken as a whole or refused by line: whatever is wrong with it, nothing is half read."""

from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardservice.pupils import reading
from cardservice.pupils.errors import ImportRefused
from cardservice.pupils.reading import MAX_PROBLEMS, Pupil, parsed, read_pupils

TODAY = date(2026, 6, 15)
HEAD = "number,name,born_on,form,allergens"
GOOD = "A100,Ava Reed,2015-04-30,5B,milk;nuts"


def read(*lines: str) -> tuple[Pupil, ...]:
    """What these lines tell of."""
    return parsed("\n".join(lines).encode(), "roll.csv", TODAY)


def test_a_roll() -> None:
    """With a byte order mark, in any order of columns, with Windows' ends of lines, and an empty line."""
    text = (
        "\ufeffName,number,form,born_on\r\nAva Reed,A100,5B,2015-04-30\r\n\r\n"
        '"O\'Neill, Zoë",A101,,2014-01-02\r\n'
    )
    assert parsed(text.encode(), "roll.csv", TODAY) == (
        Pupil(2, "A100", "Ava Reed", date(2015, 4, 30), "5B", None),
        Pupil(4, "A101", "O'Neill, Zoë", date(2014, 1, 2), None, None),
    )
    assert read(HEAD, GOOD)[0].allergens == ("milk", "nuts")


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        ((), 1, "columns are missing: number, name, born_on, form"),
        (("number,name,born_on",), 1, "columns are missing: form"),
        (("number;name;born_on;form",), 1, "divided by commas, not by ';'"),
        (("number\tname\tborn_on\tform",), 1, "divided by commas, not by '\\t'"),
        ((HEAD + ",religion",), 1, "'religion' is none of the columns"),
        ((HEAD + ",name",), 1, "twice"),
        ((HEAD, "A100,Ava Reed,2015-04-30,5B"), 2, "it has 4 cells, not 5"),
        ((HEAD, GOOD + ",more"), 2, "it has 6 cells, not 5"),
        ((HEAD, GOOD, "A101,Noah Reed,2016-01-01,4A,", GOOD), 4, "the number A100 is on line 2, too"),
        ((HEAD, "=1+1,Ava Reed,2015-04-30,5B,"), 2, "begins like a formula"),
        ((HEAD, "A100,\"=cmd|' /C calc'!A0\",2015-04-30,5B,"), 2, "begins like a formula"),
        ((HEAD, "A100,@SUM(A1),2015-04-30,5B,"), 2, "begins like a formula"),
        ((HEAD, "A100,+44 20,2015-04-30,5B,"), 2, "begins like a formula"),
        ((HEAD, "A100, Ava Reed,2015-04-30,5B,"), 2, "spaces around it"),
        ((HEAD, "A100,Ava\tReed,2015-04-30,5B,"), 2, "cannot be shown"),
        ((HEAD, "A100,Ava\x00Reed,2015-04-30,5B,"), 2, "cannot be shown"),
        ((HEAD, "A100,,2015-04-30,5B,"), 2, "name: up to 200"),
        ((HEAD, f"A100,{'x' * 201},2015-04-30,5B,"), 2, "name: up to 200"),
        ((HEAD, ",Ava Reed,2015-04-30,5B,"), 2, "number:"),
        ((HEAD, f"{'9' * 33},Ava Reed,2015-04-30,5B,"), 2, "number:"),
        ((HEAD, "A100,Ava Reed,30/04/2015,5B,"), 2, "is no pupil's"),
        ((HEAD, "A100,Ava Reed,20150430,5B,"), 2, "is no pupil's"),
        ((HEAD, "A100,Ava Reed,2026-06-16,5B,"), 2, "is no pupil's"),
        ((HEAD, "A100,Ava Reed,1999-01-01,5B,"), 2, "is no pupil's"),
        ((HEAD, f"A100,Ava Reed,2015-04-30,{'5' * 17},"), 2, "form: up to 16"),
        ((HEAD, "A100,Ava Reed,2015-04-30,5B,strawberries"), 2, "allergens: 'strawberries'"),
        ((HEAD, 'A100,"Ava"Reed,2015-04-30,5B,'), 2, "is not CSV"),
        ((HEAD, GOOD, 'A101,"Noah Reed,2016-01-01,4A,'), 3, "is not CSV"),
    ],
)
def test_what_is_refused(lines: tuple[str, ...], line: int, reason: str) -> None:
    """With its line, in a sentence that can be printed."""
    with pytest.raises(ImportRefused) as refused:
        read(*lines)
    [problem] = refused.value.problems
    assert (problem.line, reason in problem.reason) == (line, True), str(problem)
    assert problem.reason.isprintable()


def test_every_line_is_named() -> None:
    """Up to a page of them."""
    with pytest.raises(ImportRefused) as refused:
        read(HEAD, *(f"A{number},,2015-04-30,5B," for number in range(MAX_PROBLEMS + 10)))
    assert [each.line for each in refused.value.problems] == list(range(2, MAX_PROBLEMS + 2))


def test_another_encoding() -> None:
    """Said with the line of the first byte that is not UTF-8."""
    raw = f"{HEAD}\n{GOOD}\nA101,Zoë,2015-04-30,5B,\n"
    for encoding, line, named in (
        ("latin-1", 3, "UTF-8"),
        ("utf-16", 1, "UTF-16"),
        ("utf-16-be", 1, "UTF-16"),
    ):
        with pytest.raises(ImportRefused) as refused:
            parsed(raw.encode(encoding), "roll.csv", TODAY)
        assert (refused.value.problems[0].line, named in refused.value.problems[0].reason) == (line, True)


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is read of it than tells that it is."""
    assert reading.MAX_BYTES == 100 << 20
    monkeypatch.setattr(reading, "MAX_BYTES", 1 << 20)
    (tmp_path / "roll.csv").write_bytes(f"{HEAD}\n".encode() + b"x" * (1 << 20))
    with pytest.raises(ImportRefused, match="larger than 1 MiB"):
        read_pupils(tmp_path / "roll.csv", TODAY)


@given(
    raw=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: f"{HEAD}\n{text}".encode("utf-8", "replace"))
)
def test_any_bytes(raw: bytes) -> None:
    """Read or refused."""
    with suppress(ImportRefused):
        assert all(pupil.line > 1 for pupil in parsed(raw, "roll.csv", TODAY))
