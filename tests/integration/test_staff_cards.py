"""A staff card from a blank one to its renewal, as people type it; a session that it began, over HTTP."""

import getpass
import stat
from pathlib import Path

import requests

from reader_agent.virtual_card.pcscd import PrivatePcscd
from tests.support.databases import Databases
from tests.support.stack import Done, Stack

DESK = "Desk"


def test_a_staff_card_is_made_signs_in_and_is_renewed(databases: Databases, tmp_path: Path) -> None:
    urls = databases.create("sqlite", migrated=False)
    stack = Stack(tmp_path, urls.service, urls.owner, "GBP", "Europe/London")
    card, secrets, pin_file = tmp_path / "card.json", tmp_path / "ann.secrets", tmp_path / "ann.pin"
    ours = ("--reader", DESK, "--secrets", str(secrets))

    def staff_card(*command: str) -> Done:
        return stack.attempt("reader-agent", "staff-card", *command)

    def certify(number: int, *more: str) -> str | None:
        """Request, certificate, and onto the card; the PIN where it is a new one."""
        csr, crt = tmp_path / f"ann-{number}.csr", tmp_path / f"ann-{number}.crt"
        asked = stack.run("reader-agent", "staff-card", "request", *ours, "--out", str(csr), "--json", *more)
        stack.run("cardservice", "staff", "enrol", "ann", "--csr", str(csr), "--out", str(crt))
        pin = asked.json["pin"]
        assert pin is None or isinstance(pin, str)
        if pin is not None:
            pin_file.write_text(pin)
        stack.run("reader-agent", "staff-card", "finish", str(crt), *ours, "--pin-file", str(pin_file))
        return pin

    def signed_in(origin: str, pin: Path = pin_file) -> Done:
        return staff_card("sign-in", "--reader", DESK, "--service", origin, "--pin-file", str(pin))

    def asks(token: str) -> requests.Response:
        bearer = {"Authorization": f"Bearer {token.strip()}"}
        return requests.get(f"{stack.origin}/v1/staff/me", headers=bearer, timeout=30)

    with PrivatePcscd(tmp_path / "pcscd", [DESK]) as daemon:
        stack.environment |= daemon.environment
        try:
            stack.install("vale")
            user = ("--user", getpass.getuser())
            stack.run(
                *("cardservice", "staff", "add", "ann", "--name", "Ann Field", "--role", "administrator"),
                *user,
            )
            stack.start_service()
            stack.run("reader-agent", "virtual-card", "new", str(card))
            stack.insert(card, daemon.port(DESK), "contact")

            nothing = signed_in(stack.origin, card)
            assert (nothing.status, "[key_unsuitable]" in nothing.err) == (1, True), nothing.err
            assert certify(1) is not None
            assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
            first = signed_in(stack.origin)
            assert first.status == 0, first.err
            assert "Signed in as ann" in first.err
            assert asks(first.out).json()["person"]["name"] == "Ann Field"

            # What the card signs is for the address that was typed, and for no other.
            elsewhere = signed_in(stack.origin.replace("127.0.0.1", "localhost"))
            assert (elsewhere.status, "[service_answer_invalid]" in elsewhere.err) == (1, True), elsewhere.err
            wrong = tmp_path / "wrong.pin"
            wrong.write_text("998877")
            refused = signed_in(stack.origin, wrong)
            assert (refused.status, "[pin_wrong]" in refused.err) == (1, True), refused.err

            # The next certificate: the PIN stays; sessions of the one before are over.
            assert certify(2, "--renew", "--pin-file", str(pin_file)) is None
            assert asks(first.out).status_code == 401
            second = signed_in(stack.origin)
            assert asks(second.out).status_code == 200
            # The certificate of another key is not written to it.
            old = staff_card("finish", str(tmp_path / "ann-1.crt"), *ours, "--pin-file", str(pin_file))
            assert (old.status, "[key_unsuitable]" in old.err) == (1, True), old.err
            assert signed_in(stack.origin).status == 0

            log = (tmp_path / "service.log").read_text()
            assert all(each.strip() not in log for each in (first.out, second.out, pin_file.read_text()))
        finally:
            stack.close()
    databases.drop(urls)
