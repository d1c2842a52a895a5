"""`scheme.json`: what a scheme is called, where its keys are, and who keeps which authority's records."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pki import files
from pki.errors import SchemeInvalid
from pki.profiles import check_arc

_FILE = "scheme.json"
_FORMAT = 1
_SCHEME_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPlace:
    """The PKCS#11 tokens that hold the authorities' keys; the root's may be one of its own."""

    module: Path
    label: str
    root_label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The content of `scheme.json`."""

    id: str
    name: str
    oid_arc: str
    public_url: str | None
    handed_over: Mapping[str, str] = field(default_factory=dict)
    # How many keys an authority has had; one where it is not here
    generations: Mapping[str, int] = field(default_factory=dict)
    # Where keys are not in files
    token: TokenPlace | None = None

    def check(self) -> None:
        """Raises SchemeInvalid for what cannot be a scheme's."""
        if not _SCHEME_ID.fullmatch(self.id):
            raise SchemeInvalid("a scheme's id is made of 1 to 32 characters a-z, 0-9 and -")
        # RFC 5280, A.1: ub-organization-name is 64
        if not 1 <= len(self.name) <= 50 or not self.name.isprintable():
            raise SchemeInvalid("a scheme's name has 1 to 50 printable characters")
        try:
            check_arc(self.oid_arc)
        except ValueError as error:
            raise SchemeInvalid(str(error)) from error
        if self.public_url is not None and not re.fullmatch(r"https?://[!-~]+[^/]", self.public_url):
            raise SchemeInvalid("the public URL starts with http:// or https:// and has no / at its end")

    def write(self, directory: Path) -> None:
        """Put it in the scheme's directory, whole."""
        content: dict[str, Any] = {
            "format": _FORMAT,
            "id": self.id,
            "name": self.name,
            "oid_arc": self.oid_arc,
            "public_url": self.public_url,
            "handed_over": dict(self.handed_over),
        }
        if self.generations:
            content["generations"] = dict(self.generations)
        if self.token is not None:
            content["token"] = {
                "module": str(self.token.module),
                "label": self.token.label,
                "root_label": self.token.root_label,
            }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        files.replace(directory / _FILE, text.encode())


def read_description(directory: Path) -> Description:
    """The description in a scheme's directory. Raises SchemeInvalid."""
    path = directory / _FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise SchemeInvalid(f"{path} is not in a format known here")
        token = content.get("token")
        return Description(
            id=content["id"],
            name=content["name"],
            oid_arc=content["oid_arc"],
            public_url=content["public_url"],
            handed_over=dict(content["handed_over"]),
            generations=dict(content.get("generations", {})),
            token=None if token is None else TokenPlace(**(token | {"module": Path(token["module"])})),
        )
    except FileNotFoundError as error:
        raise SchemeInvalid(f"{directory} holds no scheme; make one with `pki init`") from error
    except OSError as error:
        raise SchemeInvalid(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SchemeInvalid(f"{path} is not a description of a scheme: {error}") from error
