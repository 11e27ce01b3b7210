"""A stand-in for the service, on this machine: ``python tests/service.py 8000``. It counts exclamation marks."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service(BaseHTTPRequestHandler):
    """Scores no empty text; one with ``busy`` in it only at the third try."""

    tries = 0

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        Service.tries += 1
        status = 422 if not text else 503 if "busy" in text and Service.tries % 3 else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"score": text.count("!")}).encode())

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service).serve_forever()
