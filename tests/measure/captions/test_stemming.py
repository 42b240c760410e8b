import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.measure.captions.stemming import stem

ENGLISH = """
lesion>lesion lesions>lesion lesional>lesion pigmented>pigment pigmentation>pigment pigmentary>pigmentari
asymmetric>asymmetr asymmetry>asymmetri symmetrical>symmetr irregular>irregular irregularly>irregular
borders>border bordered>border scaly>scali scaling>scale scales>scale erythematous>erythemat erythema>erythema
plaques>plaqu papules>papul nodular>nodular nodules>nodul ulcerated>ulcer ulceration>ulcer crusted>crust
crusting>crust vascular>vascular vessels>vessel arborizing>arbor dermoscopy>dermoscopi dermoscopic>dermoscop
keratosis>keratosi keratoses>keratos melanoma>melanoma melanomas>melanoma melanocytic>melanocyt nevus>nevus
nevi>nevi possibly>possibl consistent>consist consistently>consist typical>typic suspicious>suspici
diagnosed>diagnos differential>differenti regression>regress regressive>regress bluish>bluish whitish>whitish
dying>die skies>sky generally>general communism>communism arsenal>arsenal ugly>ugli proceed>proceed
exceeding>exceed happily>happili hopping>hop hoped>hope sky>sky say>say by>by cries>cri ties>tie gas>gas
gaps>gap kiwis>kiwi relational>relat conditional>condit rationally>ration valency>valenc digitizer>digit
operator>oper feudalism>feudal decisiveness>decis hopefulness>hope sensibility>sensibl formality>formal
triplicate>triplic formative>format electrical>electr goodness>good revival>reviv adjustment>adjust
adoption>adopt effective>effect bowdlerize>bowdler probate>probat controlling>control rolled>roll yes>yes y>y
youth>youth boy>boy o'clock>o'clock patient's>patient
"""
RUSSIAN = """
очаг>очаг очага>очаг очаги>очаг очагов>очаг очагами>очаг образование>образован образования>образован
неровными>неровн неровная>неровн границей>границ границы>границ коричневый>коричнев коричневого>коричнев
светлый>светл темные>темн чёрный>черн асимметричное>асимметричн симметричный>симметричн меланома>меланом
меланомы>меланом невус>невус невуса>невус бляшка>бляшк бляшки>бляшк бляшками>бляшк чешуйками>чешуйк
шелушение>шелушен шелушится>шелуш эритематозная>эритематозн пигментированный>пигментирова
пигментная>пигментн сосуды>сосуд сосудистых>сосудист видны>видн видна>видн видимый>видим растущий>растущ
растущая>растущ красноватый>красноват красивейший>красив юность>юност гордость>гордост стекающий>стека
увиденный>увиден спать>спат делаешь>дела прочитав>прочита поднявшись>подня вспухнув>вспухнув в>в и>и с>с
раненный>ранен раненная>ранен новейшее>нов
"""
"""Words and their stems by snowballstemmer 2.2.0."""
ROWS = [
    (language, *pair.split(">"))
    for language, table in (("en", ENGLISH), ("ru", RUSSIAN))
    for pair in table.split()
]


@pytest.mark.parametrize(("language", "word", "expected"), ROWS, ids=[row[1] for row in ROWS])
def test_stems_are_snowballs(language, word, expected):
    assert stem(word, language) == expected


@given(st.text(max_size=20), st.sampled_from(["en", "ru"]))
def test_any_word_has_a_stem_that_is_no_longer(word, language):
    assert len(stem(word.lower(), language)) <= len(word.lower()) + 1


@given(st.text("абвгдеиностьыяхйю", max_size=14))
def test_a_russian_stem_begins_the_word(word):
    assert word.startswith(stem(word, "ru"))
