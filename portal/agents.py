"""What a browser calls itself, in words that a person understands."""

LONGEST = 400  # characters of a User-Agent that are kept; real ones have some 150
NAMES = {"Mac OS X": "macOS", "IE": "Internet Explorer"}  # where the package's are not today's


def describe(agent: str) -> str:
    """Browser and system, such as «Chrome 156, Windows»; what is not recognised is left out.

    The system comes without its version: browsers no longer tell the true one.
    """
    # Imported here: the package and its lists of names take 0.1 s, which no other start should.
    from ua_parser import parse_os, parse_user_agent  # noqa: PLC0415

    browser = parse_user_agent(agent[:LONGEST])
    system = parse_os(agent[:LONGEST])
    words = []
    if browser:
        name = NAMES.get(browser.family, browser.family)
        words.append(f"{name} {browser.major}" if browser.major else name)
    if system:
        words.append(NAMES.get(system.family, system.family))
    return ", ".join(words)
