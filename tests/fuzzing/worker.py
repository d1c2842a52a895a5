"""One target under atheris, in a process of its own: libFuzzer ends the process when it is done.

python -m tests.fuzzing.worker TARGET [libFuzzer's options] CORPUS
"""

import os
import sys
import tempfile
from pathlib import Path

import atheris


def main() -> None:
    """Fuzz with the folder that is named last as the corpus, or run the file that is."""
    name, *options = sys.argv[1:]
    # Before anything of ours is imported: what is to be measured is rewritten as it is imported.
    with atheris.instrument_imports(include=["reader_agent", "pki"]):
        from tests.fuzzing.targets import TARGETS  # noqa: PLC0415

    # In memory where there is such a folder: a card writes to the disk at each change.
    shared = Path("/dev/shm")
    place = shared if os.access(shared, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="citizen-card-fuzz-", dir=place) as folder,
        TARGETS[name](Path(folder)) as target,
    ):
        corpus = Path(options[-1])
        if corpus.is_dir():
            for number, seed in enumerate(target.seeds()):
                (corpus / f"seed-{number:03}").write_bytes(seed)
        atheris.Setup([sys.argv[0], *options], target.__call__)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
