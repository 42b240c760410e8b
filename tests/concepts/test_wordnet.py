"""WordNet's own files become a tree; those here are small, in the genuine format of wndb(5)."""

import pytest

from dermaxai.concepts.wordnet import read_wordnet
from dermaxai.errors import DataError, UnknownName

LICENCE = "  1 This software and database is being provided to you, the LICENSEE, by  \n"
DATA = """\
00001740 03 n 01 entity 0 001 ~ 00002684 n 0000 | that which has its own distinct existence  
00002684 03 n 02 object 0 physical_object 0 002 @ 00001740 n 0000 ~ 02084071 n 0000 | a tangible entity; \
"it was full of rackets, balls and other objects"  
02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 003 @ 00002684 n 0000 @ 01317541 n 0000 \
#m 00001740 n 0000 | a member of the genus Canis; occurs in many breeds; "the dog barked all night"  
01317541 05 n 01 pet 0 001 @ 00002684 n 0000 | an animal kept (as in "pet shop") for company: "a good pet"  
10114209 18 n 02 frump 0 dog 0 001 @ 00001740 n 0000 | a dull unattractive person  
11111111 15 n 01 Laika 0 001 @i 02084071 n 0000 | the first dog in space  
12222222 05 n 0a cat 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 001 @ 00002684 n 0000 | a feline  
"""
INDEX = """\
b n 1 1 @ 1 0 12222222  
c n 1 1 @ 1 0 12222222  
cat n 1 1 @ 1 1 12222222  
dog n 2 2 @ #m 2 1 02084071 10114209  
domestic_dog n 1 1 @ 1 0 02084071  
entity n 1 1 ~ 1 1 00001740  
frump n 1 1 @ 1 0 10114209  
laika n 1 1 @i 1 0 11111111  
object n 1 2 @ ~ 1 1 00002684  
pet n 1 1 @ 1 1 01317541  
physical_object n 1 2 @ ~ 1 1 00002684  
"""


def database(folder, data=DATA, index=INDEX):
    (folder / "data.noun").write_text(LICENCE + data, encoding="utf-8")
    (folder / "index.noun").write_text(LICENCE + index, encoding="utf-8")
    return folder


def test_synsets_become_nodes(tmp_path):
    tree = read_wordnet(database(tmp_path))
    assert sorted(tree.nodes) == [
        "cat.n.01", "dog.n.01", "entity.n.01", "frump.n.01", "laika.n.01", "object.n.01", "pet.n.01",
    ]  # fmt: skip
    dog = tree.nodes["dog.n.01"]
    assert dog.kind == "everyday"
    assert dog.parents == ("object.n.01", "pet.n.01")
    assert dog.names == {"en": "dog"}
    assert dog.synonyms == {"en": ("domestic dog", "Canis familiaris")}
    assert dog.definitions == {"en": "a member of the genus Canis; occurs in many breeds"}
    assert [root.id for root in tree.roots] == ["entity.n.01"]


def test_instances_are_below_their_class(tmp_path):
    tree = read_wordnet(database(tmp_path))
    assert [node.id for node in tree.descendants("dog.n.01")] == ["dog.n.01", "laika.n.01"]
    assert tree.nodes["laika.n.01"].names == {"en": "Laika"}


def test_counts_of_words_are_hexadecimal(tmp_path):
    assert len(read_wordnet(database(tmp_path)).nodes["cat.n.01"].synonyms["en"]) == 9


def test_a_definition_ends_before_the_example_and_not_before(tmp_path):
    tree = read_wordnet(database(tmp_path))
    assert tree.nodes["object.n.01"].definitions["en"] == "a tangible entity"
    assert tree.nodes["pet.n.01"].definitions["en"] == 'an animal kept (as in "pet shop") for company'


def test_a_noun_is_found_by_name_before_synonym(tmp_path):
    tree = read_wordnet(database(tmp_path))
    assert tree.find("dog").id == "dog.n.01"
    assert tree.find("physical object").id == "object.n.01"


def test_numbers_of_senses_come_from_the_index(tmp_path):
    index = INDEX.replace("02084071 10114209", "10114209 02084071")
    assert "dog.n.02" in read_wordnet(database(tmp_path, index=index)).nodes


@pytest.mark.parametrize("noun", ["dog", "dog.n.01", "Domestic dog"])
def test_only_what_is_kept_and_all_above(tmp_path, noun):
    tree = read_wordnet(database(tmp_path), keep=[noun, "dog"])
    assert set(tree.nodes) == {"dog.n.01", "pet.n.01", "object.n.01", "entity.n.01"}
    assert [root.id for root in tree.roots] == ["entity.n.01"]


def test_keeping_an_unknown_noun(tmp_path):
    with pytest.raises(UnknownName, match="no noun 'unicorn'"):
        read_wordnet(database(tmp_path), keep=["unicorn"])


@pytest.mark.parametrize("name", ["data.noun", "index.noun"])
def test_a_missing_file(tmp_path, name):
    (database(tmp_path) / name).unlink()
    with pytest.raises(DataError, match=name):
        read_wordnet(tmp_path)


BROKEN = {
    "too few pointers": (DATA.replace("entity 0 001", "entity 0 002"), r"data\.noun, line 2: its words"),
    "no count": (DATA.replace("n 01 entity", "n zz entity"), r"data\.noun, line 2: expected a count"),
    "cut off": (DATA[:40], r"data\.noun, line 2"),
    "no gloss": (DATA.replace(" | a feline", ""), r"data\.noun, line 8"),
    "parent that is not there": (DATA.replace("@ 01317541", "@ 99999999"), "parent '99999999' of 'dog.n.01'"),
    "circle": (
        DATA.replace("entity 0 001 ~ 00002684", "entity 0 001 @ 00002684"),
        "'entity.n.01' is above itself: entity.n.01 → object.n.01 → entity.n.01",
    ),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_data(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        read_wordnet(database(tmp_path, data))


def test_broken_index(tmp_path):
    with pytest.raises(DataError, match=r"index\.noun, line 5"):
        read_wordnet(database(tmp_path, index=INDEX.replace("dog n 2", "dog n 3")))
    with pytest.raises(DataError, match=r"index\.noun has no sense 01317541 of 'pet'"):
        read_wordnet(database(tmp_path, index=INDEX.replace("pet n 1 1 @ 1 1 01317541  \n", "")))
