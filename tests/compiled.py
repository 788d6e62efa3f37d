"""Templates and routes, compiled once for all tests of a process: each makes its own portal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jinja2
from werkzeug.routing import Rule

from portal import language

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType


class Compiled(jinja2.BytecodeCache):
    """What was compiled, and of which words of a template."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, CodeType | None]] = {}

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """Of each language its own (portal/templating.py)."""
        return f"{language.chosen()} {super().get_cache_key(name, filename)}"

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        words, code = self.known.get(bucket.key, ("", None))
        if words == bucket.checksum:
            bucket.code = code

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self.known[bucket.key] = bucket.checksum, bucket.code


COMPILED = Compiled()

# What Werkzeug makes of a route takes most of the time that an application takes to begin. It
# depends on the route alone, but for two functions that are given the route when they are called.
_compile: Callable[[Rule], None] = Rule.compile
_compiled: dict[tuple[object, ...], Rule] = {}


def _compile_once(rule: Rule) -> None:
    words = (rule.rule, rule.subdomain, rule.host, rule.merge_slashes, repr(rule.defaults))
    first = _compiled.get(words)
    if first is None:
        _compile(rule)
        _compiled[words] = rule
        return
    rule.arguments = first.arguments
    rule._parts, rule._trace, rule._converters = first._parts, first._trace, first._converters
    for name in ("_build", "_build_unknown"):
        setattr(rule, name, getattr(first, name).__func__.__get__(rule))


Rule.compile = _compile_once  # type: ignore[assignment, method-assign]
