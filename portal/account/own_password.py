"""One's own password, changed: who is signed in says the old one, too.

OWASP ASVS 5.0, 6.2.2 and 6.2.3. Who forgot the old one gets a link by letter (links.py).
"""

from typing import NamedTuple

from portal.account import links, password, sign_in
from portal.account.account import Account, tell
from portal.account.sign_in import Pause


class Changed(NamedTuple):
    """Whether the password is another one now; if not, until when none is judged."""

    done: bool
    pause: Pause | None = None


def change_password(owner: Account, old: str, chosen: str, address: object) -> Changed:
    """Keep a new password of one's own, where the old one is right.

    All sessions end and links to a new password are dead. A wrong old password counts as one in
    signing in. Raises BadValueError for a bad new one, before the old one is judged.
    """
    good = password.check(chosen, links.easily_guessed(owner))
    judged = sign_in.judge(owner.email, old, address)
    if judged.account is None:
        return Changed(done=False, pause=judged.pause)
    links.set_password(owner, good, address)
    tell(owner, "password.changed", address)
    return Changed(done=True)
