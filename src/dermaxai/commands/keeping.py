"""Commands about what the store keeps: deleting cases, readers and their tokens, the audit trail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dermaxai.commands.checks import exit_code
from dermaxai.commands.console import complain, plain_table, say, say_json, say_table, talk
from dermaxai.commands.options import JsonOption
from dermaxai.errors import DermaXAIError, NotFound, UsageError

if TYPE_CHECKING:
    from dermaxai.store.opening import Store
    from dermaxai.store.tables import Event, Reader, Token

ACTOR = "local"
"""Who works at the command line, in the audit trail."""
BROKEN = 4
"""Exit code of a trail that is not as it was written."""
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

CasesOption = Annotated[Path, typer.Option("--cases", help="Folder of cases.")]
StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        help="Address of the database.",
        show_default="SQLite in the folder of cases",
        envvar="DERMAXAI_STORE",
    ),
]
NameArgument = Annotated[str, typer.Argument(help="Pseudonym.", show_default=False)]
DaysOption = Annotated[int, typer.Option(help="How long the token is valid.", min=1, max=3650)]

readers = typer.Typer(help="Readers under pseudonyms, and the tokens that let them in.", no_args_is_help=True)
audit = typer.Typer(help="The audit trail: who did what, when.", no_args_is_help=True)


@contextmanager
def opened(cases: Path, url: str, *, readonly: bool = False) -> Iterator[Store]:
    """The store, closed at the end. Raises: StoreError, SettingError, MissingExtra."""
    from dermaxai.store.opening import open_store

    store = open_store(cases, url, readonly=readonly)
    try:
        yield store
    finally:
        store.close()


def delete(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[CASE]...", help="Ids or folders.", show_default=False)
    ] = None,
    older_than: Annotated[
        str, typer.Option(help="Every case that came longer ago: 12h, 30d, 8w.", show_default=False)
    ] = "",
    cases: CasesOption = Path("cases"),
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """Delete cases with everything that was said of them: maps, readings, answers, jobs, files.

    Only the id stays, in the audit trail. There is no way back.
    """
    age = read_age(older_than) if older_than else None
    if bool(names) == bool(age):
        raise UsageError("Name the cases, or say how old they are.", hint="dermaxai delete --older-than 30d")
    _check_there(cases, store)
    with opened(cases, store) as here:
        codes = _delete_named(here, names or [], as_json=as_json) if names else []
        if age:
            _delete_old(here, age, as_json=as_json)
    if codes:
        raise typer.Exit(exit_code(codes))


def read_age(text: str) -> timedelta:
    """A length of time as people write it. Raises: UsageError.

    >>> read_age("30d").days
    30
    """
    match = re.fullmatch(r"(\d{1,5})([hdw])", text.strip().lower())
    if not match or not int(match[1]):
        raise UsageError(f"'{text}' is no length of time.", hint="Write 12h, 30d or 8w.")
    return int(match[1]) * UNITS[match[2]]


def _delete_named(store: Store, names: list[str], *, as_json: bool) -> list[int]:
    """Exit codes of what could not be deleted."""
    from dermaxai.store.deleting import delete_case

    codes = []
    for name in names:
        try:
            case_id = _case_id(store, name)
            delete_case(store, case_id, actor=ACTOR)
        except DermaXAIError as error:
            complain(error, name)
            codes.append(error.exit_code)
        else:
            _say_deleted(case_id, as_json=as_json)
    return codes


def _delete_old(store: Store, age: timedelta, *, as_json: bool) -> None:
    from dermaxai.store.deleting import delete_older

    ids = delete_older(store, age, actor=ACTOR)
    for case_id in ids:
        _say_deleted(case_id, as_json=as_json)
    talk(f"{len(ids)} deleted.")


def _say_deleted(case_id: str, *, as_json: bool) -> None:
    if as_json:
        say_json({"deleted": case_id})
    else:
        say(f"deleted  {case_id}")


def _case_id(store: Store, name: str) -> str:
    """The id that a name or the path of a folder stands for. Raises: NotFound, UsageError."""
    from sqlalchemy import select

    from dermaxai.store.cases import adopt_folders
    from dermaxai.store.tables import CaseRow

    place = Path(name)
    if len(place.parts) > 1 and place.parent.resolve() != store.folder.resolve():
        raise UsageError(
            f"'{name}' does not lie in '{store.folder}'.", hint="Name the folder of cases with --cases."
        )
    wanted = select(CaseRow.id).where((CaseRow.id == place.name) | (CaseRow.folder == place.name))
    for adopt in (False, True):
        if adopt:
            adopt_folders(store, ACTOR)
        with store.read() as session:
            found = session.scalar(wanted)
        if found is not None:
            return found
    raise NotFound(f"There is no case '{place.name}' in '{store.folder}'.", hint="Check the name.")


def _check_there(cases: Path, url: str) -> None:
    """Raises: NotFound where there is no folder of cases, which would otherwise be made."""
    if not url and not cases.is_dir():
        raise NotFound(f"There is no folder '{cases}'.", hint="Name the folder of cases with --cases.")


@readers.command("list")
def list_all(
    cases: CasesOption = Path("cases"), store: StoreOption = "", as_json: JsonOption = False
) -> None:
    """Every reader, and until when they may come in."""
    from dermaxai.store.readers import alike, list_readers, valid_tokens

    with opened(cases, store, readonly=True) as here, here.read() as session:
        known = list_readers(session)
        rows = [_reader_row(reader, valid_tokens(session, reader)) for reader in known]
    for names in alike(known):
        talk(f"Differ only in spelling, and are {len(names)} readers all the same: {', '.join(names)}.")
    if as_json:
        for row in rows:
            say_json(row)
        return
    table = plain_table("reader", "role", "since", "tokens", "valid until")
    for row in rows:
        until = row["valid_until"] or "–"
        table.add_row(row["reader"], row["role"], row["since"][:10], str(row["tokens"]), until[:10])
    say_table(table)


def _reader_row(reader: Reader, tokens: list[Token]) -> dict[str, Any]:
    until = max((token.expires for token in tokens), default=None)
    return {
        "reader": reader.pseudonym,
        "role": reader.role,
        "since": reader.created.isoformat(),
        "tokens": len(tokens),
        "valid_until": until.isoformat() if until else None,
    }


@readers.command("add")
def add(
    name: NameArgument,
    role: Annotated[Literal["reader", "admin"], typer.Option(help="What the reader may do.")] = "reader",
    days: DaysOption = 90,
    cases: CasesOption = Path("cases"),
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """A new reader, and the token that lets them in: it is shown once, on stdout."""
    from dermaxai.store.readers import add_reader, issue_token

    with opened(cases, store) as here, here.write() as session:
        reader = add_reader(session, name, role, actor=ACTOR)
        token = issue_token(session, reader, days=days, actor=ACTOR)
        told = {"reader": reader.pseudonym, "role": reader.role, "days": days, "token": token}
    _say_token(told, as_json=as_json)


@readers.command("token")
def renew(
    name: NameArgument,
    days: DaysOption = 90,
    cases: CasesOption = Path("cases"),
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """A further token for a reader; the earlier ones stay valid until they are revoked."""
    from dermaxai.store.readers import find_reader, issue_token

    with opened(cases, store) as here, here.write() as session:
        reader = find_reader(session, name)
        token = issue_token(session, reader, days=days, actor=ACTOR)
        told = {"reader": reader.pseudonym, "role": reader.role, "days": days, "token": token}
    _say_token(told, as_json=as_json)


def _say_token(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(told)
    else:
        say(told["token"])
    talk(f"The token of '{told['reader']}', valid for {told['days']} days. It is not shown again.")


@readers.command("revoke")
def revoke(
    name: NameArgument,
    cases: CasesOption = Path("cases"),
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take back every token of a reader, and end their visits; what they said is kept."""
    from dermaxai.store.readers import find_reader, revoke_tokens

    with opened(cases, store) as here, here.write() as session:
        reader = find_reader(session, name)
        count = revoke_tokens(session, reader, actor=ACTOR)
    if as_json:
        say_json({"reader": reader.pseudonym, "revoked": count})
    else:
        say(f"revoked  {count}")


@audit.command("verify")
def verify_trail(
    cases: CasesOption = Path("cases"),
    store: StoreOption = "",
    head: Annotated[
        str, typer.Option(help="A hash that was written down earlier; it has to be in the trail.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Is every event as and where it was written? Exit code 4 if not.

    Write the head down somewhere else, now and then: only that shows later whether the end was cut off.
    """
    from dermaxai.store.audit import find_head, verify

    with opened(cases, store, readonly=True) as here, here.read() as session:
        found = verify(session)
        seq = find_head(session, head) if head else None
    lost = bool(head) and seq is None
    if as_json:
        say_json(asdict(found) | {"intact": found.intact and not lost, "known_head": seq})
    else:
        say(f"events   {found.count}")
        say(f"head     {found.head}")
        for fault in found.faults:
            talk(fault.message)
        if lost:
            talk("The head that was written down is not in the trail: its end was cut off or written anew.")
    if lost or not found.intact:
        raise typer.Exit(BROKEN)


@audit.command("list")
def list_events(
    cases: CasesOption = Path("cases"),
    store: StoreOption = "",
    subject: Annotated[str, typer.Option(help="Only of this case, job or reader.")] = "",
    last: Annotated[int, typer.Option(help="How many, the newest.", min=1)] = 50,
    as_json: JsonOption = False,
) -> None:
    """The newest events, oldest of them first."""
    from dermaxai.store.audit import list_events as newest

    with opened(cases, store, readonly=True) as here, here.read() as session:
        rows = [_event_row(event) for event in newest(session, subject=subject, last=last)]
    if as_json:
        for row in rows:
            say_json(row)
        return
    table = plain_table("event", "time", "who", "what", "of", "more")
    for row in rows:
        more = ", ".join(f"{name} {value}" for name, value in row["detail"].items())
        table.add_row(str(row["seq"]), row["time"][:19], row["actor"], row["action"], row["subject"], more)
    say_table(table)


def _event_row(event: Event) -> dict[str, Any]:
    import json

    return {
        "seq": event.seq,
        "time": event.time.isoformat(),
        "actor": event.actor,
        "action": event.action,
        "subject": event.subject,
        "detail": json.loads(event.detail),
        "hash": event.hash,
    }
