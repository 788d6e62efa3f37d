"""Templates, compiled once for all tests of a process: each has an application of its own."""

from __future__ import annotations

import jinja2


class Compiled(jinja2.BytecodeCache):
    """What was compiled; Jinja looks whether a template is still the same."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if bucket.key in self.known:
            bucket.bytecode_from_string(self.known[bucket.key])

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self.known[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()
