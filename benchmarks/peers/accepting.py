"""A server on loopback that takes whatever it is sent, for libraries that insist on one."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Accepting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815  # as http.server looks for them

    def log_message(self, *args):
        pass


def port():
    """The port of a server that takes all that is sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Accepting)
    Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
