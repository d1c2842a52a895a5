"""Settings: from environment and file, refused with their name where they are wrong or unsafe."""

from pathlib import Path

import pytest

from cardservice.config import Mode, load_settings, passphrase_of
from cardservice.errors import SettingsInvalid

GOOD = {
    "CARDSERVICE_DATABASE_URL": "postgresql+psycopg://service@/cards",
    "CARDSERVICE_OWNER_DATABASE_URL": "postgresql+psycopg://owner@/cards",
    "CARDSERVICE_PKI_DIR": "/srv/scheme",
    "CARDSERVICE_PUBLIC_ORIGIN": "https://cards.example.org",
}


def test_production_is_the_default() -> None:
    """Whoever forgets the mode gets the safe one."""
    settings = load_settings(GOOD)
    assert (settings.mode, settings.workers, settings.threads) == (Mode.PRODUCTION, None, 8)
    assert "service@" not in repr(settings)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """Both may be used together."""
    path = tmp_path / "cards.toml"
    path.write_text('pki_dir = "/from/file"\nthreads = 4\nmode = "development"\n')
    settings = load_settings({**GOOD, "CARDSERVICE_CONFIG": str(path)})
    assert (str(settings.pki_dir), settings.threads, settings.mode) == ("/srv/scheme", 4, Mode.DEVELOPMENT)


PAY = {"CARDSERVICE_PAY_URL": "https://pay.example"}
WRONG = [
    ("database_url", "mysql://cards"),
    ("owner_database_url", "mysql://cards"),
    ("public_origin", "https://cards.example.org/path"),
    ("public_origin", "https://[cards"),
    ("public_origin", "https://cards.example.org:99999"),
    ("public_origin", "https://me@cards.example.org"),
    ("pay_url", "https://pay.example/path"),
    ("mode", "staging"),
    *(
        (name, value)
        for name in ("threads", "workers", "connections")
        for value in ("many", "0", "-1", "1.5")
    ),
    *((name, value) for name in ("clock_offset_s", "node_timeout_s") for value in ("soon", "nan", "inf")),
    ("node_timeout_s", "0"),
    ("terminal_limit", "-1"),
    ("forwarded_allow_ips", "10.0.0.0/8"),
    ("forwarded_allow_ips", "127.0.0.1, proxy.example"),
    ("pki_dir", ""),
    ("admin_bind", "0.0.0.0:9090"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong(name: str, value: str) -> None:
    """Refused, and named."""
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(
            {**GOOD, "CARDSERVICE_PAY_KEY_FILE": "/key", **PAY, f"CARDSERVICE_{name.upper()}": value}
        )
    assert refused.value.setting == name


@pytest.mark.parametrize(
    "origin", ["cards.example.org", "ftp://cards", "https://", "https://Cards.example.org"]
)
def test_origins(origin: str) -> None:
    """An origin as terminals sign it, and nothing else."""
    with pytest.raises(SettingsInvalid):
        load_settings({**GOOD, "CARDSERVICE_PUBLIC_ORIGIN": origin})


@pytest.mark.parametrize("content", ["passphrase = 'secret'", "colour = 'red'", "not toml"])
def test_files_refused(tmp_path: Path, content: str) -> None:
    """No secret in the file, and no setting that nobody reads."""
    path = tmp_path / "cards.toml"
    path.write_text(content)
    with pytest.raises(SettingsInvalid):
        load_settings({**GOOD, "CARDSERVICE_CONFIG": str(path)})


def test_no_passphrase() -> None:
    """Said with the name of what to set."""
    with pytest.raises(SettingsInvalid, match="CARDSERVICE_PASSPHRASE_FILE"):
        passphrase_of(load_settings(GOOD))
