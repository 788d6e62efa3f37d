"""The journal in sentences: every line has words, in order, page after page."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal import clock, confirmation, history, journal, language, organisation, outbox
from portal import verification as verifications
from portal.account import Role
from portal.campaign.tables import campaigns  # noqa: F401 - its rows are made with the others
from portal.confirmation import course
from portal.database import db
from portal.gateways import Reason
from portal.history import EVENTS, Kind, Place, Told
from portal.organisation import Status
from portal.recovery import Refusal, State
from tests.conftest import LOMOVA
from tests.people import act, enrol
from tests.test_house import FILES, TEMPLATES, path_of, posted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from flask import Flask

    from tests.conftest import Post, Time

ORGANISATION = "ORG-004217"
CHAIN = f"organisation:{ORGANISATION}"

# What the parts of a name may be that the code computes, where it computes them.
COMPUTED: dict[tuple[str, str], Collection[str]] = {
    ("access.py", "what"): {
        *("access.refused", "case.approval_refused", "case.own_refused", "case.forged"),
    },
    ("organisation/status.py", "to"): set(Status),
    ("confirmation/course.py", "to"): set(course.ENDINGS),
    ("confirmation/course.py", "kind"): {"phone", "email"},
    ("recovery/opening.py", "state"): {State.OPENED, State.ROUTED},
    ("recovery/course.py", "str(to)"): set(State) - {State.OPENED, State.ROUTED},
    ("campaign/course.py", "EVENTS.get(to, begun)"): {
        *("campaign.started", "campaign.resumed", "campaign.paused"),
        *("campaign.cancelled", "campaign.done"),
    },
}
# Functions that pass on the name of an event, or a part of it: the place of that argument.
PASSED_ON = {
    ("recovery/course.py", "what"): ("note", 1),
    ("routes/support.py", "what"): ("_note", 0),
    ("verification/course.py", "what"): ("_note", 1),
}


def calls(name: str, folder: str = "") -> Iterator[tuple[str, ast.Call]]:
    """Every call of a function, and the file that it is in."""
    for file in FILES:
        if path_of(file).startswith(folder):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                    yield path_of(file), node


def values_of(path: str, node: ast.expr) -> set[str]:
    """All that an expression may be that names an event."""
    if isinstance(node, ast.Constant):
        return {str(node.value)}
    if isinstance(node, ast.IfExp):
        return values_of(path, node.body) | values_of(path, node.orelse)
    if isinstance(node, ast.JoinedStr):
        found = {""}
        for part in node.values:
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            found = {begun + each for begun in found for each in values_of(path, inner)}
        return found
    written = ast.unparse(node)
    if (path, written) in PASSED_ON:
        name, place = PASSED_ON[path, written]
        folder = path.rpartition("/")[0] if name == "note" else path
        found = set()
        for where, call in calls(name, folder):
            found |= values_of(where, call.args[place])
        return found
    assert (path, written) in COMPUTED, f"{path} records {written}: say in COMPUTED what it may be"
    return set(COMPUTED[path, written])


def recorded() -> set[str]:
    """The names of all events that the code records."""
    found: set[str] = set()
    for path, call in calls("journal.record"):
        found |= values_of(path, call.args[1])
    return found


def test_every_event_has_a_sentence() -> None:
    names = recorded()
    assert len(names) > 60
    assert not names - EVENTS.keys(), "give it a sentence in portal/history.py"


def test_no_sentence_is_of_an_event_that_is_gone() -> None:
    assert not EVENTS.keys() - recorded()


def test_every_letter_has_a_name_for_the_journal() -> None:
    letters = set(posted())
    assert {letter for channel, letter in letters if channel == "email"} == history.LETTERS.keys()
    assert {letter for channel, letter in letters if channel == "sms"} == history.SMS.keys()


def test_a_letter_is_called_by_its_subject() -> None:
    for letter, name in history.LETTERS.items():
        lines = (TEMPLATES / f"letters/{letter}.txt").read_text().splitlines()
        subject = next(line for line in lines if line and not line.startswith("{%"))
        assert name == subject or "{" in subject, letter


def test_every_word_of_a_line_has_words() -> None:
    assert history.TROUBLES.keys() == set(Reason)
    assert history.DENIED.keys() == set(Refusal)
    labels = organisation.ORGANISATION_FIELDS | organisation.PERSON_FIELDS
    assert history.CHANGED.keys() == labels.keys()
    kinds = {event.kind for event in EVENTS.values()}
    assert kinds <= history.KIND_NAMES.keys()
    assert kinds <= {*history.ORGANISATION_KINDS, *history.ACCOUNT_KINDS}


# What an organisation's journal says


@pytest.fixture
def told(keep: Callable[..., None]) -> Callable[..., list[Told]]:
    keep()

    def read(**chosen: Any) -> list[Told]:
        with db.reading():
            return history.of_organisation(ORGANISATION, **{"most": 50} | chosen)

    return read


def sentences(lines: list[Told]) -> list[str]:
    return [line.sentence for line in lines]


def test_a_changed_phone_says_what_it_was_and_is(
    keep: Callable[..., None], told: Callable[..., list[Told]]
) -> None:
    keep(phone="+79215550100")
    newest = told()[0]
    assert newest.sentence == "Изменён номер телефона: +7 921 555-01-47 → +7 921 555-01-00"
    assert (newest.kind, newest.more) == (Kind.DATA, ())


@pytest.mark.parametrize("field", [*organisation.ORGANISATION_FIELDS, *organisation.PERSON_FIELDS])
def test_each_field_has_a_sentence_of_its_own(
    keep: Callable[..., None], told: Callable[..., list[Told]], field: str
) -> None:
    old = LOMOVA
    new = replace(old, **{field: "+79215550100" if field == "phone" else "иное значение"})
    act(
        lambda: organisation.save(
            ORGANISATION, new, "a@a.example", "", "tests", is_another_person=False
        )
    )
    newest = next(line for line in told() if " → " in line.sentence)
    assert newest.sentence.startswith(("Изменён ", "Изменена ", "Изменено "))
    assert newest.sentence.endswith(
        " → +7 921 555-01-00" if field == "phone" else " → иное значение"
    )


def test_an_empty_value_is_said_to_be_none(
    keep: Callable[..., None], told: Callable[..., list[Told]]
) -> None:
    keep(postal_address="163000, г. Архангельск, а/я 12")
    assert told()[0].sentence == (
        "Изменён почтовый адрес: не указано → 163000, г. Архангельск, а/я 12"
    )


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"position": "Директор", "email": "b@b.example"}, "Изменены данные ответственного лица"),
        (
            {"short_name": "ООО «Тракт»", "name": "ООО «Тракт» целиком"},
            "Изменены сведения об организации",
        ),
        (
            {"short_name": "ООО «Тракт»", "position": "Директор"},
            "Изменены данные организации и ответственного лица",
        ),
        ({"first_name": "Инна", "position": "Юрист"}, "Назначено другое ответственное лицо"),
        ({"first_name": "Инна"}, "Назначено другое ответственное лицо"),
    ],
)
def test_several_fields_are_a_list(
    keep: Callable[..., None],
    told: Callable[..., list[Told]],
    changed: dict[str, str],
    sentence: str,
) -> None:
    keep(**changed)
    newest = told()[0]
    assert newest.sentence == sentence
    assert len(newest.more) == len(changed)
    for name, value in changed.items():
        assert any(each.endswith(f"{getattr(LOMOVA, name)} → {value}") for each in newest.more), (
            newest.more
        )


def test_records_that_are_gone_leave_the_names_of_their_fields(
    keep: Callable[..., None], told: Callable[..., list[Told]]
) -> None:
    act(
        lambda: journal.record(
            CHAIN,
            "record.changed",
            "tests",
            old=998,
            new=999,
            fields=["phone", "email"],
            another_person=False,
        )
    )
    assert told()[0].sentence == "Изменены данные: Номер мобильного телефона, Email"


def test_what_changed_beside_the_record_is_named(told: Callable[..., list[Told]]) -> None:
    act(
        lambda: organisation.save(
            ORGANISATION, LOMOVA, "new@sever-trakt.example", "10.30.0.0/16", "tests"
        )
    )
    assert told()[0].sentence == "Изменено: email администратора, сети защищённого канала"


def test_a_whole_life_in_sentences(
    app: Flask,
    keep: Callable[..., None],
    ask: Callable[..., str | None],
    told: Callable[..., list[Told]],
    post: Post,
    time: Time,
) -> None:
    owner = enrol("a@sever-trakt.example", Role.ADMINISTRATOR, name="Соколова Анна Юрьевна")
    specialist = enrol("s@izkt.example", Role.SPECIALIST, name="Власов Олег Ильич")
    administrator, judge = owner.account, specialist.account

    def now() -> organisation.Organisation:
        found = organisation.find(ORGANISATION)
        assert found
        return found

    def prove() -> None:
        asked = confirmation.request(now(), administrator.id)
        assert asked
        for kind in ("phone", "email"):
            found = confirmation.find(asked)
            assert found
            course.prove(found, kind, "10.20.4.17")

    def verify(remarks: dict[str, str]) -> None:
        waiting = verifications.open_one(ORGANISATION)
        assert waiting
        assert verifications.take(waiting, judge)
        waiting = verifications.find(waiting.id)
        assert waiting
        if remarks:
            verifications.send_back(waiting, judge, remarks, "10.20.4.30")
        else:
            verifications.verify(waiting, judge, "10.20.4.30")

    def submit() -> None:
        assert verifications.submit(now(), administrator, "10.20.4.11") is verifications.Sent.SENT

    for step in (prove, submit, lambda: verify({"inn": "Не тот."}), submit, lambda: verify({})):
        time.passes(minutes=1)
        act(step)
        post.deliver()
    time.passes(minutes=1)
    act(
        lambda: organisation.save(
            ORGANISATION,
            replace(LOMOVA, phone="+79215550100"),
            "a.sokolova@sever-trakt.example",
            "",
            administrator.id,
            "10.20.4.11",
        )
    )
    time.passes(minutes=1)
    act(lambda: organisation.discard_edit(now(), administrator.id, "10.20.4.11"))
    lines = told()
    said = sentences(lines)
    restored = "Проверенные реквизиты возвращены. Статус: «Изменение реквизитов» → «Проверена»"
    assert said[0] == restored
    assert said[1] == "Статус: «Проверена» → «Изменение реквизитов»"
    assert said[2] == "Изменён номер телефона: +7 921 555-01-47 → +7 921 555-01-00"
    assert {each for each in said if each.startswith("Письмо")} == {
        "Письмо «Организация проверена» передано почтовому серверу",
        "Письмо «Организация возвращена на доработку» передано почтовому серверу",
        "Письмо «Проверка завершена» передано почтовому серверу",
    }
    assert [each for each in said[3:] if not each.startswith("Письмо")] == [
        "Данные проверены. Статус: «Требует проверки» → «Проверена»",
        "Проверка взята в работу",
        "Отправлена на проверку. Статус: «Не проверена» → «Требует проверки»",
        "Возвращена с замечаниями. Статус: «Требует проверки» → «Не проверена»",
        "Проверка взята в работу",
        "Отправлена на проверку. Статус: «Не проверена» → «Требует проверки»",
        "Запрос выполнен: телефон и email подтверждены",
        "Email подтверждён по ссылке из письма",
        "Телефон подтверждён кодом из СМС",
        "Подтверждение данных запрошено",
        "Организация добавлена",
    ]
    by = {line.sentence: line for line in lines}
    assert by[said[0]].who == "Соколова Анна Юрьевна"
    assert by[said[0]].address == "10.20.4.11"
    assert by["Проверка взята в работу"].who == "Власов Олег Ильич"
    assert by["Телефон подтверждён кодом из СМС"].who == "ответственное лицо"
    assert by["Письмо «Организация проверена» передано почтовому серверу"].who == "доставка"
    assert by["Организация добавлена"].who == "tests", "an unknown actor stands as it is"


@pytest.mark.parametrize(
    ("actor", "who"),
    [
        ("command", "оператор портала (командная строка)"),
        ("portal", "портал"),
        ("A" * 22, "A" * 22),
    ],
)
def test_who_has_no_account_is_told_plainly(
    told: Callable[..., list[Told]], actor: str, who: str
) -> None:
    act(lambda: journal.record(CHAIN, "organisation.created", actor))
    assert told()[0].who == who


def test_an_account_without_a_name_is_told_by_its_email(told: Callable[..., list[Told]]) -> None:
    nameless = enrol("b@sever-trakt.example", Role.ADMINISTRATOR, name="").account
    act(lambda: journal.record(CHAIN, "organisation.created", nameless.id))
    assert told()[0].who == "b@sever-trakt.example"


def test_a_message_that_never_left_says_why(told: Callable[..., list[Told]]) -> None:
    for letter, sentence in (
        ("confirmation", "Письмо «Подтверждение данных» не доставлено: нет связи с сервером"),
        ("code", "СМС с кодом не доставлена: нет связи с сервером"),
    ):
        act(
            lambda letter=letter: journal.record(
                CHAIN, "message.failed", "delivery", letter=letter, reason=Reason.UNREACHABLE
            )
        )
        newest = told()[0]
        assert (newest.sentence, newest.kind) == (sentence, Kind.MESSAGES)


def test_taking_over_from_a_colleague_says_so(told: Callable[..., list[Told]]) -> None:
    taken = "verification.taken"
    act(lambda: journal.record(CHAIN, taken, "portal", instead_of="A" * 22))
    assert told()[0].sentence == "Проверка забрана у коллеги"


def test_a_reason_is_told_in_the_words_of_its_line(told: Callable[..., list[Told]]) -> None:
    for name, words in (
        ("case.cancelled", "Учётную запись приостановили."),
        ("case.denied", "учётная запись приостановлена"),
    ):
        act(lambda name=name: journal.record(CHAIN, name, "portal", case=1, reason="suspended"))
        assert told()[0].sentence.endswith(words)


def test_a_name_of_another_version_stands_as_it_is(told: Callable[..., list[Told]]) -> None:
    act(lambda: journal.record(CHAIN, "future.seen", "portal"))
    assert told()[0].sentence == "Событие «future.seen»"


def test_every_sentence_can_be_said_without_its_details(told: Callable[..., list[Told]]) -> None:
    """Lines of an older version may lack some."""
    for name in EVENTS:
        act(lambda name=name: journal.record(CHAIN, name, "portal"))
    lines = told(most=len(EVENTS))
    assert len(lines) == len(EVENTS)
    assert not any("%(" in line.sentence for line in lines)


# Order, pages, and what is chosen


def post_some(sent: int) -> list[str]:
    return [
        act(lambda: outbox.post("email", "verified", "a@a.example", ORGANISATION))
        for _message in range(sent)
    ]


def left(id: str) -> None:
    """A message left at this moment."""
    rows = outbox.messages
    act(
        lambda: db.execute(
            rows.update().where(rows.c.id == id).values(delivered_at=clock.now(), due_at=None)
        )
    )


@given(
    steps=st.lists(st.sampled_from(["line", "message", "later", "earlier"]), max_size=25),
    most=st.integers(1, 7),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_page_after_page_tells_each_line_once(
    told: Callable[..., list[Told]], steps: list[str], most: int
) -> None:
    """Lines and messages at one moment, and a clock that was put back, included."""
    act(lambda: db.execute(journal.events.delete().where(journal.events.c.chain == CHAIN)))
    act(lambda: db.execute(outbox.messages.delete()))
    for step in steps:
        if step == "line":
            act(lambda: journal.record(CHAIN, "codes.paused", "responsible"))
        elif step == "message":
            left(post_some(1)[0])
        else:
            clock.shift(timedelta(seconds=5 if step == "later" else -3))
    whole = told(most=100)
    assert len(whole) == steps.count("line") + steps.count("message")
    numbers = [line.number for line in whole if line.number]
    assert numbers == sorted(numbers, reverse=True)
    paged: list[Told] = []
    while page := told(most=most, before=paged[-1].place if paged else None):
        assert len(page) <= most
        paged += page
    assert [(each.number, each.at) for each in paged] == [(each.number, each.at) for each in whole]
    with db.reading():
        assert len(list(history.whole(history.of_organisation, ORGANISATION))) == len(whole)


def test_what_happens_meanwhile_is_not_told_on_a_later_page(
    told: Callable[..., list[Told]], time: Time
) -> None:
    for _line in range(4):
        time.passes(seconds=1)
        act(lambda: journal.record(CHAIN, "codes.paused", "responsible"))
    first = told(most=2)
    time.passes(seconds=1)
    act(lambda: journal.record(CHAIN, "code.wrong", "responsible", in_a_row=1))
    left(post_some(1)[0])
    rest = told(before=first[-1].place)
    assert [line.number for line in rest] == [3, 2, 1]


def test_only_what_left_is_told_of_messages(told: Callable[..., list[Told]], time: Time) -> None:
    ids = post_some(3)
    act(lambda: outbox.withdraw(ids[1]))
    time.passes(seconds=1)
    left(ids[2])
    lines = told(kind=Kind.MESSAGES)
    assert sentences(lines) == ["Письмо «Организация проверена» передано почтовому серверу"]
    assert lines[0].number is None


def test_one_kind_alone(
    told: Callable[..., list[Told]], ask: Callable[..., str | None], post: Post
) -> None:
    ask()
    post.deliver()
    assert sentences(told(kind=Kind.DATA)) == ["Организация добавлена"]
    assert sentences(told(kind=Kind.CONFIRMATION)) == ["Подтверждение данных запрошено"]
    assert sentences(told(kind=Kind.MESSAGES)) == [
        "Письмо «Подтверждение данных» передано почтовому серверу"
    ]
    assert told(kind=Kind.PEOPLE) == []


def test_only_what_is_within_two_moments(told: Callable[..., list[Told]], time: Time) -> None:
    moments = []
    for _line in range(3):
        time.passes(hours=1)
        moments.append(clock.now())
        act(lambda: journal.record(CHAIN, "codes.paused", "responsible"))
        left(post_some(1)[0])
    between = {"since": moments[1], "until": moments[2]}
    lines = told(**between)
    assert [line.number for line in lines] == [None, 3]
    assert len(told(since=moments[1])) == 4
    assert len(told(until=moments[1])) == 3


def test_another_organisations_lines_are_not_told(
    keep: Callable[..., None], told: Callable[..., list[Told]], time: Time
) -> None:
    keep("ORG-2")
    act(lambda: journal.record("organisation:ORG-2", "codes.paused", "responsible"))
    left(act(lambda: outbox.post("email", "verified", "a@a.example", "ORG-2")))
    assert sentences(told()) == ["Организация добавлена"]
    owner = enrol("p@sever-trakt.example").account
    act(lambda: journal.record(owner.chain, "factors.paused", owner.id))
    assert sentences(told()) == ["Организация добавлена"]


def test_an_accounts_journal_is_told_in_the_same_way(
    keep: Callable[..., None], post: Post, time: Time
) -> None:
    keep()
    owner = enrol("p@sever-trakt.example", codes=True, name="Петров Пётр Петрович").account
    with db.reading():
        lines = history.of_account(owner.id, most=50)
    assert set(sentences(lines)) >= {
        "Учётная запись создана, роль: Оператор",
        "Добавлена организация ORG-004217",
        "Добавлено устройство: приложение-аутентификатор",
        "Получены новые резервные коды, прежние не действуют",
    }
    assert lines[0].who == "Петров Пётр Петрович"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2",
        "1.2.",
        "x.2.~",
        "1.2.~.3",
        "-1.2.~",
        "9" * 19 + ".1.~",
        "1." + "9" * 18 + ".~",
        "1.2.%",
        "１.2.~",
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    assert not history.is_place(text)


def test_a_place_is_read_as_it_was_written() -> None:
    place = Place(12, clock.now(), "~")
    assert Place.read(place.written()) == place
    assert history.is_place("999999999999999999.99999999999999999.~")


# What it costs


def statements_of(read: Callable[[], object]) -> int:
    """How many statements run meanwhile."""
    ran: list[str] = []
    with db.reading():
        driver: Any = db.connection.connection.driver_connection
        driver.set_trace_callback(ran.append)
        try:
            read()
        finally:
            driver.set_trace_callback(None)
    return len(ran)


@pytest.mark.sqlite
def test_a_page_of_fifty_takes_as_many_statements_as_one_line(
    keep: Callable[..., None], told: Callable[..., list[Told]]
) -> None:
    people = [enrol(f"p{number}@sever-trakt.example").account for number in range(5)]
    for number in range(60):
        keep(phone=f"+792155501{number:02}")
        actor = people[number % 5].id
        act(lambda actor=actor: journal.record(CHAIN, "codes.paused", actor))
    costs = set()
    for most in (2, 50, 100):
        costs.add(statements_of(partial(history.of_organisation, ORGANISATION, most=most)))
    assert costs == {4}, "lines, messages, names, records"


@pytest.mark.sqlite
def test_lines_are_found_by_their_index(told: Callable[..., list[Told]]) -> None:
    for names, since in ((0, False), (3, True)):
        statement = journal._newest(names, since=since, until=since)
        values = {"of": "", "before": 1, "most": 1, "since": clock.now(), "until": clock.now()}
        values |= {f"name_{place}": "" for place in range(names)}
        with db.reading():
            text = db._prepare(statement, values).sql
            marks = [""] * text.count("?")
            plan = db.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", tuple(marks))
            words = " ".join(str(row[-1]) for row in plan)
        assert re.search(r"SEARCH events USING INDEX \w+ \(chain=\? AND number<\?\)", words), words
        assert "SCAN" not in words
        assert "TEMP B-TREE" not in words


def test_an_actor_without_a_name_is_none_in_english_either(
    app: Flask, told: Callable[..., list[Told]]
) -> None:
    """An empty text is what a catalogue keeps its own notes under."""
    act(lambda: journal.record(CHAIN, "case.opened", "", service="", case=1))
    with app.test_request_context():
        language.choose("en")
        try:
            newest = told()[0]
        finally:
            language.choose(None)
    assert newest.who == ""
    assert "Project-Id" not in newest.sentence


def test_no_sentence_names_a_table_or_a_column() -> None:
    for event in EVENTS.values():
        assert not re.search(r"[a-z]+_[a-z]+", re.sub(r"%\(\w+\)s", "", event.sentence))


# The chains checked


def test_every_line_passes_who_counts_them(told: Callable[..., list[Told]]) -> None:
    passed = 0

    def watched(lines: journal.Stored) -> journal.Stored:
        nonlocal passed
        for line in lines:
            passed += 1
            yield line

    act(lambda: journal.record("account:1", "codes.paused", "portal"))
    act(lambda: journal.record(CHAIN, "codes.paused", "portal"))
    with db.reading():
        assert journal.first_broken_line(watched) is None
        assert passed == journal.length() == 3


def test_a_filter_shows_every_line_that_its_chain_may_have() -> None:
    of_both = {"database.restored", "message.failed", "message.sent_again"}
    for kinds in (history.ORGANISATION_KINDS, history.ACCOUNT_KINDS):
        assert {EVENTS[name].kind for name in of_both} <= set(kinds)
