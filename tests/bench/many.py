"""What a list, a search and one page take with 100,000 organisations, against 1,000.

Two portals, alike but for how many organisations there are, answer the same requests of an
administrator of them all, in turns, so that both meet the same machine. A figure is the median of
many requests, over HTTP, in milliseconds.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import pyotp
from sqlalchemy import insert, literal, select
from tqdm import tqdm

from portal import clock, config, create_app
from portal.account import Role
from portal.database import db
from portal.organisation import memberships, organisations
from tests.bench.journey import Client, started, wait_for
from tests.people import PASSWORD, Person, enrol

SIZES = {1_000: 8481, 100_000: 8482}  # organisations, and the port of their portal
ROUNDS = 300
FIRST = "ORG-000000"
ADMINISTRATOR = "administrator@bench.example"
PLACES = ("Северный", "Речной", "Волжский", "Камский", "Полярный", "Степной", "Горный", "Лесной")
KINDS = ("тракт", "путь", "перевозчик", "автопарк", "экспресс", "рейс", "караван", "транзит")
HEADER = (
    "id,name,short_name,inn,kpp,ogrn,legal_address,administrator_email,responsible_last_name,"
    "responsible_first_name,responsible_patronymic,responsible_position,responsible_phone,"
    "responsible_email"
)
REQUESTS = {  # each with one of the first 1,000 organisations, which are the same in both
    "list": "/organisations",
    "further on": "/organisations?after=ORG-{number:06}",
    "search by name": "/organisations?q={word}",
    "search by ID": "/organisations?q=ORG-{number:06}",
    "search by ИНН": "/organisations?q={inn}",
    "one status": "/organisations?status=unverified",
    "one page": "/organisations/ORG-{number:06}",
}


def write(file: Path, count: int) -> None:
    """A CSV of organisations whose names differ as names do."""
    with file.open("w", encoding="utf-8") as out:
        out.write(HEADER + "\n")
        for number in range(count):
            place, kind = PLACES[number % 8], KINDS[number // 8 % 8]
            name = f"{place} {kind} {number}"
            out.write(
                f"ORG-{number:06},Общество с ограниченной ответственностью «{name}»,ООО «{name}»,"
                f'{inn(number)},290101001,{ogrn(number)},"163000, г. Архангельск, ул. Поморская, '
                f'д. 12",{ADMINISTRATOR},Ломова,Ирина,Васильевна,Главный механик,'
                f"+7921{number:07},person{number}@bench.example\n"
            )


def inn(number: int) -> str:
    """An ИНН of ten digits with the right one at the end."""
    digits = f"2901{number:05}"
    weights = (2, 4, 10, 3, 5, 9, 4, 6, 8)
    total = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
    return f"{digits}{total % 11 % 10}"


def ogrn(number: int) -> str:
    """An ОГРН of thirteen digits with the right one at the end."""
    digits = f"10229{number:07}"
    return f"{digits}{int(digits) % 11 % 10}"


def prepare(place: Path, count: int, environment: dict[str, str]) -> Person:
    """A database with so many organisations, and the administrator of them all."""
    write(place / f"{count}.csv", count)
    for command in (
        ["database", "upgrade"],
        ["organisations", "import", str(place / f"{count}.csv")],
    ):
        subprocess.run(
            [sys.executable, "-m", "portal", *command], env=os.environ | environment, check=True
        )
    app = create_app(config.load(environment))
    with app.app_context():
        person = enrol(ADMINISTRATOR, Role.ADMINISTRATOR, FIRST)
        with db.writing():
            own = literal(person.account.id)
            others = select(own, organisations.c.id, organisations.c.status, literal(clock.now()))
            db.connection.execute(
                insert(memberships).from_select(
                    ["account_id", "organisation_id", "status", "since"],
                    others.where(organisations.c.id != FIRST),
                )
            )
            db.commit()
    db.dispose()
    return person


def sign_in(client: Client, person: Person) -> None:
    client.get("/signin")
    client.post("/signin", email=person.account.email, password=PASSWORD)
    later = pyotp.TOTP(person.secret).at(clock.now(), counter_offset=1)  # the last one is used
    client.post("/signin/factor", code=later)


def measure(clients: dict[int, Client], address: str) -> dict[int, float]:
    """The median of many requests to each portal, in milliseconds."""
    times: dict[int, list[float]] = {size: [] for size in clients}
    turns = [list(clients.items()), list(reversed(clients.items()))]
    for number, turn in zip(range(ROUNDS), cycle(turns)):
        values = {
            "number": number * 3,
            "word": quote(PLACES[number % 8][:5]),
            "inn": inn(number * 3),
        }
        for size, client in turn:
            begin = time.perf_counter()
            client.get(address.format(**values))
            times[size].append(time.perf_counter() - begin)
    return {size: statistics.median(each) * 1000 for size, each in times.items()}


def main() -> None:
    place = Path(tempfile.mkdtemp())
    key = urlsafe_b64encode(os.urandom(32)).decode()
    common = {
        "PORTAL_SECRET_KEY": key,
        "PORTAL_DATA_KEYS": key,
        "PORTAL_SECURE_NETWORKS": "127.0.0.0/8",
        "PORTAL_FLOOD_PER_MINUTE": "1000000",
        "PORTAL_FLOOD_FORMS_PER_MINUTE": "1000000",
        "PORTAL_MAIL_URL": "inbox:",
        "PORTAL_SMS_URL": "inbox:",
    }
    environments = {
        size: common
        | {
            "PORTAL_BASE_URL": f"http://127.0.0.1:{port}",
            "PORTAL_DATABASE_URL": f"sqlite:///{place}/{size}.db",
        }
        for size, port in SIZES.items()
    }
    try:
        people = {size: prepare(place, size, each) for size, each in environments.items()}
        with ExitStack() as running:
            clients = {}
            for size, port in SIZES.items():
                serve = ["-m", "portal", "serve", "--port", str(port)]
                running.enter_context(started(*serve, environment=environments[size]))
                wait_for(port, "/health/ready")
                clients[size] = Client(port)
                sign_in(clients[size], people[size])
            report(clients)
    finally:
        shutil.rmtree(place)


def report(clients: dict[int, Client]) -> None:
    few, many = SIZES
    measured = {}
    for name, address in tqdm(REQUESTS.items(), disable=None, leave=False):
        measured[name] = measure(clients, address)
    print(f"ms per request       {few:>8,}{many:>10,}  ratio")
    for name, times in measured.items():
        print(f"{name:<20} {times[few]:>8.2f}{times[many]:>10.2f}{times[many] / times[few]:>7.2f}")
    worst = max(times[many] / times[few] for times in measured.values())
    print(f"100,000 organisations / 1,000: {worst:.2f}")


if __name__ == "__main__":
    main()
