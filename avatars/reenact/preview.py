"""A live preview in the browser: the newest picture, on this machine only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from dnr.errors import InputError
from dnr.images import jpeg_bytes

PORT = 8765
_EDGE = b"--picture"


class Preview:
    """The newest picture, and those who wait for it."""

    def __init__(self) -> None:
        self._new = threading.Condition()
        self._jpeg, self._count = b"", 0
        self.is_over = False

    def show(self, image: np.ndarray) -> None:  # uint8 [H, W, 3]
        """Replace the picture that is shown."""
        self._put(jpeg_bytes(image, 85))

    def end(self) -> None:
        """Let those who wait go."""
        self.is_over = True
        self._put(self._jpeg)

    def newest(self, seen: int) -> tuple[int, bytes]:
        """The number of the newest picture and its JPEG, once there is a later one than `seen`."""
        with self._new:
            self._new.wait_for(lambda: self._count > seen or self.is_over)
            return self._count, self._jpeg

    def _put(self, jpeg: bytes) -> None:
        with self._new:
            self._jpeg, self._count = jpeg, self._count + 1
            self._new.notify_all()


@contextmanager
def preview(port: int = PORT) -> Iterator[tuple[Preview, str]]:
    """A preview and its address, as long as the block runs. Nobody else in the network sees it."""
    shown = Preview()
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), _handler(shown))
    except OSError as error:
        raise InputError(
            f"the preview cannot use port {port} ({error.strerror}); end what uses it"
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield shown, f"http://127.0.0.1:{server.server_port}"
    finally:
        shown.end()
        server.shutdown()
        server.server_close()


def _handler(shown: Preview) -> type[BaseHTTPRequestHandler]:
    class Pictures(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            count = 0
            try:
                while not shown.is_over:
                    count, jpeg = shown.newest(count)
                    head = _EDGE + b"\r\nContent-Type: image/jpeg\r\n\r\n"
                    self.wfile.write(head + jpeg + b"\r\n")
            except ConnectionError:
                return  # the browser was closed

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the terminal shows the progress."""

    return Pictures
