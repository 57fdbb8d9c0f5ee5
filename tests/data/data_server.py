"""A small HTTP server on loopback that can cut connections, ignore ranges and fail."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves one file at every path; ``log`` holds the Range header of each request."""

    def __init__(self, content: bytes):
        self.content = content
        self.log: list[str | None] = []
        self.cuts: list[int] = []  # bytes after which each of the next connections is cut
        self.ranges = True
        self.status = 200
        self.length = True  # whether Content-Length is sent
        self.gate = threading.Event()  # answers wait for it
        self.gate.set()
        self.url = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_address[1]}/tiny.zip"
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.log.append(asked)
        self.gate.wait(30)
        if self.status != 200:
            request.send_error(self.status)
            return
        body, start = self.content, 0
        if asked and self.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                request.send_error(416)
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            request.send_response(200)
        body = body[start:]
        if self.length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.cuts:
            body = body[: self.cuts.pop(0)]
        request.wfile.write(body)
        request.wfile.flush()
        request.close_connection = True
