"""What strangers and machines can do to the port: any bytes, stalls, floods, and 200 that poll."""

import gc
import socket
import ssl
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cardservice.errors import OrderInvalid
from cardservice.sip2.codec import MAX_MESSAGE, Code, encode
from cardservice.sip2.server import Limits, refuse_open, tls_context
from cardservice.sip2.serving import SessionMaker
from cardservice.sip2.session import MAX_BAD, Session
from tests.cardservice.sip2.acs import Acs, Machine, serving, wait_until
from tests.cardservice.sip2.conftest import Desk

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there
POLL = encode(Code.SC_STATUS, ("0", "080", "2.00"), (), sequence=1, with_checksum=True)
LOGIN = b"9300CNkiosk|COwrong|\r"
# Frames that have something of a message about them.
FRAMES = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda code, rest: code.value.encode() + rest, st.sampled_from(sorted(Code)), st.binary(max_size=120)
    ),
    st.builds(
        lambda code, fields: code.value.encode() + b"0" * 60 + b"|".join(fields),
        st.sampled_from(sorted(Code)),
        st.lists(
            st.sampled_from([b"AA1001", b"ABB1", b"AD2580", b"AO", b"BV1.00", b"BP0", b"AY1AZ0000"]),
            max_size=8,
        ),
    ),
)


@SQLITE
def test_any_frames_are_answered_or_closed(desk: Desk) -> None:
    """Also by a machine that has logged in: each has an answer of the protocol's, or ends the connection."""
    maker = SessionMaker(desk.town.context)
    login = encode(Code.LOGIN, ("0", "0"), [("CN", "kiosk"), ("CO", desk.passwords["kiosk"])])

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(FRAMES, max_size=8), st.booleans())
    def answered(frames: list[bytes], known: bool) -> None:
        session: Session = maker()
        if known:
            assert session.answer(login[:-1]) == b"941\r"
        for frame in frames:
            sent = session.answer(frame)
            if sent is None:
                return
            assert sent == b"" or (sent.count(b"\r") == 1 and sent.endswith(b"\r"))
            assert len(sent) < 64 * MAX_MESSAGE

    answered()


@SQLITE
def test_any_bytes_leave_the_port_as_it_was(desk: Desk) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.binary(max_size=400), max_size=4))
    def sent(chunks: list[bytes]) -> None:
        with Machine(desk.acs.port) as stranger:
            try:
                for chunk in chunks:
                    stranger.send(chunk)
                stranger.socket.shutdown(socket.SHUT_WR)
                while stranger.socket.recv(4096):
                    pass
            except ConnectionError:
                pass  # it was closed meanwhile

    sent()
    server = desk.acs.server
    assert server is not None
    wait_until(lambda: server.connections == 0)
    with desk.machine() as machine:
        assert machine.exchange(POLL)[:2] == b"98"


@pytest.mark.long
@SQLITE
def test_any_frames_do_not_make_it_grow(desk: Desk) -> None:
    """Thousands of them, on connections that come and go and on one that stays: what is kept is bounded."""
    maker, chance = SessionMaker(desk.town.context), Random(388)  # noqa: S311 - the same each time
    login = encode(Code.LOGIN, ("0", "0"), [("CN", "kiosk"), ("CO", desk.passwords["kiosk"])])
    stays = maker()
    assert stays.answer(login[:-1]) == b"941\r"

    def a_thousand() -> int:
        nonlocal stays
        for number in range(1_000):
            code = chance.choice(sorted(Code)).value.encode()
            frame = code + chance.randbytes(chance.randrange(200)).replace(b"\r", b"")
            if number % 2 and stays.answer(frame) is None:
                stays = maker()
                stays.answer(login[:-1])
            maker().answer(frame)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    a_thousand()  # what is compiled and remembered once
    tracemalloc.start()
    try:
        before = a_thousand()
        after = [a_thousand() for _ in range(3)]
    finally:
        tracemalloc.stop()
    assert min(after) - before < 256 << 10, (before, after)


@SQLITE
def test_what_is_no_message_is_asked_for_again_a_few_times(desk: Desk) -> None:
    with desk.machine() as machine:
        assert [machine.exchange(b"nothing\r") for _ in range(MAX_BAD)] == [b"96AZFEF6\r"] * MAX_BAD
        assert machine.exchange(POLL)[:2] == b"98"
        assert [machine.exchange(b"24nothing\r") for _ in range(MAX_BAD)] == [b"96AZFEF6\r"] * MAX_BAD
        assert machine.exchange(b"nothing\r") == b""


@SQLITE
def test_a_message_without_an_end_is_cut_off(desk: Desk) -> None:
    with Machine(desk.acs.port) as stranger:
        try:
            for _ in range(1_000):
                stranger.send(b"x" * 4096)
            got = stranger.receive()
        except ConnectionError:
            got = b""
        assert got == b""


@contextmanager
def port(desk: Desk, limits: Limits) -> Iterator[Acs]:
    """Another port over the same library."""
    with serving(SessionMaker(desk.town.context), limits) as acs:
        yield acs


@SQLITE
def test_who_stalls_is_ended_and_holds_up_nobody(desk: Desk) -> None:
    with port(desk, Limits(message_s=0.5, login_s=60.0, threads=1)) as acs, ExitStack() as open_ones:
        stalled = [open_ones.enter_context(Machine(acs.port)) for _ in range(5)]
        for each in stalled:
            each.send(b"9300CNkio")
        other = open_ones.enter_context(Machine(acs.port))
        assert other.log_in("kiosk", desk.passwords["kiosk"]).fixed == ("1",)
        assert other.exchange(POLL)[:2] == b"98"
        assert [each.receive() for each in stalled] == [b""] * 5
        # Who waits between messages is not stalled.
        assert other.exchange(POLL)[:2] == b"98"


@SQLITE
def test_who_does_not_log_in_is_ended(desk: Desk) -> None:
    with port(desk, Limits(login_s=0.5)) as acs, Machine(acs.port) as one, Machine(acs.port) as two:
        two.send(LOGIN)
        # Being refused does not make it wait longer.
        assert {answer[:3] for answer in iter(two.receive, b"")} <= {b"940"}
        assert one.receive() == b""


@SQLITE
def test_strangers_leave_room_for_machines(desk: Desk) -> None:
    with port(desk, Limits(connections=4, strangers=2)) as acs, ExitStack() as open_ones:

        def one() -> Machine:
            return open_ones.enter_context(Machine(acs.port))

        server = acs.server
        assert server is not None
        known = [one() for _ in range(2)]
        assert [each.log_in("kiosk", desk.passwords["kiosk"]).fixed for each in known] == [("1",)] * 2
        strangers = [one() for _ in range(2)]
        wait_until(lambda: server.connections == 4)
        with pytest.raises((ConnectionError, AssertionError)):
            assert one().receive() != b""
        assert [each.exchange(POLL)[:2] for each in known] == [b"98"] * 2
        for each in strangers:
            each.socket.close()
        wait_until(lambda: server.connections == 2)
        assert one().log_in("kiosk", desk.passwords["kiosk"]).fixed == ("1",)


class _Talkative(Session):
    """Answers so much that whoever does not read it is seen."""

    def answer(self, frame: bytes) -> bytes | None:
        del frame
        return bytes(1 << 16)


@SQLITE
def test_who_does_not_read_is_ended(desk: Desk) -> None:
    made = SessionMaker(desk.town.context)()
    talkative: Callable[[], Session] = lambda: _Talkative(  # noqa: E731 - one for each connection
        made._log_in,
        made._turn,
        made._now,
        made._zone,
    )
    with serving(talkative, Limits(write_s=0.5)) as acs, Machine(acs.port) as deaf:
        server = acs.server
        assert server is not None
        deaf.send(b"x\r" * 1_000)
        assert deaf.socket.recv(1) == b"\x00"
        wait_until(lambda: server.connections == 0)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_two_hundred_machines_that_poll(desk: Desk) -> None:
    """While one stalls in the middle of a message, and between the polls of all somebody borrows."""
    with ExitStack() as open_ones:
        machines = [open_ones.enter_context(desk.machine()) for _ in range(200)]
        stalled = machines[0]
        stalled.send(POLL[:5])
        for number in range(3):
            for machine in machines[1:]:
                machine.send(POLL)
            assert {machine.receive()[:2] for machine in machines[1:]} == {b"98"}
            copy = ("B1", "B3", "B4")[number]
            lent = machines[number + 1].ask(
                Code.CHECKOUT, ("N", "N", " " * 18, " " * 18), ("AA", "1001"), ("AB", copy), ("AD", "2580")
            )
            assert lent.fixed[0] == "1"
        assert stalled.exchange(POLL[5:])[:2] == b"98"


@SQLITE
def test_over_tls(desk: Desk, tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    with serving(SessionMaker(desk.town.context), tls=tls_context(str(certificate), str(key))) as acs:
        with Machine(acs.port) as plain:
            try:
                got = plain.exchange(LOGIN)
            except ConnectionError:
                got = b""
            assert not got.startswith(b"94")
        context = ssl.create_default_context(cafile=str(certificate))
        with Machine(acs.port) as machine:
            machine.socket = context.wrap_socket(machine.socket, server_hostname="localhost")
            assert machine.log_in("kiosk", desk.passwords["kiosk"]).fixed == ("1",)
            assert machine.exchange(POLL)[:2] == b"98"


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "acs.crt", folder / "acs.key"
    paths[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


@pytest.mark.parametrize(
    ("host", "tls", "insecure", "refused"),
    [
        ("127.0.0.1", False, False, False), ("::1", False, False, False), ("localhost", False, False, False),
        (EVERYWHERE, False, False, True), ("10.1.0.5", False, False, True), ("::", False, False, True),
        ("acs.example", False, False, True), ("10.1.0.5", True, False, False),
        (EVERYWHERE, False, True, False),
    ],
)  # fmt: skip
def test_pins_do_not_go_over_a_network_in_the_clear(
    host: str, tls: bool, insecure: bool, refused: bool
) -> None:
    if refused:
        with pytest.raises(OrderInvalid, match="--tls-certificate"):
            refuse_open(host, tls=tls, insecure=insecure)
    else:
        refuse_open(host, tls=tls, insecure=insecure)
