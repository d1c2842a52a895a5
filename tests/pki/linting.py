"""What pkilint finds in a revocation list or an OCSP response: warnings and worse."""

from collections.abc import Iterable

from pkilint import loader, pkix
from pkilint.pkix import crl, extension, name, ocsp
from pkilint.validation import ValidationFindingSeverity, ValidationResult


def crl_findings(der: bytes) -> list[str]:
    """RFC 5280, as `lint_crl lint -t CRL -p PKIX` judges."""
    validator = crl.create_pkix_crl_validator_container(
        _decoders(),
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )
    return _found(validator.validate(loader.load_der_crl(der, "list").root))


def ocsp_findings(der: bytes) -> list[str]:
    """RFC 6960, as `lint_ocsp_response lint` judges."""
    validator = ocsp.create_pkix_ocsp_response_validator_container(
        [ocsp.create_response_decoder(), *_decoders()], []
    )
    return _found(validator.validate(loader.load_der_ocsp_response(der, "response").root))


def _decoders() -> list[object]:
    return [
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    ]


def _found(results: Iterable[ValidationResult]) -> list[str]:
    return [
        f"{result.node.path}: {description}"
        for result in results
        for description in result.finding_descriptions
        if description.finding.severity <= ValidationFindingSeverity.WARNING
    ]
