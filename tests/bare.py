"""What a journey is measured against: a bare Flask route, a table of 20 rows through a layout."""

from flask import Flask, render_template
from jinja2 import DictLoader

LAYOUT = """<!doctype html>
<html lang="ru">
<head><meta charset="utf-8"><title>{% block title %}{% endblock %}</title></head>
<body><header>ИЗКТ</header><main>{% block main %}{% endblock %}</main></body>
</html>"""
PAGE = """{% extends "layout.html" %}
{% block title %}{{ title }}{% endblock %}
{% block main %}
<h1>{{ title }}</h1>
<table>{% for label, value in rows %}
<tr><th scope="row">{{ label }}</th><td>{{ value }}</td></tr>{% endfor %}
</table>
{% endblock %}"""
ROWS = [(f"Строка {number}", f"Значение № {number}") for number in range(20)]


def create_app() -> Flask:
    app = Flask(__name__)
    app.jinja_loader = DictLoader({"layout.html": LAYOUT, "page.html": PAGE})

    @app.get("/")
    def page() -> str:
        return render_template("page.html", title="Сведения", rows=ROWS)

    return app
