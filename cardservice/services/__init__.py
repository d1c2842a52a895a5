"""The services of the platform, one folder each; a new service is a new folder and nothing else.

A folder offers its rules as `SERVICE` in its `__init__`, under the folder's own name (`_` there is `-` in
the service's name). Nothing outside a folder names it.
"""

import hmac
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from cardservice.services.seam import Keyed, Service


def retention_days(services: Mapping[str, Service]) -> dict[str, int]:
    """How long the details of each class that they declare are kept, in days."""
    actions = (action for service in services.values() for action in service.actions.values())
    return {action.retention_class: action.retention_days for action in actions}


@cache
def discover() -> Mapping[str, Service]:
    """The services that have a folder here, by name."""
    found: dict[str, Service] = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.ispkg:
            continue
        service: Service = importlib.import_module(f"{__name__}.{module.name}").SERVICE
        expected = module.name.replace("_", "-")
        if service.name != expected:
            raise ValueError(f"the service in {module.name}/ is called {service.name!r}, not {expected!r}")
        found[service.name] = service
    return MappingProxyType(found)


def with_keys(services: Mapping[str, Service], master: bytes) -> Mapping[str, Service]:
    """The services, each that wants one with a key of its own that follows from the master."""
    return MappingProxyType(
        {
            name: service.keyed(_own_key(master, name)) if isinstance(service, Keyed) else service
            for name, service in services.items()
        }
    )


def _own_key(master: bytes, name: str) -> bytes:
    return hmac.digest(master, b"citizen-card service\x00" + name.encode("ascii"), "sha256")
