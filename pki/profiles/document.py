"""The profiles as a page shows them: `python -m pki.profiles.document docs/pki.md` writes them into it."""

import sys
from pathlib import Path

from pki.profiles.authorities import ISSUING_AUTHORITY, ROOT_AUTHORITY
from pki.profiles.common import COMMON
from pki.profiles.leaves import LEAVES
from pki.profiles.model import AuthorityProfile, Profile

BEGIN, END = "<!-- profiles: begin -->", "<!-- profiles: end -->"

_NAMES = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "1.3.6.1.5.5.7.3.36": "documentSigning",
    "2.16.840.1.101.3.6.7": "id-PIV-content-signing",
    "2.16.840.1.101.3.6.8": "id-PIV-cardAuth",
}


def profiles_text() -> str:
    """Every profile with the clause beside each field, in Markdown."""
    parts = [_common(), *(_authority(profile) for profile in (ROOT_AUTHORITY, ISSUING_AUTHORITY))]
    parts += [_leaf(profile) for profile in LEAVES]
    return "\n".join(parts)


def with_profiles(page: str) -> str:
    """The page with the profiles as they are now. Raises ValueError where it has no place for them."""
    before, separator, rest = page.partition(BEGIN)
    _, ending, after = rest.partition(END)
    if not separator or not ending:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{profiles_text()}\n{END}{after}"


def _common() -> str:
    rows = [(field.name, field.says.value, field.says.clause) for field in COMMON]
    return _table("every certificate", "beside what its own table says", rows)


def _authority(profile: AuthorityProfile) -> str:
    return _table(
        profile.name,
        profile.purpose,
        [
            (
                "basic constraints",
                f"authority, path length {profile.path_length.value}",
                profile.path_length.clause,
            ),
            ("key usage, critical", _bits(profile.key_usage.value), profile.key_usage.clause),
            ("days", f"{profile.validity.value:,}", profile.validity.clause),
        ],
    )


def _leaf(profile: Profile) -> str:
    usages = profile.extended_key_usages
    critical = ", critical" if profile.extended_key_usage_critical else ""
    naming = profile.naming
    rows = [
        ("issued by", " or ".join(f"`{name}`" for name in profile.authorities), _issued_by(profile)),
        ("key", profile.key.value, profile.key.clause),
        ("subject", naming.subject_says, naming.subject_clause),
        ("alternative name", naming.alternative_name_says, naming.alternative_name_clause),
        ("key usage, critical", _bits(profile.key_usage.value), profile.key_usage.clause),
        (f"extended key usage{critical}", _usages(profile), usages.clause),
    ]
    if profile.has_status_index:
        rows.append(("*arc*.3.1", "the card's place in the status list, an INTEGER", "ours"))
    if profile.no_status:
        rows.append(("id-pkix-ocsp-nocheck", "there; no revocation list is named", "RFC 6960, 4.2.2.2.1"))
    rows.append(("days", f"{profile.validity.value:,}", profile.validity.clause))
    return _table(profile.name, profile.purpose, rows)


def _issued_by(profile: Profile) -> str:
    return "RFC 6960, 4.2.2.2" if profile.no_status else "ours"


def _usages(profile: Profile) -> str:
    standard = [_NAMES[usage.dotted_string] for usage in profile.extended_key_usages.value]
    own = profile.own_extended_key_usage
    return ", ".join([*standard, *(() if own is None else (f"*arc*.{own}",))])


def _bits(names: tuple[str, ...]) -> str:
    spelt = {"crl_sign": "cRLSign", "key_cert_sign": "keyCertSign", "content_commitment": "contentCommitment"}
    return ", ".join(spelt.get(name, "digitalSignature") for name in names)


def _table(name: str, purpose: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [f"**`{name}`**: {purpose}", "", "| field | value | clause |", "|---|---|---|"]
    lines += [f"| {field} | {value} | {clause} |" for field, value, clause in rows]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_profiles(path.read_text(encoding="utf-8")), encoding="utf-8")
