"""A process that issues, suspends, revokes and publishes without end, until it is killed.

Run with the scheme's directory. It says on standard output what it has handed out, a line each.
"""

import itertools
import sys
from datetime import timedelta
from pathlib import Path
from secrets import choice, randbelow
from uuid import uuid4

from pki.authority import Authority, Order
from pki.profiles import CARD_AUTHENTICATION
from pki.scheme import Scheme, open_scheme
from tests.pki.conftest import PASSPHRASE, START, csr_for, new_key


def main(directory: Path, way: str) -> None:
    """Work until the end, with the store kept open or opened by each call."""
    scheme = open_scheme(directory, PASSPHRASE)
    if way == "kept-open":
        with scheme.records("cards").kept_open() as store:
            work(scheme, scheme.authority("cards", store=store))
    else:
        work(scheme, scheme.authority("cards"))


def work(scheme: Scheme, cards: Authority) -> None:
    """Without end."""
    key = new_key()
    requests = [csr_for(key) for _ in range(4)]
    handed_out: list[int] = []
    for turn in itertools.count():
        orders = [
            Order(csr=request, profile=CARD_AUTHENTICATION, identity=str(uuid4())) for request in requests
        ]
        for certificate in cards.issue_many(orders[: randbelow(4) + 1], START):
            handed_out.append(certificate.serial_number)
            print("issued", f"{certificate.serial_number:x}", flush=True)
        chosen = choice(handed_out)
        moment = START + timedelta(seconds=turn)
        if turn % 3 == 0:
            cards.suspend(chosen, moment)
        else:
            cards.revoke(chosen, moment, "superseded")
            print("revoked", f"{chosen:x}", flush=True)
        if turn % 5 == 0:
            scheme.publish_crl("cards", cards.make_crl(moment))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
