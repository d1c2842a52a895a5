"""A service whose keys are all on a token: a real SoftHSM signs its answers, certificates and status."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from cardservice.cli import main
from cardservice.config import Mode, Settings
from cardservice.context import Context, open_context
from cardservice.errors import NotInitialised, OrderInvalid
from cardservice.ids import CardId
from cardservice.key_place import KeyToken, token_of
from cardservice.keys import make_kek_version
from cardservice.pki_store.desk import open_desk
from cardservice.production import unsafe_in_production
from cardservice.setup import initialise
from pki.card_keys import Application, TerminalMaster, TerminalRole, diversify_aes128
from pki.errors import KeyNotExtractable, PinRefused
from pki.scheme import TokenPlace, create_scheme
from pki.statements import open_answer
from pki.verification import Purpose, verify
from tests.support.council import ORIGIN, START, StandingClock, from_base64url, message, new_id, request_for
from tests.support.council import council as new_council
from tests.support.softhsm import MODULE, SoftHsm

PIN, OWN_PIN, PASSPHRASE = "123456", "654321", b"a passphrase of the tests"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a service that is not set up yet; the PIN is in a file. Keys know nothing of the database."""
    (tmp_path / "pin").write_text(f"{PIN}\n")
    return Settings(
        mode=Mode.DEVELOPMENT,
        database_url=f"sqlite:///{tmp_path}/cards.sqlite",
        owner_database_url=f"sqlite:///{tmp_path}/cards.sqlite",
        pki_dir=tmp_path / "scheme",
        public_origin=ORIGIN,
        passphrase_file=tmp_path / "pin",
    )


@pytest.fixture
def on_a_token(settings: Settings, softhsm: SoftHsm) -> Settings:
    """Of a service that was set up over a scheme on a token."""
    softhsm.make_token("scheme", PIN)
    place = TokenPlace(module=MODULE, label="scheme", root_label="scheme")
    named = (settings.pki_dir, "ashcombe", "Ashcombe Card", PIN.encode(), None, START)
    create_scheme(*named, public_url=f"{ORIGIN}/pki", token=place)
    start(settings)
    return settings


def start(settings: Settings, token: KeyToken | None = None) -> None:
    """What `cardservice init` does."""
    initialise(
        settings,
        currency="GBP",
        timezone="Europe/London",
        actor="test",
        clock=StandingClock(),
        token=token,
    )


def opened(settings: Settings) -> Context:
    """The service."""
    return open_context(settings, StandingClock())


def test_a_payment_is_authorised(on_a_token: Settings) -> None:
    """No key is in any file, and every signature that a tap, a card and its status need verifies."""
    assert not [*on_a_token.pki_dir.rglob("*.key"), *on_a_token.pki_dir.rglob("*.secret")]
    context = opened(on_a_token)
    try:
        council = new_council(context, StandingClock())
        bus, card = council.terminal("bus-12"), council.card(top_up_minor=2000)
        statement = request_for(bus, card)
        reply = bus.post("/v1/authorisations", message(statement, card))
        assert reply.outcome == (200, "approved")
        trust = context.pki.trust_store()
        signer = verify(context.keys.answer_certificate, Purpose.SERVICE, START, trust)
        answer = open_answer(from_base64url(reply.json["signed_answer"]), signer.public_key, "ashcombe")
        assert (answer.id, answer.decision) == (statement.id, "approved")
        with pytest.raises(KeyNotExtractable):
            context.keys.answer_key.private_numbers()

        leaf, published = x509.load_der_x509_certificate(card.certificate), open_desk(context)
        builder = ocsp.OCSPRequestBuilder()
        asked = builder.add_certificate(leaf, context.certificates["cards"], hashes.SHA256()).build()
        told = published.respond(asked.public_bytes(Encoding.DER))
        assert ocsp.load_der_ocsp_response(told.der).certificate_status is ocsp.OCSPCertStatus.GOOD
        assert published.status_list(0) is not None
    finally:
        context.close()


def test_what_is_derived_is_the_same_again(on_a_token: Settings) -> None:
    """Another process, and another `init`, make no other secrets: what was encrypted stays readable."""
    card = CardId(new_id())
    seen = []
    for _ in range(2):
        context = opened(on_a_token)
        keys = context.keys
        seen.append((keys.cardholder_kek.key(1), keys.nonces.key, keys.management_key(card), keys.puk(card)))
        context.close()
        start(on_a_token)
    assert seen[0] == seen[1]
    kek, nonces, management, _ = seen[0]
    assert len({kek, nonces, management}) == 3
    assert (len(kek), len(nonces), len(management)) == (32, 32, 16)
    context = opened(on_a_token)
    newer = make_kek_version(context.keys)
    context.close()
    assert newer.versions == (1, 2)
    assert newer.key(1) == kek != newer.key(2)


def test_what_terminals_are_given_lies_in_files(on_a_token: Settings) -> None:
    """The token would not give it away; the file is encrypted, and opens in another process, too."""
    master, seen = TerminalMaster(Application(0xF5C011), TerminalRole.READ), []
    for number in range(2):
        context = opened(on_a_token)
        if number == 0:
            context.keys.terminal_masters.generate(master)
        seen.append(context.keys.terminal_masters.release(master).value)
        context.close()
    assert seen[0] == seen[1]
    (file,) = on_a_token.pki_dir.rglob("*.secret")
    assert (file.name, seen[0] in file.read_bytes()) == (f"{master.name}.secret", False)


def test_a_token_of_the_services_own(settings: Settings, softhsm: SoftHsm, tmp_path: Path) -> None:
    """The scheme's keys in files under a passphrase, the service's on a token with a PIN; they never move."""
    softhsm.make_token("answers", OWN_PIN)
    (tmp_path / "pin").write_bytes(PASSPHRASE)
    (tmp_path / "own-pin").write_text(OWN_PIN)
    settings = replace(settings, token_pin_file=tmp_path / "own-pin")
    create_scheme(settings.pki_dir, "ashcombe", "Ashcombe Card", PASSPHRASE, None, START)
    environment = {
        f"CARDSERVICE_{name.upper()}": str(getattr(settings, name))
        for name in ("mode", "database_url", "owner_database_url", "pki_dir", "public_origin")
    } | {
        "CARDSERVICE_PASSPHRASE_FILE": str(settings.passphrase_file),
        "CARDSERVICE_TOKEN_PIN_FILE": str(settings.token_pin_file),
    }
    command = ["init", "--currency", "GBP", "--timezone", "Europe/London", "--pkcs11-module", str(MODULE)]
    ran = CliRunner().invoke(main, [*command, "--token", "answers"], env=environment)
    assert ran.exit_code == 0, ran.output
    assert token_of(settings.pki_dir) == KeyToken(MODULE, "answers")
    assert {path.name for path in (settings.pki_dir / "cardservice").iterdir()} == {
        *("token.json", "answers.crt", "content-signer.crt")
    }
    opened(settings).close()
    with pytest.raises(OrderInvalid, match=r"'answers'.* already; a key is never moved"):
        start(settings, KeyToken(MODULE, "another"))
    assert CliRunner().invoke(main, command, env=environment).exit_code == 2
    (tmp_path / "own-pin").chmod(0o644)
    assert "token_pin_file" in {each.setting for each in unsafe_in_production(settings)}


def test_keys_in_files_stay_there(settings: Settings, softhsm: SoftHsm) -> None:
    """Asked for later, a token would get other keys: then nothing encrypted before could be read."""
    softhsm.make_token("answers", PIN)
    create_scheme(settings.pki_dir, "ashcombe", "Ashcombe Card", PIN.encode(), None, START)
    start(settings)
    with pytest.raises(OrderInvalid, match="in files already"):
        start(settings, KeyToken(MODULE, "answers"))
    assert token_of(settings.pki_dir) is None


def test_what_goes_wrong_is_said(on_a_token: Settings, softhsm: SoftHsm, tmp_path: Path) -> None:
    """A sentence each, and none that sends somebody to `init` in vain."""
    wrong = replace(on_a_token, token_pin_file=tmp_path / "wrong")
    (tmp_path / "wrong").write_text("000000")
    with pytest.raises(NotInitialised, match="does not take the PIN") as refused:
        opened(wrong)
    assert "cardservice init" not in str(refused.value)
    with pytest.raises(PinRefused):
        start(wrong)
    softhsm.pull_out()
    with pytest.raises(NotInitialised, match="the token 'scheme' cannot be used") as missing:
        opened(on_a_token)
    assert "cardservice init" not in str(missing.value)
    softhsm.put_back()
    opened(on_a_token).close()
    place = on_a_token.pki_dir / "cardservice" / "token.json"
    for damaged in ("{}", "[", '{"format": 2, "module": "/x", "label": "y"}'):
        place.write_text(damaged)
        with pytest.raises(NotInitialised, match=r"token\.json (does not say|was written by another)"):
            opened(on_a_token)


def test_management_keys_are_those_of_files(settings: Settings) -> None:
    """The derivation on a token is the one that cards of a service with files were made with."""
    create_scheme(settings.pki_dir, "ashcombe", "Ashcombe Card", PIN.encode(), None, START)
    start(settings)
    context = opened(settings)
    try:
        card = CardId(new_id())
        master = context.keys.store.secret("management-keys")
        assert context.keys.management_key(card) == diversify_aes128(master, card.bytes + b"\x9b")
    finally:
        context.close()
