"""A backend for hooks, with nothing but Python: who may connect, what may be said, and what is answered to calls.

    python3 backend.py
    openline serve --config hooks.toml
"""

import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def decide(path, question):
    if path == "/connect":
        name = (question.get("data") or {}).get("name", "")
        if not name:
            return {"disconnect": {"code": 4501, "reason": "say your name in data.name"}}
        return {"result": {"user": name, "info": {"name": name}, "expire_at": int(time.time()) + 300}}
    if path == "/refresh":
        return {"result": {"expire_at": int(time.time()) + 300}}
    if path == "/subscribe":
        return {"result": {"data": {"welcome": question["channel"]}}}
    if path == "/publish":
        text = str((question.get("data") or {}).get("text", ""))
        if "spam" in text:
            return {"error": {"code": 403, "message": "no spam"}}
        return {"result": {"data": {"text": text[:500]}}}
    if path == "/rpc" and question.get("method") == "time":
        return {"result": {"data": {"now": time.time()}}}
    return {"error": {"code": 404, "message": "nothing to call by that name"}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps(decide(self.path, question)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 3001))), Handler).serve_forever()
