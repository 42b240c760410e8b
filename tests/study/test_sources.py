from dermaxai.study.sources import WORKS, bibtex, numbers_in, reference_lines


def test_works_are_whole():
    assert len(WORKS) > 20
    for number, work in WORKS.items():
        assert numbers_in(f"arXiv:{number}") == [number]
        assert work.authors
        assert work.title
        assert 1990 < work.year < 2030


def test_what_is_not_known_is_listed_by_its_number():
    lines = reference_lines(["1610.02391", "9999.99999"])
    assert lines[0].startswith("- Selvaraju, R. R. et al. Grad-CAM:")
    assert lines[0].endswith("arXiv:1610.02391")
    assert lines[1] == "- arXiv:9999.99999"
    assert any("Holm" in line for line in lines[2:])
    assert "eprint = {9999.99999}" in bibtex(["9999.99999"])
