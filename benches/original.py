"""The gateway in its first shape, to measure against: a threaded http.server in front of the Docker SDK.

Whatever is asked, it asks the engine; for the list it inspects one container after the other. Connections are kept and
answers are sent at once, in one piece, so that what is measured is this shape and not a slip in it.

    python3 original.py ENGINE PREFIX NAMES PORT

ENGINE is the engine's socket, PREFIX what the full names begin with, NAMES a file with one name a line.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import docker

ENGINE, PREFIX, NAMES, PORT = sys.argv[1:]

# One connection to the engine for each thread that may want one.
engine = docker.DockerClient(base_url=f"unix://{ENGINE}", version="1.41", max_pool_size=128)
with open(NAMES, encoding="utf-8") as names:
    managed = sorted(names.read().split())


def status(name):
    container = engine.containers.get(PREFIX + name)
    return {"container": name, "status": container.status, "running": container.status == "running"}


def answer(path):
    match path.strip("/").split("/"):
        case ["health"]:
            return 200, "ok"
        case ["containers"]:
            return 200, {"containers": [status(name) for name in managed]}
        case ["container", name, "status"] if name in managed:
            return 200, status(name)
        case ["container", name, "status"]:
            return 404, {"error": f"Container not found: {name}"}
    return 404, {"error": "Not found"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        try:
            code, value = answer(self.path)
        except docker.errors.NotFound as error:
            code, value = 404, {"error": str(error)}
        except Exception as error:
            code, value = 500, {"error": f"Docker error: {error}"}
        body = json.dumps(value, separators=(",", ":")).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", int(PORT)), Handler).serve_forever()
