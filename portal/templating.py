"""Templates, compiled once for each language with its texts in their places.

A page says some fifty texts. Each would be a call, a look-up and an escape whenever it is shown;
what is said without values is a part of what stands around it instead.
"""

from typing import Any

from flask.templating import Environment
from jinja2 import Template, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.visitor import NodeTransformer

from portal import language


class Texts(NodeTransformer):
    """Puts a text in the place of each call of `_` that has no values."""

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        match node:
            case nodes.Call(
                node=nodes.Name(name="_"),
                args=[nodes.Const(value=str(text))],
                kwargs=[],
                dyn_args=None,
                dyn_kwargs=None,
            ):
                return nodes.Const(language.page_text(text), lineno=node.lineno)
        return node


class Compiler(CodeGenerator):
    def visit_Template(  # noqa: N802
        self, node: nodes.Template, frame: Frame | None = None
    ) -> None:
        super().visit_Template(Texts().visit(node), frame)


class InEachLanguage(Environment):
    """Jinja as Flask sets it up; whoever asks for a template gets it in the chosen language."""

    code_generator_class = Compiler

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.language = language.DEFAULT
        self._each = {self.language: self}  # shared by all of them

    def get_template(self, name: str | Template, *args: Any, **kwargs: Any) -> Template:
        chosen = language.chosen()
        if chosen == self.language:
            return super().get_template(name, *args, **kwargs)
        if chosen not in self._each:
            other = self.overlay()
            other.language = chosen
            self._each[chosen] = other  # only now may another thread find it
        return self._each[chosen].get_template(name, *args, **kwargs)
