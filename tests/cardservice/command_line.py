"""Commands of `cardservice`, typed within a test at the time of its clock."""

import getpass
from datetime import UTC, datetime

from click.testing import CliRunner, Result

from cardservice.cli import main
from pki.clock import OFFSET_VARIABLE
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import Council

# Whom the audit log takes us for.
ACTOR = f"cli:{getpass.getuser()}"


def typed(council: Council, *arguments: str, answers: str = "", **environment: str) -> Result:
    """A command with what stands in the environment besides, and what is answered to its questions."""
    settings = council.context.settings
    offset_s = (council.clock() - datetime.now(UTC)).total_seconds()
    always = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": settings.database_url,
        "CARDSERVICE_PKI_DIR": str(settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": settings.public_origin,
        "CARDSERVICE_TARIFF_APPROVAL": "one-person",
        OFFSET_VARIABLE: str(offset_s),
    }
    return CliRunner().invoke(main, list(arguments), input=answers, env={**always, **environment})
