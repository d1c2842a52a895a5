"""Verification: whether a certificate may be relied on, for a purpose, at a moment, by which evidence."""

from pki.trust import TrustStore
from pki.verification.crl_evidence import CrlEvidence
from pki.verification.ocsp_evidence import OcspEvidence
from pki.verification.purposes import Purpose
from pki.verification.recognition import RecognisingVerifier
from pki.verification.rfc5280 import PolicyInputs, validate_path
from pki.verification.status import (
    HARD_FAIL,
    NOT_REQUIRED,
    EvidenceKind,
    Finding,
    Revocation,
    RevocationPolicy,
    StatusEvidence,
)
from pki.verification.status_list_evidence import StatusListEvidence
from pki.verification.verifier import VerifiedCertificate, Verifier, verify

__all__ = [
    "HARD_FAIL",
    "NOT_REQUIRED",
    "CrlEvidence",
    "EvidenceKind",
    "Finding",
    "OcspEvidence",
    "PolicyInputs",
    "Purpose",
    "RecognisingVerifier",
    "Revocation",
    "RevocationPolicy",
    "StatusEvidence",
    "StatusListEvidence",
    "TrustStore",
    "VerifiedCertificate",
    "Verifier",
    "validate_path",
    "verify",
]
