"""The software card on a real pcscd, as other people's programs see it."""

import os
import subprocess
from pathlib import Path

from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState
from tests.support.pcsc import CONTACT_READER, Readers


def test_opensc_takes_it_for_a_piv_card(readers: Readers, tmp_path: Path) -> None:
    CardState.create(tmp_path / "card.json", factory_memory(os.urandom)).close()
    readers.insert(CONTACT_READER, tmp_path / "card.json", Face.CONTACT)
    done = subprocess.run(
        ["opensc-tool", "--reader", readers.full_name(CONTACT_READER), "--name"],
        env={**os.environ, **readers.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "Personal Identity Verification Card"
