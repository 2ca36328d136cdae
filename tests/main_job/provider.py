"""A small OAuth2 provider on 127.0.0.1 that checks what RFC 6749 and RFC 7636 ask of a client."""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote

CLIENT, SECRET = "shop", "local-provider-only"


class Provider(ThreadingHTTPServer):
    """Hands a code to whoever asks as the browser would, and exchanges it once for the right verifier."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.codes: dict[str, tuple[str, str]] = {}
        self.tokens: set[str] = set()
        self.refused: list[str] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def consent(self, challenge: str, redirect: str) -> str:
        """The code that a person's consent gives."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = (challenge, redirect)
        return code

    def exchange(self, form: dict[str, str], authorization: str) -> dict[str, str] | str:
        """Tokens, or why there are none."""
        challenge, redirect = self.codes.pop(form.get("code", ""), ("", ""))
        verifier = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if not challenge or verifier.rstrip(b"=").decode() != challenge:
            return "invalid_grant"
        if form.get("grant_type") != "authorization_code" or form.get("redirect_uri") != redirect:
            return "invalid_request"
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET) and _basic(authorization) != (
            CLIENT,
            SECRET,
        ):
            return "invalid_client"
        self.tokens.add(token := secrets.token_urlsafe(16))
        return {"access_token": token, "token_type": "Bearer"}


class _Answer(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        found = self.server.exchange(form, self.headers.get("authorization", ""))
        if isinstance(found, str):
            self.server.refused.append(found)
            self._send(400, {"error": found})
        else:
            self._send(200, found)

    def do_GET(self) -> None:
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        known = {"sub": "provider-user-7", "email": "grace@example.org", "email_verified": True, "name": "Grace"}
        self._send(200, known) if token in self.server.tokens else self._send(401, {"error": "invalid_token"})

    def _send(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


def _basic(header: str) -> tuple[str, ...]:
    if not header.startswith("Basic "):
        return ()
    return tuple(unquote(part) for part in base64.b64decode(header[6:]).decode().split(":", 1))


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider while the block lasts."""
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
