"""`make fuzz`: each target for some time, one after the other; or one again with an input that failed."""

import subprocess
import sys
from pathlib import Path

import click

from tests.fuzzing.targets import TARGETS

# A single input that takes longer hangs; the slowest card makes a few RSA keys.
HANG_S = 60
MAX_INPUT_BYTES = 4096
MEMORY_MB = 2048


@click.command()
@click.option(
    "--seconds", type=click.IntRange(min=1), default=60, show_default=True, help="For each of the targets."
)
@click.option("--only", multiple=True, type=click.Choice(sorted(TARGETS)), help="Fuzz only this.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".fuzz"),
    show_default=True,
    help="Where the corpus and what fails are kept.",
)
@click.option(
    "--reproduce",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Run the target of --only with this input, once.",
)
def main(seconds: int, only: tuple[str, ...], folder: Path, reproduce: Path | None) -> None:
    """Fuzz. Ends with 1 where an input has failed, and says how to run it again."""
    if reproduce is not None and len(only) != 1:
        raise click.UsageError("--reproduce needs the one target that the input failed at: --only TARGET")
    failed = [name for name in only or tuple(TARGETS) if not _run(name, seconds, folder, reproduce)]
    if failed:
        click.echo(f"fuzz: {', '.join(failed)} failed; see above", err=True)
        sys.exit(1)


def _run(name: str, seconds: int, folder: Path, reproduce: Path | None) -> bool:
    """Whether nothing has failed."""
    corpus, failures = folder / "corpus" / name, folder / "failures" / name
    corpus.mkdir(parents=True, exist_ok=True)
    failures.mkdir(parents=True, exist_ok=True)
    what = [f"-max_total_time={seconds}", str(corpus)] if reproduce is None else [str(reproduce)]
    before = set(failures.iterdir())
    click.echo(f"fuzz: {name}: " + (f"{seconds} s" if reproduce is None else f"with {reproduce}"))
    options = [
        *(f"-max_len={MAX_INPUT_BYTES}", f"-timeout={HANG_S}", f"-rss_limit_mb={MEMORY_MB}"),
        *(f"-artifact_prefix={failures}/", "-print_final_stats=1", "-verbosity=1"),
    ]
    command = [sys.executable, "-m", "tests.fuzzing.worker", name, *options, *what]
    ended = subprocess.run(command, check=False)
    for path in sorted(set(failures.iterdir()) - before):
        click.echo(f'fuzz: kept in {path}; again: make fuzz ARGS="--only {name} --reproduce {path}"')
    return ended.returncode == 0


if __name__ == "__main__":
    main()
