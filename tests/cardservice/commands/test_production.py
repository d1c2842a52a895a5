"""What production refuses, one objection a row; and the settings' page, which is written from the code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cardservice import settings_page
from cardservice.config import Settings, load_settings
from cardservice.production import SECRET_FILES, unsafe_in_production
from pki.clock import OFFSET_VARIABLE
from pki.profiles import EXAMPLE_ARC
from tests.cardservice.commands.test_config import GOOD

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
LOCAL, PUBLIC, OWN_ARC = "127.0.0.1:8080", "0.0.0.0:8080", "1.3.6.1.4.1.99999"
Refused = Callable[..., list[str]]


@pytest.fixture
def secret(tmp_path: Path) -> Callable[..., str]:
    """A file that holds a secret."""

    def made(content: str = "a secret of one's own", mode: int = 0o400) -> str:
        path = tmp_path / "secret"
        path.write_text(content)
        path.chmod(mode)
        return str(path)

    return made


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """The names of what is refused with these settings over good ones."""
    (tmp_path / "passphrase").write_text("long and nobody else's\n")
    (tmp_path / "passphrase").chmod(0o400)

    def asked(
        bind: str = LOCAL, arc: str = OWN_ARC, environ: dict[str, str] | None = None, **own: str
    ) -> list[str]:
        names = {
            name if name == OFFSET_VARIABLE else f"CARDSERVICE_{name.upper()}": own[name] for name in own
        }
        good = {**GOOD, "CARDSERVICE_PASSPHRASE_FILE": str(tmp_path / "passphrase")}
        settings = load_settings({**good, **names})
        return [each.setting for each in unsafe_in_production(settings, arc, bind, environ or {})]

    return asked


PAY = {"pay_url": "https://pay.example", "pay_key_file": "/nowhere"}
SETTINGS: list[tuple[dict[str, str], list[str]]] = [
    ({}, []),
    ({"public_origin": "http://cards.example.org"}, ["public_origin"]),
    ({"passphrase": "secret"}, ["passphrase"]),
    ({"passphrase_file": "/nowhere"}, ["passphrase_file"]),
    ({"token_pin_file": "/nowhere"}, ["token_pin_file"]),
    ({"pay_secret_file": "/nowhere"}, ["pay_secret_file"]),
    (PAY, ["pay_key_file"]),
    ({**PAY, "pay_url": "http://pay.example"}, ["pay_url", "pay_key_file"]),
    ({OFFSET_VARIABLE: "1"}, [OFFSET_VARIABLE]),
    ({"clock_offset_s": "-1"}, [OFFSET_VARIABLE]),
    ({"owner_database_url": GOOD["CARDSERVICE_DATABASE_URL"]}, ["database_url"]),
    ({"database_url": "sqlite:////srv/l", "owner_database_url": "sqlite:////srv/l"}, []),
    ({"forwarded_allow_ips": "*"}, ["forwarded_allow_ips"]),
    ({"forwarded_allow_ips": "10.0.0.1, *"}, ["forwarded_allow_ips"]),
    ({"forwarded_allow_ips": "10.0.0.1"}, []),
]


@pytest.mark.parametrize(("own", "expected"), SETTINGS)
def test_a_setting(refused: Refused, own: dict[str, str], expected: list[str]) -> None:
    assert refused(**own) == expected


@pytest.mark.parametrize("name", SECRET_FILES)
@pytest.mark.parametrize(
    ("content", "mode", "fine"),
    [
        ("a secret of one's own", 0o400, True),
        ("a secret of one's own", 0o600, True),
        ("a secret of one's own", 0o440, False),
        ("a secret of one's own", 0o404, False),
        ("", 0o400, False),
        ("\n", 0o400, False),
        ("changeme\n", 0o400, False),
        ("Secret", 0o400, False),
        ("stand-in", 0o400, False),
        ("123456", 0o400, False),
    ],
)
def test_a_secret(
    refused: Refused, secret: Callable[..., str], name: str, content: str, mode: int, fine: bool
) -> None:
    """Each file by the same rules."""
    own = {**PAY, name: secret(content, mode)} if name == "pay_key_file" else {name: secret(content, mode)}
    assert refused(**own) == ([] if fine else [name])


def test_a_secret_that_can_be_guessed(refused: Refused, secret: Callable[..., str]) -> None:
    """A token's PIN is short by nature; what notifications are signed with need not be."""
    assert refused(token_pin_file=secret("a" * 8)) == []
    assert refused(pay_secret_file=secret("a" * 15)) == ["pay_secret_file"]
    assert refused(pay_secret_file=secret("a" * 16)) == []


@pytest.mark.parametrize(
    ("bind", "proxy", "fine"),
    [
        ("127.0.0.1:8080", None, True),
        ("127.9.9.9:8080", None, True),
        ("[::1]:8080", None, True),
        ("localhost:8080", None, True),
        ("tcp://127.0.0.1:8080", None, True),
        ("unix:/run/cards.socket", None, True),
        ("0.0.0.0:8080", None, False),
        ("[::]:8080", None, False),
        (":8080", None, False),
        ("0.0.0.0", None, False),  # noqa: S104 - refused
        ("10.0.0.5:8080", None, False),
        ("cards.internal:8080", None, False),
        ("fd://3", None, False),
        ("0.0.0.0:8080", "127.0.0.1", False),
        ("0.0.0.0:8080", "", False),
        ("0.0.0.0:8080", "10.0.0.4", True),
        ("10.0.0.5:8080", "127.0.0.1, 10.0.0.4", True),
        ("10.0.0.5:8080", "*", False),
    ],
)
def test_where_it_listens(refused: Refused, bind: str, proxy: str | None, fine: bool) -> None:
    """It speaks plain HTTP: beyond this machine only to a proxy that is named."""
    own = {} if proxy is None else {"forwarded_allow_ips": proxy}
    assert refused(bind, **own) == ([] if fine else ["forwarded_allow_ips"])


@pytest.mark.parametrize(
    ("name", "value", "fine"),
    [
        ("CARDSERVICE_TERMINAL_LIMT", "60", False),
        ("CARDSERVICE_STAFF", "ada", True),
        ("CARDSERVICE_WORKERS", "3", True),
        ("FLASK_DEBUG", "1", False),
        ("FLASK_DEBUG", "true", False),
        ("FLASK_DEBUG", "0", True),
        ("FLASK_DEBUG", "False", True),
        ("FLASK_DEBUG", "", True),
        ("PYTHONDEVMODE", "1", False),
        ("GUNICORN_CMD_ARGS", "--reload", False),
        ("GUNICORN_CMD_ARGS", " ", True),
    ],
)
def test_looking_for_faults(refused: Refused, name: str, value: str, fine: bool) -> None:
    assert refused(environ={name: value}) == ([] if fine else [name])


def test_all_at_once(refused: Refused, secret: Callable[..., str]) -> None:
    """Everything is named, so that it can be put right at once."""
    found = refused(
        PUBLIC,
        EXAMPLE_ARC,
        {"FLASK_DEBUG": "1"},
        public_origin="http://cards.example.org",
        token_pin_file=secret("1234"),
        owner_database_url=GOOD["CARDSERVICE_DATABASE_URL"],
    )
    assert found == [
        *("public_origin", "token_pin_file", "FLASK_DEBUG", "forwarded_allow_ips", "pki_dir", "database_url")
    ]


def test_what_is_wrong_is_said_without_the_secret(secret: Callable[..., str], tmp_path: Path) -> None:
    settings = load_settings({**GOOD, "CARDSERVICE_PASSPHRASE_FILE": secret("changeme")})
    (objection,) = unsafe_in_production(settings, OWN_ARC, LOCAL, {})
    assert "changeme" not in str(objection)
    settings = load_settings({**GOOD, "CARDSERVICE_PASSPHRASE_FILE": str(tmp_path / "none")})
    (objection,) = unsafe_in_production(settings, OWN_ARC, LOCAL, {})
    assert "cannot be read" in str(objection)


def test_every_setting_is_on_the_page() -> None:
    """As the code says it; `python -m cardservice.settings_page docs/operations.md` writes it."""
    page = OPERATIONS.read_text(encoding="utf-8")
    assert settings_page.written(page) == page
    assert settings_page.table().count("\n| `CARDSERVICE_") == len(Settings.__dataclass_fields__)
