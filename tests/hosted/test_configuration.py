"""The file of --hosted: what it may say, and where keys come from."""

import json
import re
import sys
from pathlib import Path

import pytest

from playground.command.line import main
from playground.hosted.configuration import read
from playground.refusal import Refusal
from tests.hosted.stand_in import KEY

PLAIN = {"name": "far", "kind": "openai", "model": "some-model", "key": "TEST_KEY"}
README = Path(__file__).parents[2] / "README.md"


def written(folder: Path, *tables: object) -> Path:
    path = folder / "hosted.json"
    path.write_text(json.dumps({"model": tables}))
    return path


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML is read by Python from 3.11 on")
def test_the_readmes_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hosted.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.S)[1], encoding="utf-8")
    (model,) = read(path, print, {"OPENAI_API_KEY": KEY})
    assert (model.name, model.provider, model.url) == ("hosted", "OpenAI", "https://api.openai.com/v1")
    assert model.extra == {"quality": "medium"} and model.sizes == ((1024, 1024),) and KEY not in repr(model)


@pytest.mark.parametrize(
    ("key", "why"), [("", "is not set"), ("two words\n sk-1", "holds no key"), ("ä" * 20, "holds no")]
)
def test_a_model_without_a_key_is_left_out_in_one_line_that_does_not_repeat_it(
    tmp_path: Path, key: str, why: str
) -> None:
    told: list[str] = []
    path = written(tmp_path, PLAIN, PLAIN | {"name": "other", "key": "OTHER_KEY"})
    assert [model.name for model in read(path, told.append, {"TEST_KEY": key, "OTHER_KEY": KEY})] == ["other"]
    (line,) = told
    assert line.startswith(f"The hosted model far is left out: TEST_KEY {why}") and (not key or key.strip() not in line)


WRONG = {
    "a kind": ({"kind": "other"}, "kind must be one of huggingface, openai, stability for the hosted model far"),
    "a word": ({"modle": "x"}, "'modle' is no setting of the hosted model far; known: name, kind"),
    "no model": ({"model": None}, "model must be|needs model"),
    "a key in the file": ({"key": KEY}, "key must be the name of an environment variable"),
    "plain http": ({"url": "http://example.org/v1"}, "url must begin with https:// for the hosted model far"),
    "a password": ({"url": "https://me:secret@example.org"}, "without names, keys or questions"),
    "a side": ({"sizes": ["1536x1024"]}, "sizes must have sides from 64 to 1,024 pixels"),
    "no list": ({"sizes": "1024x1024"}, 'sizes must be a list such as ["1024x1024"]'),
    "a shape": ({"kind": "stability", "sizes": ["1024x768"]}, "sizes must have one of the shapes 16:9"),
    "a field": ({"takes": ["seed"]}, "takes can name nothing for the hosted model far"),
    "a provider": ({"provider": "fal-ai"}, "provider is for the kind huggingface"),
    "a price of no day": ({"price": "$1"}, "price must say the month in which it was noted"),
    "no time": ({"seconds": 0}, "seconds must be a whole number from 1 to 600"),
    "lists": ({"extra": {"a": [1]}}, "extra must be a table of plain values"),
    "a strange name": ({"name": "<b>"}, "The name of a hosted model has 1 to 64 letters"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_one_sentence_that_does_not_repeat_a_key(tmp_path: Path, case: str) -> None:
    changes, said = WRONG[case]
    with pytest.raises(Refusal) as refusal:
        read(written(tmp_path, PLAIN | changes), print, {"TEST_KEY": KEY})
    assert any(part in str(refusal.value) for part in said.split("|")), refusal.value
    assert KEY not in str(refusal.value) and "secret" not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[[model]]", '{"model": []}', '{"model": [{}], "more": 1}'])
def test_a_file_of_something_else_is_one_sentence(tmp_path: Path, text: str) -> None:
    (path := tmp_path / "hosted.json").write_text(text)
    with pytest.raises(Refusal, match="^The file hosted.json of --hosted "):
        read(path, print, {})


def test_a_start_with_a_wrong_file_ends_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "sweep.json"
    asked.write_text(json.dumps({"base": {"prompt": "cat"}, "axes": {"seed": [1, 2]}}))
    grid = ["grid", str(asked), "-o", str(tmp_path / "out")]
    assert main([*grid, "--hosted", str(tmp_path / "none.toml")]) == 2
    assert "playground: The file none.toml of --hosted cannot be read" in capsys.readouterr().err
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setenv("PLAYGROUND_HOSTED", str(written(tmp_path, PLAIN | {"name": "pocket"})))
    assert main(grid) == 2
    told = capsys.readouterr().err
    assert "Two models are named pocket" in told and KEY not in told
