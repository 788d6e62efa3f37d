"""The services, containers and statements of deploy/: each command, setting and file is real."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import click
import pytest

from portal import config, weakening
from portal.cli import portal
from portal.cli.servers import STOPS_SECONDS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SYSTEMD = DEPLOY / "systemd"
UNITS = sorted([*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.socket"), *SYSTEMD.glob("*.timer")])
SERVICES = [each for each in UNITS if each.suffix == ".service"]
PORTAL = "/opt/portal/current/bin/portal"
MOST_EXPOSED = 2.0  # of 10, as `systemd-analyze security` counts; an unhardened service has 9.6
SETTINGS = {config.PREFIX + each.name.upper() for each in fields(config.Settings)}

systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd")


def analyze(*arguments: str) -> str:
    told = subprocess.run(
        ["systemd-analyze", *arguments],
        env={"SYSTEMD_UNIT_PATH": f"{SYSTEMD}:", "SYSTEMD_COLORS": "0", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout + told.stderr


def check_command(words: list[str]) -> None:
    """Raise what click raises unless it is a command of ours with options that it has."""
    command: click.Command = portal
    context = click.Context(command)
    while isinstance(command, click.Group):
        name, words = words[0], words[1:]
        found = command.get_command(context, name)
        assert found, f"no command {name}"
        command, context = found, click.Context(found, parent=context)
    command.make_parser(context).parse_args(list(words))
    command.make_context(None, list(words), resilient_parsing=False).close()


def commands_of(text: str) -> list[list[str]]:
    """Our commands in a unit, with their words."""
    lines = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    found = [re.search(rf"{re.escape(PORTAL)} ([^']*)", line) for line in lines]
    return [shlex.split(re.sub(r"\$\(.*?\)", "today", each[1])) for each in found if each]


@systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_a_unit(unit: Path) -> None:
    complaints = [
        line
        for line in analyze("verify", "--man=no", "--recursive-errors=no", str(unit)).splitlines()
        if unit.name.replace("@", "") in line.replace("@i", "").replace("@", "")
        and "is not executable: No such file" not in line  # it is not installed here
    ]
    assert not complaints


@systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_may_do_little(unit: Path) -> None:
    said = analyze("security", "--offline=yes", "--no-pager", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found, said
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_what_a_service_runs_is_a_command_of_ours(unit: Path) -> None:
    text = unit.read_text()
    commands = commands_of(text)
    assert len(commands) == text.count("ExecStart=") == 1
    check_command(commands[0])


def test_a_command_that_is_none_is_seen() -> None:
    for wrong in (["serf"], ["serve", "--worker"], ["database", "upgrade", "now"]):
        with pytest.raises((AssertionError, click.UsageError)):
            check_command(wrong)


def test_services_end_after_what_they_wait_for() -> None:
    web = (SYSTEMD / "portal-web.service").read_text()
    stop = re.search(r"TimeoutStopSec=(\d+)", web)
    assert stop
    assert int(stop[1]) > STOPS_SECONDS
    assert "KillMode=mixed" in web, "workers are told by their parent"


def test_units_name_only_units_that_are_there() -> None:
    ours = {each.name for each in UNITS}
    for unit in UNITS:
        named = set(re.findall(r"\bportal[\w@-]*\.(?:service|socket|timer)", unit.read_text()))
        assert named <= ours
        if unit.suffix == ".timer":
            assert unit.with_suffix(".service").name in ours


def test_sample_settings_are_settings() -> None:
    lines = (SYSTEMD / "portal.env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert given.keys() <= SETTINGS
    keys = {
        "PORTAL_SECRET_KEY": "q9-Zr4_Lw8sTn2XcVb6YpKd0HfJg3MeA",
        "PORTAL_DATA_KEYS": "A" * 43 + "=",
    }
    loaded = config.load({name: text.strip("'") for name, text in given.items()} | keys)
    assert not loaded.weakened


# Containers: there is no engine here that could build and run them


def test_the_image_is_put_together_from_what_is_there() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    copied = [line.split()[1] for line in text.splitlines() if re.match(r"COPY [^-]", line)]
    assert copied == ["requirements.txt", "pyproject.toml", "portal"]
    assert all((ROOT / each).exists() for each in copied)
    assert "--require-hashes -r requirements.txt" in text
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert bases
    assert not any("/" in each for each in bases), "whose registry it is, everybody decides"


def test_the_image_runs_as_nobody_and_has_no_secrets() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    user = re.findall(r"^USER (\d+):\d+$", text, re.MULTILINE)
    assert user
    assert int(user[-1]) > 0
    assert text.rindex("USER ") > text.rindex("RUN ")
    assert config.PREFIX not in text
    assert "STOPSIGNAL SIGTERM" in text
    command = re.search(r"^CMD \[(.*)\]$", text, re.MULTILINE)
    assert command
    check_command(re.findall(r'"([^"]*)"', command[1]))
    assert "http://127.0.0.1:8000/health/live" in text


def test_the_sample_of_containers_names_what_is_there() -> None:
    text = (DEPLOY / "compose.yml").read_text()
    commands = re.findall(r"^  +command: \[((?:serve|deliver|database).*)\]$", text, re.MULTILINE)
    assert len(commands) == 3
    for each in commands:
        check_command([word.strip().strip('"') for word in each.split(",")])
    for name in set(re.findall(r"PORTAL_[A-Z_]+", text)):
        assert name in SETTINGS
    for file in set(re.findall(r"- \./([\w.]+):", text)) - {"tls"}:
        assert (DEPLOY / file).exists()
    images = re.findall(r"image: (\S+)", text)
    assert len(images) == 4
    assert not any("/" in each for each in images)
    grace = [int(each) for each in re.findall(r"stop_grace_period: (\d+)s", text)]
    assert min(grace) > STOPS_SECONDS
    assert weakening.where("redis") is weakening.Where.NEAR, "no TLS is needed inside"


def test_documents_name_each_file_of_deploy() -> None:
    text = (ROOT / "docs/operating.md").read_text()
    for file in DEPLOY.iterdir():
        assert f"deploy/{file.name}" in text
    for unit in UNITS:
        assert unit.name in text
