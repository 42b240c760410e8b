import csv
import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from dermaxai.cli import app
from dermaxai.data import isic_api
from dermaxai.data.manifest import Manifest
from dermaxai.data.readers import READERS
from tests.data.copies import draw_skin, encode
from tests.data.loopback_archive import LoopbackArchive, serve

pytestmark = pytest.mark.usefixtures("plain_environment")
SAMPLE = "ham10000/ISIC_0000003"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """`dermaxai data …` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["data", *map(str, words)])


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


# ---- list, how, show ----------------------------------------------------------------------------


def test_list_shows_every_dataset_and_whether_it_is_here(run, tmp_path):
    (tmp_path / "sets" / "ddi").mkdir(parents=True)
    done = run("list", "--in", "sets")
    assert done.exit_code == 0, done.output
    _, *lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(READERS)
    here = {line.split()[0] for line in lines if line.split()[-1] == "yes"}
    assert here == {"ddi"}
    rows = objects(run("list", "--json").stdout)
    assert [row["name"] for row in rows] == list(READERS)
    assert rows[0] == rows[0] | {"photos": 403563, "access": "gated", "fetchable": False, "here": False}


@pytest.mark.parametrize("name", READERS)
def test_how_tells_the_terms_first_and_the_check_last(run, name):
    done = run("how", name)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].endswith(": terms")
    assert lines[1].startswith("  - ")
    assert lines[-1] == f"  $ dermaxai data check {name} DIR"
    first = {
        word: next(n for n, line in enumerate(lines) if line.startswith(word))
        for word in ("Licence", "Cite", "How")
    }
    assert first["Licence"] < first["Cite"] < first["How"]
    told = objects(run("how", name, "--json").stdout)[0]
    assert list(told)[:3] == ["name", "terms", "licence"]
    fetches = [step for step in told["steps"] if "dermaxai data fetch" in step]
    assert bool(fetches) == (name in ("ham10000", "pad_ufes_20", "bcn20000", "isic2019", "isic_archive"))


def test_show_tells_a_card_in_full(run):
    done = run("show", "dermnet")
    assert done.exit_code == 0, done.output
    assert "split leaks       yes" in done.stdout
    assert "unverified        Counts, hash and faults: one audit by a third party." in done.stdout
    assert "1,757  Psoriasis pictures Lichen Planus and related diseases" in done.stdout
    told = objects(run("show", "ham10000", "--json").stdout)[0]
    assert told["counts"]["mel"] == 1113
    assert told["files"][0]["md5"] == "4639bfa73ab251610530a97c898e6e46"


def test_show_offers_the_nearest_name(run):
    done = run("show", "ham1000")
    assert done.exit_code == 2
    assert "Did you mean 'ham10000'" in done.stderr


@pytest.fixture
def ham(tmp_path):
    """A folder as HAM10000's publisher ships it: 12 drawn photos of 6 lesions."""
    return write_ham(tmp_path / "ham")


def write_photo(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(Image.fromarray(draw_skin(number, 64)), 95))


def write_ham(folder):
    photos = folder / "HAM10000_images_part_1"
    photos.mkdir(parents=True)
    header = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset"]
    with (folder / "HAM10000_metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for number in range(12):
            image, dx = f"ISIC_{number:07d}", ("nv", "mel", "bkl")[number % 3]
            writer.writerow(
                [f"HAM_{number // 2:07d}", image, dx, "histo", 5 * number + 5, "male", "back", "x"]
            )
            write_photo(photos / f"{image}.jpg", number)
    return folder


def test_show_tells_a_sample_of_a_folder(run, ham):
    done = run("show", SAMPLE, "--folder", ham)
    assert done.exit_code == 0, done.output
    assert "HAM10000_metadata.csv, line 5" in done.stdout
    assert "melanocytic nevus" in done.stdout
    assert "ham10000/lesion/HAM_0000001; isic/ISIC_0000003" in done.stdout
    told = objects(run("show", SAMPLE, "--folder", ham, "--json").stdout)[0]
    assert (told["label"], told["age"], told["path"]) == (
        *("nv", 20.0),
        str(ham / "HAM10000_images_part_1" / "ISIC_0000003.jpg"),
    )


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((SAMPLE,), 2, "--manifest or --folder"),
        ((SAMPLE, "--folder", "nowhere"), 1, "There is no folder"),
        (("ham/ISIC_1", "--folder", "."), 2, "No dataset is called 'ham'"),
        ((SAMPLE, "--folder", "."), 1, "holds none of HAM10000_metadata"),
    ],
)
def test_a_sample_that_cannot_be_shown_is_explained(run, words, code, told):
    done = run("show", *words)
    assert done.exit_code == code, done.output
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sample_that_is_not_there_is_explained(run, ham):
    done = run("show", "ham10000/ISIC_9999999", "--folder", ham)
    assert done.exit_code == 1
    assert "is the sample 'ham10000/ISIC_9999999'" in done.stderr


# ---- fetch --------------------------------------------------------------------------------------


@pytest.fixture
def archive(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(LoopbackArchive(3)) as served:
        monkeypatch.setattr(isic_api, "ADDRESS", f"{served.address}/api/v2/")
        yield served


def test_fetch_demands_the_terms_and_then_brings_a_collection(run, archive, tmp_path):
    refused = run("fetch", "bcn20000", "-o", "bcn")
    assert refused.exit_code == 2
    assert "Attribution: Hospital Clínic de Barcelona." in refused.stderr
    assert "--accept-terms" in refused.stderr
    assert archive.asked == []
    done = run("fetch", "bcn20000", "-o", "bcn", "--accept-terms")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "bcn\t3 new, 0 kept, 0 failed",
        "Next: dermaxai data check bcn20000 bcn",
    ]
    assert "collections=249&" in archive.asked[0][0]
    assert len(list((tmp_path / "bcn").glob("*.jpg"))) == 3


def test_what_fetch_left_is_read_by_the_reader_it_names(run, archive, tmp_path):
    archive.metadata["ISIC_0000001"] = {
        "diagnosis_1": "Benign",
        "diagnosis_3": "Nevus",
        "lesion_id": "IL_0000007",
    }
    told = objects(run("fetch", "bcn20000", "-o", "bcn", "--accept-terms", "--json").stdout)[0]
    assert (told["new"], told["read_as"], told["failed"]) == (3, "bcn20000", [])
    shown = run("show", "bcn20000/ISIC_0000001", "--folder", "bcn")
    assert shown.exit_code == 0, shown.output
    assert "melanocytic nevus" in shown.stdout
    assert "isic/lesion/IL_0000007; isic/ISIC_0000001" in shown.stdout
    assert "CC-0" in shown.stdout


def test_fetch_of_a_photo_that_fails_ends_in_an_error(run, archive):
    archive.mishaps["/files/ISIC_0000000.jpg"] = ["404"]
    done = run(
        "fetch", "isic_archive", "--collection", "61", "--collection", "74", "-o", "isic", "--accept-terms"
    )
    assert done.exit_code == 1
    assert "ISIC_0000000: The archive refused" in done.stderr
    assert "2 new, 0 kept, 1 failed" in done.stdout
    assert "collections=61%2C74" in archive.asked[0][0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("skincap", "--accept-terms"), "dermaxai data how skincap"),
        (("ddi",), "dermaxai data how ddi"),
        (("isic_archive", "--accept-terms"), "--collection"),
        (("bcn20000", "--collection", "61", "--accept-terms"), "BCN20000 is collection 249"),
    ],
)
def test_what_is_not_fetched_is_explained(run, archive, words, told):
    done = run("fetch", *words, "-o", "x")
    assert done.exit_code == 2
    assert told in done.stderr
    assert archive.asked == []


def test_offline_nothing_is_fetched(run, archive, monkeypatch):
    monkeypatch.setenv("DERMAXAI_OFFLINE", "1")
    done = run("fetch", "bcn20000", "-o", "x", "--accept-terms")
    assert done.exit_code == 2
    assert "network is switched off" in done.stderr
    assert archive.asked == []


# ---- check --------------------------------------------------------------------------------------


@pytest.fixture
def isic(tmp_path):
    """ISIC 2019's training tables and photos of the first six photos of `ham`, whose lesions they share."""
    folder = tmp_path / "isic"
    truth = ["image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"]
    about = ["image,age_approx,anatom_site_general,lesion_id,sex"]
    for number in range(6):
        image = f"ISIC_{number:07d}"
        column = (1, 0, 4)[number % 3]
        truth.append(f"{image},{','.join('1.0' if place == column else '0.0' for place in range(9))}")
        about.append(f"{image},{5 * number + 5}.0,posterior torso,HAM_{number // 2:07d},male")
        write_photo(folder / "ISIC_2019_Training_Input" / f"{image}.jpg", number)
    (folder / "ISIC_2019_Training_GroundTruth.csv").write_text("\r\n".join([*truth, ""]), newline="")
    (folder / "ISIC_2019_Training_Metadata.csv").write_text("\r\n".join([*about, ""]), newline="")
    return folder


@pytest.fixture
def uncounted(monkeypatch):
    """No card promises counts of labels."""
    monkeypatch.setattr("dermaxai.data.cards.label_counts", lambda card: {})


def test_a_dataset_without_faults_is_said_to_be_one(run, isic, uncounted):
    done = run("check", "isic2019", isic)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == ["isic2019: 6 samples read, 6 photos on disk", "", "No faults."]
    assert "photos" in done.stderr
    assert sorted(path.name for path in isic.iterdir()) == [
        *("ISIC_2019_Training_GroundTruth.csv", "ISIC_2019_Training_Input", "ISIC_2019_Training_Metadata.csv")
    ], "nothing is written into the publisher's folder"


def test_check_names_every_kind_of_fault_with_file_and_row(run, isic, uncounted):
    photos = isic / "ISIC_2019_Training_Input"
    (photos / "ISIC_0000001.jpg").unlink()
    (photos / "ISIC_0000002.jpg").write_bytes(b"no photo")
    (photos / "ISIC_0000003.jpg").write_bytes((photos / "ISIC_0000004.jpg").read_bytes())
    (photos / "stray.jpg").write_bytes((photos / "ISIC_0000005.jpg").read_bytes())
    done = run("check", "isic2019", isic)
    assert done.exit_code == 4, done.output
    assert "ISIC_2019_Training_GroundTruth.csv, line 3: 'isic2019/ISIC_0000001' has no photo" in done.stdout
    assert "unreadable photo: 1\n  ISIC_2019_Training_Input/ISIC_0000002.jpg: " in done.stdout
    assert "repeated photo: 1\n  ISIC_2019_Training_Input/ISIC_0000004.jpg: The same file as" in done.stdout
    assert "1 photo that no row names" in done.stdout
    assert done.stdout.endswith("3 faults.\n")
    told = objects(run("check", "isic2019", isic, "--json").stdout)[0]
    assert told["kinds"] == {"missing photo": 1, "unreadable photo": 1, "repeated photo": 1}
    assert told["faults"][0]["place"] == "ISIC_2019_Training_GroundTruth.csv, line 3"
    assert [path.rpartition("/")[2] for path in told["unnamed"]] == ["stray.jpg"]


def test_rows_alone_can_be_checked(run, isic, uncounted):
    import shutil

    shutil.rmtree(isic / "ISIC_2019_Training_Input")
    assert run("check", "isic2019", isic).exit_code == 4
    done = run("check", "isic2019", isic, "--no-photos")
    assert done.exit_code == 0, done.output
    table = isic / "ISIC_2019_Training_GroundTruth.csv"
    table.write_text(table.read_text().replace("ISIC_0000002,0.0", "ISIC_0000002,1.0"))
    done = run("check", "isic2019", isic, "--no-photos")
    assert done.exit_code == 4
    assert "broken row: 1\n  ISIC_2019_Training_GroundTruth.csv, line 4: " in done.stdout


def test_check_counts_against_the_card(run, ham):
    done = run("check", "ham10000", ham, "--no-photos")
    assert done.exit_code == 4
    assert "all rows: 10015 are promised, 12 were read." in done.stdout
    assert "label 'akiec': 327 are promised, 0 were read." in done.stdout


def test_counts_of_one_part_are_compared_with_that_part(run, isic):
    done = run("check", "isic2019", isic, "--no-photos")
    assert done.exit_code == 4
    assert "label 'MEL': 4522 are promised, 2 were read." in done.stdout
    for name in ("GroundTruth", "Metadata"):
        table = isic / f"ISIC_2019_Training_{name}.csv"
        table.rename(table.with_name(table.name.replace("Training", "Test")))
    done = run("check", "isic2019", isic, "--no-photos")
    assert done.exit_code == 0, done.output


def test_rows_that_the_publisher_leaves_out_are_no_faults_and_are_counted(run, tmp_path):
    from dermaxai.data.cards import label_counts, read_card

    rows = ["md5hash,fitzpatrick_scale,label,three_partition_label,qc"]
    for label, count in label_counts(read_card("fitzpatrick17k")).items():
        rows += [f"{len(rows) + place:032x},3,{label},," for place in range(count)]
    rows[1] += "3 Wrongly labelled"
    (tmp_path / "f17k").mkdir()
    (tmp_path / "f17k" / "fitzpatrick17k.csv").write_text("\n".join(rows))
    done = run("check", "fitzpatrick17k", "f17k", "--no-photos")
    assert done.exit_code == 0, done.output
    assert "left out: 1\n  fitzpatrick17k.csv, line 2: " in done.stdout
    assert done.stdout.endswith("No faults.\n")


def test_a_table_without_a_row_is_a_fault(run, tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "metadata.csv").write_text("isic_id,diagnosis_3\n")
    done = run("check", "isic_archive", "export")
    assert done.exit_code == 4
    assert "all rows: None was read." in done.stdout
    assert done.stdout.endswith("1 fault.\n")


def test_the_first_faults_of_a_kind_are_named_and_all_on_demand(run, tmp_path):
    from dermaxai.commands.data_telling import SHOWN

    rows = [f"ISIC_{number:07d},x,CC-0,Strange {number}" for number in range(SHOWN + 5)]
    text = "\n".join(["isic_id,attribution,copyright_license,diagnosis_3", *rows])
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "metadata.csv").write_text(text)
    short = run("check", "isic_archive", "export", "--no-photos")
    assert short.exit_code == 4
    assert "… and 5 more (--all names them)" in short.stdout
    assert f"Strange {SHOWN}" not in short.stdout
    assert f"Strange {SHOWN + 4}" in run("check", "isic_archive", "export", "--no-photos", "--all").stdout


@pytest.mark.parametrize(
    ("words", "code"), [(("ham", "."), 2), (("ham10000", "."), 1), (("ddi", "nowhere"), 1)]
)
def test_what_cannot_be_checked_is_explained(run, words, code):
    done = run("check", *words)
    assert done.exit_code == code
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


# ---- build, stats, show, unpack -----------------------------------------------------------------


@pytest.fixture
def built(run, ham, isic):
    pytest.importorskip("pyarrow")
    done = run("build", "out.parquet", f"ham10000={ham}", f"isic2019={isic}", "--no-measure", "--own-split")
    assert done.exit_code == 0, done.output
    return done


def test_build_tells_what_was_joined_and_what_was_left_out(built, run, ham, isic):
    assert "18 photos in 6 clusters, the largest of 4; 6 show a photo again" in built.stdout
    assert "isic2019: photos joined: 6 with ham10000 (6 the same photo)." in built.stdout
    assert built.stdout.splitlines()[-1].startswith("out.parquet\t")
    (ham / "HAM10000_images_part_1" / "ISIC_0000003.jpg").unlink()
    again = run("build", "new.parquet", f"ham10000={ham}", f"isic2019={isic}", "--no-measure", "--json")
    told = objects(again.stdout)[0]
    ham_told, isic_told = told["datasets"]
    assert (ham_told["rows"], ham_told["kept"], ham_told["missing"]) == (12, 11, 1)
    assert (isic_told["rows"], isic_told["kept"]) == (6, 6)
    assert "HAM10000_metadata.csv, line 5" in (ham.parent / told["faults"]).read_text()
    kept = run("build", "all.parquet", f"ham10000={ham}", "--no-measure", "--keep-missing", "--json")
    assert objects(kept.stdout)[0]["datasets"][0]["kept"] == 12


def test_of_official_parts_and_pins_the_strictest_counts(built, run, ham, isic, tmp_path):

    (tmp_path / "pins.csv").write_text(
        "key,part\nham10000/lesion/HAM_0000000,test\nham10000/ISIC_0000011,validation\n"
    )
    done = run(
        "build", "pinned.parquet", f"ham10000={ham}", f"isic2019={isic}", "--no-measure", "--pin", "pins.csv"
    )
    assert done.exit_code == 0, done.output
    assert "isic2019: 2 photos of its train in test, because their cluster is." in done.stdout
    assert "5 photos in the part that the published split or the pins name." in done.stdout
    manifest = Manifest.open(tmp_path / "pinned.parquet")
    parts = dict(zip(manifest.column("id"), manifest.column("split"), strict=True))
    assert {parts[f"ham10000/ISIC_000000{number}"] for number in (0, 1)} == {"test"}
    assert {parts[f"ham10000/ISIC_000000{number}"] for number in range(2, 6)} == {"train"}
    assert {parts[f"ham10000/ISIC_00000{number}"] for number in (10, 11)} == {"validation"}


def test_a_published_split_and_pins_go_together(run, isic, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "pins.csv").write_text("key,part\nham10000/lesion/HAM_0000000,test\n")
    words = ("--published", "skincap", "--pin", "pins.csv", "--no-measure", "--json")
    done = run("build", "out.parquet", f"isic2019={isic}", *words)
    assert done.exit_code == 0, done.output
    assert objects(done.stdout)[0]["joined"]["pinned"] == 2


def test_a_label_that_nothing_maps_stops_a_build_unless_it_is_to_be_kept(run, ham):
    pytest.importorskip("pyarrow")
    table = ham / "HAM10000_metadata.csv"
    table.write_text(table.read_text().replace(",bkl,", ",wart,", 1))
    refused = run("build", "out.parquet", f"ham10000={ham}", "--no-measure")
    assert refused.exit_code == 1
    assert "HAM10000_metadata.csv, line 4: dx='wart'" in refused.stderr
    kept = run("build", "out.parquet", f"ham10000={ham}", "--no-measure", "--unknown-labels", "keep")
    assert kept.exit_code == 0, kept.output
    shown = run("show", "ham10000/ISIC_0000002", "--manifest", "out.parquet")
    assert "label             wart" in shown.stdout
    assert "\ndiagnosis" not in shown.stdout


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("ham10000",), 2, "Write NAME=DIR"),
        (("ham1000=.",), 2, "Did you mean 'ham10000'"),
        (("ham10000=nowhere",), 1, "There is no folder 'nowhere'"),
        (("ham10000=ham", "ham10000=ham"), 2, "given twice"),
        (("ham10000=ham", "--fractions", "half,half"), 2, "--fractions is 'half,half'"),
        (("ham10000=ham", "--fractions", "0.8,0.1,0.2"), 2, "sum to 1"),
        (("ham10000=ham", "--published", "skincup"), 2, "Did you mean 'skincap'"),
        (("ham10000=ham", "--pin", "none.csv"), 1, "There is no file 'none.csv'"),
        (("ham10000=ham", "--pin", "wrong.csv"), 1, "wrong.csv, line 2: part is 'dev'"),
        (("ham10000=ham", "--pin", "twice.csv"), 1, "'a' is in two parts"),
    ],
)
def test_a_build_that_makes_no_sense_is_explained(run, ham, tmp_path, words, code, told):
    (tmp_path / "wrong.csv").write_text("key,part\na,dev\n")
    (tmp_path / "twice.csv").write_text("key,part\na,test\na,train\n")
    done = run("build", "out.parquet", *words)
    assert done.exit_code == code, done.output
    assert told in done.stderr
    assert not (tmp_path / "out.parquet").exists()


def test_stats_prints_and_draws_what_a_manifest_holds(built, run, tmp_path):
    done = run("stats", "out.parquet", "--draw", "figures")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "Photos per dataset (each photo once; 6 rows repeat one)"
    assert [line.split()[-1] for line in lines if line.startswith(("melanoma", "benign kera"))] == ["4", "4"]
    assert any(line.startswith("ham10000") and " ru " in line and " weak " in line for line in lines)
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    names = (
        "datasets",
        "diagnoses",
        "malignancy",
        "sites",
        "ages",
        "sexes",
        "modalities",
        "sources",
        "caption_lengths",
    )
    assert drawn == {f"{name}{ending}" for name in names for ending in (".png", ".svg")}
    told = objects(run("stats", "out.parquet", "--json", "--all-rows").stdout)[0]
    assert (told["photos"], told["repeated"], told["figures"]) == (18, 0, [])


def test_show_tells_a_sample_of_a_manifest_with_the_source_of_every_sentence(built, run):
    done = run("show", "isic2019/ISIC_0000003", "--manifest", "out.parquet")
    assert done.exit_code == 0, done.output
    assert "repeats           ham10000/ISIC_0000003" in done.stdout
    assert "size              64 x 64 px" in done.stdout
    assert "\nen  (composed)\n" in done.stdout
    assert "  label         Possible diagnosis: melanocytic nevus.\n" in done.stdout
    told = objects(run("show", "isic2019/ISIC_0000003", "--manifest", "out.parquet", "--json").stdout)[0]
    assert {caption["language"] for caption in told["captions"]} == {"en", "ru"}
    assert all(sentence["source"] for caption in told["captions"] for sentence in caption["sentences"])
    absent = run("show", "ddi/000001", "--manifest", "out.parquet")
    assert absent.exit_code == 1
    assert "It holds ham10000, isic2019" in absent.stderr


def test_what_is_no_manifest_is_said_to_be_none(run, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not really")
    for words in (("stats", "x.parquet"), ("show", SAMPLE, "--manifest", "x.parquet")):
        done = run(*words)
        assert done.exit_code == 1
        assert "is no manifest of this program" in done.stderr
    assert "There is no manifest 'y.parquet'" in run("stats", "y.parquet").stderr


def test_unpack_writes_the_photos_of_shards_once(run, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    name = "data/pretrain/images/IIYI/1_1.png"
    row = {"filename": name, "truncated_caption": "A patch.", "image": {"bytes": b"photo", "path": None}}
    (tmp_path / "aug").mkdir()
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "aug" / "train-00000.parquet")
    assert run("unpack", "aug").stdout == "aug\t1 photos written\n"
    assert (tmp_path / "aug" / name).read_bytes() == b"photo"
    assert run("unpack", "aug").stdout == "aug\t0 photos written\n"
    elsewhere = run("unpack", "aug", "-o", "out")
    assert (tmp_path / "out" / name).is_file(), elsewhere.output
    assert run("unpack", tmp_path / "aug" / "data").exit_code == 1


def test_the_commands_load_no_model(heavy_after):
    assert "torch" not in heavy_after(
        "import dermaxai.commands.data, dermaxai.data.cards, dermaxai.data.acquiring"
    )


def test_a_manifest_is_told_where_its_photos_are_now(built, run, ham, tmp_path):
    before = Manifest.open("out.parquet")
    ham.rename(tmp_path / "elsewhere")
    done = run("move", "out.parquet", f"ham10000={tmp_path / 'elsewhere'}")
    assert done.exit_code == 0, done.output
    after = Manifest.open("out.parquet")
    assert after.sha256 == before.sha256
    after.verify()
    (first,) = after.samples(after.rows(datasets=["ham10000"])[:1])
    assert first.sample.path.is_file()
    assert run("move", "out.parquet", "ham10000=nowhere").exit_code == 1
    assert run("move", "out.parquet", "ham10000").exit_code == 2
    assert run("move", "out.parquet", f"ddi={tmp_path}").exit_code == 2
    assert run("move", "out.parquet", f"isic2019={tmp_path}", "-o", "other.parquet").exit_code == 0
    assert Manifest.open("other.parquet").roots["isic2019"] == tmp_path
    assert Manifest.open("out.parquet").roots == after.roots
