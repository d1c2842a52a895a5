"""The scheme's public face over HTTP: certificates, revocation lists, OCSP and status lists.

The only part of `pki` that knows a web framework. The service mounts the blueprint below /pki; `pki serve`
serves it alone.
"""

from pki.http.views import Publication, blueprint

__all__ = ["Publication", "blueprint"]
