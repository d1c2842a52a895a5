"""A council's service for a test: one scheme with its keys for the whole session, a fresh database each."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from cardservice.authorisation.exchange import DirectExchange
from cardservice.authorisation.proofs import CardProofs
from cardservice.config import Mode, Settings, load_settings
from cardservice.context import Context, SchemeRecord
from cardservice.database import Database
from cardservice.keys import ServiceKeys, create_service_keys, load_service_keys
from cardservice.services import discover, with_keys
from cardservice.setup import initialise, record_scheme, take_over
from cardservice.tariffs.service import PreparedTariffs
from pki.scheme import Scheme, create_scheme, open_scheme
from tests.support.council import ORIGIN, START, Council, StandingClock
from tests.support.council import council as new_council
from tests.support.databases import DatabaseUrls

PASSPHRASE = b"a passphrase of the tests"


@dataclass(frozen=True, slots=True)
class MadeScheme:
    """A scheme's directory with everything in it opened."""

    directory: Path
    pki: Scheme
    keys: ServiceKeys


@pytest.fixture(scope="session")
def made_scheme(tmp_path_factory: pytest.TempPathFactory) -> MadeScheme:
    """The scheme `ashcombe` with the service's own keys."""
    directory = tmp_path_factory.mktemp("pki") / "scheme"
    create_scheme(
        *(directory, "ashcombe", "Ashcombe Card", PASSPHRASE, PASSPHRASE, START), public_url=f"{ORIGIN}/pki"
    )
    pki = open_scheme(directory, PASSPHRASE)
    create_service_keys(pki.authority("service"), directory, PASSPHRASE, START)
    return MadeScheme(directory, pki, load_service_keys(directory, PASSPHRASE))


@pytest.fixture
def scheme_directory(made_scheme: MadeScheme, tmp_path: Path) -> Path:
    """A copy of the scheme's directory, to do with as one likes."""
    return Path(shutil.copytree(made_scheme.directory, tmp_path / "scheme"))


@pytest.fixture
def environment(scheme_directory: Path, database_urls: DatabaseUrls, tmp_path: Path) -> dict[str, str]:
    """The settings of a service that is set up, for a program of its own."""
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": database_urls.service,
        "CARDSERVICE_OWNER_DATABASE_URL": database_urls.owner,
        "CARDSERVICE_PKI_DIR": str(scheme_directory),
        "CARDSERVICE_PASSPHRASE_FILE": str(tmp_path / "passphrase"),
        "CARDSERVICE_PUBLIC_ORIGIN": "http://127.0.0.1:8080",
        # One terminal of the tests asks what a town's would.
        "CARDSERVICE_TERMINAL_LIMIT": "1000000",
    }
    initialise(load_settings(settings), currency="GBP", timezone="Europe/London", actor="test")
    return settings


@pytest.fixture
def clock() -> StandingClock:
    """The test's clock."""
    return StandingClock()


@pytest.fixture
def context(
    made_scheme: MadeScheme, database: Database, database_urls: DatabaseUrls, clock: StandingClock
) -> Context:
    """A service that has just been set up, as `cardservice init` leaves it."""
    record_scheme(database, made_scheme.pki, "GBP", "Europe/London", "test", clock())
    take_over(database, made_scheme.pki)
    services = with_keys(discover(), made_scheme.keys.services_master)
    return Context(
        settings=Settings(
            mode=Mode.DEVELOPMENT,
            database_url=database_urls.service,
            owner_database_url=database_urls.owner,
            erasure_database_url=database_urls.eraser,
            pki_dir=made_scheme.directory,
            public_origin=ORIGIN,
        ),
        database=database,
        scheme=SchemeRecord("ashcombe", "Ashcombe Card", "GBP", "Europe/London"),
        pki=made_scheme.pki,
        certificates=made_scheme.pki.certificates,
        keys=made_scheme.keys,
        services=services,
        tariffs=PreparedTariffs(database, services),
        proofs=CardProofs(made_scheme.pki.trust_store(), database),
        exchange=DirectExchange(database),
        clock=clock,
    )


@pytest.fixture
def council(context: Context, clock: StandingClock) -> Council:
    """The service with a provider and a fare table."""
    return new_council(context, clock)
