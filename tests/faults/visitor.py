"""A plain browser without a story: cookies, forms, and where they lead."""

from __future__ import annotations

import re
from http.client import HTTPConnection
from urllib.parse import urlencode

from tests.faults.far_ends import HOST

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Visitor:
    def __init__(self, port: int) -> None:
        self.port = port
        self.path = self.text = ""
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> int:
        return self._ask("GET", path, None)

    def post(self, path: str, **fields: str) -> int:
        token = TOKEN.search(self.text)
        return self._ask(
            "POST", path, urlencode({"csrf_token": token[1] if token else ""} | fields)
        )

    def _ask(self, method: str, path: str, form: str | None) -> int:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = HTTPConnection(HOST, self.port, timeout=60)
        connection.request(method, path, form, headers)
        answer = connection.getresponse()
        self.path, self.text = path, answer.read().decode()
        connection.close()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                cookie, _, rest = value.partition("=")
                self._cookies[cookie] = rest.partition(";")[0]
        location = answer.getheader("Location")
        return self._ask("GET", location, None) if location else answer.status
