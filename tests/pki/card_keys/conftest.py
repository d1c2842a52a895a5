"""Masters of an application in a folder of the test's own, and SAMs over them."""

from dataclasses import dataclass

import pytest

from pki.card_keys import (
    Application,
    ServiceMaster,
    ServiceMasters,
    ServiceRole,
    ServiceSam,
    TerminalMaster,
    TerminalMasters,
    TerminalRole,
    TerminalSam,
)
from pki.keys import FileKeyStore
from tests.pki.card_keys.card import UID, Card

TRANSPORT = Application(0xF5C011)
SYSTEM = b"ashcombe"


@dataclass(frozen=True)
class Keys:
    """The two classes of masters, and the SAMs over each."""

    service: ServiceMasters
    terminals: TerminalMasters
    service_sam: ServiceSam
    terminal_sam: TerminalSam

    def card(self) -> Card:
        """A card that was personalised with version 0 of everything."""
        keys = {
            role.value: self.service_sam.card_key(ServiceMaster(TRANSPORT, role), UID)
            for role in (ServiceRole.ADMINISTRATION, ServiceRole.CREDIT)
        } | {
            role.value: self.terminal_sam.card_key(TerminalMaster(TRANSPORT, role), UID)
            for role in TerminalRole
        }
        mac_master = ServiceMaster(TRANSPORT, ServiceRole.TRANSACTION_MAC)
        return Card(TRANSPORT.identifier, keys, self.service_sam.card_key(mac_master, UID))


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    store = FileKeyStore(tmp_path_factory.mktemp("card-keys"), b"of the tests")
    service, terminals = ServiceMasters(store), TerminalMasters(store)
    for role in ServiceRole:
        service.generate(ServiceMaster(TRANSPORT, role))
        service.generate(ServiceMaster(TRANSPORT, role, 1))
    for terminal_role in TerminalRole:
        terminals.generate(TerminalMaster(TRANSPORT, terminal_role))
        terminals.generate(TerminalMaster(TRANSPORT, terminal_role, 1))
    return Keys(service, terminals, ServiceSam(service, SYSTEM), TerminalSam(terminals, SYSTEM))
