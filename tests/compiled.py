"""Templates and routes, compiled once for all tests of a process: each makes its own portal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jinja2
from werkzeug.routing import Rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType


class Compiled(jinja2.BytecodeCache):
    """What was compiled, and of which words of a template."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, CodeType | None]] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        words, code = self.known.get(bucket.key, ("", None))
        if words == bucket.checksum:
            bucket.code = code

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self.known[bucket.key] = bucket.checksum, bucket.code


COMPILED = Compiled()

# Werkzeug writes two functions for each route that make its addresses: two thirds of what it takes
# to make an application. They depend on the route alone, and are given it when they are called.
_compile_builder: Callable[[Rule, bool], Callable[..., Any]] = Rule._compile_builder


def _compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
    words = (rule.rule, *rule._trace, repr(rule.defaults), append_unknown)
    if words not in _builders:
        _builders[words] = _compile_builder(rule, append_unknown)
    return _builders[words]


_builders: dict[tuple[object, ...], Callable[..., Any]] = {}
Rule._compile_builder = _compile_once  # type: ignore[assignment, method-assign]
