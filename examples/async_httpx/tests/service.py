"""A stand-in for the service, on this machine: ``python tests/service.py 8000``. It takes a tenth of a second for each answer."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service(BaseHTTPRequestHandler):
    """Finds a page for each word."""

    protocol_version = "HTTP/1.1"  # a connection stays open for the next question

    def do_POST(self) -> None:
        words = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"].split()
        time.sleep(0.1)
        body = json.dumps({"hits": len(words)}).encode()
        self.send_response(200 if words else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service).serve_forever()
