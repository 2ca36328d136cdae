"""A registry of npm packages on 127.0.0.1, with tarballs made when a test adds them."""

import base64
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class NpmRegistry:
    """Serves what `add` made; `asked` are the paths requested, `tokens` the authorisations they carried."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        self._versions: dict[str, dict[str, dict[str, object]]] = {}
        self._tarballs: dict[str, bytes] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def add(self, name: str, version: str, files: Mapping[str, str], **manifest: object) -> None:
        """Publish a package of `files`; `manifest` is the rest of its package.json."""
        described = {"name": name, "version": version, **manifest}
        tarball = _packed({"package.json": json.dumps(described), **files})
        path = f"/-/{name}-{version}.tgz"
        self._tarballs[path] = tarball
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
        dist = {"tarball": f"{self.url[:-1]}{path}", "integrity": integrity}
        self._versions.setdefault(name, {})[version] = {**described, "dist": dist}

    def entry(self, name: str, version: str) -> dict[str, object]:
        """What a lock file says of a package."""
        known = self._versions[name][version]
        dist = known["dist"]
        assert isinstance(dist, dict)
        kept = {key: known[key] for key in ("dependencies", "bin", "hasInstallScript") if key in known}
        return {"version": version, "resolved": dist["tarball"], "integrity": dist["integrity"], **kept}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(self.path)
                registry.asked.append(path)
                registry.tokens.add(self.headers.get("authorization", ""))
                versions = registry._versions.get(path[1:])
                if path in registry._tarballs:
                    self._answer(registry._tarballs[path], "application/octet-stream")
                elif versions:
                    told = {"name": path[1:], "versions": versions, "dist-tags": {"latest": max(versions)}}
                    self._answer(json.dumps(told).encode(), "application/json")
                else:
                    self.send_error(404)

            def _answer(self, body: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler


def _packed(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(f"package/{path}")
            info.size, info.mode = len(text.encode()), 0o755
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()
