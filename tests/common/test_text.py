"""Text as it may be shown or kept."""

import json

from sightline.common.text import json_text, printable, printable_name


def test_nothing_that_steers_a_terminal_is_left():
    hostile = "".join(map(chr, range(0x20))) + "\x7f\x9b\u202e\u2066\u2028\ud800\udcff"
    shown = printable_name(hostile)
    assert shown.isprintable()
    assert "\\x1b" in shown
    assert "\\xff" in shown
    assert shown.encode()


def test_lines_and_letters_of_every_script_stay():
    assert printable("zwölf 鳥\nzwei") == "zwölf 鳥\nzwei"


def test_json_can_be_written_and_reads_back_as_it_was():
    hostile = {"a\x1b": ["b\udcff", "\x9b31m", "ü\n"]}
    text = json_text(hostile, indent=1)
    assert text.encode()
    assert json.loads(text) == hostile
    assert not {"\x1b", "\x9b"} & set(text)
