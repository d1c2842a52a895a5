"""The benchmark counts right and reports what it should; how fast anything is, no test asserts."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks import (
    growth,
    ingest,
    issuing,
    lunch,
    posting,
    pupils,
    rating,
    report,
    rules,
    searching,
    settling,
    sip2,
    statements,
    status,
    transport,
    verifying,
)
from tests.benchmarks.report import Measurement, Run
from tests.benchmarks.server import BenchmarkFailed
from tests.support.databases import PostgresServer

RUN = Run("0123456789ab", "a machine", "2026-11-24")
FIELDS = {
    *("key", "what", "ratio", "value", "unit", "p50_ms", "p99_ms", "goal", "at_least", "met", "least_met"),
    *("detail", "commit", "machine", "date", "load_before"),
}


@pytest.fixture(scope="module")
def ledger() -> Iterator[posting.Ledger]:
    """A small ledger on a server that is the benchmark's kind, but need not survive a power cut."""
    server = PostgresServer()
    try:
        yield posting.fill(server, payers=50)
    finally:
        server.stop()


@pytest.mark.long
def test_a_grown_ledger_adds_up() -> None:
    """What is filled in for it is what posting would have left."""
    server = PostgresServer()
    try:
        rate = growth.measure_verify(server, lambda _: None, payers=40)
        grown = growth.measure(server, 0.2, lambda _: None, payers=80, small=40, processes=1, slices=1)
        pages = growth.measure_reading("statement_page", server, 0.2, lambda _: None, payers=80)
    finally:
        server.stop()
    assert rate.detail["transactions"] == 40 * (growth.SALES_EACH + 1)
    assert grown.value
    assert pages.value


def test_what_was_posted_is_what_the_ledger_holds(ledger: posting.Ledger) -> None:
    before = posting.stored_requests(ledger)
    said: list[str] = []

    measured = posting.measure(ledger, "post_single", 1, 0.2, said.append, processes=2, slices=1)

    posted = measured.detail["posted and found in the ledger"]
    warm_up = 2 * posting.WARM_UP_CALLS
    assert isinstance(posted, int)
    assert posted > 0
    assert posting.stored_requests(ledger) == before + posted + warm_up
    assert measured.rate is not None
    assert measured.p50_ms is not None
    assert len(said) == 1


def test_a_transaction_that_was_not_counted_stops_the_measurement(
    ledger: posting.Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, calls = posting.stored_requests, count()
    monkeypatch.setattr(posting, "stored_requests", lambda found: counted(found) + next(calls))

    with pytest.raises(BenchmarkFailed, match="are stored"):
        posting.measure(ledger, "post_single", 1, 0.1, print, processes=1, slices=1)


def test_every_statement_read_added_up(ledger: posting.Ledger) -> None:
    measured = statements.measure(ledger, 0.1, print, transactions=20, years_before=2, many=30)

    lines = measured.detail["lines"]
    assert isinstance(lines, int)
    assert lines >= 21
    read = measured.detail["statements read, and found to add up"]
    assert isinstance(read, int)
    assert read >= 20
    assert measured.value == measured.p99_ms is not None


@pytest.mark.long
def test_everybody_who_is_looked_for_is_found() -> None:
    """Whoever is not among those who are shown, of few, makes the measurement fail."""
    server = PostgresServer()
    try:
        measured = searching.measure(server, 0.1, lambda _: None, count=400)
    finally:
        server.stop()
    searches = measured.detail["searches"]
    assert isinstance(searches, int)
    assert searches >= 7 * 60
    assert measured.value


@pytest.mark.long
def test_everybody_in_a_schools_file_joins_and_is_changed_a_year_later() -> None:
    server = PostgresServer()
    try:
        measured = pupils.measure(server, 0.0, print, pupils=40)
    finally:
        server.stop()
    assert measured.value


def test_a_days_settlement_was_matched_and_agrees_with_the_bank(ledger: posting.Ledger) -> None:
    measured = settling.measure(ledger, print, payments=120)

    assert measured.detail["lines matched"] == 120
    assert measured.value is not None


def test_chunks_are_compared_with_verification() -> None:
    """Over HTTP, by the service's own processes; what was not posted would stop it."""
    server = PostgresServer()
    try:
        measured = ingest.measure(server, 1.0, print, chunk=120, cards=6, slices=1)
    finally:
        server.stop()

    assert measured.detail["advices posted, and found right"] == 240
    assert measured.rate is not None
    assert measured.baseline is not None
    assert 0 < measured.rate < measured.baseline


@pytest.mark.parametrize(("key", "batch"), issuing.MEASURED.items())
def test_what_was_issued_is_on_record(key: str, batch: int) -> None:
    measured = issuing.measure(key, 0.3, print)

    issued = measured.detail["issued, and found by the audit"]
    assert isinstance(issued, int)
    assert issued % batch == 0
    assert issued >= 2 * batch  # to warm up, and a turn at least
    assert measured.rate is not None
    assert measured.baseline is not None


@pytest.mark.parametrize(
    ("rate", "p99_ms", "met", "least_met"),
    [
        (60.0, 49.9, True, True),
        (59.9, 49.9, False, True),
        (40.0, 49.9, False, True),
        (39.9, 49.9, False, False),
        (60.0, 50.0, False, False),
        (60.0, None, False, False),
    ],
)
def test_a_goal_is_met_by_ratio_and_by_p99(
    rate: float, p99_ms: float | None, met: bool, least_met: bool
) -> None:
    measured = Measurement(key="online_authorisation", what="taps", rate=rate, p99_ms=p99_ms)

    entry = report.entry(measured, 100.0, RUN)

    assert (entry["met"], entry["least_met"]) == (met, least_met)


@pytest.mark.long
def test_a_lunch_hour_serves_every_pupil_once() -> None:
    """And every third by programme."""
    server = PostgresServer()
    try:
        measured = lunch.measure(server, lambda _: None, pupils=12, tills=2, apart_s=0.05)
    finally:
        server.stop()
    assert measured.detail == {"sales": 12, "of which funded": 4}
    assert measured.value is not None
    assert measured.p99_ms is not None


@pytest.mark.parametrize("key", rules.MEASURED)
def test_rules_decide_their_tables_alone(key: str) -> None:
    measured = rules.measure(key, 0.1, print)

    assert measured.rate is not None
    assert measured.baseline is not None
    rows, refused = measured.detail["rows"], measured.detail["of which refused"]
    assert isinstance(rows, int)
    assert isinstance(refused, int)
    assert rows > refused > 0


@pytest.mark.long
def test_a_day_of_taps_is_rated_for_everybody() -> None:
    """And the ledger adds up afterwards; who is left out would stop it."""
    server = PostgresServer()
    try:
        measured = rating.measure(server, print, taps=60)
    finally:
        server.stop()

    assert measured.value
    assert measured.detail["persons whose day was rated, and found to be"] == 6


@pytest.mark.long
def test_a_buss_day_is_told_and_posted() -> None:
    server = PostgresServer()
    try:
        measured = ingest.measure_bus_day(server, print, taps=60, cards=6, chunk=20)
    finally:
        server.stop()

    assert measured.detail["taps posted, and found right"] == 60


@pytest.mark.long
def test_a_machine_is_answered_beside_the_codec() -> None:
    server = PostgresServer()
    try:
        measured = sip2.measure(server, 0.3, lambda _: None)
    finally:
        server.stop()
    assert measured.rate is not None
    assert measured.baseline is not None
    assert measured.baseline > measured.rate > 0


@pytest.mark.parametrize("key", status.MEASURED)
def test_status_is_compared_with_what_it_took_turns_with(key: str) -> None:
    said: list[str] = []

    measured = status.measure(key, 0.3, said.append)

    assert measured.rate is not None
    assert measured.baseline is not None
    entry = report.entry(measured, 1e9, RUN)
    assert entry["ratio"] == pytest.approx(measured.rate / measured.baseline, rel=0.01)
    assert entry["unit"] == "a second"
    assert len(said) == 1


def test_a_long_list_holds_what_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "LISTS", {"pki_crl_100k": 1_000})

    measured = status.measure_list("pki_crl_100k", print)

    assert measured.value is not None
    assert measured.detail["bytes"] == pytest.approx(43_000, rel=0.1)


@pytest.mark.long
def test_a_million_entries_stay_within_their_memory() -> None:
    """400 MiB for the whole process; how long it takes, no test asserts."""
    measured = status.measure_list("pki_crl_1m", print)

    peak_mib = measured.detail["peak memory of the whole process, MiB"]
    assert isinstance(peak_mib, int)
    assert peak_mib < 400


@pytest.mark.parametrize("key", verifying.MEASURED)
def test_verification_is_compared_with_what_it_took_turns_with(key: str) -> None:
    said: list[str] = []

    measured = verifying.measure(key, 0.3, said.append)

    assert measured.rate is not None
    assert measured.baseline is not None
    entry = report.entry(measured, 1e9, RUN)
    assert entry["ratio"] == pytest.approx(measured.rate / measured.baseline, rel=0.01)
    assert entry["unit"] == "a second"
    assert len(said) == 2


@pytest.mark.parametrize("key", transport.MEASURED)
def test_transport_decides_what_it_is_asked(key: str) -> None:
    measured = transport.measure(key, 0.1, print)

    assert measured.value
    assert report.entry(measured, 1e9, RUN)["unit"] == measured.unit


def test_a_generated_feed_is_loaded_as_it_was_written() -> None:
    measured = transport.measure_feed(print, stops=60, stop_times=500, areas=6)

    assert measured.value
    assert measured.detail["peak memory of the whole process, MiB"]


@pytest.mark.parametrize(
    ("value", "met", "least_met"), [(349.9, True, True), (350.0, False, True), (500.0, False, False)]
)
def test_a_goal_in_time_is_one_to_stay_under(value: float, met: bool, least_met: bool) -> None:
    measured = Measurement(key="tap_modelled_silicon", what="taps", value=value, unit="ms")

    entry = report.entry(measured, 100.0, RUN)

    assert (entry["met"], entry["least_met"]) == (met, least_met)


def test_what_fails_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And Ctrl-C keeps what there is."""

    def fails(*_: object) -> Measurement:
        raise BenchmarkFailed("it did not add up")

    def breaks(*_: object) -> Measurement:
        raise ValueError("broken")

    def stops(*_: object) -> Measurement:
        raise KeyboardInterrupt

    def measures(*_: object) -> Measurement:
        return Measurement(key="one", what="something")

    ways = {"fails": fails, "breaks": breaks, "one": measures, "stopped": stops, "after": measures}
    monkeypatch.setattr(bench, "MEASUREMENTS", ways)
    measured, missing = bench.each(PostgresServer.__new__(PostgresServer), 1.0, tuple(ways), 1.0)
    assert [found.key for found in measured] == ["one"]
    assert missing == {
        "fails": "it failed: it did not add up",
        "breaks": "it broke: ValueError: broken",
        "stopped": "the run was stopped before",
        "after": "the run was stopped before",
    }


def test_the_report_holds_every_figure_with_its_goal(tmp_path: Path) -> None:
    measured = [
        Measurement(key="tpc_b", what="the denominator", rate=5_000.4),
        Measurement(key="post_batch_32", what="batches", rate=17_502.0, p50_ms=1.234, p99_ms=9.87),
        Measurement(key="apdu_round_trip", what="an APDU", value=12.34, unit="ms"),
    ]

    report.write([report.entry(found, 5_000.4, RUN) for found in measured], {"x": "not ready"}, RUN, tmp_path)

    entries = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [set(entry) for entry in entries] == [FIELDS] * 3
    batch = entries[1]
    assert (batch["ratio"], batch["value"], batch["unit"]) == (3.5, 17_502, "transactions/s")
    assert (batch["at_least"], batch["goal"], batch["met"], batch["least_met"]) == (3.5, 5.0, False, True)
    assert (entries[2]["ratio"], entries[2]["value"], entries[2]["met"]) == (None, 12.3, None)
    page = (tmp_path / "benchmarks.md").read_text()
    assert RUN.commit in page
    assert "- `x`: not ready" in page
    for entry in entries:
        assert f"| `{entry['key']}`" in page


def test_what_is_measured_again_says_on_which_commit(tmp_path: Path) -> None:
    def entry(key: str, rate: float, run: Run) -> dict[str, object]:
        return report.entry(Measurement(key=key, what=key, rate=rate), 1_000.0, run)

    first = [entry(key, 1_000.0, RUN) for key in ("tpc_b", "naive", "growth")]
    report.write(first, {}, RUN, tmp_path)
    later = replace(RUN, commit="ba9876543210")

    again = [entry("tpc_b", 10.0, later), entry("growth", 900.0, later)]
    entries, run = report.together(again, ("growth", "naive", "never"), tmp_path)
    report.write(entries, {}, run, tmp_path)

    assert run == RUN
    assert [(each["key"], each["ratio"]) for each in entries] == [
        *(("tpc_b", 1.0), ("growth", 0.9), ("naive", 1.0)),
    ]
    page = (tmp_path / "benchmarks.md").read_text()
    assert page.count("of a run of its own, on commit ba9876543210") == 1
    assert f"- commit {RUN.commit}" in page
