"""`class` and what `make offline` writes: addresses, a picture of the one to join at, and how to start."""

import segno

from playground.classroom.address import join_address, only_here, qr_svg, qr_text
from playground.command.line import parser
from playground.command.offline import text
from playground.command.serve import for_a_class


def test_class_serves_the_whole_network_unless_told_otherwise(monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.delenv("PLAYGROUND_HOST", raising=False)
    assert parser().parse_args(["class"]).host == "0.0.0.0" and parser().parse_args(["serve"]).host is None
    assert parser().parse_args(["class", "--host", "127.0.0.1"]).host == "127.0.0.1"


def test_it_says_where_the_pages_are_and_shows_the_code_only_where_phones_can_use_it() -> None:
    address = "http://192.0.2.7:7860"
    said = for_a_class(address, True)
    assert f"{address}/teach" in said and f"{address}/join\n" in said
    assert said.rstrip().endswith(qr_text(f"{address}/join").rstrip()) and "▄" in said
    alone = for_a_class("http://127.0.0.1:7860", False)
    assert "no other machine" in alone and "▄" not in alone


def test_the_address_that_a_phone_can_open(monkeypatch) -> None:  # noqa: ANN001
    from playground.classroom import address

    monkeypatch.setattr(address, "address_from_outside", lambda: "192.0.2.7")
    for here in ("127.0.0.1:7860", "localhost:7860", "[::1]:7860"):
        assert join_address("http", here, "", "0.0.0.0", "CDFH") == "http://192.0.2.7:7860/join?code=CDFH"
        assert only_here(join_address("http", here, "", "127.0.0.1", "CDFH"))
    behind = join_address("https", "someone.example", "/app/", "127.0.0.1", "CDFH")
    assert behind == "https://someone.example/app/join?code=CDFH" and not only_here(behind)
    monkeypatch.setattr(address, "address_from_outside", lambda: None)
    assert only_here(join_address("http", "127.0.0.1:7860", "", "0.0.0.0", "CDFH"))


def test_the_picture_is_that_of_the_address_and_no_markup_gets_into_it() -> None:
    odd = 'http://x"><script>/join'
    svg = qr_svg(odd)
    assert svg.startswith("<svg") and "script" not in svg
    side = len(segno.make(odd, error="m", micro=False).matrix) + 4
    assert f'viewBox="0 0 {side} {side}"' in svg
    assert qr_svg("http://" + "x" * 400) == ""


def test_the_stick_says_how_to_start_without_a_network() -> None:
    said = text()
    assert "--no-index --find-links ../wheels -r requirements.txt" in said and "python -m playground class" in said
    assert max(map(len, said.splitlines())) <= 120
