"""Where the rows of benchmarks are written."""

from pathlib import Path

from benchmarks.report import BenchmarkRow, write_page, write_section

ROW = BenchmarkRow("what is timed", 2.0, 1.0, 2.0, 0.5, 100.0)
OTHER = BenchmarkRow("what else", 3.0, 1.0, 3.0, 0.5, 100.0)


def test_a_section_takes_the_place_of_its_former_self_and_outlives_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\ntext\n")
    write_section([ROW], page, name="families", conditions="here")
    once = page.read_text()
    assert once.startswith("# Page\n\ntext\n") and once.count("what is timed") == 1
    write_section([ROW], page, name="families", conditions="here")
    assert page.read_text() == once
    write_section([OTHER], page, name="serving", conditions="there")
    write_section([OTHER], page, name="families", conditions="here")
    text = page.read_text()
    assert (text.count("what is timed"), text.count("what else")) == (0, 2)
    assert text.startswith("# Page\n\ntext\n")
    write_page([ROW], page, conditions="now")
    text = page.read_text()
    assert (text.count("what is timed"), text.count("what else")) == (1, 2)
