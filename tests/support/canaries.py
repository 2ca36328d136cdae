"""Random texts that must not come through anywhere, and the forms in which programs write them."""

import base64
import string
import urllib.parse
from itertools import pairwise
from random import Random

FEWEST_CHANGES = 10
ALPHABET = string.ascii_letters + string.digits


def canary(random: Random) -> str:
    """24 random letters and digits, of both some, and as mixed as nearly all are: no word of a language by chance."""
    while True:
        found = "".join(random.choices(ALPHABET, k=24))
        kinds = [(sign.isdigit(), sign.isupper()) for sign in found]
        if any(map(str.isdigit, found)) and sum(one != other for one, other in pairwise(kinds)) >= FEWEST_CHANGES:
            return found


def forms(value: str) -> set[bytes]:
    """A value as it is, as hex digits, coded for URLs, and in base64 wherever it begins in it."""
    raw = value.encode()
    shifted = [base64.b64encode(b"\0" * n + raw)[(8 * n + 5) // 6 : -4 or None] for n in range(3)]
    return {
        raw,
        raw.hex().encode(),
        raw.hex().upper().encode(),
        urllib.parse.quote(value, safe="").encode(),
        "".join(f"%{byte:02x}" for byte in raw).encode(),
        "".join(f"%{byte:02X}" for byte in raw).encode(),
        *shifted,
    }
