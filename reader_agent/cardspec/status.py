"""Status words SW1-SW2 (ISO/IEC 7816-4:2020, 5.6; SP 800-73-5 part 1, 5.6, for their use in PIV)."""

from enum import IntEnum


class StatusWord(IntEnum):
    """The status words that this project's cards answer, by the standard's meaning."""

    SUCCESS = 0x9000
    WARNING_AUTHENTICATION_FAILED = 0x6300  # 63Cx when tries are counted
    MEMORY_FAILURE = 0x6581
    WRONG_LENGTH = 0x6700
    CHANNEL_NOT_SUPPORTED = 0x6881
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882
    LAST_COMMAND_OF_CHAIN_EXPECTED = 0x6883
    CHAINING_NOT_SUPPORTED = 0x6884
    SECURITY_STATUS_NOT_SATISFIED = 0x6982
    AUTHENTICATION_METHOD_BLOCKED = 0x6983
    CONDITIONS_NOT_SATISFIED = 0x6985
    INCORRECT_DATA = 0x6A80
    FUNCTION_NOT_SUPPORTED = 0x6A81
    NOT_FOUND = 0x6A82  # file, application or data object
    NOT_ENOUGH_MEMORY = 0x6A84
    INCORRECT_P1_P2 = 0x6A86
    REFERENCE_NOT_FOUND = 0x6A88  # key reference or reference data
    INSTRUCTION_NOT_SUPPORTED = 0x6D00
    CLASS_NOT_SUPPORTED = 0x6E00
    NO_PRECISE_DIAGNOSIS = 0x6F00


def tries_left(sw: int) -> int | None:
    """The tries that 63Cx speaks of (5.6), or None for any other status word."""
    return sw & 0x0F if sw & 0xFFF0 == 0x63C0 else None


def bytes_waiting(sw: int) -> int | None:
    """How many bytes GET RESPONSE would fetch after 61xx: 1 to 256, where 256 means "at least" (5.6)."""
    return (sw & 0xFF or 256) if sw >> 8 == 0x61 else None


def exact_length(sw: int) -> int | None:
    """The Le to repeat the command with after 6Cxx: 1 to 256 (5.6); None for any other status word."""
    return (sw & 0xFF or 256) if sw >> 8 == 0x6C else None
