"""The recovery as a noun: every move and non-move, its timers, and many at once."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import bindparam

from portal import (
    account,
    clock,
    config,
    create_app,
    device,
    diagnostics,
    journal,
    proofs,
    readers,
    recovery,
)
from portal.account import Account, Role, session
from portal.account.session import Stage
from portal.database import db
from portal.device.devices import add
from portal.gateways import Reason as Trouble
from portal.recovery import (
    Answer,
    Approval,
    Case,
    Claim,
    Judgement,
    NotOpenError,
    Place,
    Reason,
    Refusal,
    Standing,
    State,
    Verdict,
    Which,
    case,
)
from portal.recovery.case import OPEN_LASTS
from portal.recovery.course import CANCEL, MOVES, cancel_link
from portal.recovery.tables import cases
from tests.people import enrol
from tests.plans import plan
from tests.recovering import (
    ADDRESS,
    CHROME,
    DAY,
    ORGANISATION,
    OTHER,
    PHONE,
    SUPPORT_ADDRESS,
    WRONG,
    Scene,
    act,
    begin_enrolment,
    events,
    load,
    look,
    posted,
    tell_apart,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from tests.conftest import Post, Time

AT_ONCE = 20


@pytest.fixture
def specialists(app: Flask, keep: Callable[..., None]) -> list[Account]:
    keep()
    keep(OTHER)
    return [tell_apart("first"), tell_apart("second")]


@pytest.fixture
def scene(specialists: list[Account]) -> Iterator[Scene]:
    """An operator of an organisation whose administrator has not come yet."""
    owner = enrol("p@sever-trakt.example", Role.OPERATOR, name="Петров Пётр", phone=PHONE).account
    yield Scene(owner, specialists[0], specialists[1])
    clock.reset()


@pytest.fixture
def staff(specialists: list[Account]) -> Iterator[Scene]:
    """An administrator, for whom two specialists are needed."""
    owner = enrol(
        "a@yuzhny.example", Role.ADMINISTRATOR, OTHER, name="Соколова Анна", phone=PHONE
    ).account
    yield Scene(owner, specialists[0], specialists[1])
    clock.reset()


# The whole way


def test_a_number_that_many_accounts_have_gets_ten_sms_of_recoveries_a_day(
    scene: Scene, post: Post, time: Time
) -> None:
    """The letters go on: what is said by SMS is said there, too."""
    for number in range(6):
        owner = enrol(f"p{number}@sever-trakt.example", Role.OPERATOR, phone=PHONE).account
        other = Scene(owner, scene.specialist, scene.second)
        other.open()
        other.claim()
        other.decide()
        assert len(post.letters(owner.email)) == 2
    assert len(post.sms.arrived) == 10
    stranger = enrol("a@yuzhny.example", Role.ADMINISTRATOR, OTHER, phone=PHONE).account
    Scene(stranger, scene.specialist, scene.second).open()
    post.deliver()
    assert len(post.sms.arrived) == 11, "what others say of their employees mutes nobody"
    time.passes(days=1)
    scene.open()
    post.deliver()
    assert len(post.sms.arrived) == 12


def test_a_lost_device_is_replaced(scene: Scene, post: Post, time: Time) -> None:
    old = look(device.devices_of, scene.owner.id)[0].id
    assert scene.open().standing is Standing.OPENED
    assert scene.claim() is Claim.FOUND
    assert load(scene.case).standing is Standing.ASKING
    assert scene.decide() is Verdict.ENOUGH
    assert load(scene.case).standing is Standing.WAITING
    subjects = ["Начато восстановление доступа", "Восстановление доступа одобрено"]
    assert [each.subject for each in post.letters(scene.owner.email)] == subjects
    assert len(post.sms.arrived) == 2
    time.passes(hours=23, minutes=59)
    assert len(post.letters(scene.owner.email)) == 2
    time.passes(minutes=1)
    letter = post.letters(scene.owner.email)[-1]
    assert letter.subject == "Код для нового устройства"
    found = re.search(r"^([0-9A-Z]{4}-[0-9A-Z]{4})$", letter.text, re.MULTILINE)
    assert found
    assert load(scene.case).standing is Standing.GRANTED
    assert scene.enter(found[1]) == Answer(Judgement.RIGHT)
    enrolment = act(begin_enrolment, scene.owner, scene.case)
    other = act(session.begin, scene.owner, Stage.FULL, ADDRESS, CHROME)
    new = scene.finish(enrolment)
    completed = load(scene.case)
    assert completed.standing is Standing.COMPLETED
    assert [each.id for each in look(device.devices_of, scene.owner.id)] == [new] != [old]
    assert look(session.find, other) is None
    assert look(session.find, enrolment) is not None
    assert post.letters(scene.owner.email)[-1].subject == "Новое устройство добавлено"
    names = [row.name for row in events_of(scene.case)]
    assert names == [
        "case.opened",
        "case.asking",
        "case.number_claimed",
        "case.looked_up",
        "case.looked_up",
        "case.waiting",
        "case.code_posted",
        "case.code_entered",
        "case.completed",
    ]


def events_of(case: Case) -> list[Any]:
    with db.reading():
        assert journal.first_broken_line() is None
        return [
            row
            for row in db.all(journal.events.select().order_by(journal.events.c.id))
            if row.name.startswith("case.") and f'"case": {case.number}' in row.details
        ]


def test_an_administrator_needs_two_specialists(staff: Scene, time: Time) -> None:
    waiting = staff.wait()
    assert waiting.standing is Standing.APPROVAL
    assert waiting.seal is None
    assert not posted("case_code")
    assert words(posted("case_waiting")[0])["needs_approval"]
    assert staff.approve() is Approval.APPROVED
    approved = load(staff.case)
    assert approved.standing is Standing.WAITING
    assert approved.wait_until
    assert timedelta(hours=71) < approved.wait_until - clock.now() <= timedelta(hours=72)
    assert posted("case_code")[0].due_at == approved.wait_until
    time.passes(hours=71, minutes=59)
    assert staff.enter().judgement is Judgement.NOT_GRANTED
    time.passes(minutes=1)
    assert staff.enter().judgement is Judgement.RIGHT


def test_agreeing_after_the_wait_grants_at_once(staff: Scene, time: Time) -> None:
    staff.wait()
    time.passes(hours=80)
    assert load(staff.case).standing is Standing.APPROVAL
    assert staff.approve() is Approval.APPROVED
    approved = load(staff.case)
    assert approved.standing is Standing.GRANTED
    assert approved.approved_at
    assert approved.expires_at == approved.approved_at + DAY
    assert posted("case_code")[0].due_at <= clock.now()
    assert staff.enter().judgement is Judgement.RIGHT


# The map of moves: each verb in each standing


def stand(scene: Scene, standing: Standing) -> Case:
    """Bring a case to a standing."""
    match standing:
        case Standing.OPENED:
            scene.open()
        case Standing.ROUTED:
            scene.administrator()
            scene.open()
        case Standing.ASKING:
            scene.ask()
        case Standing.WAITING | Standing.APPROVAL:
            scene.wait()
        case Standing.GRANTED:
            scene.grant()
        case Standing.COMPLETED:
            scene.grant()
            scene.finish(scene.enrolment())
        case Standing.REFUSED:
            scene.ask()
            scene.decide(WRONG)
        case Standing.CANCELLED:
            act(recovery.cancel_by_link, scene.open().id, ADDRESS)
        case Standing.EXPIRED:
            scene.open()
            clock.shift(OPEN_LASTS)
    found = load(scene.case)
    assert found.standing is standing
    return found


ENDED = {Standing.COMPLETED, Standing.REFUSED, Standing.CANCELLED, Standing.EXPIRED}
WORKED = {
    "claim": {Standing.OPENED, Standing.ASKING},
    "keep": {Standing.ASKING},
    "decide": {Standing.ASKING},
    "approve": {Standing.APPROVAL},
    "refuse": {
        Standing.OPENED,
        Standing.ROUTED,
        Standing.ASKING,
        Standing.WAITING,
        Standing.GRANTED,
        Standing.APPROVAL,
    },
    "cancel": set(Standing) - ENDED,
    "sign in": set(Standing) - ENDED,
    "enter": {Standing.GRANTED},
    "open": ENDED,
}


def works(scene: Scene, verb: str) -> bool:
    """Whether a verb does its work on the case as it stands."""
    case = load(scene.case)
    known = [words(row)["code"] for row in posted("case_code") if row.words] or ["ABCD-EFGH"]
    specialist, refused = scene.specialist, (Reason.STRANGER, SUPPORT_ADDRESS)
    steps: dict[str, Callable[[], object]] = {
        "claim": lambda: scene.claim() is Claim.FOUND,
        "keep": lambda: act(recovery.keep_answers, case, specialist, {"created": "x"}),
        "decide": lambda: scene.decide() is Verdict.ENOUGH,
        "approve": lambda: scene.approve() is Approval.APPROVED,
        "refuse": lambda: act(recovery.refuse, case, specialist, *refused),
        "cancel": lambda: act(recovery.cancel_by_link, case.id, ADDRESS),
        "sign in": lambda: act(recovery.cancel_by_sign_in, scene.owner, ADDRESS),
        "enter": lambda: scene.enter(known[-1]).judgement is Judgement.RIGHT,
        "open": lambda: isinstance(
            act(recovery.open_by_owner, scene.owner, "cabinet", ADDRESS), Case
        ),
    }
    try:
        return bool(steps[verb]())
    except NotOpenError:
        return False


@pytest.mark.parametrize("verb", WORKED)
@pytest.mark.parametrize("standing", [each for each in Standing if each is not Standing.APPROVAL])
def test_each_verb_works_where_it_should_and_nowhere_else(
    scene: Scene, standing: Standing, verb: str
) -> None:
    before = stand(scene, standing)
    worked = works(scene, verb)
    assert worked == (standing in WORKED[verb])
    if not worked:
        assert load(scene.case) == before


@pytest.mark.parametrize("verb", WORKED)
def test_each_verb_where_a_second_specialist_is_asked(staff: Scene, verb: str) -> None:
    before = stand(staff, Standing.APPROVAL)
    worked = works(staff, verb)
    assert worked == (Standing.APPROVAL in WORKED[verb])
    if not worked:
        assert load(staff.case) == before


def test_the_map_leads_everywhere_and_out_of_no_end() -> None:
    assert set(MOVES) == set(State)
    assert set.union(*map(set, MOVES.values())) == set(State) - {State.OPENED, State.ROUTED}
    assert {state for state, to in MOVES.items() if not to} == {
        State.COMPLETED,
        State.REFUSED,
        State.CANCELLED,
    }


def test_every_result_and_reason_has_its_sentence() -> None:
    assert set(recovery.SENTENCES) == set(Refusal)
    assert set(recovery.CLAIMS) == set(Claim)
    assert set(recovery.VERDICTS) == set(Verdict)
    assert set(recovery.APPROVALS) == set(Approval)
    assert set(recovery.REASONS) == set(Reason)
    assert set(recovery.PLACES) == set(Place)
    assert {each.value for each in diagnostics.Result} <= {each.value for each in Claim}


# Opening


def test_a_second_case_is_not_opened_while_one_is_open(scene: Scene) -> None:
    scene.open()
    assert act(recovery.open_by_owner, scene.owner, "cabinet", ADDRESS) is Refusal.OPEN_CASE
    scene.claim()
    assert by_phone(scene) is Refusal.OPEN_CASE


def test_who_has_no_device_yet_needs_an_invitation_instead(scene: Scene) -> None:
    new = act(
        account.create, "n@sever-trakt.example", Role.OPERATOR, ORGANISATION, "", PHONE, "tests"
    )
    assert act(recovery.open_by_owner, new, "cabinet", ADDRESS) is Refusal.NO_DEVICE


def test_no_case_for_a_service_that_is_not_there(scene: Scene) -> None:
    assert act(recovery.open_by_owner, scene.owner, "forged", ADDRESS) is Refusal.NO_SERVICE


def test_a_new_email_closes_the_recovery_for_a_week(scene: Scene, time: Time) -> None:
    act(account.change, scene.owner, "email", "new@sever-trakt.example", "tests")
    owner = look(account.find, scene.owner.id)
    time.passes(days=6, hours=23, minutes=59)
    assert act(recovery.open_by_owner, owner, "cabinet", ADDRESS) is Refusal.NEW_EMAIL
    time.passes(minutes=1)
    assert isinstance(act(recovery.open_by_owner, owner, "cabinet", ADDRESS), Case)


def test_an_email_that_changes_meanwhile_stops_the_verdict(scene: Scene) -> None:
    scene.ask()
    act(account.change, scene.owner, "email", "new@sever-trakt.example", "tests")
    assert scene.decide() is Verdict.NEW_EMAIL
    assert load(scene.case).standing is Standing.ASKING
    assert not posted("case_waiting")


def test_an_email_that_changes_meanwhile_stops_the_second_specialist(staff: Scene) -> None:
    staff.wait()
    act(account.change, staff.owner, "email", "new@sever-trakt.example", "tests")
    assert staff.approve() is Approval.NEW_EMAIL
    assert not posted("case_code")


def test_a_new_phone_stops_nothing(scene: Scene) -> None:
    act(account.change, scene.owner, "phone", "+79215550101", "tests")
    assert isinstance(act(recovery.open_by_owner, scene.owner, "cabinet", ADDRESS), Case)


def test_three_cases_a_day_and_no_more(scene: Scene, time: Time) -> None:
    for _ in range(3):
        act(recovery.cancel_by_link, scene.open().id, ADDRESS)
    assert act(recovery.open_by_owner, scene.owner, "cabinet", ADDRESS) is Refusal.TOO_MANY
    assert by_phone(scene) is Refusal.TOO_MANY
    time.passes(hours=24)
    scene.open()


def test_each_case_has_a_number_of_its_own(scene: Scene, staff: Scene) -> None:
    assert [scene.open().number, staff.open().number] == [1, 2]


def by_phone(
    scene: Scene, email: str = "", phone: str = PHONE, specialist: Account | None = None
) -> Case | Refusal:
    found: Case | Refusal = act(
        recovery.open_by_specialist,
        specialist or scene.specialist,
        email or scene.owner.email,
        phone,
        "cabinet",
        SUPPORT_ADDRESS,
    )
    return found


@pytest.mark.parametrize("phone", [PHONE, "8 (921) 555-01-99"])
def test_a_specialist_opens_a_case_for_who_calls(scene: Scene, phone: str) -> None:
    opened = by_phone(scene, " P@Sever-Trakt.example ", phone)
    assert isinstance(opened, Case)
    assert (opened.standing, opened.opened_by) == (Standing.OPENED, scene.specialist.id)
    assert opened.specialist_id is None
    assert not words(posted("case_opened")[0])["by_owner"]


@pytest.mark.parametrize(
    ("email", "phone"),
    [
        ("nobody@sever-trakt.example", PHONE),
        ("p@sever-trakt.example", "+79215550147"),
        ("p@sever-trakt.example", ""),
        ("p@sever-trakt.example", "не помню"),
        ("", ""),
    ],
)
def test_email_and_phone_must_both_be_right(scene: Scene, email: str, phone: str) -> None:
    assert by_phone(scene, email or "x", phone) is Refusal.UNKNOWN
    assert not posted()


def test_who_has_no_phone_on_record_is_not_known_by_phone(scene: Scene) -> None:
    act(account.change, scene.owner, "phone", "", "tests")
    assert by_phone(scene, phone="") is Refusal.UNKNOWN


def test_a_specialist_does_not_open_their_own_case_for_themselves(scene: Scene) -> None:
    act(account.change, scene.specialist, "phone", PHONE, "tests")
    assert by_phone(scene, scene.specialist.email) is Refusal.OWN
    assert by_phone(scene, specialist=scene.owner) is Refusal.NOT_YOURS


def test_a_specialist_who_lost_the_device_opens_a_case_like_anybody(scene: Scene) -> None:
    opened = act(recovery.open_by_owner, scene.specialist, "cabinet", ADDRESS)
    assert isinstance(opened, Case)
    assert act(recovery.claim_number, opened, scene.specialist, scene.number(), "") is Claim.OWN
    assert not recovery.may_refuse(opened, scene.specialist)


# An organisation that looks after its own people


def test_an_operator_is_sent_to_the_administrators(scene: Scene, post: Post) -> None:
    administrator = scene.administrator()
    opened = scene.open()
    assert opened.standing is Standing.ROUTED
    letter = post.letters(administrator.email)[-1]
    assert letter.subject == "Сотруднику нужно восстановить доступ"
    assert "Петров Пётр" in letter.text
    assert ORGANISATION in letter.text
    assert "обратитесь к администратору" in post.letters(scene.owner.email)[-1].text.lower()
    number = scene.number()
    with pytest.raises(NotOpenError):
        act(recovery.claim_number, opened, scene.specialist, number, SUPPORT_ADDRESS)


def test_an_administrator_without_a_device_is_not_asked(scene: Scene) -> None:
    act(account.create, "c@sever-trakt.example", Role.ADMINISTRATOR, ORGANISATION, "", "", "tests")
    assert scene.open().standing is Standing.OPENED


def test_an_administrator_is_sent_to_nobody(staff: Scene) -> None:
    staff.administrator()
    assert staff.open().standing is Standing.OPENED


def test_the_administrator_grants_at_once(scene: Scene, post: Post) -> None:
    administrator = scene.administrator()
    opened = scene.open()
    granted = act(recovery.grant_by_administrator, administrator, scene.owner, ADDRESS)
    assert (granted.id, granted.standing) == (opened.id, Standing.GRANTED)
    assert granted.expires_at == granted.decided_at + DAY
    assert (granted.specialist_id, granted.approved_by) == (administrator.id, None)
    code = scene.code
    assert "Администратор вашей организации" in post.letters(scene.owner.email)[-1].text
    assert "администратор" in post.sms.arrived[-1].text
    assert scene.enter(code, cookie="").judgement is Judgement.RIGHT


def test_the_administrator_grants_without_being_asked(scene: Scene) -> None:
    administrator = scene.administrator()
    granted = act(recovery.grant_by_administrator, administrator, scene.owner, ADDRESS)
    assert granted.standing is Standing.GRANTED
    assert granted.is_administrators
    scene.case = granted
    scene.finish(scene.enrolment())
    assert load(granted).standing is Standing.COMPLETED


def test_an_administrator_grants_nobody_else(scene: Scene) -> None:
    administrator = scene.administrator()
    colleague = enrol("c@sever-trakt.example", Role.ADMINISTRATOR).account
    stranger = enrol("s@yuzhny.example", Role.OPERATOR, OTHER).account
    for person in (administrator, colleague, stranger, scene.specialist):
        granted = act(recovery.grant_by_administrator, administrator, person, ADDRESS)
        assert granted is Refusal.NOT_YOURS
    for person in (scene.owner, scene.specialist, stranger):
        granted = act(recovery.grant_by_administrator, person, scene.owner, ADDRESS)
        assert granted is Refusal.NOT_YOURS
    new = act(
        account.create, "d@sever-trakt.example", Role.ADMINISTRATOR, ORGANISATION, "", "", "tests"
    )
    granted = act(recovery.grant_by_administrator, new, scene.owner, ADDRESS)
    assert granted is Refusal.NOT_YOURS, "who has no device is no enrolled administrator"
    assert not posted()


def test_an_administrator_does_not_overrule_a_specialist(scene: Scene) -> None:
    scene.ask()
    administrator = scene.administrator()
    granted = act(recovery.grant_by_administrator, administrator, scene.owner, ADDRESS)
    assert granted is Refusal.OPEN_CASE
    assert load(scene.case).standing is Standing.ASKING
    assert not recovery.may_refuse(load(scene.case), administrator)


def test_an_administrator_refuses_what_was_routed_and_takes_back_what_was_granted(
    scene: Scene, time: Time
) -> None:
    administrator = scene.administrator()
    opened = scene.open()
    assert act(recovery.refuse, opened, administrator, Reason.STRANGER, ADDRESS)
    assert load(opened).standing is Standing.REFUSED
    granted = act(recovery.grant_by_administrator, administrator, scene.owner, ADDRESS)
    scene.case, code = granted, scene.code
    assert not act(recovery.refuse, granted, scene.owner, Reason.STRANGER, ADDRESS)
    assert act(recovery.refuse, granted, administrator, Reason.REVOKED, ADDRESS)
    assert scene.enter(code).judgement is Judgement.NOT_GRANTED


def test_who_becomes_an_administrator_meanwhile_needs_a_second_specialist(scene: Scene) -> None:
    scene.wait()
    code = scene.code
    act(account.change_role, scene.owner, Role.ADMINISTRATOR, "tests")
    clock.shift(DAY)
    assert load(scene.case).standing is Standing.APPROVAL
    assert scene.enter(code).judgement is Judgement.NOT_GRANTED
    assert scene.approve() is Approval.APPROVED
    assert len(posted("case_code")) == 1
    assert scene.enter(code).judgement is Judgement.RIGHT


def test_no_specialist_agrees_to_what_an_administrator_granted(scene: Scene) -> None:
    administrator = scene.administrator()
    scene.case = act(recovery.grant_by_administrator, administrator, scene.owner, ADDRESS)
    act(account.change_role, scene.owner, Role.ADMINISTRATOR, "tests")
    assert load(scene.case).standing is Standing.APPROVAL
    assert scene.approve() is Approval.NOT_A_THIRD
    assert act(recovery.cancel_by_link, scene.case.id, ADDRESS)


# The computer


def test_another_specialist_does_not_take_over(scene: Scene) -> None:
    scene.ask()
    assert scene.claim(scene.second) is Claim.TAKEN
    case = load(scene.case)
    assert not act(recovery.keep_answers, case, scene.second, scene.answers)
    verdict = act(recovery.decide, case, scene.second, scene.answers, SUPPORT_ADDRESS)
    assert verdict is Verdict.TAKEN
    assert load(scene.case) == case


def test_only_a_specialist_claims_a_number(scene: Scene, staff: Scene) -> None:
    scene.open()
    assert scene.claim(staff.owner) is Claim.OWN
    assert scene.claim(scene.owner) is Claim.OWN


@pytest.mark.parametrize(
    ("typed", "result"),
    [("123", Claim.MISTYPED), ("000 000 001", Claim.MISTYPED), ("000 000 000", Claim.UNKNOWN)],
)
def test_a_wrong_number_moves_nothing(scene: Scene, typed: str, result: Claim) -> None:
    scene.open()
    assert scene.claim(number=typed) is result
    assert load(scene.case).standing is Standing.OPENED


def test_a_number_counts_once_and_for_a_quarter_of_an_hour(scene: Scene, time: Time) -> None:
    scene.open()
    number = scene.number()
    assert scene.claim(number=number) is Claim.FOUND
    assert scene.claim(number=number) is Claim.FOUND, "who presses again sees the same computer"
    newer = scene.number()
    assert scene.claim(number=newer) is Claim.FOUND
    assert scene.claim(number=number) is Claim.CLAIMED
    last = scene.number()
    time.passes(minutes=15)
    assert scene.claim(number=last) is Claim.OLD
    time.passes(minutes=45)
    assert scene.claim(number=newer) is Claim.CLAIMED, "it says nothing any more"


def test_the_computer_of_another_account_is_refused(scene: Scene) -> None:
    scene.open()
    assert scene.claim(number=scene.number(scene.second)) is Claim.FOREIGN
    assert load(scene.case).standing is Standing.OPENED
    assert len(events("case.number_refused")) == 1


def test_a_person_may_change_computers(scene: Scene) -> None:
    first = scene.ask().diagnostics_id
    scene.cookie = ""
    assert scene.claim() is Claim.FOUND
    moved = load(scene.case)
    assert moved.diagnostics_id != first
    assert moved.standing is Standing.ASKING
    assert len(events("case.asking")) == 1


def test_the_evidence_says_where_the_computer_is_and_whether_it_is_known(
    scene: Scene, keep: Callable[..., None]
) -> None:
    assert look(recovery.evidence, scene.open()) is None
    scene.claim()
    seen = look(recovery.evidence, load(scene.case))
    assert (seen.diagnostics.address, seen.place) == (ADDRESS, Place.CHANNEL)
    assert (seen.seen.times, seen.is_fresh) == (0, True)
    assert seen.browser == "Chrome 156, Windows"
    for _ in range(2):
        act(session.begin, scene.owner, Stage.FULL, ADDRESS, CHROME)
    act(session.begin, scene.second, Stage.FULL, ADDRESS, CHROME)
    act(session.begin, scene.owner, Stage.PASSWORD, ADDRESS, CHROME)
    keep(networks="10.20.4.0/24")
    seen = look(recovery.evidence, load(scene.case))
    assert seen.place is Place.ORGANISATION
    assert seen.seen.times == 2
    assert seen.seen.last <= clock.now()


def test_of_many_organisations_each_channel_is_known(
    scene: Scene, keep: Callable[..., None]
) -> None:
    boss = enrol("boss@sever-trakt.example", Role.ADMINISTRATOR).account
    for number in range(12):
        keep(f"ORG-9{number:02}", networks=f"10.20.{number}.0/24 10.21.{number}.0/24")
        act(account.join, boss, f"ORG-9{number:02}", "tests")
    other = Scene(boss, scene.specialist, scene.second)
    other.open()
    cookie = act(diagnostics.begin, boss.id, "10.21.11.7", CHROME)
    other.claim(number=look(diagnostics.of_browser, cookie).number)
    assert look(recovery.evidence, load(other.case)).place is Place.ORGANISATION


@pytest.mark.parametrize(
    ("address", "place"),
    [("10.30.0.1", Place.STAFF), ("203.0.113.9", Place.OUTSIDE), ("", Place.OUTSIDE)],
)
def test_the_evidence_of_other_addresses(
    environment: dict[str, str], address: str, place: Place, request: pytest.FixtureRequest
) -> None:
    environment["PORTAL_STAFF_NETWORKS"] = "10.30.0.0/16"
    scene = request.getfixturevalue("scene")
    scene.open()
    cookie = act(diagnostics.begin, scene.owner.id, address, CHROME)
    scene.claim(number=look(diagnostics.of_browser, cookie).number)
    assert look(recovery.evidence, load(scene.case)).place is place


# The verdict


def test_wrong_answers_end_the_case(scene: Scene, post: Post) -> None:
    scene.ask()
    assert scene.decide(WRONG) is Verdict.NOT_ENOUGH
    ended = load(scene.case)
    assert (ended.standing, ended.reason) == (Standing.REFUSED, Reason.ANSWERS)
    letters = post.letters(scene.owner.email)
    assert [each.subject for each in letters] == ["В восстановлении доступа отказано"]
    assert "8-800-333-30-92" in letters[0].text
    assert "/cancel/" not in letters[0].text
    with pytest.raises(NotOpenError):
        scene.decide()


def test_answers_are_judged_once(scene: Scene) -> None:
    scene.wait()
    with pytest.raises(NotOpenError):
        scene.decide()
    with pytest.raises(NotOpenError):
        act(recovery.keep_answers, load(scene.case), scene.specialist, {})


def test_answers_are_kept_until_they_are_judged(scene: Scene) -> None:
    case = scene.ask()
    assert act(recovery.keep_answers, case, scene.specialist, {"created": "черновик"})
    assert load(case).answers == {"created": "черновик"}
    scene.decide()
    assert load(case).answers == scene.answers
    assert "черновик" not in repr(load(case))


def test_evidence_of_an_hour_ago_is_none(scene: Scene, time: Time) -> None:
    scene.ask()
    time.passes(minutes=59)
    time.passes(seconds=50)
    assert look(recovery.evidence, load(scene.case)).is_fresh
    time.passes(seconds=10)
    assert scene.decide() is Verdict.STALE
    assert scene.claim() is Claim.FOUND
    assert scene.decide() is Verdict.ENOUGH


# Three people


def test_the_second_specialist_is_another_one(staff: Scene) -> None:
    staff.wait()
    assert staff.approve(staff.specialist) is Approval.NOT_A_THIRD
    assert staff.approve(staff.owner) is Approval.NOT_A_THIRD
    assert load(staff.case).standing is Standing.APPROVAL
    assert staff.approve(staff.second) is Approval.APPROVED


def test_a_specialists_own_case_needs_two_others(scene: Scene) -> None:
    lost, third = scene.specialist, tell_apart("third")
    mine = Scene(lost, scene.second, third)
    mine.wait()
    assert mine.approve(lost) is Approval.NOT_A_THIRD
    assert mine.approve(scene.second) is Approval.NOT_A_THIRD
    assert mine.approve(third) is Approval.APPROVED


def test_who_may_agree_may_refuse_instead(staff: Scene) -> None:
    case = staff.wait()
    assert recovery.may_refuse(case, staff.second)
    assert not recovery.may_refuse(case, staff.owner)
    assert act(recovery.refuse, case, staff.second, Reason.COMPUTER, SUPPORT_ADDRESS)
    assert load(case).reason is Reason.COMPUTER


@pytest.mark.parametrize("step", ["opened", "asking", "approval", "waiting"])
def test_any_specialist_stops_a_case_but_the_owner(staff: Scene, step: str) -> None:
    """Who answers the phone is seldom who began; it only ever protects the owner."""
    steps = {"opened": staff.open, "asking": staff.ask, "approval": staff.wait}
    steps.get(step, staff.wait)()
    if step == "waiting":
        staff.approve()
    case = load(staff.case)
    for specialist in (staff.specialist, staff.second, tell_apart("fourth")):
        assert recovery.may_refuse(case, specialist)
    assert not recovery.may_refuse(case, staff.owner)
    fourth = tell_apart("fifth")
    assert act(recovery.refuse, case, fourth, Reason.WITHDRAWN, SUPPORT_ADDRESS)
    ended = load(case)
    assert (ended.standing, ended.reason) == (Standing.REFUSED, Reason.WITHDRAWN)
    assert not posted("case_code", due=True)


# Time


@pytest.mark.parametrize("standing", [Standing.OPENED, Standing.ROUTED, Standing.ASKING])
def test_a_case_that_goes_nowhere_ends_after_three_days(
    scene: Scene, standing: Standing, time: Time
) -> None:
    stand(scene, standing)
    clock.shift(scene.case.opened_at + 3 * DAY - clock.now() - timedelta(minutes=1))
    assert load(scene.case).standing is standing
    assert look(recovery.open_case_of, scene.owner)
    time.passes(minutes=1)
    assert load(scene.case).standing is Standing.EXPIRED
    assert look(recovery.open_case_of, scene.owner) is None
    assert act(recovery.cancel_by_link, scene.case.id, ADDRESS) is None
    assert act(recovery.cancel_by_sign_in, scene.owner, ADDRESS) is None


def test_a_new_case_writes_down_that_the_old_one_expired(scene: Scene, time: Time) -> None:
    old = stand(scene, Standing.EXPIRED)
    new = scene.open()
    ended = load(old)
    assert (ended.state, ended.reason) == (State.CANCELLED, Reason.EXPIRED)
    assert ended.standing is Standing.EXPIRED
    assert new.number == old.number + 1
    assert not posted("case_cancelled")


def test_an_approval_comes_in_time_or_never(staff: Scene) -> None:
    waiting = staff.wait()
    assert waiting.wait_until
    clock.shift(waiting.wait_until + DAY - clock.now() - timedelta(minutes=1))
    assert load(waiting).standing is Standing.APPROVAL
    clock.shift(timedelta(minutes=1))
    assert load(waiting).standing is Standing.EXPIRED
    with pytest.raises(NotOpenError):
        staff.approve()


def test_a_grant_lasts_a_day(scene: Scene, post: Post) -> None:
    granted = scene.grant()
    code = scene.code
    assert posted("case_code")[0].useful_until == granted.expires_at
    clock.shift(granted.expires_at - clock.now() - timedelta(minutes=1))
    assert scene.enter(code).judgement is Judgement.RIGHT
    clock.shift(timedelta(minutes=1))
    assert load(granted).standing is Standing.EXPIRED
    assert scene.enter(code).judgement is Judgement.NOT_GRANTED
    post.deliver()
    assert posted("case_code")[0].trouble == Trouble.EXPIRED


def test_who_was_let_in_may_finish_after_the_grant(scene: Scene, time: Time) -> None:
    granted = scene.grant()
    clock.shift(granted.expires_at - clock.now() - timedelta(minutes=1))
    enrolment = scene.enrolment()
    time.passes(minutes=9)
    scene.finish(enrolment)
    assert load(granted).standing is Standing.COMPLETED


def test_a_grant_and_its_enrolment_do_not_last_for_ever(scene: Scene, time: Time) -> None:
    granted = scene.grant()
    clock.shift(granted.expires_at - clock.now() - timedelta(minutes=1))
    enrolment = look(session.find, scene.enrolment())
    time.passes(minutes=11)
    with pytest.raises(NotOpenError):
        act(recovery.complete, enrolment, "x", ADDRESS)


# The code


def test_five_wrong_codes_end_the_case(scene: Scene, post: Post) -> None:
    scene.grant()
    code = scene.code
    for left in (4, 3, 2, 1):
        assert scene.enter("ABCD-EFGH") == Answer(Judgement.WRONG, left)
    assert scene.enter("ABCD-EFGH") == Answer(Judgement.USED_UP)
    assert scene.enter(code).judgement is Judgement.NOT_GRANTED
    ended = load(scene.case)
    assert (ended.standing, ended.reason, ended.tries) == (Standing.REFUSED, Reason.TRIES, 5)
    assert "пять раз" in post.letters(scene.owner.email)[-1].text


def test_a_right_code_does_not_use_itself_up(scene: Scene) -> None:
    scene.grant()
    code = scene.code
    for _ in range(4):
        scene.enter("x")
    for _ in range(7):
        assert scene.enter(code).judgement is Judgement.RIGHT
    assert load(scene.case).tries == 4


def test_a_code_is_forgiven_its_spelling(scene: Scene) -> None:
    scene.grant()
    code = scene.code
    cyrillic = code.translate(str.maketrans("0ABCEHKMPTX", "ОАВСЕНКМРТХ"))
    for typed in (code.lower(), code.replace("-", ""), f" {' '.join(code)} ", cyrillic.lower()):
        assert scene.enter(typed).judgement is Judgement.RIGHT, typed
    for typed in (
        code[:-1],
        code + "0",
        code[::-1] if code != code[::-1] else "x",
        "",
        code + " " * 93 + "x",
    ):
        assert scene.enter(typed or " ").judgement is not Judgement.RIGHT, typed


def test_a_code_works_in_the_browser_of_the_diagnostics_alone(scene: Scene) -> None:
    scene.grant()
    other = act(diagnostics.begin, scene.owner.id, ADDRESS, CHROME)
    for cookie in ("", "x", other):
        assert scene.enter(cookie=cookie) == Answer(Judgement.OTHER_BROWSER)
    assert load(scene.case).tries == 0
    scene.number()
    assert scene.enter().judgement is Judgement.RIGHT, "it ran the diagnostics once more"


def test_a_code_works_for_its_account_alone(scene: Scene, staff: Scene) -> None:
    scene.grant()
    assert scene.enter(owner=staff.owner).judgement is Judgement.NOT_GRANTED
    assert load(scene.case).tries == 0


def test_a_code_of_another_case_is_wrong(scene: Scene, staff: Scene) -> None:
    staff.grant()
    others = staff.code
    scene.grant()
    assert scene.enter(others).judgement is Judgement.WRONG


def test_a_seal_that_was_moved_to_another_case_opens_nothing(scene: Scene, staff: Scene) -> None:
    staff.grant()
    code = staff.code
    scene.grant()
    with db.writing():
        seal = cases.select().where(cases.c.id == staff.case.id)
        moved = {"of": scene.case.id, "to": db.one(seal).seal}
        db.execute(
            cases.update().where(cases.c.id == bindparam("of")).values(seal=bindparam("to")), moved
        )
        db.commit()
    assert scene.enter(code).judgement is Judgement.WRONG


def test_a_rotated_key_keeps_the_code(scene: Scene, environment: dict[str, str]) -> None:
    old, new = (
        "an older secret key of 32 bytes at least",
        "a newer secret key of 32 bytes at least",
    )
    config.use(config.load(environment | {"PORTAL_SECRET_KEY": old}))
    scene.grant()
    code = scene.code
    keys = {"PORTAL_SECRET_KEY": new, "PORTAL_SECRET_KEY_FALLBACKS": old}
    config.use(config.load(environment | keys))
    assert scene.enter(code).judgement is Judgement.RIGHT


def test_the_code_is_readable_nowhere_in_the_database(
    scene: Scene, everything_stored: Callable[[], bytes], post: Post
) -> None:
    scene.ask()
    act(recovery.keep_answers, load(scene.case), scene.specialist, {"created": "весна девяносто"})
    scene.decide()
    code = scene.code
    stored = everything_stored()
    secrets = (code, code.replace("-", ""), scene.owner.email, PHONE, "девяносто", "Петров")
    for secret in secrets:
        assert secret.encode() not in stored
    clock.shift(DAY)
    post.deliver()
    assert all(row.words is None for row in posted())


# Stopping it


@pytest.mark.parametrize(
    "standing", [Standing.OPENED, Standing.ASKING, Standing.WAITING, Standing.GRANTED]
)
def test_the_owner_stops_it_by_the_link_in_any_letter(
    scene: Scene, standing: Standing, post: Post
) -> None:
    stand(scene, standing)
    for letter in post.letters(scene.owner.email):
        found = re.search(r"http://127\.0\.0\.1:8000/cancel/(\S+)", letter.text)
        assert found
        assert proofs.unsign(CANCEL, found[1]) == scene.case.id
        assert found[0] in letter.html
    act(recovery.cancel_by_link, scene.case.id, ADDRESS)
    ended = load(scene.case)
    assert (ended.standing, ended.reason) == (Standing.CANCELLED, Reason.LINK)
    assert post.letters(scene.owner.email)[-1].subject == "Восстановление доступа остановлено"
    assert act(recovery.cancel_by_link, scene.case.id, ADDRESS) is None


def test_a_forged_link_stops_nothing(scene: Scene) -> None:
    case = scene.open()
    token = cancel_link(case)
    assert proofs.unsign(CANCEL, token) == case.id
    for forged in ("", "x", case.id, token[:-1], token + "A", f"{case.id}.{'x' * 27}"):
        assert proofs.unsign(CANCEL, forged) is None
    assert act(recovery.cancel_by_link, "x" * 22, ADDRESS) is None
    assert CANCEL == "cancel"


def test_signing_in_stops_it(scene: Scene, post: Post) -> None:
    scene.wait()
    code = scene.code
    ended = act(recovery.cancel_by_sign_in, scene.owner, ADDRESS)
    assert (ended.standing, ended.reason) == (Standing.CANCELLED, Reason.SIGN_IN)
    letters = post.letters(scene.owner.email)
    assert [each.subject for each in letters] == ["Восстановление доступа остановлено"]
    assert "прежним устройством" in letters[0].text
    clock.shift(DAY)
    assert len(post.letters(scene.owner.email)) == 1, "the code is not sent"
    assert scene.enter(code).judgement is Judgement.NOT_GRANTED
    assert act(recovery.cancel_by_sign_in, scene.owner, ADDRESS) is None


def test_signing_in_elsewhere_stops_nothing(scene: Scene, staff: Scene) -> None:
    scene.wait()
    assert act(recovery.cancel_by_sign_in, staff.owner, ADDRESS) is None
    assert load(scene.case).standing is Standing.WAITING


def test_who_is_enrolling_is_let_out_when_the_case_is_stopped(scene: Scene) -> None:
    scene.grant()
    enrolment = scene.enrolment()
    own = act(session.begin, scene.owner, Stage.FULL, ADDRESS, CHROME)
    found = look(session.find, enrolment)
    act(recovery.cancel_by_link, scene.case.id, ADDRESS)
    assert look(session.find, enrolment) is None
    assert look(session.find, own) is not None
    with pytest.raises(NotOpenError):
        act(recovery.complete, found, "x", ADDRESS)
    assert len(look(device.devices_of, scene.owner.id)) == 1


@pytest.mark.parametrize(
    "stop",
    [
        lambda scene: act(recovery.cancel_by_link, scene.case.id, ADDRESS),
        lambda scene: act(recovery.cancel_by_sign_in, scene.owner, ADDRESS),
        lambda scene: act(
            recovery.refuse, load(scene.case), scene.second, Reason.STRANGER, ADDRESS
        ),
    ],
    ids=["link", "sign in", "refusal"],
)
def test_who_enrols_after_the_grant_is_stopped_all_the_same(
    scene: Scene, time: Time, stop: Callable[[Scene], object]
) -> None:
    granted = scene.grant()
    clock.shift(granted.expires_at - clock.now() - timedelta(minutes=1))
    enrolment = scene.enrolment()
    time.passes(minutes=5)
    assert load(granted).standing is Standing.EXPIRED
    assert stop(scene)
    assert look(session.find, enrolment) is None
    time.passes(minutes=10)
    assert load(granted).ended_at


def test_only_the_enrolment_of_the_case_completes_it(scene: Scene, staff: Scene) -> None:
    staff.wait()
    staff.approve()
    clock.shift(timedelta(hours=48))
    scene.grant()
    assert load(staff.case).standing is Standing.GRANTED
    tokens = [
        act(session.begin, scene.owner, Stage.FULL, ADDRESS, CHROME),
        act(session.begin, scene.owner, Stage.ENROLMENT, ADDRESS, CHROME),
        act(begin_enrolment, scene.owner, staff.case),
        act(begin_full, scene.owner, scene.case),
    ]
    for token in tokens:
        with pytest.raises(NotOpenError):
            act(recovery.complete, look(session.find, token), "x", ADDRESS)
    for each in (scene, staff):
        assert load(each.case).standing is Standing.GRANTED


def begin_full(owner: Account, case: Case) -> str:
    return session.begin(owner, Stage.FULL, ADDRESS, CHROME, case_id=case.id)


def test_all_that_was_lost_stops_working(scene: Scene) -> None:
    person = enrol("l@yuzhny.example", Role.ADMINISTRATOR, OTHER, codes=True)
    lost = Scene(person.account, scene.specialist, scene.second)
    passkey = {"credential_id": b"id", "public_key": b"key", "sign_count": 0}
    with db.writing():
        add(lost.owner, device.Kind.PASSKEY, "", ADDRESS, **passkey)
        db.commit()
    lost.grant()
    assert look(device.codes_left, lost.owner.id).count == 10
    new = lost.finish(lost.enrolment())
    assert [each.id for each in look(device.devices_of, lost.owner.id)] == [new]
    assert look(device.codes_left, lost.owner.id).count == 0
    assert act(device.take_code, lost.owner, person.codes[1], ADDRESS) is None
    assert not act(device.take_totp, lost.owner.id, person.code)


def test_who_becomes_an_administrator_while_enrolling_waits_for_a_second_specialist(
    scene: Scene,
) -> None:
    scene.grant()
    enrolment = look(session.find, scene.enrolment())
    act(account.change_role, scene.owner, Role.ADMINISTRATOR, "tests")
    with pytest.raises(NotOpenError):
        act(recovery.complete, enrolment, "x", ADDRESS)


def test_nobody_enrols_before_the_wait_is_over(scene: Scene) -> None:
    scene.wait()
    token = act(begin_enrolment, scene.owner, scene.case)
    with pytest.raises(NotOpenError):
        scene.finish(token)
    assert load(scene.case).standing is Standing.WAITING


def test_what_is_in_the_post_is_withdrawn_at_the_end(scene: Scene) -> None:
    scene.wait()
    act(recovery.cancel_by_link, scene.case.id, ADDRESS)
    assert [row.letter for row in posted(due=True)] == ["case_cancelled"]
    withdrawn = [row for row in posted() if row.letter != "case_cancelled"]
    assert {row.trouble for row in withdrawn} == {Trouble.WITHDRAWN}
    assert all(row.words is None for row in withdrawn)


# Many at once


def at_once(verb: Callable[[int], object], times: int = AT_ONCE) -> list[Any]:
    def attempt(each: int) -> object:
        try:
            return verb(each)
        except NotOpenError:
            return NotOpenError

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(attempt, range(times)))


def stale(case: Case, verb: Callable[..., Any], *arguments: Any) -> Callable[[int], object]:
    """The verb on a case that was read before: what it says may be no longer true."""
    return lambda _: act(verb, case, *arguments)


def test_of_many_openings_at_once_one_counts(scene: Scene) -> None:
    opened = at_once(lambda _: act(recovery.open_by_owner, scene.owner, "cabinet", ADDRESS))
    assert sum(isinstance(each, Case) for each in opened) == 1
    assert Counter(map(str, opened))[Refusal.OPEN_CASE] == AT_ONCE - 1
    assert len(posted("case_opened")) == 2, "a letter and an SMS"


def test_of_many_specialists_at_once_one_works_on_it(scene: Scene) -> None:
    case = scene.open()
    numbers = [scene.number() for _ in range(4)]
    people = [scene.specialist, scene.second] * 2
    results = at_once(
        lambda each: act(recovery.claim_number, case, people[each], numbers[each], ""), 4
    )
    assert Counter(results) == {Claim.FOUND: 1, NotOpenError: 3}
    assert len(events("case.asking")) == 1


def test_of_many_verdicts_at_once_one_counts(scene: Scene) -> None:
    case = scene.ask()
    decide = stale(case, recovery.decide, scene.specialist, scene.answers, SUPPORT_ADDRESS)
    assert Counter(at_once(decide)) == {Verdict.ENOUGH: 1, NotOpenError: AT_ONCE - 1}
    assert len(posted("case_waiting")) == 2
    assert len(posted("case_code")) == 1


def test_of_many_approvals_at_once_one_counts(staff: Scene) -> None:
    case = staff.wait()
    approve = stale(case, recovery.approve, staff.second, SUPPORT_ADDRESS)
    assert Counter(at_once(approve)) == {Approval.APPROVED: 1, NotOpenError: AT_ONCE - 1}
    assert len(posted("case_code")) == 1


def test_of_many_wrong_codes_at_once_five_are_judged(scene: Scene) -> None:
    case = scene.grant()
    enter = stale(case, recovery.enter_code, scene.owner, "x", scene.cookie, ADDRESS)
    kinds = Counter(each.judgement for each in at_once(enter))
    assert kinds == {
        Judgement.WRONG: 4,
        Judgement.USED_UP: 1,
        Judgement.NOT_GRANTED: AT_ONCE - 5,
    }
    assert load(case).tries == 5
    assert len(posted("case_refused")) == 1


def test_of_many_right_codes_at_once_all_are_right_and_one_device_comes(scene: Scene) -> None:
    case = scene.grant()
    enter = stale(case, recovery.enter_code, scene.owner, scene.code, scene.cookie, ADDRESS)
    assert {each.judgement for each in at_once(enter)} == {Judgement.RIGHT}
    tokens = [act(begin_enrolment, scene.owner, case) for _ in range(4)]
    found = [look(session.find, token) for token in tokens]

    def complete(each: int) -> object:
        return act(recovery.complete, found[each], "x" * 22, ADDRESS)

    results = at_once(complete, 4)
    assert sum(isinstance(each, Case) for each in results) == 1
    assert len(events("case.completed")) == 1


def test_stopping_and_agreeing_at_once_have_one_end(staff: Scene) -> None:
    case = staff.wait()

    def either(each: int) -> object:
        if each % 2:
            return act(recovery.cancel_by_link, case.id, ADDRESS)
        return act(recovery.approve, case, staff.second, SUPPORT_ADDRESS)

    at_once(either)
    ended = load(case)
    assert ended.standing is Standing.CANCELLED
    assert len(posted("case_cancelled")) == 1
    assert not posted("case_code", due=True)


# Lists


def test_a_list_shows_open_cases_first_the_oldest_first(scene: Scene, time: Time) -> None:
    numbers = {}
    for each in range(6):
        owner = enrol(f"o{each}@sever-trakt.example", Role.OPERATOR).account
        numbers[each] = act(recovery.open_by_owner, owner, "cabinet", ADDRESS)
        if each == 0:
            time.passes(hours=71)
    act(recovery.cancel_by_link, numbers[2].id, ADDRESS)
    time.passes(hours=1)  # the first one is over, and nobody has written it down
    assert pages(Which.ALL) == [2, 4, 5, 6, 3, 1]
    assert pages(Which.OPEN) == [2, 4, 5, 6]
    assert pages(Which.ENDED) == [3, 1]


def test_a_list_knows_a_wait_from_a_grant_that_ran_out(scene: Scene, staff: Scene) -> None:
    scene.wait()
    staff.wait()
    for hours, numbers in ((47, [1, 2]), (1, [2]), (47, [2])):
        clock.shift(timedelta(hours=hours))
        assert pages(Which.OPEN) == numbers
        for each in (scene, staff):
            assert load(each.case).is_open == (load(each.case).number in numbers)
    staff.approve()
    clock.shift(timedelta(hours=23))
    assert pages(Which.OPEN) == [2]
    clock.shift(timedelta(hours=1))
    assert pages(Which.ALL) == [2, 1]
    assert pages(Which.OPEN) == []


@pytest.mark.sqlite
def test_a_list_costs_what_it_shows_however_many_cases_there_were(app: Flask) -> None:
    moments = dict.fromkeys(("opened_since", "granted_since"), clock.now())
    with db.reading():
        assert "ix_cases_not_ended" in plan(case._OPEN_BEHIND, after=0, most=1, **moments)
        assert "(number<?)" in plan(case._OVER_BEFORE, before=9, most=1, **moments)


def pages(which: Which) -> list[int]:
    """The numbers of all cases, read in pages of two."""
    found, after = [], 0
    while True:
        listed = look(recovery.list_cases, which, after, 2)
        assert len(listed.cases) <= 2
        found += [each.number for each in listed.cases]
        if listed.after is None:
            return found
        after = listed.after


# Words


@pytest.mark.parametrize("letter", ["case_opened", "case_waiting", "case_granted"])
def test_an_sms_fits_two_parts_and_has_no_link(environment: dict[str, str], letter: str) -> None:
    longest = "+7 (800) 333-30-920"
    assert len(longest) == readers.LONGEST_SUPPORT_PHONE
    app = create_app(config.load(environment | {"PORTAL_SUPPORT_PHONE": longest}))
    with app.app_context():
        template = app.jinja_env.get_template(f"sms/{letter}.txt")
        text = template.render(until="2026-11-22T11:02:00+00:00")
    assert len(text.strip()) <= 134
    assert text.startswith("ИЗКТ: ")
    assert longest in text
    assert "http" not in text


def test_letters_about_an_account_name_no_organisation(scene: Scene, post: Post) -> None:
    scene.grant()
    scene.finish(scene.enrolment())
    for letter in post.letters(scene.owner.email):
        assert "ID учётной записи" not in letter.text + letter.html
        assert "8-800-333-30-92" in letter.text
        assert "{{" not in letter.text + letter.html
        assert "Здравствуйте, Петров Пётр!" in letter.text
