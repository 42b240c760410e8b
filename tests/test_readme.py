"""The example of the README runs as it stands."""

import re
from pathlib import Path

import dermaxai

README = Path(__file__).parent.parent / "README.md"


def example():
    (block,) = re.findall(r"```python\n(.+?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return block


def test_the_example_uses_public_names_only():
    names = set(re.findall(r"dermaxai\.(\w+)", example()))
    assert names <= set(dermaxai.__all__)


def test_the_example_runs(tmp_path, monkeypatch):
    from dermaxai.images import write_photo
    from dermaxai.phantom import draw_phantom, sample_plans

    (plan,) = sample_plans(1, 0)
    write_photo(draw_phantom(plan, 0).image, tmp_path / "lesion.png")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(example().replace("lesion.jpg", "lesion.png"), names)
    assert names["case"].caption.text
    assert (tmp_path / "lesion.html").stat().st_size > 10_000
    assert dermaxai.load_case("cases/lesion").caption.text == names["case"].caption.text
