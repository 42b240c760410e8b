"""The concept tree of the package, and that a wrong file says what is wrong with it."""

import copy
import csv
import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.concepts.tree import ATOM_KINDS, ConceptNode, ConceptTree, read_tree
from dermaxai.errors import DataError, UnknownName
from dermaxai.statements import MEASURED_SLOTS, TERMS

ROOT = Path(__file__).parents[2]
TABLES = Path(os.environ.get("DERMAXAI_FACTS", ROOT.parent / "shared" / "facts")) / "tables"
GROUPS = {
    "entity": ("skin_finding", "body_site", "image_artefact", "image_type", "diagnosis", "everyday_thing"),
    "skin_finding": ("primary_lesion", "dermoscopic_structure", "vascular_structure", "colour", "border"),
    "diagnosis": ("melanocytic_diagnosis", "infectious_diagnosis", "other_diagnosis"),
    "everyday_thing": ("animal", "furniture", "material_and_background", "abstract_thing"),
}
OWN = [node for node in read_tree().nodes.values() if node.source == "findings.json"]


def row(name="spot", /, **changes):
    return {
        "id": name,
        "kind": "finding",
        "parents": [],
        "name": {"en": name, "ru": f"{name} по-русски"},
        "definition": {"en": "a mark", "ru": "метка"},
        "synonyms": {"en": [], "ru": []},
    } | changes


def written(folder, *rows, file="own.json"):
    path = folder / file
    path.write_text(json.dumps({"concepts": rows}), encoding="utf-8")
    return path


def node(name, *parents):
    return ConceptNode(name, "finding", parents, {"en": name}, {"en": "a mark"}, {"en": ()}, "given")


def table(name):
    path = TABLES / f"{name}.csv"
    if not path.is_file():
        pytest.skip(f"the tables are not at {TABLES}")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_root_with_its_groups():
    tree = read_tree()
    assert [root.id for root in tree.roots] == ["entity"]
    for parent, children in GROUPS.items():
        assert set(children) <= {child.id for child in tree.children(parent)}
    assert len(tree.descendants("entity")) == len(tree.nodes)


def test_the_tree_is_read_once():
    assert read_tree() is read_tree()


def test_findings_are_as_many_as_promised():
    assert 200 <= sum(node.kind != "group" for node in OWN) <= 300


@pytest.mark.parametrize("entry", OWN, ids=lambda entry: entry.id)
def test_definitions_are_one_clause_and_synonyms_differ(entry):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", entry.id)
    for language in ("en", "ru"):
        definition = entry.definitions[language]
        assert 6 <= len(definition.split()) <= 20
        assert not definition.endswith(".")
        assert ";" not in definition
        assert entry.synonyms[language]
        assert max(Counter([entry.names[language], *entry.synonyms[language]]).values()) == 1
    assert re.search("[а-яё]", entry.names["ru"] + entry.definitions["ru"])
    assert not re.search("[а-яё]", entry.names["en"] + entry.definitions["en"])


def test_no_two_findings_say_the_same():
    for language in ("en", "ru"):
        said = Counter(entry.definitions[language] for entry in OWN)
        assert said.most_common(1)[0][1] == 1


def test_words_of_captions_are_found():
    for slot in MEASURED_SLOTS:
        for names in TERMS[slot].values():
            for language, text in names.items():
                assert read_tree().find(text, language).kind in ("shape", "colour")
    for names in TERMS["diagnosis"].values():
        for language, text in names.items():
            found = read_tree().find(text, language)
            assert "diagnosis" in {node.id for node in read_tree().ancestors(found.id)}
    assert read_tree().find("irregular").id == read_tree().find("неровной", "ru").id == "irregular"


@pytest.mark.shared
def test_every_concept_and_site_of_the_tables_keeps_its_names():
    rows = [(row["concept_id"], row) for row in table("concepts")]
    rows += [(row["site_id"], row) for row in table("site_maps") if row["site_id"] != "unknown"]
    for name, told in rows:
        assert read_tree().nodes[name].names == {"en": told["name_en"], "ru": told["name_ru"]}


@pytest.mark.shared
def test_seven_points_and_their_values_are_there():
    tree = read_tree()
    for told in table("seven_point_checklist"):
        below = {entry.id for entry in tree.descendants(told["column"])}
        if told["value"] not in ("absent", "present"):
            words = told["value"].replace(" ", "_")
            assert any(words in name for name in below), (told["column"], told["value"])


def test_find_ignores_case_hyphens_and_yo():
    tree = read_tree()
    for text in ("dark_brown", "Dark Brown", "dark-brown", "темно-коричневый", "ТЁМНО-КОРИЧНЕВЫЙ цвет"):
        assert tree.find(text).id == "dark_brown"


def test_find_in_one_language_only():
    tree = read_tree()
    assert tree.find("papule", "en").id == tree.find("узелок", "ru").id == "papule"
    assert tree.find("dome_shaped", "ru").id == "dome_shaped"
    with pytest.raises(UnknownName, match="in 'en'"):
        tree.find("узелок", "en")


def test_find_guesses():
    with pytest.raises(UnknownName, match="Did you mean 'pigment network'"):
        read_tree().find("pigment netwrok")


def test_ids_before_names_before_synonyms_and_skin_before_everyday(tmp_path):
    cup = row("cup", kind="everyday", name={"en": "mark", "ru": "метка"})
    first = row("first", synonyms={"en": ["mark", "stain"], "ru": []})
    second = row("second", name={"en": "stain", "ru": "пятно"})
    tree = read_tree(written(tmp_path, cup, first, second))
    assert [entry.id for entry in tree.matches("mark")] == ["first"]
    assert [entry.id for entry in tree.matches("stain")] == ["second"]
    assert read_tree(written(tmp_path, cup, first, second, row("mark"))).find("mark").id == "mark"


def test_descendants_ancestors_leaves():
    tree = ConceptTree([node("low", "left", "right"), node("left", "top"), node("right", "top"), node("top")])
    assert [entry.id for entry in tree.descendants("top")] == ["top", "left", "right", "low"]
    assert [entry.id for entry in tree.ancestors("low")] == ["left", "right", "top"]
    assert [entry.id for entry in tree.leaves] == ["low"]
    assert tree.ancestors("top") == ()
    for ask in (tree.descendants, tree.ancestors, tree.children):
        with pytest.raises(UnknownName):
            ask("side")


@given(st.lists(st.sets(st.integers(0, 100), max_size=4), min_size=1, max_size=25))
def test_below_and_above_are_two_sides_of_one_relation(drawn):
    """Node i may have any earlier nodes as parents, so that there is no circle."""
    entries = [
        node(str(i), *(str(p % i) for p in sorted(parents)) if i else ()) for i, parents in enumerate(drawn)
    ]
    tree = ConceptTree(reversed(entries))
    above = {name: {entry.id for entry in tree.ancestors(name)} for name in tree.nodes}
    for name in tree.nodes:
        below = [entry.id for entry in tree.descendants(name)]
        assert len(below) == len(set(below))
        assert set(below) == {name} | {other for other in tree.nodes if name in above[other]}


def test_atoms_are_no_groups_and_no_everyday_things():
    tree = read_tree()
    assert {entry.kind for entry in tree.atoms()} <= set(ATOM_KINDS) == {
        "finding", "colour", "shape", "site", "artefact", "image", "diagnosis",
    }  # fmt: skip
    assert {entry.kind for entry in tree.atoms(("colour",))} == {"colour"}


def test_a_users_file_replaces_the_tree_and_may_be_english_only(tmp_path):
    english = {"name": {"en": "spot"}, "definition": {"en": "a mark"}, "synonyms": {"en": ["dot"]}}
    tree = read_tree(written(tmp_path, row(**english)))
    assert list(tree.nodes) == ["spot"]
    assert tree.find("dot").names == {"en": "spot"}


def test_a_users_folder_is_one_tree(tmp_path):
    written(tmp_path, row("b", parents=["a"]), file="1.json")
    written(tmp_path, row("a"), file="2.json")
    assert [entry.id for entry in read_tree(tmp_path).descendants("a")] == ["a", "b"]


WRONG = {
    "parent": ([row(parents=["nobody"])], "own.json: the parent 'nobody' of 'spot'"),
    "twice": ([row(), row()], "own.json: the id 'spot' is given twice, first in own.json"),
    "circle": (
        [row("a", parents=["b"]), row("b", parents=["a"])],
        "own.json: 'a' is above itself: a → b → a",
    ),
    "below a circle": (
        [row("c", parents=["a"]), row("a", parents=["b"]), row("b", parents=["a"])],
        "'a' is above itself: a → b → a",
    ),
    "own parent": ([row(parents=["spot"])], "'spot' is above itself"),
    "language": ([row(name={"ru": "пятно"})], "own.json: 'spot', name: no text in 'en'"),
    "one language of the definition": ([row(definition={"en": "a mark"})], "own.json: 'spot' has names in"),
    "synonyms": ([row(synonyms={"ru": []})], "own.json: 'spot' has synonyms in"),
    "strange language": ([row(definition={"en": "a", "ru": "а", "fr": "a"})], "own.json: 'spot', definition"),
    "empty text": ([row(name={"en": " ", "ru": "пятно"})], "own.json: 'spot', name"),
    "kind": ([row(kind="thing")], "own.json: 'spot' is of the kind 'thing'"),
    "keys": ([{**row(), "colour": "red"}], "own.json: 'spot' has the keys"),
    "parents": ([row(parents="entity")], "own.json: 'spot', parents"),
    "synonym": ([row(synonyms={"en": [1], "ru": []})], "own.json: 'spot', synonyms"),
    "no id": ([{"kind": "finding"}], "own.json: a concept without an id"),
    "no concept": (["spot"], "own.json: a concept without an id"),
}


@pytest.mark.parametrize(("rows", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_says_what_is_wrong(tmp_path, rows, message):
    with pytest.raises(DataError, match=re.escape(message)):
        read_tree(written(tmp_path, *copy.deepcopy(rows)))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"concepts": {}}'])
def test_no_concept_file(tmp_path, text):
    path = tmp_path / "own.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"own\.json"):
        read_tree(path)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="No concept file"):
        read_tree(tmp_path)
    with pytest.raises(DataError, match=r"absent\.json"):
        read_tree(tmp_path / "absent.json")


def test_the_files_of_the_package_need_both_languages(tmp_path, monkeypatch):
    from dermaxai.concepts import tree as module

    english = {"name": {"en": "spot"}, "definition": {"en": "a mark"}, "synonyms": {"en": []}}
    written(tmp_path, row(**english))
    monkeypatch.setattr(module.resources, "files", lambda _: tmp_path)
    with pytest.raises(DataError, match=r"own\.json: 'spot', definition: no text in 'ru'"):
        module._package_tree.__wrapped__()
