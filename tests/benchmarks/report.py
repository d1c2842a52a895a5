"""What was measured, beside its goal: as a table, as JSON and for people."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@dataclass(frozen=True, slots=True)
class Goal:
    """The least that is accepted, and what is aimed at; both in the measurement's own unit."""

    at_least: float
    goal: float
    # "p99 under … at half load"
    p99_ms: float | None = None
    # A time: less is better, and "at least" is "at most"
    is_time: bool = False


# Ratios to TPC-B in the same run, or to what took turns with it, but where one says otherwise. What is not
# here has no goal: it is measured to explain the others.
GOALS: Mapping[str, Goal] = {
    "pki_issue": Goal(0.03, 0.03),
    "pki_issue_batch64": Goal(0.10, 0.10),
    "pki_ocsp": Goal(0.20, 0.20),
    "pki_verify_first": Goal(0.25, 0.25),
    "pki_verify_cached": Goal(0.80, 0.80),
    "online_authorisation": Goal(0.40, 0.60, p99_ms=50.0),
    "bulk_authorisation_50": Goal(1.5, 2.0),
    "bulk_authorisation_200": Goal(1.5, 3.0),
    "post_batch_32": Goal(3.5, 5.0),
    # Of what all processors can verify in ECDSA P-256.
    "offline_ingest": Goal(0.60, 0.75),
    # Of the same with many providers.
    "hot_provider": Goal(0.90, 0.97),
    # In ms, the median: what the agent adds; and all of it, for under half a second people do not wait
    "tap_overhead": Goal(5.0, 5.0, is_time=True),
    "tap_modelled_silicon": Goal(500.0, 350.0, is_time=True),
    # In s, until a terminal is ready again
    "fault_recovery": Goal(2.0, 2.0, is_time=True),
    # Of the same on a small ledger
    "growth": Goal(0.80, 0.80),
    # In ms, the 99th percentile
    "balance": Goal(20.0, 20.0, is_time=True),
    "statement_page": Goal(20.0, 20.0, is_time=True),
    "statement_year": Goal(200.0, 200.0, is_time=True),
    # In seconds, a million payments
    "settlement_day": Goal(60.0, 60.0, is_time=True),
    # In ms, the 95th percentile, among a million people
    "holder_search": Goal(100.0, 100.0, is_time=True),
    # In seconds, ten thousand pupils
    "pupil_import": Goal(30.0, 30.0, is_time=True),
    # In ms, the 95th percentile, beside the reader's own time
    "tap_to_painted": Goal(150.0, 150.0, is_time=True),
}
RATIO, TPC_B = "of TPC-B", "tpc_b"
QUIET_LOAD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One figure. `rate` is transactions a second where there is one; `value` what else was measured."""

    key: str
    what: str
    rate: float | None = None
    rate_unit: str = "transactions/s"
    # What its ratio is to, where that is not TPC-B: as often a second, measured in turns with it
    baseline: float | None = None
    value: float | None = None
    unit: str = RATIO
    p50_ms: float | None = None
    p99_ms: float | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """Where and when it was measured."""

    commit: str
    machine: str
    date: str
    # Of one minute, before anything was started: what else the machine was doing
    load_before: float = 0.0


def this_run(postgresql: str) -> Run:
    """This commit on this machine, today."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if _git("status", "--porcelain", "--untracked-files=no"):
        commit += " and changes"
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = (
        f"{os.cpu_count()} x {_processor()}, {memory_gb:.0f} GB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, PostgreSQL {postgresql}"
    )
    return Run(commit, machine, datetime.now(UTC).strftime("%Y-%m-%d"))


def entry(measured: Measurement, tpc_b: float, run: Run) -> dict[str, object]:
    """The measurement as `docs/benchmarks.json` has it."""
    goal = GOALS.get(measured.key)
    ratio = None if measured.rate is None else measured.rate / (measured.baseline or tpc_b)
    reached = measured.value if ratio is None else ratio
    return {
        "key": measured.key,
        "what": measured.what,
        "ratio": _rounded(ratio),
        "value": _rounded(measured.rate if measured.value is None else measured.value),
        "unit": measured.rate_unit if measured.value is None else measured.unit,
        "p50_ms": _rounded(measured.p50_ms),
        "p99_ms": _rounded(measured.p99_ms),
        "goal": None if goal is None else goal.goal,
        "at_least": None if goal is None else goal.at_least,
        "met": None if goal is None else _is_met(goal, goal.goal, reached, measured.p99_ms),
        "least_met": None if goal is None else _is_met(goal, goal.at_least, reached, measured.p99_ms),
        "detail": dict(measured.detail),
        **asdict(run),
    }


def _is_met(goal: Goal, wanted: float, reached: float | None, p99_ms: float | None) -> bool:
    if goal.is_time:
        return reached is not None and reached < wanted
    late = goal.p99_ms is not None and (p99_ms is None or p99_ms >= goal.p99_ms)
    return reached is not None and reached >= wanted and not late


def table(entries: Sequence[Mapping[str, object]]) -> str:
    """The figures as a Markdown table, which can be read in a terminal, too."""
    head = ("key", "ratio", "value", "p50 ms", "p99 ms", "at least", "goal", "")
    rows = [head, tuple("---" for _ in head), *(_row(found) for found in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "| " + " | ".join(_filled(cell, width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def _row(found: Mapping[str, object]) -> tuple[str, ...]:
    verdict = {None: "", True: "goal met", False: "below the least"}[_flag(found["met"])]
    if found["met"] is False and found["least_met"] is not False:
        verdict = "least met"
    columns = ("p50_ms", "p99_ms", "at_least", "goal")
    return (
        f"`{found['key']}`",
        _cell(found["ratio"]),
        f"{_cell(found['value'])} {found['unit']}",
        *(_cell(found[column]) for column in columns),
        verdict,
    )


def _flag(value: object) -> bool | None:
    return None if value is None else bool(value)


def _cell(value: object) -> str:
    return "" if value is None else f"{value:,}"


def _filled(cell: str, width: int) -> str:
    return "-" * width if cell == "---" else cell.ljust(width)


def markdown(entries: Sequence[Mapping[str, object]], left_out: Mapping[str, str], run: Run) -> str:
    """The page for people."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. All figures are of one run, but for those that say otherwise:",
        "",
        f"- commit {run.commit}, {run.date}",
        f"- {run.machine}",
        "- load generator, service and database share the machine",
        f"- load average before the run: {run.load_before}{_busy(run)}",
        "",
        table(entries),
        "",
        "A ratio is to the median of `pgbench`'s TPC-B before and after in the same run, on the same durable",
        "server: machines differ, ratios less so. What begins with `pki_` is compared with raw P-256",
        "signing or verification by `cryptography`, in turns on one core. *Goal met* and *least met* take",
        "the p99 that is wanted, under 50 ms at half load, into account. A goal in ms or s is one to stay",
        "under.",
        "What has no goal is measured to explain the others.",
        "",
        "## What is measured",
        "",
    ]
    for found in entries:
        lines.append(f"- `{found['key']}`: {found['what']}")
        detail = found["detail"]
        if isinstance(detail, Mapping):
            lines += [f"  - {name}: {_said(value)}" for name, value in detail.items()]
        if found["commit"] != run.commit:
            lines.append(f"  - of a run of its own, on commit {found['commit']}, {found['date']}")
    if left_out:
        lines += ["", "## Left out", "", *(f"- `{key}`: {why}" for key, why in left_out.items())]
    return "\n".join(lines) + "\n"


def together(
    entries: Sequence[Mapping[str, object]], order: Sequence[str], folder: Path = DOCS
) -> tuple[list[Mapping[str, object]], Run]:
    """What was measured, in the place of what was found earlier, and the run of the rest: its TPC-B's."""
    earlier: list[dict[str, Any]] = json.loads((folder / "benchmarks.json").read_text(encoding="utf-8"))
    found: dict[str, Mapping[str, object]] = {str(each["key"]): each for each in (*earlier, *entries)}
    whole = next(each for each in earlier if each["key"] == TPC_B)
    run = Run(whole["commit"], whole["machine"], whole["date"], whole["load_before"])
    return [whole, *(found[key] for key in order if key in found)], run


def _busy(run: Run) -> str:
    if run.load_before <= QUIET_LOAD:
        return ""
    return "; **something else was running**, from which what needs most CPU suffers most"


def write(
    entries: Sequence[Mapping[str, object]], left_out: Mapping[str, str], run: Run, folder: Path = DOCS
) -> None:
    """Write `benchmarks.json` and `benchmarks.md`."""
    (folder / "benchmarks.json").write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    (folder / "benchmarks.md").write_text(markdown(entries, left_out, run), encoding="utf-8")


def _said(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_said(part) for part in value)
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _rounded(value: float | None) -> float | int | None:
    """Three figures: more would claim what no run can show."""
    if value is None:
        return None
    return round(value) if value >= 100 else float(f"{value:.3g}")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
