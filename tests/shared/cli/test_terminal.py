"""`shared.cli.terminal`: texts of the user do not control the terminal."""

from shared.cli.terminal import print_table


def test_control_characters_and_markup_of_texts_do_not_reach_the_terminal(capsys):
    print_table(["probability_[/b]\x1b[2J"], [["\x1b[31mred\x07 [bold]"]], title="scores on [/i].csv")
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert r"\x1b[31mred\x07 [bold]" in output
    assert "probability_[/b]" in output
    assert "scores on [/i].csv" in output
