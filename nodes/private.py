"""Writing what only its owner may read."""

import os
import tempfile
from pathlib import Path


def write_private(file: Path, text: str) -> None:
    """Replaces `file`, whole or not at all, by one of mode 0600 in UTF-8; its folder is made with mode 0700."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    handle, fresh = tempfile.mkstemp(prefix=".", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("utf-8", "surrogateescape"))
        Path(fresh).replace(file)
    finally:
        Path(fresh).unlink(missing_ok=True)
