"""The audit asks, by the real pip-audit, a database on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from local.deploy import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full


@contextmanager
def database(vulnerable: str) -> Iterator[str]:
    """Answer as OSV does; of that package, that all versions are affected."""
    affected = {
        "package": {"name": vulnerable, "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}],
    }
    known = {"id": "PYSEC-2026-1", "modified": "2026-01-01T00:00:00Z", "affected": [affected]}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said = {"vulns": [known]} if asked["package"]["name"] == vulnerable else {}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def audited(url: str) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, ROOT / ".ci/audit.py", url], check=False, capture_output=True, text=True
    )
    return done.returncode, done.stdout


def test_what_the_database_knows_nothing_against_is_clean() -> None:
    with database("of-nobody") as url:
        code, said = audited(url)

    assert (code, said) == (0, "audit: 13 packages of the layer, no known vulnerability\n")


def test_a_known_vulnerability_is_named_and_fails() -> None:
    with database("httpx") as url:
        code, said = audited(url)

    assert code == 1
    assert "httpx 0.28.1: PYSEC-2026-1, mended in ['99']" in said


def test_a_database_that_is_not_there_is_neither_clean_nor_vulnerable() -> None:
    with database("of-nobody") as url:
        pass
    code, said = audited(url)

    assert code == 3
    assert "COULD NOT ASK" in said
