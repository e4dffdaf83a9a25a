from microdesign.core.tables import cell, markdown_table


def test_numbers_have_four_digits_and_bars_are_escaped() -> None:
    assert [cell(value) for value in (0.123456, 12, None, "a")] == ["0.1235", "12", "", "a"]
    rows = [["p(z|c)", 0.123456], ["none", None]]
    assert markdown_table(["draws", "error"], rows) == (
        "| draws | error |\n| --- | --- |\n| p(z\\|c) | 0.1235 |\n| none |  |\n"
    )
