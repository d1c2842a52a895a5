"""Rules stay rules: no database, no web, no clock, and nobody outside names a service."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cardservice
from cardservice import services
from cardservice.ledger.retention import DEFAULT_DAYS
from cardservice.services.seam import AskKind

PACKAGE = Path(cardservice.__file__).parent
SERVICES = Path(services.__file__).parent
DOCS = PACKAGE.parent / "docs" / "services"
MODULES = sorted(SERVICES.rglob("*.py"))

# Modules that hold a clock or chance, and the calls that read one wherever they come from.
CLOCKS = {"time", "random", "secrets", "uuid", "pki.clock"}
READINGS = {
    "now",
    "utcnow",
    "today",
    "fromtimestamp",
    "monotonic",
    "perf_counter",
    "time_ns",
    "uuid4",
    "uuid7",
}


def test_services_need_neither_database_nor_web() -> None:
    program = (
        "import sys; from cardservice import services; services.discover();"
        "bad = {'sqlalchemy', 'flask', 'flask_smorest', 'psycopg', 'smartcard'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(bad)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _readings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in READINGS:
            yield node.attr


def reads_a_clock(source: str) -> set[str]:
    tree = ast.parse(source)
    # The seam names the type UUID; that is no source of new ones.
    imports = {name for name in _imports(tree) if name in CLOCKS}
    if "uuid" in imports and "from uuid import UUID\n" in source:
        imports.remove("uuid")
    return imports | set(_readings(tree))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SERVICES)))
def test_no_rule_reads_a_clock(path: Path) -> None:
    assert reads_a_clock(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "source",
    [
        "import time\n",
        "from datetime import datetime\nx = datetime.now()\n",
        "from pki.clock import system_clock\n",
    ],
)
def test_the_guard_sees_a_clock(source: str) -> None:
    assert reads_a_clock(source)


def _names_it(source: str, name: str) -> list[int]:
    """Lines where the code, and not its comments or docstrings, names a service."""
    tree = ast.parse(source)
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found = []
    for node in ast.walk(tree):
        words = ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            words = node.value
        elif isinstance(node, ast.ImportFrom):
            words = f"{node.module} {' '.join(alias.name for alias in node.names)}"
        elif isinstance(node, ast.Import):
            words = " ".join(alias.name for alias in node.names)
        if name in words.replace(".", " ").replace("/", " ").split():
            found.append(getattr(node, "lineno", 0))
    return found


@pytest.mark.parametrize("name", sorted(services.discover()))
def test_nothing_outside_its_folder_names_a_service(name: str) -> None:
    folder = SERVICES / name.replace("-", "_")
    # How long details are kept is set by their class, and a class may be called as a service is.
    classes = PACKAGE / "ledger" / "retention.py"
    # And so may a command of the command line, which has a right.
    commands = {PACKAGE / "cli.py", PACKAGE / "staff" / "functions.py"}
    # What is typed as an example, and a town made to look at, are of some service.
    examples = {PACKAGE / "commands" / "examples.py", PACKAGE / "seeding.py"}
    outside = [
        path
        for path in PACKAGE.rglob("*.py")
        if folder not in path.parents and path not in {classes, *commands, *examples}
    ]
    assert len(outside) > 5
    named = {
        str(path.relative_to(PACKAGE)): _names_it(path.read_text(encoding="utf-8"), name) for path in outside
    }
    assert {path: lines for path, lines in named.items() if lines} == {}


def test_the_guard_sees_a_name() -> None:
    assert _names_it('"""About transport."""\nx = 1\n', "transport") == []
    assert _names_it('if service == "transport":\n    pass\n', "transport") == [1]
    assert _names_it("from cardservice.services.transport import rules\n", "transport") == [1]


def test_services_are_found_by_folder_under_their_own_names() -> None:
    found = services.discover()
    assert "transport" in found
    for name, service in found.items():
        assert service.name == name
        for action, declared in service.actions.items():
            assert (declared.name, service.details_schema(action)) == (action, declared.details_schema)
            assert declared.roles
            assert declared.retention_class
    with pytest.raises(TypeError):
        found["transport"] = found["transport"]  # type: ignore[index]  # shown: the mapping cannot be changed


def test_a_folder_under_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(services.discover()["transport"]), "name", "buses")
    with pytest.raises(ValueError, match="the service in transport/ is called 'buses', not 'transport'"):
        services.discover.__wrapped__()


@pytest.mark.parametrize("name", sorted(services.discover()))
def test_every_reason_is_documented(name: str) -> None:
    rules = importlib.import_module(f"{services.__name__}.{name.replace('-', '_')}.rules")
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert {reason for reason in rules.REASONS if f"`{reason}`" not in page} == set()


def test_a_class_of_details_has_one_period() -> None:
    """Whichever service declares it; none of them changes how long the ledger's own are kept."""
    found = services.discover()
    days = services.retention_days(found)
    assert not set(days) & set(DEFAULT_DAYS)
    for service in found.values():
        for action in service.actions.values():
            assert days[action.retention_class] == action.retention_days > 0


def test_kinds_are_those_of_the_ledger() -> None:
    assert {kind.value for kind in AskKind} == {"request", "advice"}
