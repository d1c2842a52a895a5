"""Revocation lists as files: what `pki crl` and its like put among what is public.

A list takes its name only when it is whole on the disk. Whoever breaks off leaves the one before.
"""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki import files
from pki.authority import Authority
from pki.scheme import Scheme
from pki.store import StoredCrl


def publish_lists(
    scheme: Scheme,
    authority: Authority,
    moment: datetime,
    validity: timedelta,
    *,
    delta: bool = False,
    all_shards: bool = False,
) -> list[StoredCrl]:
    """Make and publish a list of each of the authority's keys whose certificate is valid, the present first.

    With `all_shards`, of each shard, too. Raises BaseListMissing for a delta where there is no list yet.
    """
    made = []
    for each in authority.valid_issuers(moment):
        shards = each.store.shards(each.name, each.issuer) if all_shards else []
        for shard in (None, *shards):
            crl = each.make_list(moment, validity, shard=shard, delta=delta)
            publish_list(scheme, crl)
            made.append(crl)
    return made


def publish_list(scheme: Scheme, crl: StoredCrl) -> None:
    """Put a list among what is public, in PEM, in the place of the one before."""
    path = scheme.public_dir / list_name(crl)
    path.parent.mkdir(mode=0o755, exist_ok=True)
    files.replace(path, x509.load_der_x509_crl(crl.der).public_bytes(Encoding.PEM))


def list_name(crl: StoredCrl) -> Path:
    """Where a list lies below the public folder: as below the public URL."""
    delta = crl.base_number is not None
    if crl.shard is not None:
        return Path(crl.issuer) / f"{crl.shard}{'-delta' if delta else ''}.crl"
    return Path(crl.issuer) / "delta.crl" if delta else Path(f"{crl.issuer}.crl")
