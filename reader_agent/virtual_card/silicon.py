"""The time that a chip would take for a command: a model, and every figure made with it says "modelled".

The software card answers within a millisecond, so that it hides what a holder would wait for. No chip was
measured by us. What others have published stands beside each constant; where nothing is, it says "assumed".

Sources:

- ECTester: https://neuromancer.sk/ECTester/, table "F_p performance", P-256, on Java Cards of Athena, G+D and
  Infineon: each half of an ECDSA test 138 to 231 ms, a Diffie-Hellman 167 to 267 ms.
- JCAlgTest: crocs-muni/jcalgtest_results, fixed-data profile of an NXP JCOP4 J3R180 of 2021: writing a P-256
  private key into its persistent memory (setS) 3.45 ms on average.
"""

from typing import Final

from reader_agent.cardspec import piv
from reader_agent.cardspec.apdu import ApduError, CommandApdu
from reader_agent.cardspec.piv import Algorithm, Instruction, KeyReference

# Ten elementary time units a byte at 106 kbit/s (128/fc each, fc = 13.56 MHz; ISO/IEC 14443-3): eight bits,
# parity, and one for the frames around. Both ways alike, and on both faces: contacts are no slower by default
# than this at the speeds that cards negotiate.
BYTE_S: Final = 94e-6

P256_S: Final = 0.200  # a signature or an agreement; within ECTester's range
P384_S: Final = 0.400  # assumed
RSA_S: Final = 0.600  # assumed: of 2048 bits, by Chinese remainders
GENERATE_S: Final = 0.500  # assumed
GENERATE_RSA_S: Final = 10.0  # assumed: it varies as much as primes do
BLOCK_CIPHER_S: Final = 0.005  # assumed
COMMAND_S: Final = 0.005  # assumed: what any command costs beside its bytes

WRITE_S: Final = 0.00345  # JCAlgTest
PAGE_BYTES: Final = 64  # assumed: what one write of the persistent memory takes

_SIGNATURE_S: Final[dict[int, float]] = {Algorithm.ECC_P256: P256_S, Algorithm.ECC_P384: P384_S}


def modelled_s(command: bytes, response: bytes, writes: int) -> float:
    """Seconds from the command's first byte to the response's last, with this many changes of the memory."""
    taken = COMMAND_S + (len(command) + len(response)) * BYTE_S
    pages = max(1, -(-len(command) // PAGE_BYTES))
    return taken + writes * pages * WRITE_S + (_work_s(command) if _succeeded(response) else 0.0)


def _succeeded(response: bytes) -> bool:
    return response[-2:-1] in (b"\x90", b"\x61")


def _work_s(command: bytes) -> float:
    try:
        parsed = CommandApdu.decode(command)
    except ApduError:
        return 0.0
    if parsed.is_chained:
        return 0.0
    if parsed.ins == Instruction.GENERATE_ASYMMETRIC_KEY_PAIR:
        makes_rsa = parsed.data[-1:] in (bytes((algorithm,)) for algorithm in piv.RSA_BYTES)
        return GENERATE_RSA_S if makes_rsa else GENERATE_S
    if parsed.ins == Instruction.GENERAL_AUTHENTICATE:
        if parsed.p2 == KeyReference.MANAGEMENT:
            return BLOCK_CIPHER_S
        return _SIGNATURE_S.get(parsed.p1, RSA_S)
    return 0.0
