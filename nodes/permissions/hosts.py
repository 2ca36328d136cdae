"""Which hosts are public: never a private address in any spelling, a local name, or a name that imitates another."""

import re
import unicodedata
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
_LOCAL = frozenset(
    {"arpa", "corp", "default", "home", "internal", "intranet", "lan", "local", "localhost", "private", "svc"}
    | {"localdomain", "localdomain4", "localdomain6", "alt", "invalid", "onion", "test"}
)
_INWARD = frozenset(
    {"1u.ms", "lacolhost.com", "localho.st", "localtest.me", "lvh.me", "nip.io", "rbndr.us", "sslip.io"}
    | {"vcap.me", "xip.io", "metadata.goog"}
)
"""Public domains whose names lead to addresses that stand in the name, or to one's own machine."""
_SPECIAL = tuple(
    map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "2001::/23", "2002::/16", "3fff::/20"))
)
"""Relays, tunnels, a cloud's own server and examples, some of which `ipaddress` takes for global."""
_UNICAST = IPv6Network("2000::/3")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOOKALIKES = str.maketrans(
    *("".join(row) for row in zip(
        ("авекмнорстухьѕіјһԁԛԝӏүгпѵѡє", "abekmhopctyxbsijhdqwlyrnvwe"),
        ("αβγεηικνορστυχωμ", "abyenikvopotuxwu"),
        ("օսհոցզյ", "ouhngqj"),
        ("ıɩɑɡłøđħ", "iiaglodh"),
        strict=True,
    ))
)  # fmt: skip
"""Letters that are read as Latin ones."""
_EASTERN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "HANGUL", "BOPOMOFO"})


class HostRefused(ValueError):
    """A host that nothing is fetched from; the text says why."""


def public(address: Address) -> bool:
    """Whether an address is one machine on the internet, and no way of writing another address."""
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    special = any(address in network for network in _SPECIAL)  # another version's network holds none
    return address.is_global and not address.is_multicast and not address.is_reserved and not special


def host_of(written: str) -> str:
    """The host in the one spelling in which it is compared: lower case, punycode, no dot at its end.

    An address in brackets stays there. Raises HostRefused for everything that is not public, or not plain.
    """
    if written.startswith("["):
        return f"[{_address(written[1:-1])}]"
    if unicodedata.normalize("NFKC", written) != written:
        raise HostRefused("its host is written with characters that stand for others")
    host = in_punycode(written.removesuffix("."))
    labels = host.split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise HostRefused("its host is no name of a host")
    if _NUMBER.fullmatch(labels[-1]):
        return str(_address(host))
    if len(labels) == 1 or labels[-1] in _LOCAL or ".".join(labels[-2:]) in _INWARD:
        raise HostRefused("its host is a local name")
    for label in labels:
        _check_letters(_unicode(label))
    return host


def in_punycode(host: str) -> str:
    """A host, or a pattern for hosts, in lower case and with only ASCII letters. Raises HostRefused."""
    host = host.lower()
    if host.isascii():
        return host
    import idna

    try:
        return ".".join(each if each.isascii() else idna.encode(each).decode() for each in host.split("."))
    except UnicodeError as error:
        raise HostRefused("its host is no name of a host") from error


def _address(text: str) -> Address:
    try:
        address = ip_address(text)
    except ValueError as error:
        raise HostRefused("its host is an address in another spelling than four numbers, or a broken one") from error
    if "%" in text or not public(address):
        raise HostRefused(f"{address} is not a public address")
    return address


def _unicode(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    import idna

    try:
        return idna.ulabel(label)
    except UnicodeError as error:
        raise HostRefused("its host is no name of a host") from error


def _check_letters(label: str) -> None:
    scripts = {unicodedata.name(letter, "UNKNOWN").split()[0] for letter in label if letter.isalpha()}
    if len(scripts) > 1 and not scripts <= _EASTERN:
        raise HostRefused("its host mixes letters of several alphabets")
    if "LATIN" not in scripts and not label.isascii() and _skeleton(label).isascii():
        raise HostRefused(f"its host imitates {_skeleton(label)}")


def _skeleton(label: str) -> str:
    """What a label looks like: without accents, in Latin letters where others look the same."""
    bare = (letter for letter in unicodedata.normalize("NFKD", label) if not unicodedata.combining(letter))
    return "".join(bare).translate(_LOOKALIKES)
