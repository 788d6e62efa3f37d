"""Faults: what an operator's bad days do to the portal, with real processes (docs/operating.md).

`make faults` runs all of it on both databases, tests/test_faults.py a short form. A scenario runs a
house (`house.py`): web servers and delivery workers as an operator starts them, a mail server and
an SMS gateway that keep what they took (`far_ends.py`), and people who walk whole journeys over
HTTP and try again as people do (`person.py`). Meanwhile something goes wrong. Then `invariants.py`
compares the database, the journal and what was taken. Clocks are the house's own (`clocks.py`):
they may run faster, jump, and be apart.
"""
