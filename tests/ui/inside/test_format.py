"""How the "Inside" tab writes numbers."""

from playground.ui.inside import format as inside_format


def test_numbers_are_written_as_people_read_them() -> None:
    counts = [inside_format.count(n) for n in (950, 13_612_345, 474_161_152, 43_856_158_720)]
    assert counts == ["950", "13.6 M", "474 M", "43.9 G"]
    assert [inside_format.count(n, 4) for n in (474_161_152, 43_856_158_720, 8_839_700_000_000)] == [
        "474.2 M", "43.86 G", "8.84 T",
    ]  # fmt: skip
    assert inside_format.size(27_224_690) == "27.2 MB" and inside_format.size(256) == "256 B"
    assert [inside_format.milliseconds(v) for v in (None, 0.123, 3.14, 45.67, 321.0, 2345.0)] == [
        "–", "0.12 ms", "3.1 ms", "45.7 ms", "321 ms", "2.35 s",
    ]  # fmt: skip
    assert inside_format.signed(-0.001) == "0.00" and inside_format.signed(-1.5) == "−1.50"
