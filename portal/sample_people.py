"""People to sign in as, and a recovery in each state, for `portal run --demo`.

Everybody has the same password and the same secret in the authenticator app: they exist on one
machine alone, and are printed at its start.
"""

from datetime import timedelta

import pyotp

from portal import account, clock, device, diagnostics, recovery
from portal.account import Account, Role, links, session
from portal.account.links import INVITATION
from portal.account.session import Stage
from portal.database import db
from portal.recovery import Case, Reason, facts

ACTOR = "samples"
ADDRESS = "127.0.0.1"
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/156.0.0.0 Safari/537.36"
)
PASSWORD = "семь рыжих тракторов едут"  # noqa: S105 - printed at every start
SECRET = "NBSWY3DPO5XXE3DENBSWY3DPO5XXE3DE"  # noqa: S105
MANAGED = "ORG-004217"  # has an administrator, who looks after its people
UNMANAGED = "ORG-004226"  # has none: specialists do
OPEN = "ORG-004230"  # verified: its people may work
BLOCKED = "ORG-004231"  # being edited: they may not
ADMINISTERED = ("ORG-004220", "ORG-004221", "ORG-004229", OPEN, BLOCKED, "ORG-004232", "ORG-004233")
"""What the administrator of MANAGED looks after, too."""
SPECIALIST = "orlov@izkt.example"
SECOND = "belova@izkt.example"
ADMINISTRATOR = "sokolova@sever-trakt.example"
PEOPLE = (
    (SPECIALIST, Role.SPECIALIST, None, "Орлов Виктор Андреевич"),
    (SECOND, Role.SPECIALIST, None, "Белова Мария Игоревна"),
    (ADMINISTRATOR, Role.ADMINISTRATOR, MANAGED, "Соколова Анна Петровна"),
    ("petrov@sever-trakt.example", Role.OPERATOR, MANAGED, "Петров Пётр Ильич"),
    ("gromova@sever-trakt.example", Role.SENIOR_OPERATOR, MANAGED, "Громова Ольга Сергеевна"),
    ("lisin@sever-trakt.example", Role.CONTROLLER, MANAGED, "Лисин Егор Павлович"),
    ("zueva@sever-trakt.example", Role.MANAGER, MANAGED, "Зуева Нина Олеговна"),
    ("kruglova@vyatka-tranzit.example", Role.OPERATOR, OPEN, "Круглова Ева Денисовна"),
    ("maslov@vyatka-tranzit.example", Role.MANAGER, OPEN, "Маслов Юрий Антонович"),
    ("pankov@smol-per.example", Role.OPERATOR, BLOCKED, "Панков Глеб Ильич"),
)
LOST = {
    "opened": (Role.OPERATOR, "Чижова Вера Львовна", UNMANAGED),
    "asking": (Role.OPERATOR, "Носов Олег Юрьевич", UNMANAGED),
    "waiting": (Role.CONTROLLER, "Рогова Юлия Антоновна", UNMANAGED),
    "granted": (Role.OPERATOR, "Тихий Семён Маркович", UNMANAGED),
    "refused": (Role.MANAGER, "Сомов Лев Ильич", UNMANAGED),
    "cancelled": (Role.OPERATOR, "Фомина Анна Ивановна", UNMANAGED),
    "completed": (Role.SENIOR_OPERATOR, "Ильин Марк Юрьевич", UNMANAGED),
    "expired": (Role.OPERATOR, "Жукова Лидия Ильинична", UNMANAGED),
    "approval": (Role.ADMINISTRATOR, "Власова Инна Карловна", "ORG-004227"),
    "routed": (Role.OPERATOR, "Ершов Иван Кузьмич", MANAGED),
    "reset": (Role.CONTROLLER, "Ушаков Денис Львович", MANAGED),  # may finish in any browser
}
PHONES = "+792155502{:02}"  # of those who lost something, one after another
SERVICE = "focus"
ANSWERS = {
    "check_dates": "12.11.2026, 17.11.2026",
    "checked_organisations": "Волжские перевозки, Уральская логистика",
}


def seed() -> None:
    """Make everybody, and bring a recovery into each state; the sample organisations are there."""
    clock.shift(timedelta(days=-10))
    for email, role, organisation_id, name in PEOPLE:
        _enrol(email, role, name, organisation_id)
    _join()
    lost = {
        state: _enrol(f"{state}@example.ru", role, name, organisation_id, PHONES.format(number))
        for number, (state, (role, name, organisation_id)) in enumerate(LOST.items())
    }
    clock.reset()
    _open(lost["opened"])
    _open(lost["routed"])
    _reset(lost["reset"])
    _ask(lost["asking"])
    _wait(lost["approval"])
    _wait(lost["waiting"])
    _refuse(_ask(lost["refused"]))
    _cancel(_open(lost["cancelled"]))
    clock.shift(timedelta(hours=-73))
    _open(lost["expired"])
    clock.shift(timedelta(hours=48))
    _wait(lost["granted"])
    done = _wait(lost["completed"])
    clock.reset()
    _complete(done)


def _enrol(
    email: str, role: Role, name: str, organisation_id: str | None, phone: str = ""
) -> Account:
    """Somebody who came by an invitation, and has signed in once."""
    with db.writing():
        made = account.create(email, role, organisation_id, name, phone, ACTOR)
        link = links.send_invitation(made, ACTOR)
        token = links.choose_password(INVITATION, link, made, PASSWORD, ADDRESS, AGENT)
        enrolment = session.find(token or "")
        assert enrolment, "an invited person goes on to enrol a device"
        device.add_totp(made, SECRET, pyotp.TOTP(SECRET).at(clock.now()), "", ADDRESS)
        links.use_invitation(made)
        session.renew(enrolment, "totp", ADDRESS, AGENT)
        db.commit()
    return _known(email)


def _join() -> None:
    """One administrator may have several organisations."""
    with db.writing():
        for id in ADMINISTERED:
            account.join(_known(ADMINISTRATOR), id, ACTOR)
        db.commit()


def _open(owner: Account) -> Case:
    with db.writing():
        case = recovery.open_by_owner(owner, SERVICE, ADDRESS)
        assert isinstance(case, Case), "nothing speaks against it"
        db.commit()
    return case


def _reset(owner: Account) -> None:
    """The organisation's administrator sent a code, which is in the inbox."""
    with db.writing():
        recovery.grant_by_administrator(_known(ADMINISTRATOR), owner, ADDRESS)
        db.commit()


def _ask(owner: Account) -> Case:
    """A specialist has the number of the computer; the answers are known."""
    case = _open(owner)
    with db.writing():
        cookie = diagnostics.begin(owner.id, ADDRESS, AGENT)
        seen = diagnostics.of_browser(cookie)
        assert seen, "it began a moment ago"
        recovery.claim_number(case, _known(SPECIALIST), seen.number, ADDRESS)
        for question, answer in ANSWERS.items():
            facts.keep(owner.id, SERVICE, question, answer, ACTOR)
        db.commit()
    return _case(case.id)


def _wait(owner: Account) -> Case:
    """The answers were enough."""
    case = _ask(owner)
    with db.writing():
        recovery.decide(case, _known(SPECIALIST), ANSWERS, ADDRESS)
        db.commit()
    return _case(case.id)


def _refuse(case: Case) -> None:
    with db.writing():
        recovery.refuse(case, _known(SPECIALIST), Reason.STRANGER, ADDRESS)
        db.commit()


def _cancel(case: Case) -> None:
    with db.writing():
        recovery.cancel_by_link(case.id, ADDRESS)
        db.commit()


def _complete(case: Case) -> None:
    """A new app took the place of the lost one."""
    owner = case.owner
    with db.writing():
        token = session.begin(owner, Stage.ENROLMENT, ADDRESS, AGENT, case_id=case.id)
        enrolment = session.find(token)
        assert enrolment, "it began a moment ago"
        secret = device.new_secret()
        code = pyotp.TOTP(secret).at(clock.now())
        added = device.add_totp(owner, secret, code, "", ADDRESS)
        assert added, "its own code fits"
        recovery.complete(enrolment, added, ADDRESS)
        session.renew(enrolment, "totp", ADDRESS, AGENT)
        db.commit()


def _known(email: str) -> Account:
    found = account.find_by_email(email)
    assert found, "it was made a moment ago"
    return found


def _case(id: str) -> Case:
    found = recovery.find(id)
    assert found, "it was opened a moment ago"
    return found
