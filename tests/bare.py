"""What a journey is measured against: pages with a table of 20 rows, and nothing behind them.

`plain` is a route of a Flask application that has nothing else. `portals` is the same table as a
route of the portal: through its layout, with its headers, and no database, session or form.
"""

from flask import Flask, render_template
from jinja2 import ChoiceLoader, DictLoader

from portal import create_app
from portal.door import Door

THREADS = 2

LAYOUT = """<!doctype html>
<html lang="ru">
<head><meta charset="utf-8"><title>{% block title %}{% endblock %}</title></head>
<body><header>ИЗКТ</header><main>{% block main %}{% endblock %}</main></body>
</html>"""
TABLE = """{% block title %}{{ title }}{% endblock %}
{% block main %}
<h1>{{ title }}</h1>
<table>{% for label, value in rows %}
<tr><th scope="row">{{ label }}</th><td>{{ value }}</td></tr>{% endfor %}
</table>
{% endblock %}"""
ROWS = [(f"Строка {number}", f"Значение № {number}") for number in range(20)]


def plain() -> Door:
    return Door(_plain(), THREADS)


def portals() -> Door:
    return Door(_portals(), THREADS)


def _plain() -> Flask:
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.jinja_loader = DictLoader(
        {"layout.html": LAYOUT, "bare.html": '{% extends "layout.html" %}' + TABLE}
    )
    app.add_url_rule("/bare", view_func=_page)
    return app


def _portals() -> Flask:
    app = create_app()
    bare = DictLoader({"bare.html": '{% extends "base.html" %}' + TABLE})
    app.jinja_loader = ChoiceLoader([bare, app.jinja_loader])  # type: ignore[list-item]
    app.add_url_rule("/bare", view_func=_page)
    return app


def _page() -> str:
    return render_template("bare.html", title="Сведения", rows=ROWS)
