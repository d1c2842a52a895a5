"""PIN and PUK, and what a loss of power gains an attacker: nothing."""

import hmac
from pathlib import Path

import pytest

from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.virtual_card.conftest import PIN, PUK
from tests.reader_agent.virtual_card.host import Host
from tests.reader_agent.virtual_card.power import PowerLoss, power_lost_at

WRONG = b"000000\xff\xff"
NEW = b"24681357"


def how_it_stands(host: Host) -> int:
    return host.raw("00200080")[1]


def test_verify_tells_how_it_stands_and_costs_nothing(contact: Host) -> None:
    assert [how_it_stands(contact) for _ in range(7)] == [0x63C5] * 7
    assert contact.raw("0020008000")[1] == 0x63C5  # the same with an Le
    assert contact.verify(PIN) == 0x9000
    assert how_it_stands(contact) == 0x9000


def test_five_wrong_pins_block_it(contact: Host) -> None:
    assert [contact.verify(WRONG) for _ in range(5)] == [0x63C4, 0x63C3, 0x63C2, 0x63C1, 0x63C0]
    assert contact.verify(PIN) == 0x6983
    assert how_it_stands(contact) == 0x6983


def test_the_right_pin_gives_all_tries_back(contact: Host) -> None:
    assert contact.verify(WRONG) == 0x63C4
    assert contact.verify(PIN) == 0x9000
    assert contact.verify(WRONG) == 0x63C4
    assert how_it_stands(contact) == 0x63C4  # and a wrong one forgets the right one


def test_tries_survive_a_loss_of_power(personalised: Path) -> None:
    for left in (4, 3, 2, 1, 0):
        with CardState.load(personalised) as state:
            assert Host.of(state, Face.CONTACT).verify(WRONG) == 0x63C0 | left
    with CardState.load(personalised) as state:
        assert Host.of(state, Face.CONTACT).verify(PIN) == 0x6983


@pytest.mark.parametrize(
    "pin", [b"12345\xff\xff\xff", b"123456\xff", b"12345678\xff", b"12345a\xff\xff", b"123\xff456\xff"]
)
def test_what_is_no_pin_costs_no_try(contact: Host, pin: bytes) -> None:
    assert contact.verify(pin) == 0x6A80
    assert how_it_stands(contact) == 0x63C5


@pytest.mark.parametrize(
    ("p1", "p2", "sw"), [(0x00, 0x00, 0x6A88), (0x00, 0x81, 0x6A88), (0x01, 0x80, 0x6A86)]
)
def test_other_references(contact: Host, p1: int, p2: int, sw: int) -> None:
    assert contact.send(0x20, p1, p2, PIN, le=None)[1] == sw


def test_the_holder_may_have_it_forgotten(contact: Host) -> None:
    assert contact.verify(PIN) == 0x9000
    assert contact.raw("0020FF80")[1] == 0x9000
    assert how_it_stands(contact) == 0x63C5


def test_it_survives_another_selection_and_a_failed_one(contact: Host) -> None:
    assert contact.verify(PIN) == 0x9000
    contact.raw("00A4040009A0000003080000100000")
    contact.raw("00A4040007627601FF00000000")
    assert how_it_stands(contact) == 0x9000


def test_the_pin_is_changed(contact: Host) -> None:
    assert contact.send(0x24, 0x00, 0x80, WRONG + NEW, le=None)[1] == 0x63C4
    assert contact.send(0x24, 0x00, 0x80, PIN + NEW, le=None)[1] == 0x9000
    assert contact.verify(PIN) == 0x63C4
    assert contact.verify(NEW) == 0x9000


def test_the_puk_is_changed_and_frees_a_blocked_pin(contact: Host) -> None:
    for _ in range(5):
        contact.verify(WRONG)
    assert contact.send(0x24, 0x00, 0x81, PUK + b"ABCDEFGH", le=None)[1] == 0x9000
    assert contact.send(0x2C, 0x00, 0x80, PUK + NEW, le=None)[1] == 0x63C9
    assert contact.send(0x2C, 0x00, 0x80, b"ABCDEFGH" + NEW, le=None)[1] == 0x9000
    assert how_it_stands(contact) == 0x63C5  # free again, not shown
    assert contact.verify(NEW) == 0x9000


def test_ten_wrong_puks_block_it_for_good(contact: Host) -> None:
    answers = [contact.send(0x2C, 0x00, 0x80, b"00000000" + NEW, le=None)[1] for _ in range(10)]
    assert answers == [0x63C0 | left for left in range(9, -1, -1)]
    assert contact.send(0x2C, 0x00, 0x80, PUK + NEW, le=None)[1] == 0x6983


@pytest.mark.parametrize(
    ("ins", "p2", "data"),
    [
        (0x24, 0x80, PIN + b"12345\xff\xff\xff"),
        (0x24, 0x80, PIN),
        (0x24, 0x81, PUK + PUK + b"1"),
        (0x2C, 0x80, PUK + b"abcdefgh"),
        (0x2C, 0x80, PUK),
    ],
)
def test_a_change_to_what_is_no_pin_costs_no_try(contact: Host, ins: int, p2: int, data: bytes) -> None:
    before = contact.state.memory
    assert contact.send(ins, 0x00, p2, data, le=None)[1] == 0x6A80
    assert contact.state.memory is before


@pytest.mark.parametrize(
    ("ins", "p2", "data"),
    [(0x20, 0x80, WRONG), (0x24, 0x80, WRONG + NEW), (0x24, 0x81, WRONG + NEW), (0x2C, 0x80, WRONG + NEW)],
    ids=["VERIFY", "CHANGE PIN", "CHANGE PUK", "RESET RETRY COUNTER"],
)
def test_the_try_is_spent_before_the_comparison(
    personalised: Path, monkeypatch: pytest.MonkeyPatch, ins: int, p2: int, data: bytes
) -> None:
    """Whoever watches the comparison and cuts the power at "wrong" has spent the try on the disk already."""

    def watched(*_: object) -> bool:
        raise PowerLoss

    before = read_memory(personalised)
    with CardState.load(personalised) as state:
        host = Host.of(state, Face.CONTACT)
        monkeypatch.setattr(hmac, "compare_digest", watched)
        with pytest.raises(PowerLoss):
            host.send(ins, 0x00, p2, data, le=None)
    after = read_memory(personalised)
    spent = (before.pin.tries_left - after.pin.tries_left, before.puk.tries_left - after.puk.tries_left)
    assert spent == ((1, 0) if (ins, p2) in ((0x20, 0x80), (0x24, 0x80)) else (0, 1))


def test_no_loss_of_power_gives_a_try_back(personalised: Path) -> None:
    """At every call to the file system during a wrong PIN: the tries never rise, and an answer costs one."""
    outcomes = []
    for call in range(1, 100):
        with CardState.load(personalised) as state:
            host = Host.of(state, Face.CONTACT)
            assert host.verify(PIN) == 0x9000
            with power_lost_at(call):
                try:
                    outcome = host.verify(WRONG)
                except PowerLoss:
                    outcome = None
        outcomes.append((outcome, read_memory(personalised).pin.tries_left))
        if outcome is not None:
            break
    assert outcomes[-1] == (0x63C4, 4)
    assert set(outcomes[:-1]) == {(None, 5), (None, 4)}  # before and after the change reached the disk


def test_when_the_try_cannot_be_written_nothing_is_compared(
    contact: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reader_agent.virtual_card.state.os.fsync", full)
    assert contact.verify(PIN) == 0x6581
    assert how_it_stands(contact) == 0x63C5
