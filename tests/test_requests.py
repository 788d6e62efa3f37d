"""What an administrator sees and does of requests: taking back, looking, waiting for the next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from portal import clock, confirmation, journal, organisation
from portal.confirmation import Confirmation, NotOpenError, Request, Standing
from portal.confirmation.tables import confirmations
from portal.database import db
from portal.gateways import Reason, Trouble
from portal.organisation import Organisation
from portal.outbox import State, deliver_due, messages
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import act

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.gateways import Outgoing
    from tests.conftest import Post, Time

ID = "ORG-004217"
ADDRESS = "10.20.4.17"
BOSS = "A" * 22


def organisation_of(id: str = ID) -> Organisation:
    found = organisation.find(id)
    assert found
    return found


def load(id: str) -> Confirmation:
    found = confirmation.find(id)
    assert found
    return found


def last(id: str = ID) -> Request:
    found = confirmation.last_request(id)
    assert found
    return found


def cancel(id: str = ID) -> bool:
    return bool(act(confirmation.cancel, organisation_of(id), BOSS, ADDRESS))


def confirm_both(id: str, post: Post) -> None:
    act(confirmation.request_code, load(id), ADDRESS)
    act(confirmation.enter_code, load(id), post.code(), ADDRESS)
    act(confirmation.request_email_link, load(id), ADDRESS)
    link = load(id).email_link
    assert link
    act(confirmation.follow_email_link, load(id), link.id, ADDRESS)


def lines(name: str) -> list[tuple[str, str, str]]:
    with db.reading():
        found = db.all(
            journal.events.select()
            .where(journal.events.c.name == name)
            .order_by(journal.events.c.id)
        )
    return [(row.chain, row.actor, row.address) for row in found]


# Taking a request back


def test_a_cancelled_request_takes_no_action(asked: str) -> None:
    assert cancel()
    assert load(asked).standing is Standing.CANCELLED
    for verb in (confirmation.request_code, confirmation.send_email_link):
        with pytest.raises(NotOpenError):
            act(verb, load(asked), ADDRESS)
    with pytest.raises(NotOpenError):
        act(confirmation.report, load(asked), {}, "Всё неверно.", ADDRESS)
    assert last().ended_at
    assert lines("confirmation.cancelled") == [(f"organisation:{ID}", BOSS, ADDRESS)]


def test_what_waits_in_the_post_goes_to_nobody(asked: str, post: Post) -> None:
    act(confirmation.request_code, load(asked), ADDRESS)
    cancel()
    assert not post.letters(LOMOVA.email)
    assert not post.codes()


def test_there_is_nothing_to_cancel_twice(asked: str) -> None:
    assert cancel()
    assert not cancel()
    assert len(lines("confirmation.cancelled")) == 1


def test_there_is_nothing_to_cancel_without_a_request(keep: Callable[..., None]) -> None:
    keep()
    assert not cancel()


def test_an_overdue_request_is_not_cancelled(asked: str, time: Time) -> None:
    time.passes(days=7)
    assert not cancel()
    assert load(asked).standing is Standing.EXPIRED


def test_a_request_for_another_record_is_not_cancelled(
    asked: str, keep: Callable[..., None]
) -> None:
    keep(position="Директор")
    assert not cancel()
    assert load(asked).standing is Standing.CHANGED


def test_a_completed_request_is_not_cancelled(asked: str, post: Post) -> None:
    confirm_both(asked, post)
    assert not cancel()
    assert last().standing is Standing.COMPLETED


def test_cancelling_keeps_what_is_confirmed(
    asked: str, post: Post, ask: Callable[..., str | None]
) -> None:
    act(confirmation.request_code, load(asked), ADDRESS)
    act(confirmation.enter_code, load(asked), post.code(), ADDRESS)
    cancel()
    assert confirmation.proved(organisation_of()) == {"phone"}
    again = ask()
    assert again
    assert load(again).phone_confirmed_at


# The last request


def test_without_a_request_there_is_no_last_one(keep: Callable[..., None]) -> None:
    keep()
    assert confirmation.last_request(ID) is None
    assert confirmation.last_request("ORG-9") is None


def test_the_last_request_is_the_newest(
    asked: str, ask: Callable[..., str | None], time: Time
) -> None:
    time.passes(minutes=5)
    newer = ask()
    assert last().id == newer != asked
    assert last().standing is Standing.OPEN
    assert last().expires_at - last().requested_at == timedelta(days=7)
    assert last().requested_by == "tests"


def test_time_and_another_record_are_seen_without_a_move(
    asked: str, keep: Callable[..., None], time: Time
) -> None:
    time.passes(days=7)
    assert last().standing is Standing.EXPIRED
    keep(position="Директор")
    assert last().standing is Standing.CHANGED
    assert not last().is_current
    assert load(asked).standing is Standing.CHANGED, "both say the same"


class Broken:
    """A gateway that takes nothing."""

    def __init__(self, reason: Reason, *, permanent: bool) -> None:
        self.trouble = Trouble(reason, permanent=permanent)

    def send(self, _message: Outgoing) -> str:
        raise self.trouble

    def close(self) -> None:
        """Nothing is open."""


def test_the_letter_of_a_request_is_followed(asked: str, post: Post, time: Time) -> None:
    assert last().letter[:2] == (State.WAITING, None)
    deliver_due("email", Broken(Reason.UNREACHABLE, permanent=False))
    assert last().letter[:2] == (State.TROUBLED, Reason.UNREACHABLE)
    time.passes(minutes=5)
    post.deliver()
    assert last().letter.state is State.DELIVERED
    assert last().letter.at > last().requested_at


def test_a_letter_that_nobody_takes_is_told(asked: str) -> None:
    deliver_due("email", Broken(Reason.REFUSED, permanent=True))
    assert last().letter[:2] == (State.FAILED, Reason.REFUSED)


def test_an_error_report_waits_until_the_record_changes(
    asked: str, keep: Callable[..., None]
) -> None:
    act(confirmation.report, load(asked), {"position": "Директор"}, "", ADDRESS)
    assert last().is_reported
    keep(position="Директор")
    assert not last().is_reported


# Many organisations


def test_a_page_of_organisations_is_read_at_once(
    asked: str, keep: Callable[..., None], ask: Callable[..., str | None], post: Post
) -> None:
    keep("ORG-2")
    keep("ORG-3")
    ask("ORG-3")
    act(confirmation.request_code, load(asked), ADDRESS)
    act(confirmation.enter_code, load(asked), post.code(), ADDRESS)
    progress = confirmation.progress_of([ID, "ORG-2", "ORG-3"])
    assert {id: each.proved for id, each in progress.items()} == {
        ID: {"phone"},
        "ORG-2": set(),
        "ORG-3": set(),
    }
    assert progress["ORG-2"].last is None
    assert progress[ID].last == last()
    assert progress["ORG-3"].last == last("ORG-3")
    assert confirmation.progress_of([]) == {}


@pytest.mark.parametrize("many", [1, 2, 3, 50, 64, 65])
def test_any_number_of_them_is_read_at_once(keep: Callable[..., None], many: int) -> None:
    ids = [f"ORG-{number}" for number in range(many)]
    for id in ids[::7]:
        keep(id)
    assert set(confirmation.progress_of(ids)) == set(ids[::7])


# Proofs


def test_a_proof_says_when_and_from_where(asked: str, post: Post) -> None:
    assert confirmation.proofs_of(organisation_of()) == {}
    confirm_both(asked, post)
    found = confirmation.proofs_of(organisation_of())
    assert set(found) == {"phone", "email"} == confirmation.proved(organisation_of())
    for kind, proof in found.items():
        assert (proof.kind, proof.address, proof.confirmation_id) == (kind, ADDRESS, asked)
        assert clock.now() - proof.confirmed_at < timedelta(minutes=1)


def test_a_proof_is_of_the_value_on_record(
    asked: str, post: Post, keep: Callable[..., None]
) -> None:
    confirm_both(asked, post)
    keep(phone="+79215550199")
    assert set(confirmation.proofs_of(organisation_of())) == {"email"}
    keep(last_name="Орлова")
    assert confirmation.proofs_of(organisation_of()) == {}
    act(organisation.save, ID, LOMOVA, ADMINISTRATOR, "", "tests")
    assert confirmation.proofs_of(organisation_of()) == {}, "she is another person by now"


# Error reports


def test_a_report_is_read_as_it_was_sent(asked: str) -> None:
    proposed = {"position": "Директор", "phone": "+79215550199"}
    act(confirmation.report, load(asked), proposed, "Остальное верно.", ADDRESS)
    report = confirmation.reported(asked)
    assert report
    assert report.comment == "Остальное верно."
    assert [(each.field, each.old, each.new) for each in report.corrections] == [
        ("position", LOMOVA.position, "Директор"),
        ("phone", LOMOVA.phone, "+79215550199"),
    ]


def test_a_request_without_an_error_has_no_report(asked: str) -> None:
    assert confirmation.reported(asked) is None
    assert confirmation.reported("nobody's") is None


# How often


def test_the_next_request_waits_a_minute(
    asked: str, ask: Callable[..., str | None], time: Time
) -> None:
    until = confirmation.may_request_at(organisation_of())
    assert until == last().requested_at + timedelta(seconds=60)
    time.passes(seconds=61)
    assert confirmation.may_request_at(organisation_of()) is None
    assert ask() != asked


def test_ten_requests_a_day_are_enough(
    asked: str, ask: Callable[..., str | None], time: Time
) -> None:
    first = last().requested_at
    for _ in range(9):
        time.passes(minutes=2)
        assert confirmation.may_request_at(organisation_of()) is None
        ask()
    time.passes(hours=1)
    assert confirmation.may_request_at(organisation_of()) == first + timedelta(hours=24)
    time.passes(hours=23)
    assert confirmation.may_request_at(organisation_of()) is None


def test_taking_back_frees_nobody_from_the_wait(asked: str) -> None:
    cancel()
    assert confirmation.may_request_at(organisation_of())


def test_another_organisation_waits_for_nothing(asked: str, keep: Callable[..., None]) -> None:
    keep("ORG-2")
    assert confirmation.may_request_at(organisation_of("ORG-2")) is None


def test_a_request_says_from_where_it_came(keep: Callable[..., None]) -> None:
    keep()
    act(confirmation.request, organisation_of(), BOSS, ADDRESS)
    assert lines("confirmation.requested") == [(f"organisation:{ID}", BOSS, ADDRESS)]


def test_nothing_personal_is_readable(asked: str) -> None:
    act(confirmation.report, load(asked), {"email": "other@example.ru"}, "тайна", ADDRESS)
    with db.reading():
        stored = "".join(
            repr(db.connection.exec_driver_sql(f"SELECT * FROM {table.name}").fetchall())
            for table in (confirmations, messages)
        )
    for secret in ("other@example.ru", "тайна", LOMOVA.email, LOMOVA.phone):
        assert secret not in stored


def test_a_corrected_name_keeps_its_proofs(asked: str, post: Post) -> None:
    confirm_both(asked, post)
    details = replace(LOMOVA, last_name="Ломовая")
    with db.writing():
        organisation.save(ID, details, ADMINISTRATOR, "", "tests", is_another_person=False)
        db.commit()
    assert set(confirmation.proofs_of(organisation_of())) == {"phone", "email"}
