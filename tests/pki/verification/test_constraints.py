"""What authorities limit below them, in chains of several depths; each refusal by its rule."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509

from pki.errors import CertificateExpired, CertificateNotYetValid, ChainInvalid, VerificationError
from pki.verification import NOT_REQUIRED, PolicyInputs, Purpose, Verifier, rfc5280, validate_path
from pki.verification.errors import CertificateSignatureInvalid, IssuerUnknown, NameRefused, PolicyRefused
from tests.pki.conftest import START
from tests.pki.verification.chains import DAY, POLICY, Chain, Making, chain, make, name, usual, usual_but

OTHER_POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.32473.9.1")


def check(made: Chain) -> str:
    verifier = Verifier(made.trust())
    return verifier.verify(made.leaf, Purpose.TERMINAL, START, NOT_REQUIRED).identity


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_chains_of_several_depths(depth: int) -> None:
    assert check(chain(*usual(depth))) == "bus-12"


def test_a_leaf_directly_below_an_anchor() -> None:
    """Another scheme's issuing authority may be an anchor of its own."""
    made = chain(*usual())
    trust = replace(made.trust(), roots=(made.issuing.certificate,), intermediates=())
    assert Verifier(trust).verify(made.leaf, Purpose.TERMINAL, START, NOT_REQUIRED).chain == trust.roots


@pytest.mark.parametrize(
    ("index", "changes", "error", "whom"),
    [
        (1, {"not_after": START - DAY / 2}, CertificateExpired, "authority 1"),
        (2, {"not_after": START - DAY / 2}, CertificateExpired, "authority 2"),
        (3, {"not_after": START - DAY / 2}, CertificateExpired, "bus-12"),
        (0, {"not_after": START - DAY / 2}, CertificateExpired, "root"),
        (1, {"not_before": START + DAY}, CertificateNotYetValid, "authority 1"),
        (3, {"not_before": START + DAY}, CertificateNotYetValid, "bus-12"),
        (1, {"is_authority": False}, ChainInvalid, "authority 1"),
        (2, {"is_authority": False}, ChainInvalid, "authority 2"),
        (1, {"signs_certificates": False}, ChainInvalid, "authority 1"),
        (2, {"signs_certificates": False}, ChainInvalid, "authority 2"),
        (1, {"path_length": 0}, ChainInvalid, "may have no authority below it"),
        (0, {"path_length": 1}, ChainInvalid, "root: may have no authority below it"),
        (3, {"is_authority": True}, ChainInvalid, "bus-12: is an authority"),
    ],
)
def test_one_certificate_is_wrong(
    index: int, changes: dict[str, Any], error: type[VerificationError], whom: str
) -> None:
    with pytest.raises(error, match=whom):
        check(usual_but(index, depth=2, **changes))


@pytest.mark.parametrize("index", [1, 2])
def test_a_critical_extension_that_nobody_knows(index: int) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.32473.9.9"), b"\x05\x00")
    check(usual_but(index, extra=((unknown, False),)))
    with pytest.raises(ChainInvalid, match=r"32473\.9\.9"):
        check(usual_but(index, extra=((unknown, True),)))


@pytest.mark.parametrize("index", [1, 2, 3])
def test_signed_by_another_key(index: int) -> None:
    holders = list(chain(*usual(2)).holders)
    makings = usual(2)
    forger = make(Making("whoever")).key
    holders[index] = make(makings[index], holders[index - 1], forger)
    for below in range(index + 1, 4):
        holders[below] = make(makings[below], holders[below - 1])
    with pytest.raises(CertificateSignatureInvalid, match=makings[index].common_name):
        check(Chain(tuple(holders)))


def test_nobody_here_has_issued_it() -> None:
    made, other = chain(*usual()), chain(Making("elsewhere"), *usual()[1:])
    with pytest.raises(CertificateSignatureInvalid):
        Verifier(made.trust()).verify(other.leaf, Purpose.TERMINAL, START, NOT_REQUIRED)
    stranger = make(Making("bus-12", is_authority=False), make(Making("nobody")))
    with pytest.raises(IssuerUnknown, match="CN=nobody is not trusted"):
        Verifier(made.trust()).verify(stranger.certificate, Purpose.TERMINAL, START, NOT_REQUIRED)


class TestNames:
    """RFC 5280, 4.2.1.10."""

    @staticmethod
    def only(common_name: str, *, excluded: bool = False) -> tuple[tuple[x509.ExtensionType, bool], ...]:
        subtree = [x509.DirectoryName(name(common_name))]
        limits = x509.NameConstraints(None if excluded else subtree, subtree if excluded else None)
        return ((limits, True),)

    @pytest.mark.parametrize("index", [1, 2])
    def test_permitted(self, index: int) -> None:
        made = usual_but(index, depth=2, extra=self.only("bus-12"))
        if index == 2:
            assert check(made) == "bus-12"
        else:  # the authority below has another name
            with pytest.raises(NameRefused, match="authority 2"):
                check(made)

    def test_another_name(self) -> None:
        with pytest.raises(NameRefused, match="bus-12"):
            check(usual_but(2, depth=2, extra=self.only("bus-13")))

    def test_excluded(self) -> None:
        assert check(usual_but(1, depth=1, extra=self.only("bus-13", excluded=True))) == "bus-12"
        with pytest.raises(NameRefused, match="bus-12"):
            check(usual_but(1, depth=1, extra=self.only("bus-12", excluded=True)))

    def test_of_an_anchor(self) -> None:
        """RFC 5937: another scheme's authority, trusted itself, is trusted for no more than it was given."""
        for common_name, good in (("bus-12", True), ("bus-13", False)):
            made = usual_but(1, extra=self.only(common_name))
            trust = replace(made.trust(), roots=(made.issuing.certificate,), intermediates=())
            verifier = Verifier(trust)
            if good:
                verifier.verify(made.leaf, Purpose.TERMINAL, START, NOT_REQUIRED)
            else:
                with pytest.raises(NameRefused, match="bus-12"):
                    verifier.verify(made.leaf, Purpose.TERMINAL, START, NOT_REQUIRED)


class TestPolicies:
    """RFC 5280, 4.2.1.11 and 4.2.1.14."""

    EXPLICIT = ((x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None), True),)

    def test_one_that_holds_for_the_whole_path(self) -> None:
        assert check(usual_but(1, depth=2, extra=self.EXPLICIT)) == "bus-12"

    @pytest.mark.parametrize("index", [2, 3])
    def test_none_that_does(self, index: int) -> None:
        makings = list(usual(2))
        makings[1] = replace(makings[1], extra=self.EXPLICIT)
        makings[index] = replace(makings[index], policies=(OTHER_POLICY,))
        with pytest.raises(PolicyRefused):
            check(chain(*makings))

    def test_of_an_anchor(self) -> None:
        makings = list(usual())
        makings[0] = replace(makings[0], extra=self.EXPLICIT)
        assert check(chain(*makings)) == "bus-12"
        makings[1] = replace(makings[1], policies=(OTHER_POLICY,))
        with pytest.raises(PolicyRefused):
            check(chain(*makings))

    @pytest.mark.parametrize("limits", [(), EXPLICIT], ids=["any anchor", "an anchor with limits"])
    def test_policies_that_a_caller_wants(self, limits: tuple[tuple[x509.ExtensionType, bool], ...]) -> None:
        made = usual_but(0, extra=limits)
        trust = made.trust()
        for policy, good in ((POLICY, True), (OTHER_POLICY, False)):
            wanted = PolicyInputs(frozenset({policy.dotted_string}), explicit_policy=True)
            arguments = (made.leaf, trust.roots, trust.intermediates, (), START)
            if good:
                assert validate_path(*arguments, status=False, policies=wanted)[-1] == made.leaf
            else:
                with pytest.raises(PolicyRefused):
                    validate_path(*arguments, status=False, policies=wanted)


class TestRemembered:
    """An authority is validated once for as long as nothing can change."""

    def test_once_for_many_leaves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = chain(*usual(2))
        verifier = Verifier(made.trust())
        calls = self.counted(monkeypatch)
        for number in range(5):
            leaf = make(Making(f"bus-{number}", is_authority=False), made.issuing).certificate
            moment = START + number * DAY
            assert verifier.verify(leaf, Purpose.TERMINAL, moment, NOT_REQUIRED).identity == f"bus-{number}"
        assert len(calls) == 1

    def test_not_beyond_its_end(self) -> None:
        made = usual_but(1, not_after=START + DAY)
        verifier = Verifier(made.trust())
        verifier.verify(made.leaf, Purpose.TERMINAL, START + DAY, NOT_REQUIRED)
        for moment in (START + 2 * DAY, START - 2 * DAY):
            with pytest.raises((CertificateExpired, CertificateNotYetValid)):
                verifier.verify(made.leaf, Purpose.TERMINAL, moment, NOT_REQUIRED)

    def test_what_was_refused_is_judged_anew(self) -> None:
        made = usual_but(1, not_before=START + DAY)
        verifier = Verifier(made.trust())
        with pytest.raises(CertificateNotYetValid):
            verifier.verify(made.leaf, Purpose.TERMINAL, START, NOT_REQUIRED)
        verifier.verify(made.leaf, Purpose.TERMINAL, START + DAY, NOT_REQUIRED)

    @staticmethod
    def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Counts full validations, which still happen."""
        calls: list[str] = []
        real = rfc5280.validate_path

        def counting(*arguments: Any, **named: Any) -> Any:
            calls.append("validated")
            return real(*arguments, **named)

        monkeypatch.setattr(rfc5280, "validate_path", counting)
        return calls
