"""`make bench`: everything in one run, on a durable PostgreSQL of its own, beside TPC-B on the same."""

import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from tests.benchmarks import (
    authorisation,
    cards,
    growth,
    ingest,
    issuing,
    lunch,
    naive,
    painted,
    posting,
    pupils,
    rating,
    recovering,
    report,
    rules,
    running,
    searching,
    settling,
    sip2,
    statements,
    status,
    tap,
    transport,
    verifying,
)
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import CLIENTS, SCALE, SETTINGS, BenchmarkFailed, TpcB, version
from tests.benchmarks.town import CARDS
from tests.support.databases import PostgresServer

Measure = Callable[[PostgresServer, float], Measurement]
CardMeasure = Callable[[PostgresServer, float, Callable[[str], None]], Measurement]


def _posting(key: str, batch: int, server: PostgresServer, seconds: float) -> Measurement:
    return posting.measure(posting.fill(server), key, batch, seconds, _say)


def _hot_provider(server: PostgresServer, seconds: float) -> Measurement:
    return posting.measure_hot_provider(posting.fill(server), seconds, _say)


def _authorisation(size: int, server: PostgresServer, seconds: float) -> Measurement:
    return authorisation.measure(server, seconds, _say, size)


def _naive(server: PostgresServer, seconds: float) -> Measurement:
    return naive.measure(server, seconds, _say)


def _ingest(server: PostgresServer, seconds: float) -> Measurement:
    return ingest.measure(server, seconds, _say)


def _painted(server: PostgresServer, seconds: float) -> Measurement:
    return painted.measure(server, seconds, _say)


def _tap(server: PostgresServer, seconds: float) -> Measurement:
    return tap.measure(server, seconds, _say)


def _statements(server: PostgresServer, seconds: float) -> Measurement:
    return statements.measure(posting.fill(server, statements.PAYERS), seconds, _say)


def _settling(server: PostgresServer, _: float) -> Measurement:
    return settling.measure(posting.fill(server, settling.PAYERS), _say)


def _growth(server: PostgresServer, seconds: float) -> Measurement:
    return growth.measure(server, seconds, _say)


def _reading(key: str, server: PostgresServer, seconds: float) -> Measurement:
    return growth.measure_reading(key, server, seconds, _say)


def _verify_rate(server: PostgresServer, _: float) -> Measurement:
    return growth.measure_verify(server, _say)


def _verifying(key: str, _: PostgresServer, seconds: float) -> Measurement:
    return verifying.measure(key, seconds, _say)


def _lunch(server: PostgresServer, _: float) -> Measurement:
    return lunch.measure(server, _say)


def _rules(key: str, _: PostgresServer, seconds: float) -> Measurement:
    return rules.measure(key, seconds, _say)


def _status(key: str, _: PostgresServer, seconds: float) -> Measurement:
    return status.measure(key, seconds, _say)


def _list(key: str, _: PostgresServer, __: float) -> Measurement:
    return status.measure_list(key, _say)


def _transport(key: str, _: PostgresServer, seconds: float) -> Measurement:
    return transport.measure(key, seconds, _say)


def _feed(_: PostgresServer, __: float) -> Measurement:
    return transport.measure_feed(_say)


def _rating(server: PostgresServer, _: float) -> Measurement:
    return rating.measure(server, _say)


def _bus_day(server: PostgresServer, _: float) -> Measurement:
    return ingest.measure_bus_day(server, _say)


def _cards(measure: CardMeasure, server: PostgresServer, seconds: float) -> Measurement:
    return measure(server, seconds, _say)


def _issuing(key: str, _: PostgresServer, seconds: float) -> Measurement:
    return issuing.measure(key, seconds, _say)


MEASUREMENTS: Mapping[str, Measure] = {
    "post_single": partial(_posting, "post_single", 1),
    "post_batch_32": partial(_posting, "post_batch_32", 32),
    "hot_provider": _hot_provider,
    authorisation.KEY: partial(_authorisation, 1),
    "bulk_authorisation_50": partial(_authorisation, 50),
    "bulk_authorisation_200": partial(_authorisation, 200),
    naive.KEY: _naive,
    ingest.KEY: _ingest,
    statements.KEY: _statements,
    settling.KEY: _settling,
    "growth": _growth,
    **{key: partial(_reading, key) for key in growth.READINGS},
    "verify_rate": _verify_rate,
    tap.KEY: _tap,
    painted.KEY: _painted,
    **{key: partial(_verifying, key) for key in verifying.MEASURED},
    lunch.KEY: _lunch,
    **{key: partial(_rules, key) for key in rules.MEASURED},
    **{key: partial(_status, key) for key in status.MEASURED},
    **{key: partial(_list, key) for key in status.LISTS},
    cards.ROUND_TRIP: partial(_cards, cards.round_trip),
    cards.PERSONALISATION: partial(_cards, cards.personalisation),
    cards.SILICON: partial(_cards, cards.silicon),
    recovering.KEY: partial(_cards, recovering.measure),
    running.START_UP: partial(_cards, running.start_up),
    running.MEMORY: partial(_cards, running.memory),
    running.CLUSTER: partial(_cards, running.cluster),
    **{key: partial(_issuing, key) for key in issuing.MEASURED},
    **{key: partial(_transport, key) for key in transport.MEASURED},
    transport.FEED: _feed,
    ingest.BUS_DAY: _bus_day,
    rating.KEY: _rating,
    searching.KEY: partial(_cards, searching.measure),
    pupils.KEY: partial(_cards, pupils.measure),
    sip2.KEY: partial(_cards, sip2.measure),
}
# What is measured as a whole can be measured smaller: a share of it.
SCALED: Mapping[str, Callable[[PostgresServer, float], Measurement]] = {
    transport.FEED: lambda _, share: transport.measure_feed(
        _say, stops=_part(transport.STOPS, share), stop_times=_part(transport.STOP_TIMES, share)
    ),
    ingest.BUS_DAY: lambda server, share: ingest.measure_bus_day(
        server, _say, taps=_part(ingest.TAPS, share), cards=_part(CARDS, share)
    ),
    searching.KEY: lambda server, share: searching.measure(
        server, 10.0, _say, count=_part(searching.PEOPLE, share)
    ),
    pupils.KEY: lambda server, share: pupils.measure(server, 0.0, _say, pupils=_part(pupils.PUPILS, share)),
    rating.KEY: lambda server, share: rating.measure(server, _say, taps=_part(rating.TAPS, share)),
    "verify_rate": lambda server, share: growth.measure_verify(
        server, _say, payers=_part(growth.PAYERS, share)
    ),
}


def _part(whole: int, share: float) -> int:
    return max(20, round(whole * share))


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(min=1.0),
    default=10.0,
    show_default=True,
    help="Length of a slice; three make a figure.",
)
@click.option("--only", multiple=True, type=click.Choice(sorted(MEASUREMENTS)), help="Measure only this.")
@click.option("--without", multiple=True, type=click.Choice(sorted(MEASUREMENTS)), help="Leave this out.")
@click.option("--keep", is_flag=True, help="Keep the figures that are there of what is not measured now.")
@click.option("--no-write", is_flag=True, help="Leave docs/benchmarks.* as they are.")
@click.option(
    "--scale",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=1.0,
    show_default=True,
    help="Of what is measured as a whole, such as a day of taps: this share of it. Goes with --no-write.",
)
def main(
    seconds: float, only: tuple[str, ...], without: tuple[str, ...], keep: bool, no_write: bool, scale: float
) -> None:
    """Measure the hot paths and write docs/benchmarks.json and docs/benchmarks.md.

    What fails is said there, and costs the others nothing. Ctrl-C ends it with what has been measured.
    """
    if scale < 1 and not no_write:
        raise click.UsageError("what is scaled down is not written: add --no-write")
    load = Path("/proc/loadavg").read_text(encoding="ascii").split()[0]
    keys = tuple(key for key in only or MEASUREMENTS if key not in without)
    server = PostgresServer(SETTINGS)
    try:
        run = replace(report.this_run(version(server)), load_before=float(load))
        tpc_b, measured, missing = _measure(server, seconds, keys, scale)
    except BenchmarkFailed as failure:
        click.echo(f"bench: {failure}", err=True)
        sys.exit(1)
    finally:
        server.stop()
    entries: list[Mapping[str, object]] = [
        report.entry(found, tpc_b.median, run) for found in (_of_tpc_b(tpc_b), *measured)
    ]
    if keep:
        entries, run = report.together(entries, tuple(MEASUREMENTS))
    there = {entry["key"] for entry in entries}
    left_out = {key: "not asked for in this run" for key in MEASUREMENTS if key not in there} | missing
    click.echo(f"\n{report.table(entries)}\n")
    for key, why in left_out.items():
        _say(f"{key} is left out: {why}")
    if not no_write:
        report.write(entries, left_out, run)
        _say("wrote docs/benchmarks.json and docs/benchmarks.md")
    if missing:
        sys.exit(1)


def _measure(
    server: PostgresServer, seconds: float, keys: tuple[str, ...], scale: float
) -> tuple[TpcB, list[Measurement], dict[str, str]]:
    """TPC-B, what was measured, and of what was not why."""
    _say(f"TPC-B: filling tables at scale {SCALE}")
    tpc_b = TpcB(server)
    tpc_b.prepare()
    tpc_b.before = tpc_b.measure(seconds)
    _say(f"TPC-B before: {_rates(tpc_b.before)} transactions/s")
    measured, missing = each(server, seconds, keys, scale)
    tpc_b.after = tpc_b.measure(seconds)
    _say(f"TPC-B after: {_rates(tpc_b.after)} transactions/s")
    return tpc_b, measured, missing


def each(
    server: PostgresServer, seconds: float, keys: Sequence[str], scale: float
) -> tuple[list[Measurement], dict[str, str]]:
    """What was measured, and of what was not why."""
    measured: list[Measurement] = []
    missing: dict[str, str] = {}
    for number, key in enumerate(keys):
        _say(f"{number + 1} of {len(keys)}: {key}")
        began = time.monotonic()
        try:
            if scale < 1 and key in SCALED:
                measured.append(SCALED[key](server, scale))
            else:
                measured.append(MEASUREMENTS[key](server, seconds))
        except BenchmarkFailed as failure:
            missing[key] = f"it failed: {failure}"
            _say(f"{key} failed: {failure}")
        except Exception as failure:  # noqa: BLE001 - whatever it is, the others are wanted
            missing[key] = f"it broke: {type(failure).__name__}: {failure}"
            traceback.print_exc()
        except KeyboardInterrupt:
            missing |= dict.fromkeys(keys[number:], "the run was stopped before")
            _say("stopped: what has been measured is kept")
            break
        _say(f"{key} took {time.monotonic() - began:.0f} s")
    return measured, missing


def _of_tpc_b(measured: TpcB) -> Measurement:
    slices = [*measured.before, *measured.after]
    return Measurement(
        key=report.TPC_B,
        what=f"`pgbench -i -s {SCALE}`, then `-M prepared -c {CLIENTS} -j 2`: the median of all slices, "
        "before and after, is what ratios are to",
        rate=measured.median,
        detail={
            "slices before, transactions/s": [round(rate) for rate in measured.before],
            "slices after, transactions/s": [round(rate) for rate in measured.after],
            "mean, transactions/s": round(measured.mean),
            "slowest slice ÷ fastest (far below 1: no ratio of this run is good for much)": round(
                min(slices) / max(slices), 2
            ),
            "PostgreSQL's settings": list(SETTINGS),
        },
    )


def _rates(slices: list[float]) -> str:
    return ", ".join(f"{rate:,.0f}" for rate in slices)


def _say(line: str) -> None:
    click.echo(f"bench: {line}")


if __name__ == "__main__":
    main()
