"""What installers of Python packages do with their arguments: a plain name is fine, wherever else it comes from not."""

import re
from collections.abc import Iterator

from backend_coordinator.nodes.permissions.programs.effects import Concern, Effects
from backend_coordinator.nodes.permissions.programs.options import grammar, read

_NAME = re.compile(
    r"(?!.*\.(?:whl|zip|tar|tar\.\w+|tgz)$)[A-Za-z0-9][\w.-]*(?:\[[\w,. -]*\])?\s*(?:[<>=!~]=?[\w.*<>=!~, +-]*)?",
    re.ASCII,
)
_OPTIONS = grammar(
    "!-i= !--index-url= !--extra-index-url= !--index= !--default-index= !-f= !--find-links= !--trusted-host= !--proxy= "
    "!-t= !--target= !--prefix= !--root= !--user !-e= !--editable= !-C= !--config-settings= !--config-setting= !--src= "
    "!--global-option= !--build-option= !--no-binary= !--python= !--git= !--url= !--directory= !--with= !--spec= "
    "!--system !--break-system-packages !--allow-insecure-host= !--pip-args= !--source= !--path= --group= -G= -E= "
    "--extra= --pre /-r= /-c= /--requirement= /--requirements= /--constraint= /--log= /--cert= /--cache-dir="
)
_INSTALLS = frozenset({"install", "add", "download", "wheel", "upgrade", "inject"})
_RUNS = frozenset({"run", "exec"})
_CHANGES = frozenset({"config", "self", "cache", "publish", "plugin", "source"})


def installer(argv: tuple[str, ...]) -> Effects:
    """pip, uv, poetry and their like: what they install, and the command behind `run`."""
    words = argv[1:]
    place = next((at for at, word in enumerate(words) if word in _RUNS | {"x"}), None)
    if place is not None and not _INSTALLS & set(words[:place]):
        lead = read(words[:place], _OPTIONS)
        command = read(words[place + 1 :], _OPTIONS, leading=True)
        concerns = (*lead.concerns(argv[0]), *command.concerns(argv[0], "run", operands=()))
        return Effects((argv[0], *words[place:]), runs=(command.operands,), concerns=concerns)
    found = read(words, _OPTIONS)
    names = [*found.operands, *found.behind]
    return Effects((argv[0], *names), concerns=(*found.concerns(argv[0], operands=()), *_named(argv[0], names)))


def _named(program: str, words: list[str]) -> Iterator[Concern]:
    at = next((place for place, word in enumerate(words) if word in _INSTALLS), None)
    if words and words[0] in _CHANGES:
        yield Concern(f"{program} {words[0]} changes what is installed later, or elsewhere", (words[0],))
    for word in [] if at is None else words[at + 1 :]:
        if not _NAME.fullmatch(word):
            yield Concern(f"{word} is not the plain name of a package", (word,))
