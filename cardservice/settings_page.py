"""The table of settings in docs/operations.md, written from their declarations in `config`.

`python -m cardservice.settings_page docs/operations.md` writes it anew; a test holds the page to it.
"""

import sys
from pathlib import Path
from typing import get_type_hints

from cardservice.config import PREFIX, Settings

BEGIN = "<!-- settings: from cardservice/config.py, by python -m cardservice.settings_page -->"
END = "<!-- settings end -->"


def table() -> str:
    """The settings as Markdown, as they are declared. Raises TypeError for one without a meaning."""
    rows = ["| setting | meaning |", "|---|---|"]
    for name, declared in get_type_hints(Settings, include_extras=True).items():
        meaning = next(iter(getattr(declared, "__metadata__", ())), None)
        if not isinstance(meaning, str):
            raise TypeError(f"the setting {name} does not say what it means")
        rows.append(f"| `{PREFIX}{name.upper()}` | {meaning} |")
    return "\n".join(rows)


def written(page: str) -> str:
    """The page with the table of today. Raises ValueError for a page without a place for it."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the settings")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        path = Path(argument)
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
