"""Many who follow along, all in one process, and what they believe.

    followers.py PORT COUNT

Each asks 127.0.0.1:PORT for /events and reads what comes. It prints `ready` when all have a snapshot, `interrupted` when
all were told that nothing is known, and then `back MILLISECONDS` when all have a snapshot again: when the last one came,
since 1970. For each line on standard input it prints what they believe, `a=exited b=running`, each belief once. It ends
with its standard input, and with 1 where a connection ends before.
"""

import json
import selectors
import socket
import sys
import time

REQUEST = b"GET /events HTTP/1.1\r\nHost: test\r\nAccept: application/x-ndjson\r\n\r\n"


class Follower:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(REQUEST)
        self.socket.setblocking(False)
        self.begun = b""
        self.is_current = False
        self.states = {}

    def read(self):
        """Takes in what came; answers whether the connection goes on."""
        piece = self.socket.recv(65536)
        lines = (self.begun + piece).split(b"\n")
        self.begun = lines.pop()
        for line in lines:
            # The others are of the head, and the lengths of the chunks.
            if line.startswith(b"{"):
                self.hear(json.loads(line))
        return piece != b""

    def hear(self, told):
        if "containers" in told:
            self.is_current = True
            self.states = {one["container"]: one["status"] for one in told["containers"]}
        elif "current" in told:
            self.is_current = False
        elif "gone" in told:
            self.states.pop(told["container"], None)
        elif "status" in told:
            self.states[told["container"]] = told["status"]

    def belief(self):
        states = " ".join(f"{name}={state}" for name, state in sorted(self.states.items()))
        return states if self.is_current else "nothing"


def say(line):
    print(line, flush=True)


def main(port, count):
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    followers = []
    for _ in range(count):
        follower = Follower(port)
        followers.append(follower)
        selector.register(follower.socket, selectors.EVENT_READ, follower)
    current, was_ready, is_told = 0, False, True
    while True:
        for key, _ in selector.select():
            if key.data is None:
                if not sys.stdin.readline():
                    return 0
                say(" | ".join(sorted({follower.belief() for follower in followers})))
                continue
            current -= key.data.is_current
            if not key.data.read():
                return 1
            current += key.data.is_current
        if current == count and is_told:
            say(f"back {time.time_ns() // 1_000_000}" if was_ready else "ready")
            was_ready, is_told = True, False
        elif current == 0 and not is_told:
            say("interrupted")
            is_told = True


sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
