"""The specialist's console of organisations, with scripts off."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, select, text, update

from portal.account import Role
from portal.confirmation.tables import proofs
from portal.database import db
from portal.journal import events
from portal.organisation import Status
from portal.verification import Outcome
from tests.browser import Browser
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.lost_device import at_once, everything, press_twice, tab
from tests.people import Person, enrol
from tests.verifying import change, confirm, found, kept, report, send, waiting, waits

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.verification import Verification
    from tests.conftest import Post, Time

ID = "ORG-004217"
TAKE, TAKE_OVER, RELEASE = "Взять в работу", "Забрать себе", "Вернуть в очередь без решения"
VERIFY, RETURN = "Данные верны, проверено", "Вернуть с замечаниями"
STALE = "Страница устарела"


class Desk:
    """Two specialists, an administrator, and their browsers."""

    def __init__(self, new_browser: Callable[..., Browser]) -> None:
        self.new_browser = new_browser
        self.administrator = enrol(ADMINISTRATOR, Role.ADMINISTRATOR, ID, name="Соколова Анна")
        self.orlov = enrol("orlov@izkt.example", Role.SPECIALIST, name="Орлов Виктор Андреевич")
        self.belova = enrol("belova@izkt.example", Role.SPECIALIST, name="Белова Мария Игоревна")

    def sit(self, who: Person) -> Browser:
        """A browser on the queue."""
        return self.come(who).open("/verifications")

    def come(self, who: Person) -> Browser:
        return who.come_in(self.new_browser())

    def waiting(self, id: str = ID, networks: str = "", **changed: Any) -> Verification:
        return waiting(id, self.administrator.account, networks, **changed)

    def send(self, id: str = ID) -> Verification:
        return send(id, self.administrator.account)

    def at(self, one: Verification, who: Person | None = None) -> Browser:
        """A browser on the page of a verification."""
        return self.come(who or self.orlov).open(f"/verifications/{one.id}")

    def working(self, one: Verification, who: Person | None = None) -> Browser:
        """The same, having taken it."""
        return self.at(one, who).press(TAKE)


@pytest.fixture
def desk(new_browser: Callable[..., Browser], keep: Callable[..., None]) -> Desk:
    keep()
    return Desk(new_browser)


# The queue


def test_a_specialist_starts_at_the_queue(desk: Desk) -> None:
    browser = desk.orlov.sign_in(desk.new_browser())
    assert browser.path == "/verifications"
    assert browser.page.heading == "Проверка организаций"


def test_an_empty_queue_says_so_kindly(desk: Desk) -> None:
    browser = desk.sit(desk.orlov)
    assert browser.named("nothing").startswith("Всё проверено, никто не ждёт.")


def test_the_queue_says_who_waits_and_who_works_on_it(desk: Desk, time: Time) -> None:
    first = desk.waiting("ORG-1", short_name="ООО «Первый»")
    time.passes(minutes=1)
    second = desk.waiting("ORG-2", short_name="ООО «Второй»")
    time.passes(minutes=1)
    desk.waiting("ORG-3", short_name="ООО «Третий»")
    desk.working(first)
    desk.working(second, desk.belova)
    browser = desk.sit(desk.orlov)
    assert [line[:12] for line in browser.every("waiting")] == [
        "ООО «Первый»",
        "ООО «Второй»",
        "ООО «Третий»",
    ]
    assert browser.every("worker") == ["вы", "Белова М. И.", "свободна"]
    assert browser.every("status") == ["Требует проверки"] * 3
    assert "ORG-2" in browser.every("waiting")[1]
    browser.follow("ООО «Второй»")
    assert browser.page.heading == "ООО «Второй»"


def test_a_long_queue_is_read_page_after_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    monkeypatch.setattr("portal.routes.verifications.ON_A_PAGE", 2)
    for number in range(5):
        desk.waiting(f"ORG-{number}", short_name=f"ООО «{number}»")
        time.passes(minutes=1)
    browser = desk.sit(desk.orlov)
    seen = [browser.every("waiting")]
    while browser.has("next-page"):
        seen.append(browser.follow("Дальше").every("waiting"))
    assert [[line[:7] for line in page] for page in seen] == [
        ["ООО «0»", "ООО «1»"],
        ["ООО «2»", "ООО «3»"],
        ["ООО «4»"],
    ]
    assert len(browser.follow("К началу").every("waiting")) == 2


@pytest.mark.parametrize("after", ["", "nothing", "A" * 22, "\0", "я" * 500])
def test_a_page_after_nothing_is_the_first(desk: Desk, after: str) -> None:
    desk.waiting()
    browser = desk.sit(desk.orlov)
    answer = browser.ask("get", "/verifications", query_string={"after": after})
    assert answer.status_code == 200
    assert LOMOVA.short_name in answer.text


def poll_of(browser: Browser, part: str) -> str:
    """The address that a part of the page asks by itself."""
    found = browser.response.text.partition(f'hx-target="#{part}"')[0].rpartition('hx-get="')[2]
    return found.partition('"')[0].replace("&amp;", "&")


def asked(browser: Browser, url: str, part: str) -> tuple[int, str]:
    headers = {"HX-Request": "true", "HX-Target": f"div#{part}"}
    answer = browser.ask("get", url, headers=headers)
    return answer.status_code, answer.text


def test_the_queue_follows_by_itself(desk: Desk) -> None:
    desk.waiting("ORG-1")
    browser = desk.sit(desk.orlov)
    url = poll_of(browser, "queue")
    assert asked(browser, url, "queue") == (204, "")
    desk.working(waits("ORG-1"), desk.belova)
    status, text = asked(browser, url, "queue")
    assert status == 200
    assert text.startswith('<div id="queue"') or '<div id="queue"' in text
    assert "<html" not in text
    assert "Белова" in text
    desk.waiting("ORG-2")
    assert "ORG-2" in asked(browser, url, "queue")[1]


# One verification


def test_the_page_says_all_that_a_decision_rests_on(desk: Desk, post: Post) -> None:
    one = desk.waiting(postal_address="163000, г. Архангельск, а/я 7")
    post.deliver()
    browser = desk.at(one)
    assert browser.page.heading == LOMOVA.short_name
    for field in ("name", "inn", "legal_address", "postal_address", "last_name", "email"):
        expected = {"postal_address": "163000, г. Архангельск, а/я 7"}
        assert browser.named(field) == expected.get(field, getattr(LOMOVA, field)), field
    assert browser.named("phone") == "+7 921 555-01-47"
    assert browser.named("changes") == "Организацию проверяют впервые."
    assert "Соколова Анна" in browser
    assert browser.named("confirmed-by") == "Ломова Ирина Васильевна"
    for kind in ("phone", "email"):
        assert "подтверждён" in browser.named(f"contact-{kind}")
        assert "10.20.4.17" in browser.named(f"contact-{kind}")
        assert "отправитель: Соколова Анна" in browser.named(f"contact-{kind}")
    assert browser.every("channel") == ["защищённый канал портала"] * 2
    assert "Письмо «Проверка завершена»" in " ".join(browser.every("message"))
    assert "Запрос выполнен" in browser.named("request-state")
    assert browser.named("chain") == "Журнал цел"
    assert browser.every("sentence")[1].startswith("Отправлена на проверку.")
    assert "Свободна" in browser.named("turn")
    assert browser.follow("Весь журнал").path == f"/organisations/{ID}/journal"


def test_an_address_outside_the_channel_is_an_alarm(desk: Desk) -> None:
    change(ID, networks="10.30.0.0/24")
    confirm(ID, "phone", address="10.30.0.7")
    confirm(ID, "email", address="203.0.113.9")
    browser = desk.at(desk.send())
    assert browser.every("channel") == ["защищённый канал организации", "вне защищённого канала"]


def test_old_and_new_stand_side_by_side(desk: Desk, time: Time) -> None:
    browser = desk.working(desk.waiting()).press(VERIFY)
    time.passes(minutes=1)
    change(ID, position="Директор", phone="+79215550199")
    confirm(ID)
    browser.open(f"/verifications/{desk.send().id}")
    assert browser.every("changed-row") == [
        "ДолжностьГлавный механикДиректор",
        "Номер мобильного телефона+7 921 555-01-47+7 921 555-01-99",
    ]
    assert len(browser.every("changed")) == 2
    assert browser.named("status") == "Требует повторной проверки"
    [earlier] = browser.every("earlier")
    assert "данные проверены" in earlier
    assert "Орлов В. А." in earlier


def test_a_broken_journal_is_an_alarm(desk: Desk) -> None:
    one = desk.waiting()
    second = (events.c.chain == f"organisation:{ID}") & (events.c.number == 2)
    with db.writing():
        db.execute(update(events).where(second).values(actor="somebody"))
        db.commit()
    browser = desk.at(one)
    assert "Журнал нарушен: строка 2" in browser.named("chain")
    assert not browser.has("line")


def test_a_journal_that_cannot_be_read_is_an_alarm_too(desk: Desk) -> None:
    one = desk.waiting()
    last = f"chain = 'organisation:{ID}' ORDER BY number DESC LIMIT 1"
    with db.writing():
        db.execute(
            text(
                "UPDATE events SET at = 'yesterday', details = X'ff' "
                f"WHERE id = (SELECT id FROM events WHERE {last})"
            )
        )
        db.commit()
    browser = desk.at(one)
    assert browser.status == 200
    assert "Журнал нарушен: строка " in browser.named("chain")
    filed = json.loads(browser.ask("get", browser.page.links["Скачать JSON"]).text)
    assert filed["journal"]["is_whole"] is False


def test_it_can_be_filed_as_json(desk: Desk) -> None:
    browser = desk.at(desk.waiting())
    answer = browser.ask("get", browser.page.links["Скачать JSON"])
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith(f"attachment; filename=verification-{waits(ID).id}-20")
    filed = json.loads(answer.text)
    assert filed["record"]["fields"]["last_name"] == "Ломова"
    assert "Ломова" in answer.text, "as people read it"


def test_it_can_be_filed_whatever_letters_the_id_has(desk: Desk) -> None:
    browser = desk.at(desk.waiting("ОРГ-004217"))
    answer = browser.ask("get", browser.page.links["Скачать JSON"])
    assert answer.status_code == 200
    for header in answer.headers.values():
        header.encode("latin-1")  # all that a server sends
    assert json.loads(answer.text)["organisation"]["id"] == "ОРГ-004217"


def test_looking_at_it_changes_nothing(desk: Desk) -> None:
    browser = desk.at(desk.waiting())
    before = everything()
    for path in ("", "/evidence.json", "/take-over"):
        browser.ask("get", f"/verifications/{waits(ID).id}{path}")
    for path in ("/verifications", "/support/organisations", f"/support/organisations/{ID}"):
        browser.ask("get", path)
    assert everything() == before


@pytest.mark.parametrize("path", ["", "/evidence.json", "/take-over"])
def test_one_that_is_not_there_is_noted(desk: Desk, path: str) -> None:
    browser = desk.sit(desk.orlov)
    assert browser.open(f"/verifications/{'A' * 22}{path}").status == 404
    with db.reading():
        assert db.all(select(events).where(events.c.name == "access.refused"))


# Who works on it


def test_taking_shows_the_buttons_and_leaving_puts_it_back(desk: Desk) -> None:
    one = desk.waiting()
    browser = desk.at(one)
    assert VERIFY not in browser.page.buttons
    browser.press(TAKE)
    assert {VERIFY, RETURN, RELEASE} <= browser.page.buttons.keys()
    assert browser.named("worker") == "Орлов Виктор Андреевич"
    browser.press(RELEASE)
    assert browser.path == "/verifications"
    assert browser.every("worker") == ["свободна"]
    with db.reading():
        lines = db.all(select(events).where(events.c.actor == desk.orlov.account.id))
    noted = {line.name: line.address for line in lines}
    assert noted["verification.taken"] == noted["verification.released"] == browser.address


def test_remarks_are_not_lost_by_leaving_it(desk: Desk) -> None:
    one = desk.waiting()
    browser = desk.working(one).press(RELEASE, remark_inn="Не тот ИНН.")
    assert browser.status == 422
    assert browser.named("error").startswith("В очередь не возвращено: записаны замечания")
    assert browser.page.form_of(RELEASE).fields["remark_inn"] == "Не тот ИНН."
    assert kept(one.id).specialist_id == desk.orlov.account.id
    browser.press(RELEASE, remark_inn=" ")
    assert browser.path == "/verifications"
    assert kept(one.id).specialist_id is None


def test_what_came_back_before_is_said_and_what_changed_since(desk: Desk, time: Time) -> None:
    desk.working(desk.waiting()).press(RETURN, remark_position="Не директор.")
    time.passes(minutes=1)
    browser = desk.at(desk.send())
    said = browser.named("changes")
    assert said.startswith("Организация ещё не была проверена. Прошлый раз её вернули с")
    assert said.endswith("С тех пор данные не изменились.")
    time.passes(minutes=1)
    change(ID, position="Директор", legal_address="163000, г. Архангельск, ул. Ленина, д. 1")
    browser = desk.at(desk.waiting())
    assert browser.named("changes").endswith("С тех пор изменено: Юридический адрес, Должность.")
    browser.press(TAKE).press(VERIFY)
    time.passes(minutes=1)
    assert desk.at(desk.waiting(position="Ректор")).every("changed-row")


def test_pressing_twice_takes_it_once(desk: Desk) -> None:
    browser = press_twice(desk.at(desk.waiting()), TAKE)
    assert browser.status == 200
    assert VERIFY in browser.page.buttons
    with db.reading():
        assert len(db.all(select(events).where(events.c.name == "verification.taken"))) == 1


def test_deciding_twice_decides_once_and_says_so(desk: Desk, time: Time) -> None:
    browser = desk.at(desk.waiting()).press(TAKE)
    form = browser.page.form_of(VERIFY)
    press_twice(browser, VERIFY)
    assert browser.status == 200
    assert "Данные проверены" in browser.named("turn")
    with db.reading():
        assert len(db.all(select(events).where(events.c.name == "organisation.verified"))) == 1
    time.passes(minutes=1)
    late = browser.ask("post", form.action, data=form.fields | {"decision": "verify"})
    assert late.status_code in {409, 422}, "that was another press"


def test_of_two_who_press_at_once_one_has_it(desk: Desk) -> None:
    one = desk.waiting()
    browsers = desk.at(one), desk.at(one, desk.belova)
    at_once(*(lambda each=each: each.press(TAKE) for each in browsers))
    assert sorted(each.status for each in browsers) == [200, 409]
    [won] = [each for each in browsers if each.status == 200]
    [lost] = [each for each in browsers if each.status == 409]
    assert VERIFY in won.page.buttons
    assert VERIFY not in lost.page.buttons
    assert "Взять в работу не вышло" in lost.named("error")
    assert "Проверяет" in lost.named("turn")


def test_the_second_sees_whose_it_is_and_since_when(desk: Desk) -> None:
    one = desk.waiting()
    desk.working(one)
    browser = desk.at(one, desk.belova)
    assert browser.named("turn").startswith("Проверяет Орлов В. А. с ")
    assert not {TAKE, VERIFY, RETURN} & browser.page.buttons.keys()


def test_it_is_taken_from_a_colleague_by_a_second_press(desk: Desk) -> None:
    one = desk.waiting()
    first = desk.working(one)
    second = desk.at(one, desk.belova).follow(TAKE_OVER)
    assert "Орлов Виктор Андреевич" in second.named("whose")
    assert kept(one.id).specialist_id == desk.orlov.account.id, "asking takes nothing"
    second.press(TAKE_OVER)
    assert VERIFY in second.page.buttons
    first.press(VERIFY)
    assert first.status == 409
    assert "Решение не принято" in first.named("error")
    assert "Проверяет Белова М. И." in first.named("turn")
    assert found(ID).status is Status.SUBMITTED


def test_it_is_taken_from_nobody_but_who_was_shown(desk: Desk) -> None:
    one = desk.waiting()
    first = desk.working(one)
    second = desk.at(one, desk.belova).follow(TAKE_OVER)
    third = enrol("third@izkt.example", Role.SPECIALIST, name="Третьяков Иван Ильич")
    first.press(RELEASE)
    desk.working(one, third)
    second.press(TAKE_OVER)
    assert second.status == 409
    assert "Третьяков И. И." in second.named("turn")


def test_the_page_of_taking_over_leads_back_where_there_is_nothing_to_take(desk: Desk) -> None:
    one = desk.waiting()
    browser = desk.at(one).open(f"/verifications/{one.id}/take-over")
    assert browser.path == f"/verifications/{one.id}"
    browser.press(TAKE).open(f"/verifications/{one.id}/take-over")
    assert browser.path == f"/verifications/{one.id}"


def test_what_was_taken_away_cannot_be_left(desk: Desk) -> None:
    one = desk.waiting()
    first = desk.working(one)
    desk.at(one, desk.belova).follow(TAKE_OVER).press(TAKE_OVER)
    first.press(RELEASE)
    assert first.status == 409
    assert kept(one.id).specialist_id == desk.belova.account.id


def test_who_looks_on_follows_by_itself(desk: Desk) -> None:
    one = desk.waiting()
    browser = desk.at(one, desk.belova)
    url = poll_of(browser, "verification")
    assert asked(browser, url, "verification") == (204, "")
    first = desk.working(one)
    status, text = asked(browser, url, "verification")
    assert status == 200
    assert "Проверяет" in text
    assert "<html" not in text
    first.press(VERIFY)
    assert "Данные проверены" in asked(browser, url, "verification")[1]


def test_who_works_on_it_is_told_and_loses_nothing_typed(desk: Desk) -> None:
    one = desk.waiting()
    browser = desk.working(one)
    assert 'hx-target="#verification"' not in browser.response.text, "it would take what is typed"
    url = poll_of(browser, "meanwhile")
    assert asked(browser, url, "meanwhile") == (204, "")
    change(ID, position="Директор")
    status, text = asked(browser, url, "meanwhile")
    assert status == 200
    assert "эта проверка изменилась" in text
    assert "hx-get" not in text, "once is enough"
    assert "<textarea" not in text


# The decision


def test_a_verified_organisation_opens_for_its_people_at_once(desk: Desk, post: Post) -> None:
    operator = enrol("operator@sever-trakt.example", Role.OPERATOR, ID)
    people = desk.sit(operator).open("/operations")
    assert people.has("blocked")
    browser = desk.working(desk.waiting()).press(VERIFY)
    assert browser.status == 200
    assert "Данные проверены" in browser.named("turn")
    assert browser.named("outcome") == "данные проверены"
    assert VERIFY not in browser.page.buttons
    assert not people.open("/operations").has("blocked")
    letter = post.letters(ADMINISTRATOR)[-1]
    assert letter.subject == "Организация проверена"


def test_remarks_reach_the_administrator_row_by_row(desk: Desk, post: Post) -> None:
    one = desk.waiting()
    browser = desk.working(one).press(
        RETURN,
        remark_legal_address="В выписке дом 5.",
        remark_phone="  Не   отвечает.\nЗвонили дважды. ",
        remark_whole="Приложите приказ.",
    )
    assert browser.status == 200
    assert browser.named("outcome") == "возвращена с замечаниями"
    assert browser.every("remark") == [
        "В выписке дом 5.",
        "Не отвечает. Звонили дважды.",
        "Приложите приказ.",
    ]
    assert kept(one.id).outcome is Outcome.RETURNED
    letter = post.letters(ADMINISTRATOR)[-1]
    assert letter.subject == "Организация возвращена на доработку"
    assert "Юридический адрес\n  В выписке дом 5." in letter.text
    assert "Обо всей записи\n  Приложите приказ." in letter.text
    owner = desk.sit(desk.administrator)
    owner.open(letter.text.partition("http://127.0.0.1:8000")[2].split()[0])
    assert owner.status == 200
    assert "В выписке дом 5." in owner


def test_a_return_needs_a_remark(desk: Desk, post: Post) -> None:
    one = desk.waiting()
    browser = desk.working(one).press(RETURN, remark_name="   ")
    assert browser.status == 422
    assert browser.fault("remark_whole").startswith("Напишите хотя бы одно замечание")
    assert kept(one.id).is_open


BAD_REMARKS = {"long": "я" * 501, "bell": "Не\atо", "direction": "abc\u202edef", "nul": "\0"}


@pytest.mark.parametrize("typed", BAD_REMARKS.values(), ids=BAD_REMARKS.keys())
@pytest.mark.parametrize("field", ["inn", "whole"])
def test_a_bad_remark_is_pointed_at_and_kept(desk: Desk, field: str, typed: str) -> None:
    one = desk.waiting()
    browser = desk.working(one)
    browser.press(RETURN, **{f"remark_{field}": typed, "remark_kpp": "Не тот КПП."})
    assert browser.status == 422
    assert browser.fault(f"remark_{field}")
    assert browser.has(f"remark-error-{field}")
    assert browser.page.form_of(RETURN).fields["remark_kpp"] == "Не тот КПП."
    assert kept(one.id).is_open


def test_the_longest_remark_is_taken(desk: Desk) -> None:
    one = desk.waiting()
    desk.working(one).press(RETURN, remark_inn="я" * 500)
    assert kept(one.id).remarks == {"inn": "я" * 500}


def test_what_was_typed_is_not_verified_over(desk: Desk) -> None:
    one = desk.waiting()
    browser = desk.working(one).press(VERIFY, remark_inn="Не тот ИНН.")
    assert browser.status == 422
    assert "записаны замечания" in browser.named("error")
    assert browser.page.form_of(RETURN).fields["remark_inn"] == "Не тот ИНН."
    assert kept(one.id).is_open


def test_a_form_with_no_decision_decides_nothing(desk: Desk) -> None:
    one = desk.waiting()
    browser = desk.working(one)
    browser.send(f"/verifications/{one.id}/decision", **browser.page.form_of(VERIFY).fields)
    assert browser.status == 422
    assert browser.named("error") == "Выберите решение."
    assert kept(one.id).is_open


@pytest.mark.parametrize("record", ["", "0", "999", "x"])
def test_a_form_of_another_record_decides_nothing(desk: Desk, record: str) -> None:
    one = desk.waiting()
    browser = desk.working(one)
    path = f"/verifications/{one.id}/decision"
    fields = browser.page.form_of(VERIFY).fields | {"record": record, "decision": "verify"}
    browser.send(path, **fields)
    assert browser.status == 409
    assert kept(one.id).is_open


def test_what_stands_beside_the_record_is_judged_as_it_was_shown(desk: Desk) -> None:
    one = desk.waiting()
    browser = desk.working(one)
    change(ID, networks="10.99.0.0/16")
    browser.press(VERIFY)
    assert browser.status == 409
    assert "Решение не принято" in browser.named("error")
    assert "10.99.0.0/16" in browser
    assert kept(one.id).is_open
    browser.press(VERIFY)
    assert kept(one.id).outcome is Outcome.VERIFIED


def test_a_record_that_changed_meanwhile_is_shown_with_the_typed_remarks(desk: Desk) -> None:
    one = desk.waiting()
    browser = desk.working(one)
    change(ID, position="Директор")
    browser.press(RETURN, remark_position="Не та должность.", remark_whole="И печать.")
    assert browser.status == 409
    assert "Решение не принято" in browser.named("error")
    assert "Данные организации изменились" in browser.named("turn")
    assert "Не та должность." in browser.named("kept")
    assert "И печать." in browser.named("kept")
    assert found(ID).status is Status.UNVERIFIED
    assert kept(one.id).outcome is Outcome.CHANGED
    change(ID, position=LOMOVA.position)
    newer = desk.send()
    browser.open(f"/verifications/{one.id}").follow("Более новая проверка этой организации")
    assert browser.path == f"/verifications/{newer.id}"


def test_verifying_what_changed_meanwhile_verifies_nothing(desk: Desk) -> None:
    browser = desk.working(desk.waiting())
    change(ID, phone="+79215550199")
    assert browser.press(VERIFY).status == 409
    assert found(ID).status is Status.UNVERIFIED


def test_pressing_twice_decides_once(desk: Desk, post: Post) -> None:
    one = desk.waiting()
    browser = desk.working(one)
    again = tab(browser).open(f"/verifications/{one.id}")
    browser.press(VERIFY)
    again.press(RETURN, remark_inn="Нет.")
    assert again.status == 409
    assert "Нет." in again.named("kept")
    assert found(ID).status is Status.VERIFIED
    subjects = [each.subject for each in post.letters(ADMINISTRATOR)]
    assert "Организация возвращена на доработку" not in subjects


def test_what_is_not_confirmed_any_more_can_only_be_returned(desk: Desk) -> None:
    one = desk.waiting()
    browser = desk.working(one)
    with db.writing():
        db.execute(delete(proofs).where(proofs.c.kind == "phone"))
        db.commit()
    browser.press(VERIFY)
    assert browser.status == 409
    assert browser.named("error").startswith("Отметить проверенной нельзя: подтверждены не оба")
    assert "не подтверждён" in browser.named("contact-phone")
    assert VERIFY not in browser.page.buttons
    browser.press(RETURN, remark_phone="Подтвердите ещё раз.")
    assert found(ID).status is Status.UNVERIFIED


def test_before_a_return_it_is_said_whom_it_blocks(desk: Desk, time: Time) -> None:
    enrol("operator@sever-trakt.example", Role.OPERATOR, ID)
    browser = desk.working(desk.waiting())
    assert not browser.has("will-block"), "nobody works there yet"
    browser.press(VERIFY)
    time.passes(minutes=1)
    change(ID, position="Директор")
    browser = desk.working(desk.send())
    assert browser.named("will-block").endswith("которые в ней работают: 1.")


@pytest.mark.parametrize("action", ["take", "decision"])
def test_an_old_form_is_shown_anew_with_what_was_typed(desk: Desk, action: str) -> None:
    one = desk.waiting()
    browser = desk.working(one)
    data = {"csrf_token": "old", "remark_inn": "Не тот ИНН.", "decision": "return"}
    answer = browser.ask("post", f"/verifications/{one.id}/{action}", data=data)
    assert answer.status_code == 422
    assert STALE in answer.text
    assert "Не тот ИНН." in answer.text
    assert kept(one.id).specialist_id == desk.orlov.account.id
    assert kept(one.id).is_open


# What a caller names


@pytest.mark.parametrize(
    "typed",
    [
        ID,
        "org 4217",
        "ОРГ-4217",
        "щкп 4217",
        "4217",
        LOMOVA.inn,
        "северный тракт",
        "Север",
        "ООО Северный",
    ],
)
def test_an_organisation_is_found_by_what_a_caller_names(desk: Desk, typed: str) -> None:
    change("ORG-2", name="ООО «Южный путь»", short_name="ООО «Южный путь»", inn="7707083893")
    browser = desk.sit(desk.orlov).follow("Организации").press("Найти", typed=typed)
    [line] = browser.every("organisation")
    assert ID in line
    assert "Не проверена" in line
    assert browser.page.form_of("Найти").fields["typed"] == typed
    browser.follow(LOMOVA.short_name)
    assert browser.path == f"/support/organisations/{ID}"


@pytest.mark.parametrize("typed", ["ORG-999", "Нечто", "***", "\0", "<script>", "я" * 300])
def test_where_nothing_is_found_it_says_what_to_do(desk: Desk, typed: str) -> None:
    browser = desk.sit(desk.orlov).follow("Организации").press("Найти", typed=typed)
    assert browser.status == 200
    assert browser.named("nothing").startswith("Такой организации нет.")


def test_many_organisations_are_read_page_after_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.routes.verifications.ON_A_PAGE", 2)
    for number in range(4):
        change(f"ORG-{number}")
    browser = desk.sit(desk.orlov).follow("Организации").press("Найти", typed="северный")
    pages = [browser.every("organisation")]
    while browser.has("next-page"):
        pages.append(browser.follow("Дальше").every("organisation"))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({line for page in pages for line in page}) == 5
    assert len(browser.follow("К началу").every("organisation")) == 2


def test_an_organisation_as_it_is_now(
    desk: Desk, ask: Callable[..., str | None], post: Post
) -> None:
    ask()
    post.deliver()
    enrol("operator@sever-trakt.example", Role.OPERATOR, ID)
    browser = desk.sit(desk.orlov).open(f"/support/organisations/{ID}")
    assert browser.page.heading == LOMOVA.short_name
    assert browser.named("status") == "Не проверена"
    assert "Операционная часть закрыта" in browser.named("who-opens")
    assert "администратор" in browser.named("who-opens")
    assert browser.named("phone-status") == browser.named("email-status") == "не подтверждён"
    assert "Запрос отправлен" in browser.named("request")
    assert "Письмо передано почтовому серверу" in browser.named("request")
    assert browser.named("administrator") == f"{ADMINISTRATOR}Соколова Анна"
    assert browser.named("operational-users") == "1"
    assert browser.named("organisation-id") == ID
    assert browser.has("no-verifications")
    assert browser.every("sentence"), "the journal"
    assert browser.open(browser.page.links["Весь журнал"]).status == 200
    browser.open(f"/support/organisations/{ID}")
    assert browser.open(browser.page.links["Недоставленные письма и СМС"]).status == 200


def test_it_leads_to_its_verifications(desk: Desk, time: Time) -> None:
    one = desk.waiting()
    browser = desk.working(one).press(RETURN, remark_inn="Не тот ИНН.")
    time.passes(minutes=1)
    desk.send()
    browser.open(f"/support/organisations/{ID}")
    assert browser.named("status") == "Требует проверки"
    lines = browser.every("verification")
    assert ["ждёт решения" in lines[0], "возвращена с замечаниями" in lines[1]] == [True, True]
    assert "Орлов В. А." in lines[1]


def test_an_organisation_without_an_account_says_where_its_letters_go(desk: Desk) -> None:
    change("ORG-2")
    browser = desk.sit(desk.orlov).open("/support/organisations/ORG-2")
    assert ADMINISTRATOR in browser.named("no-administrators")
    assert browser.named("request") == "Подтверждение ещё не запрашивали."


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.VERIFIED, "Операционная часть открыта."),
        (Status.EDITING, "администратор организации"),
        (Status.RESUBMITTED, "открыта, пока специалист не вернёт"),
    ],
)
def test_who_opens_it_is_said_for_every_status(
    desk: Desk, time: Time, status: Status, words: str
) -> None:
    browser = desk.working(desk.waiting()).press(VERIFY)
    time.passes(minutes=1)
    if status is not Status.VERIFIED:
        change(ID, position="Директор")
    if status is Status.RESUBMITTED:
        desk.send()
    assert found(ID).status is status
    browser.open(f"/support/organisations/{ID}")
    assert words in browser.named("who-opens")


@pytest.mark.parametrize("id", ["ORG-999", "A" * 22, "%00", "я" * 100])
def test_an_organisation_that_is_not_there(desk: Desk, id: str) -> None:
    assert desk.sit(desk.orlov).open(f"/support/organisations/{id}").status == 404


# Words that took long to write


def test_remarks_that_took_longer_than_the_session_are_not_lost(desk: Desk, time: Time) -> None:
    browser = desk.working(desk.waiting())
    time.passes(minutes=31)
    browser.press(RETURN, remark_position="Такой должности нет.", remark_whole="Позвоните.")
    assert browser.status == 401
    assert "Вы вышли из портала" in browser
    assert browser.named("written") == "Должность: Такой должности нет. Замечание: Позвоните."
    browser.follow("Войти")
    assert not browser.has("written")


@pytest.mark.parametrize(("site", "is_said"), [("same-origin", True), ("cross-site", False)])
def test_remarks_are_not_lost_by_who_signed_out_in_another_tab(
    desk: Desk, site: str, is_said: bool
) -> None:
    browser = desk.working(desk.waiting())
    tab(browser).open("/verifications").press("Выйти")
    browser.headers = {"Sec-Fetch-Site": site}
    browser.press(RETURN, remark_position="Такой должности нет.")
    assert browser.status == 401
    assert browser.has("written") is is_said
    assert ("Такой должности нет" in browser) is is_said


def test_words_that_no_page_of_ours_sent_are_not_said(desk: Desk, time: Time) -> None:
    browser = desk.working(desk.waiting())
    time.passes(minutes=31)
    form = browser.page.form_of(RETURN)
    data = form.fields | {"csrf_token": "another", "remark_position": "Позвоните по номеру 100."}
    answer = browser.ask("post", form.action, data=data)
    assert answer.status_code == 401
    assert "Позвоните по номеру" not in answer.text


@pytest.mark.parametrize(("address", "status"), [("10.20.4.17", 401), ("203.0.113.9", 403)])
def test_a_window_with_words_in_it_is_not_led_away(
    desk: Desk, time: Time, address: str, status: int
) -> None:
    browser = desk.working(desk.waiting())
    time.passes(minutes=31)
    browser.address = address
    poll = {"HX-Request": "true", "HX-Target": "div#meanwhile"}
    answer = browser.ask("get", browser.path, query_string={"seen": "1"}, headers=poll)
    assert answer.status_code == status
    assert "Написанное здесь цело" in answer.text
    assert not {"HX-Redirect", "HX-Refresh"} & set(answer.headers.keys())


# What the responsible person reported


def test_a_report_is_shown_though_the_administrator_changed_something_else(desk: Desk) -> None:
    confirm(ID, "phone")
    report(ID, "Я здесь не работаю. Уберите мой телефон.", phone="+79215550148", position="")
    change(ID, email="drugoy@sever-trakt.example")
    confirm(ID, "email")
    sent = desk.send()
    browser = desk.working(sent)
    said = browser.named("report")
    assert "Я здесь не работаю. Уберите мой телефон." in said
    assert "+7 921 555-01-47+7 921 555-01-48" in said
    assert f"{LOMOVA.position}—" in said
    written = json.loads(browser.ask("get", f"/verifications/{sent.id}/evidence.json").text)
    (kept_report,) = written["reports"]
    assert kept_report["comment"] == "Я здесь не работаю. Уберите мой телефон."
    assert kept_report["corrections"][1] == {
        "field": "phone",
        "old": LOMOVA.phone,
        "new": "+79215550148",
    }


def test_no_number_of_reports_hides_the_first(desk: Desk, time: Time) -> None:
    report(ID, "Паспорт украли, это мошенники.")
    for number in range(25):
        time.passes(minutes=1)
        change(ID, position=f"Механик {number}")
        report(ID, f"Мелочь {number}.")
    time.passes(minutes=1)
    browser = desk.at(desk.waiting(position="Директор"))
    assert len(browser.every("report")) == 26
    assert "Паспорт украли, это мошенники." in browser.every("report")[-1]


def test_a_report_from_before_the_last_verification_is_settled(desk: Desk, time: Time) -> None:
    report(ID, "Опечатка в адресе.")
    change(ID, legal_address="163000, г. Архангельск, ул. Садовая, д. 1")
    first = desk.waiting()
    browser = desk.working(first)
    assert "Опечатка в адресе." in browser.named("report")
    browser.press(VERIFY)
    time.passes(minutes=1)
    assert desk.at(first).has("report"), "what it rested on stays"
    change(ID, legal_address="163000, г. Архангельск, ул. Садовая, д. 2")
    assert not desk.at(desk.send()).has("report")


# In English


def test_the_pages_speak_english_too(desk: Desk) -> None:
    browser = desk.working(desk.waiting())
    browser.client.set_cookie("language", "en")
    for path in (f"/verifications/{waits(ID).id}", "/verifications", "/support/organisations"):
        assert browser.open(path).status == 200
