"""Imports a web application and writes the OpenAPI document it generates."""

import importlib
import json
import sys
from importlib import metadata
from pathlib import Path


def main(module: str, name: str, target: str) -> None:
    """`name` is an application, or a function without parameters that makes one."""
    found = getattr(importlib.import_module(module), name)
    app = found if hasattr(found, "openapi") else found()
    dump = {"version": metadata.version("fastapi"), "served": bool(app.openapi_url), "openapi": app.openapi()}
    Path(target).write_text(json.dumps(dump))


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    main(*sys.argv[1:])
