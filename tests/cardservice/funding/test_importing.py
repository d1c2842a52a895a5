"""A file of checks: all of its lines are taken or none, and each that is at fault is named."""

from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.funding.errors import ChecksRefused
from cardservice.funding.importing import COLUMNS, Imported, funded, import_checks, read_checks
from cardservice.funding.models import entitlement
from cardservice.services import discover
from cardservice.services.funded import Funded, Programme
from cardservice.tariffs.service import store_tariff
from tests.support.council import DEMO_DATA, Card, Council

HEAD = ",".join(COLUMNS)
FILES = [DEMO_DATA / "menu.json", DEMO_DATA / "programmes.json"]
SOMEBODY = UUID(int=3)


@cache
def programmes() -> tuple[Programme, ...]:
    """The demonstration's."""
    service = discover()["meals"]
    assert isinstance(service, Funded)
    return tuple(service.programmes(service.prepare(service.load(FILES, currency="GBP").content)))


@pytest.fixture
def pupil(council: Council) -> Card:
    """A pupil of a school whose menu names programmes."""
    loaded = discover()["meals"].load(FILES, currency="GBP")
    with council.context.database.begin() as connection:
        store_tariff(connection, "meals", loaded, source="menu", actor="test", moment=council.clock())
    return council.card("pupil")


def taken(context: Context, path: Path, *, dry_run: bool = False) -> Imported:
    """The file, imported."""
    return import_checks(context, funded(context, "meals"), path, actor="test", dry_run=dry_run)


def on_record(context: Context) -> int:
    """How many checks there are."""
    with context.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(entitlement)) or 0


def written(folder: Path, *lines: str, head: str = HEAD) -> Path:
    """A file of these lines."""
    path = folder / "checks.csv"
    path.write_bytes("\n".join((head, *lines)).encode("utf-8", "surrogateescape"))
    return path


def good(holder: UUID, programme: str = "targeted", year: str = "5", review: str = "2027-06-01") -> str:
    """A line that nothing is wrong with."""
    return f"{holder},{programme},{year},2026-06-01,{review},ECS-1"


REFUSED: dict[str, tuple[Callable[[str], str], str]] = {
    "no identifier": (
        lambda _: "ava,targeted,5,2026-06-01,2027-06-01,x",
        "cardholder: 'ava' is no identifier",
    ),
    "no such programme": (
        lambda who: f"{who},targetted,5,2026-06-01,2027-06-01,x",
        "programme: 'targetted' is no programme of the tariff; there are council-extra, council-primary",
    ),
    "another year": (
        lambda who: f"{who},universal-infant,3,2026-06-01,2027-06-01,x",
        "year: '3' is not one of 1, 2, R, which universal-infant is for",
    ),
    "no year at all": (
        lambda who: f"{who},universal-infant,,2026-06-01,2027-06-01,x",
        "year: '' is not one of 1, 2, R",
    ),
    "a year of words": (
        lambda who: f"{who},targeted,five,2026-06-01,2027-06-01,x",
        "year: 'five' is no school",
    ),
    "a day the other way round": (
        lambda who: f"{who},targeted,5,01/06/2026,2027-06-01,x",
        "first_day: '01/06/2026' is no day like",
    ),
    "a day of no calendar": (
        lambda who: f"{who},targeted,5,2026-06-01,2027-02-30,x",
        "review_on: '2027-02-30' is no day like",
    ),
    "reviewed before it begins": (
        lambda who: f"{who},targeted,5,2026-06-01,2026-05-31,x",
        "review_on: is before first_day",
    ),
    "no reference": (lambda who: f"{who},targeted,5,2026-06-01,2027-06-01,", "reference: is not 1 to 64"),
    "a formula": (lambda who: f"{who},targeted,5,2026-06-01,2027-06-01,=1+1", "reference: is not 1 to 64"),
    "a value too few": (lambda who: f"{who},targeted,5,2026-06-01,2027-06-01", "has 5 values"),
    "an open quote": (lambda who: f'"{who},targeted,5,2026-06-01,2027-06-01,x', "is not CSV"),
    "not UTF-8": (lambda who: f"{who},targeted,5,2026-06-01,2027-06-01,\udcff", "is not UTF-8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_line_at_fault_is_named(name: str, tmp_path: Path) -> None:
    line, reason = REFUSED[name]
    path = written(tmp_path, good(SOMEBODY, "council-extra"), line(str(SOMEBODY)))
    with pytest.raises(ChecksRefused) as refused:
        read_checks(path, programmes())
    [problem] = refused.value.problems
    assert problem.startswith(f"checks.csv:3: {reason}")


@pytest.mark.parametrize("line", [good(UUID(int=7)), "x,targeted,5,2026-06-01,2027-06-01,x"])
def test_nothing_is_taken_half(line: str, context: Context, pupil: Card, tmp_path: Path) -> None:
    path = written(tmp_path, good(pupil.holder), line)
    with pytest.raises(ChecksRefused, match=r"checks\.csv:3: cardholder: "):
        taken(context, path)
    assert on_record(context) == 0


@pytest.mark.parametrize("head", ["", "cardholder,programme", HEAD + ",name", HEAD.upper()])
def test_other_columns_are_refused(head: str, tmp_path: Path) -> None:
    with pytest.raises(ChecksRefused, match=r"checks\.csv:1: the columns are cardholder, programme"):
        read_checks(written(tmp_path, good(SOMEBODY), head=head), programmes())


def test_every_line_at_fault_is_named(tmp_path: Path) -> None:
    lines = [good(SOMEBODY), "x,targeted,5,2026-06-01,2027-06-01,x", good(SOMEBODY), "y" + "," * 5]
    with pytest.raises(ChecksRefused) as refused:
        read_checks(written(tmp_path, *lines), programmes())
    assert [problem.split(": ")[0] for problem in refused.value.problems] == [
        "checks.csv:3",
        "checks.csv:5",
        "checks.csv:4",
    ]
    assert "has a check of this programme on line 2 already" in str(refused.value)


def test_a_later_record_takes_an_earlier_ones_place(
    context: Context, council: Council, pupil: Card, tmp_path: Path
) -> None:
    """And the payer's version changes with it: nothing that was decided before is posted after."""
    before = council.view(pupil.payer).version
    path = written(tmp_path, good(pupil.holder), good(pupil.holder, "council-primary"))
    assert len(taken(context, path, dry_run=True).new) == 2
    assert (on_record(context), council.view(pupil.payer).version) == (0, before)
    assert (len(taken(context, path).new), taken(context, path).unchanged) == (2, 2)
    assert on_record(context) == 2
    assert council.view(pupil.payer).version > before
    council.clock.advance(days=1)
    again = taken(
        context,
        written(tmp_path, good(pupil.holder, review="2028-06-01"), good(pupil.holder, "council-primary")),
    )
    assert [(check.programme, check.review_on) for check in again.new] == [("targeted", date(2028, 6, 1))]
    assert again.unchanged == 1


def test_a_service_that_nobody_funds(context: Context) -> None:
    for name in ("transport", "nothing"):
        with pytest.raises(OrderInvalid, match="no programme pays for"):
            funded(context, name)


def test_a_menu_without_programmes(context: Context, council: Council, tmp_path: Path) -> None:
    council.load_menu()
    with pytest.raises(OrderInvalid, match="names no programme"):
        taken(context, written(tmp_path))


def test_any_bytes_are_refused_or_read_as_a_whole(tmp_path: Path) -> None:
    path, refusals = tmp_path / "checks.csv", list[bytes]()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.one_of(
            st.binary(max_size=300),
            st.text(max_size=300).map(lambda text: f"{HEAD}\n{text}".encode("utf-8", "surrogatepass")),
        )
    )
    def holds(content: bytes) -> None:
        path.write_bytes(content)
        try:
            assert read_checks(path, programmes()) == ()
        except ChecksRefused:
            refusals.append(content)

    holds()
    assert refusals
