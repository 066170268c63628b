"""What is kept of a class: it survives restarts, takes no answer twice or late, and leaves nothing once deleted."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.classroom.keys import LETTERS
from playground.classroom.register import DAY, MOST_MEMBERS, NOT_YOURS, REST, TRIES, Register, path_beside
from playground.refusal import Refusal

STEP = {"lesson": "05-guidance", "step": 1}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return path_beside(tmp_path / "cells")


@pytest.fixture
def register(path: Path) -> Iterator[Register]:
    register = Register(path)
    yield register
    register.close()


def test_looking_for_what_is_over_makes_no_file(register: Register, path: Path) -> None:
    register.purge()
    assert not path.exists()


def test_a_class_is_opened_joined_asked_and_answered(register: Register) -> None:
    code, token = register.open("Friday", days=3)
    class_ = register.taught(code, token)
    assert class_.name == "Friday" and set(code) <= set(LETTERS)
    ada, bob = register.join(f" {code[:2]}-{code[2:].lower()}", "Ada"), register.join(code)
    assert register.now(class_).round is None
    round_ = register.push(class_, STEP)
    for member, answer in ((ada, 1), (bob, 0), (ada, 2)):
        register.answer(class_, register.member(class_, member), round_, answer)
    assert [(m.number, m.name, a) for m, a in register.answers(round_)] == [(1, "Ada", 2), (2, "", 0)]
    now = register.now(class_)
    assert (now.joined, now.answered, now.round) == (2, 2, round_)
    assert register.answer_of(round_, register.member(class_, ada)) == 2


def test_a_frozen_or_old_question_takes_no_answer(register: Register) -> None:
    code, token = register.open("")
    class_ = register.taught(code, token)
    member, round_ = register.member(class_, register.join(code)), register.push(class_, STEP)
    register.answer(class_, member, round_, "rises")
    register.freeze(round_, True)
    with pytest.raises(Refusal, match="frozen"):
        register.answer(class_, member, round_, "falls")
    register.freeze(round_, False)
    register.answer(class_, member, round_, "stays")
    register.reveal(round_)
    register.freeze(round_, False)  # does nothing: it was revealed
    with pytest.raises(Refusal, match="frozen"):
        register.answer(class_, member, round_, "falls")
    assert register.answer_of(round_, member) == "stays"
    register.push(class_, STEP)
    with pytest.raises(Refusal, match="another question"):
        register.answer(class_, member, round_, "falls")
    register.close_class(class_)
    for late in (lambda: register.join(code), lambda: register.answer(class_, member, round_, "falls")):
        with pytest.raises(Refusal, match="closed"):
            late()


def test_a_restart_in_the_middle_of_a_vote_loses_no_vote(path: Path) -> None:
    register = Register(path)
    code, token = register.open("Friday")
    class_ = register.taught(code, token)
    round_ = register.push(class_, STEP)
    visitors = [register.join(code, f"V{i}") for i in range(6)]
    for i, visitor in enumerate(visitors[:4]):
        register.answer(class_, register.member(class_, visitor), round_, i)
    # a crash closes nothing: the file is opened anew beside the connection that is left behind
    after = Register(path)
    class_ = after.taught(code, token)
    assert after.now(class_).round == round_ and after.now(class_).answered == 4
    for i, visitor in enumerate(visitors[4:], 4):
        after.answer(class_, after.member(class_, visitor), round_, i)
    assert [answer for _, answer in after.answers(round_)] == list(range(6))
    assert len(register.answers(round_)) == 6
    register.close()
    after.close()


def test_two_connections_at_once_keep_every_answer(path: Path) -> None:
    both = [Register(path), Register(path)]
    code, token = both[0].open("Friday")
    class_ = both[1].taught(code, token)
    round_ = both[0].push(class_, STEP)
    faults: list[Exception] = []

    def visit(i: int) -> None:
        try:
            mine, other = both[i % 2], both[(i + 1) % 2]
            member = mine.member(class_, other.join(code, f"V{i}"))
            for answer in (0, i):
                mine.answer(class_, member, round_, answer)
        except Exception as fault:  # a thread's own would be lost
            faults.append(fault)

    threads = [threading.Thread(target=visit, args=(i,)) for i in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    found = both[0].answers(round_)
    assert sorted(answer for _, answer in found) == list(range(24))
    assert sorted(member.number for member, _ in found) == list(range(1, 25))
    for register in both:
        register.close()


def test_another_browser_teaches_it_with_the_password_only(path: Path) -> None:
    time = [1_000_000.0]
    register = Register(path, clock=lambda: time[0])
    code, token = register.open("Friday", "correct horse")
    for other in ("", None, 5, "x" * 5000, register.join(code), f"{token}x"):
        with pytest.raises(Refusal, match=NOT_YOURS):
            register.taught(code, other)
    for wrong in ("", "Correct horse", None, ["correct horse"], "\ud800")[:TRIES]:
        with pytest.raises(Refusal, match="not the password"):
            register.come_back(code, wrong)
    with pytest.raises(Refusal, match="Too many"):
        register.come_back(code, "correct horse")
    time[0] += REST
    second = register.come_back(code, "correct horse")
    assert register.taught(code, second) == register.taught(code, token)
    free, _ = register.open("Free")
    with pytest.raises(Refusal, match="no password"):
        register.come_back(free, "")
    register.close()
    assert b"correct horse" not in path.read_bytes() and token.encode() not in path.read_bytes()


def test_what_is_over_or_deleted_is_gone_from_the_file(path: Path) -> None:
    time = [1_000_000.0]
    register = Register(path, clock=lambda: time[0])
    codes = []
    for name in ("Xerxes Example", "Zenobia Example"):
        code, token = register.open("Friday", days=2)
        register.join(code, name)
        codes.append((code, token))
    register.delete(register.taught(*codes[0]))
    time[0] += 2 * DAY
    register.purge()
    left = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert b"Example" not in left and b"Friday" not in left
    for code, token in codes:
        with pytest.raises(Refusal, match="no class with this code"):
            register.taught(code, token)
    register.close()


@pytest.mark.parametrize("days", [0, 91, 1.5, float("nan"), float("inf"), True, "7", None, []])
def test_odd_days_are_refused(register: Register, days: object) -> None:
    with pytest.raises(Refusal, match="whole number from 1 to 90"):
        register.open("x", days=days)


@pytest.mark.parametrize("code", ["", "AAAA", "CD", "CDFHJ", None, 5, ["C"], "CDF'", "%", "CDFH; DROP TABLE classes"])
def test_what_is_no_code_is_said_so(register: Register, code: object) -> None:
    with pytest.raises(Refusal, match="A code has 4|no class with this code"):
        register.find(code)


def test_names_and_a_full_class(register: Register) -> None:
    code, token = register.open(" a\n b\x00\u202e ")
    class_ = register.taught(code, token)
    assert class_.name == "a b"
    with pytest.raises(Refusal, match="at most 60"):
        register.join(code, "x" * 61)
    for odd in (5, ["x"], {}):
        with pytest.raises(Refusal, match="must be a text"):
            register.join(code, odd)
    for _ in range(MOST_MEMBERS):
        register.join(code)
    with pytest.raises(Refusal, match="full"):
        register.join(code)


def test_a_folder_that_cannot_be_written_is_one_sentence_and_a_mended_one_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    register = Register(tmp_path / "file" / "cells-classes.sqlite3")
    with pytest.raises(Refusal, match="Classes cannot be kept here: .* Everything else on the page works."):
        register.open("Friday")
    (tmp_path / "file").unlink()
    assert register.taught(*register.open("Friday")).name == "Friday"
    register.close()
    (tmp_path / "broken.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(Refusal, match="file is not a database"):
        Register(tmp_path / "broken.sqlite3").open("Friday")
