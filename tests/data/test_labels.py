"""Labels, groups and splits as people write them."""

import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit.data import index_files
from ssl_kit.data.files import LabelSource
from ssl_kit.data.splits import labeled_parts, split
from ssl_kit.data.table import MAY_BE_GROUPS


@pytest.fixture
def folder(tmp_path):
    """Twelve empty images s/0.png to s/11.png."""
    (tmp_path / "s").mkdir()
    for i in range(12):
        (tmp_path / f"s/{i}.png").touch()
    return tmp_path


def pets(folder, form="s/{}.png"):
    return [(form.format(i), "cat" if i < 6 else "dog") for i in range(12)]


def write(folder, rows, header="path,label", join=",", encoding="utf-8"):
    lines = [header, *(join.join(row) for row in rows)]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding=encoding)


def labels(index):
    return [index.classes[n] if n >= 0 else "" for n in index.labels]


def counts(index):
    found = labels(index)
    return {name: found.count(name) for name in set(found)}


@pytest.mark.parametrize(
    "how",
    [
        {"header": "path, label", "join": ", "},
        {"header": "Path,Label"},
        {"header": " PATH ,LABEL "},
        {"header": "path;label", "join": ";"},
        {"header": "path\tlabel", "join": "\t"},
        {"header": "path\tlabel", "join": "\t", "encoding": "utf-16"},
        {"encoding": "utf-8-sig"},
        {"encoding": "utf-16-le"},
        {"header": "path|label", "join": "|"},
        {"header": "path label", "join": " "},
        {"header": "sep=;\npath;label", "join": ";"},
        {"header": "# by hand\n\npath,label"},
        {"header": "filename,class"},
        {"header": "Image Path,Target"},
    ],
)
def test_tables_of_all_kinds_give_the_same_labels(folder, how):
    write(folder, pets(folder), **how)
    assert counts(index_files(folder, [".png"])) == {"cat": 6, "dog": 6}


@pytest.mark.parametrize("form", ["./s/{}.png", "s\\{}.png", ".\\s\\{}.png", "{}.png", "{}",
                                  "S/{}.PNG", "old/s/{}.png", "D:\\old\\s\\{}.png"])  # fmt: skip
def test_paths_of_all_kinds_mean_the_same_files(folder, form):
    write(folder, pets(folder, form))
    assert counts(index_files(folder, [".png"])) == {"cat": 6, "dog": 6}


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        ("images/{}.png", "/old/study/pictures/{}.png"),  # renamed
        ("p{0}/{0}.png", "images/{0}.png"),  # sorted into folders
        ("{}.png", "batch{0}/{0}.png"),  # taken out of folders
        ("images/{}.png", "batch{0}/{0}.png"),
        ("p{0}/s.png", "D:\\old\\p{0}\\s.png"),
        ("study/p{0}/s.png", "p{0}/s"),
    ],
)
def test_folders_that_tell_no_files_apart_are_no_matter(tmp_path, stored, written):
    files(tmp_path, *(stored.format(i) for i in range(12)))
    write(tmp_path, [(written.format(i), "cat" if i < 6 else "dog") for i in range(12)])
    index = index_files(tmp_path, [".png"])
    assert {index.key(i): index.label(i) for i in range(12)} == {
        stored.format(i): "cat" if i < 6 else "dog" for i in range(12)
    }
    assert "found by the ends of their paths" in " ".join(index.remarks)


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        ("p1/{}.png", "p2/{}.png"),
        ("p1/{}.png", "/data/p2/{}.png"),
        ("anna/left/{}.png", "bert/left/{}.png"),
        ("train/{}.png", "test/{}.png"),
        ("{}.png", "../p2/{}.png"),  # the folder is p1
        ("images/{}.png", "p2/{}.png"),
    ],
)
def test_a_file_of_another_patient_is_no_file_of_the_table(tmp_path, stored, written):
    root = files(tmp_path / "p1", *(stored.format(i) for i in range(12)))
    write(root, [(written.format(i), "cat" if i < 6 else "dog") for i in range(12)])
    with pytest.raises(UsageError, match=r"names 12 files not there, .*in another folder"):
        index_files(root, [".png"])


@pytest.mark.parametrize("other", ["p2/0.png", "images/p2/0.png"])
def test_a_row_of_an_absent_patient_is_no_row_of_another(tmp_path, other):
    files(tmp_path, *(f"p1/{i}.png" for i in range(4)))
    write(tmp_path, [*((f"p1/{i}.png", "cat") for i in range(4)), (other, "cat")])
    with pytest.raises(
        UsageError, match=rf"1 file not there, .*{other}.* 'p1/0\.png' has the same"
    ):
        index_files(tmp_path, [".png"])


def test_absolute_paths(folder):
    write(folder, pets(folder, f"{folder}/s/{{}}.png"))
    assert counts(index_files(folder, [".png"])) == {"cat": 6, "dog": 6}


def test_umlauts_of_an_old_program_are_read_and_said(folder):
    write(folder, [(path, "Löwe" if name == "cat" else name) for path, name in pets(folder)],
          encoding="cp1252")  # fmt: skip
    index = index_files(folder, [".png"])
    assert counts(index) == {"Löwe": 6, "dog": 6}
    assert any("read as Latin-1" in remark for remark in index.remarks)


@pytest.mark.parametrize("column", ["label", "group", "split"])
def test_rows_that_differ_are_refused(folder, column):
    values = {"label": ("cat", "dog"), "group": ("a", "b"), "split": ("train", "test")}[column]
    write(folder, [("s/0.png", value) for value in values], header=f"path,{column}")
    with pytest.raises(UsageError, match=r"'s/0\.png' has two rows that differ"):
        index_files(folder, [".png"])


def test_equal_rows_count_once(folder):
    write(folder, [*pets(folder), ("s/0.png", "cat")])
    assert counts(index_files(folder, [".png"])) == {"cat": 6, "dog": 6}


def test_missing_values_are_no_label(folder):
    rows = pets(folder)
    gaps = ["NaN", "?", "NA", "", "None", "-"]
    write(
        folder, [*rows[:6], *((path, gap) for (path, _), gap in zip(rows[6:], gaps, strict=True))]
    )
    assert counts(index_files(folder, [".png"])) == {"cat": 6, "": 6}


def test_labels_that_are_taken_for_missing_are_counted_by_spelling(folder):
    write(folder, [(f"s/{i}.png", ("NA", "DE", "FR", "")[i % 4]) for i in range(12)])
    index = index_files(folder, [".png"])
    assert index.classes == ("DE", "FR")
    assert index.remarks == (
        "3 rows have the label 'NA', which is taken for missing. Give it another name if it is a "
        "class.",
    )


def test_groups_that_are_taken_for_missing_are_counted(folder):
    write(folder, [(f"s/{i}.png", "pq-?"[i % 4]) for i in range(12)], header="path,group")
    (remark,) = index_files(folder, [".png"]).remarks
    assert remark == (
        "3 rows have the group '-', 3 rows have the group '?', which are taken for missing. Give "
        "what is a group another name."
    )


@pytest.mark.parametrize("grades", [("-", "+", "++"), ("-", "1+", "2+"), ("--", "-", "+")])
def test_minus_is_a_class_beside_plus_and_it_is_said(folder, grades):
    write(folder, [(f"s/{i}.png", grades[i % 3]) for i in range(12)])
    index = index_files(folder, [".png"])
    assert counts(index) == dict.fromkeys(grades, 4)
    assert "4 rows have the label '-', which counts as a class" in " ".join(index.remarks)


@pytest.mark.parametrize("negative", ["0", "neg"])
def test_minus_is_missing_beside_another_negative_grade(folder, negative):
    write(folder, [(f"s/{i}.png", ("-", "1+", negative)[i % 3]) for i in range(12)])
    assert counts(index_files(folder, [".png"])) == {"": 4, "1+": 4, negative: 4}


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("path,label", [("dog",), ("cat",), ("cat|dog",)]),
        ("path,cat,dog", [("0", "1"), ("1", "0"), ("1", "1")]),
        ("path,cat,dog", [("False", "True"), ("True", "False"), ("True", "True")]),
        ("path,label", [("dog",), ("cat",), ("cat;dog",)]),
        ("path,label", [("dog",), ("cat",), ('"cat, dog"',)]),
        ("path,labels", [("\"['dog']\"",), ("\"['cat']\"",), ("\"['cat', 'dog']\"",)]),
    ],
)
def test_several_labels_are_said_and_not_one_more_class(folder, header, rows):
    write(folder, [(f"s/{i}.png", *rows[i % 3]) for i in range(12)], header=header)
    index = index_files(folder, [".png"])
    assert index.classes == ("cat", "dog")
    assert counts(index)[""] == 4
    assert any("4 images have several labels" in remark for remark in index.remarks)


def test_several_labels_are_kept_as_targets(folder):
    write(folder, [(f"s/{i}.png", ("cat", "dog", "cat|dog", "")[i % 4]) for i in range(12)])
    index = index_files(folder, [".png"])
    assert index.target_names == ("cat", "dog")
    targets = {index.key(i): index.targets[i].tolist() for i in range(12)}
    assert [targets[f"s/{i}.png"] for i in range(3)] == [[1, 0], [0, 1], [1, 1]]
    assert np.isnan(targets["s/3.png"]).all()
    assert index.take([0]).targets.shape == (1, 2)
    whole = index_files(folder, [".png"], LabelSource(targets="classes"))
    assert (whole.classes, whole.targets) == (("cat", "cat|dog", "dog"), None)


def test_none_of_the_classes_is_no_missing_label(folder):
    rows = [("1", "0"), ("0", "0"), ("1", "1")]
    write(folder, [(f"s/{i}.png", *rows[i % 3]) for i in range(12)], header="path,cat,dog")
    index = index_files(folder, [".png"])
    targets = {index.key(i): index.targets[i].tolist() for i in range(12)}
    assert [targets[f"s/{i}.png"] for i in range(3)] == [[1, 0], [0, 0], [1, 1]]
    assert any("and 4 have none of them" in remark for remark in index.remarks)
    assert index.origins == {"label": "2 columns of 0 and 1 of labels.csv"}


@pytest.mark.parametrize("values", [("0.5", "1", "2.25"), ("0,5", "1,0", "2,25")])
def test_numbers_are_targets_and_no_classes(folder, values):
    write(folder, [(f"s/{i}.png", values[i % 3]) for i in range(11)], "path;label", ";")
    index = index_files(folder, [".png"])
    assert index.classes == ()
    assert index.targets.shape == (12, 1)
    targets = {index.key(i): index.targets[i, 0] for i in range(12)}
    assert [targets[f"s/{i}.png"] for i in range(3)] == [0.5, 1, 2.25]
    assert np.isnan(targets["s/11.png"])
    assert any("labels are numbers" in remark for remark in index.remarks)
    assert len(index_files(folder, [".png"], LabelSource(targets="classes")).classes) == 3


def test_whole_numbers_are_classes_unless_asked_otherwise(folder):
    write(folder, [(f"s/{i}.png", str(i % 3)) for i in range(12)])
    assert index_files(folder, [".png"]).classes == ("0", "1", "2")
    numbers = index_files(folder, [".png"], LabelSource(targets="numbers"))
    assert (numbers.classes, sorted(set(numbers.targets[:, 0]))) == ((), [0, 1, 2])


@pytest.mark.parametrize("kind", ["numbers", "several"])
def test_without_labels_nothing_is_asked_of_their_kind(folder, kind):
    index = index_files(folder, [".png"], LabelSource(targets=kind))
    assert (index.targets, index.target_names, index.remarks) == (None, (), ())
    with pytest.raises(UsageError, match="needs labeled images"):
        labeled_parts(index, split(index, 0.2))


def test_many_whole_numbers_are_classes_and_it_is_said(folder):
    write(folder, [(f"s/{i}.png", str(60 + i)) for i in range(12)])
    index = index_files(folder, [".png"])
    assert len(index.classes) == 12
    assert any("12 different whole numbers" in remark for remark in index.remarks)


def test_numbers_that_are_none_are_refused(folder):
    write(folder, pets(folder))
    with pytest.raises(UsageError, match="12 labels are no number, the first 'cat'"):
        index_files(folder, [".png"], LabelSource(targets="numbers"))


def test_a_misspelled_column_is_named_with_the_nearest(folder):
    write(folder, pets(folder), header="path,lable")
    remarks = " ".join(index_files(folder, [".png"]).remarks)
    assert "The column 'lable' of 'labels.csv' is not used. Did you mean 'label'?" in remarks
    assert "has no column called label" in remarks


def test_a_given_table_of_no_use_is_refused(folder):
    write(folder, pets(folder), header="path,lable")
    with pytest.raises(UsageError, match=r"no column called label, .*; it has path, lable. Rename"):
        index_files(folder, [".png"], folder / "labels.csv")


@pytest.mark.parametrize("name", ["PatientID", "Patient ID", "subject-id", "SubjectID", "case_id"])
def test_patients_in_any_spelling_are_groups(folder, name):
    write(folder, [(f"s/{i}.png", f"p{i % 3}") for i in range(12)], header=f"File Name,{name}")
    index = index_files(folder, [".png"])
    assert (len(index.group_names), index.remarks) == (3, ())


@pytest.mark.parametrize(("name", "doubtful"), [("anon_patient_key", True), ("patient_age", False)])
def test_an_unused_column_that_may_be_the_patient_is_named(folder, name, doubtful):
    write(folder, [(f"s/{i}.png", "a", f"p{i}") for i in range(12)], header=f"path,label,{name}")
    (remark,) = (r for r in index_files(folder, [".png"]).remarks if name in r)
    assert (MAY_BE_GROUPS in remark) == doubtful


def test_what_a_table_does_not_say_or_says_in_vain_is_named(folder):
    rows = [("s/0.png", "cat", "3"), ("s/1.png", "Cat", "4")]
    write(folder, rows, header="path,label,age")
    assert index_files(folder, [".png"]).remarks == (
        "Columns of 'labels.csv' that are not used: age.",
        "10 of 12 files have no row in 'labels.csv'.",
        "Classes differ only in how they are written: 'Cat'/'cat'.",
    )


@pytest.mark.parametrize(("name", "do"), [("meta.csv", "as --labels"), ("l.xlsx", "save it as")])
def test_a_table_of_another_name_is_named(folder, name, do):
    (folder / name).write_bytes(b"PK\3\4")
    assert do in index_files(folder, [".png"]).remarks[-1]
    with pytest.raises(UsageError, match="is a spreadsheet"):
        index_files(folder, [".png"], folder / name)


def files(tmp_path, *names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("train", "test"),
    [("Training", "Testing"), ("TRAIN", "TEST"), ("train_set", "test_set"), ("trainset", "dev"),
     ("Training Set", "Test Set"), ("train_images", "images-test"), ("trn", "holdout"),
     ("data/train", "data/test")],
)  # fmt: skip
def test_parts_have_many_names(tmp_path, train, test):
    names = [f"{part}/{c}/{i}.png" for part in (train, test) for c in "ab" for i in range(3)]
    index = index_files(files(tmp_path, *names), [".png"])
    assert index.classes == ("a", "b")
    assert set(index.splits.tolist()) == {1, 2 if test == "dev" else 3}


def test_patients_above_classes_are_groups_and_it_is_said(tmp_path):
    names = [
        f"patient{p}/{c}/{i}.png" for p in range(3) for c in ("normal", "ill") for i in range(4)
    ]
    index = index_files(files(tmp_path, *names), [".png"])
    assert counts(index) == {"normal": 12, "ill": 12}
    assert len(index.group_names) == 3
    assert "taken for groups" in index.remarks[0]
    assert "patient" not in index.remarks[0]


def test_classes_above_other_folders_stay_classes(tmp_path):
    names = [f"{c}/{p}/{i}.png" for c in "ab" for p in range(3) for i in range(2)]
    names = [name.replace("b/", "b/x") for name in names]
    assert index_files(files(tmp_path, *names), [".png"]).classes == ("a", "b")


@pytest.mark.parametrize("below", [("train", "test"), ("40X", "100X", "200X")])
def test_classes_stay_classes_above_parts_and_magnifications(tmp_path, below):
    names = [f"{c}/{b}/{i}.png" for c in ("benign", "malignant") for b in below for i in range(4)]
    index = index_files(files(tmp_path, *names), [".png"])
    assert index.classes == ("benign", "malignant")
    assert bool(index.remarks) == (below[0] == "40X")
    assert index.splits.any() == (below[0] == "train")


def test_folders_below_classes_may_be_groups_and_a_loose_file_is_unlabeled(tmp_path):
    names = [f"{c}/{c}{p}/{i}.png" for c in "ab" for p in range(3) for i in range(2)]
    index = index_files(files(tmp_path, *names, "0.png"), [".png"])
    assert index.classes == ("a", "b")
    assert "1 file lies in no class folder" in index.remarks[0]
    (tmp_path / "0.png").unlink()
    assert '--layout "{label}/{group}/*"' in index_files(tmp_path, [".png"]).remarks[0]


def test_a_layout_says_it_aloud(tmp_path):
    names = [f"{c}/{p}/{i}.png" for c in "ab" for p in ("p", "q") for i in range(3)]
    source = LabelSource(layout="{label}/{group}/*")
    index = index_files(files(tmp_path, *names), [".png"], source)
    assert index.classes == ("a", "b")
    assert sorted(index.group_names.tolist()) == [b"p", b"q"]


@pytest.mark.parametrize(
    ("layout", "name", "row"),
    [
        ("{group}/{label}/*", "p 1/grade II/a/b.png", ("grade II", "p 1", 0)),
        ("{split}/*/{label}/*", "Testing/x/cat/1.png", ("cat", "", 3)),
        ("**/{label}/*", "a/b/cat/1.png", ("cat", "", 0)),
        ("{label}_{group}_*", "7_george_12.png", ("7", "george", 0)),
        ("{group}_{label}", "p1_cat.png", ("cat", "p1", 0)),
        ("/patient-{group}/{label}/", "patient-3/cat (old)/1.png", ("cat (old)", "3", 0)),
        ("{label}[1]/*", "cat[1]/1.png", ("cat", "", 0)),
    ],
)
def test_layouts_of_all_kinds(tmp_path, layout, name, row):
    index = index_files(files(tmp_path, name), [".png"], LabelSource(layout=layout))
    group = "" if index.group(0).startswith(name) else index.group(0)
    assert (index.label(0), group, index.splits[0]) == row
    assert f"--layout {layout}" in index.origins.values()


def test_a_layout_adds_to_a_table(folder):
    write(folder, pets(folder))
    index = index_files(folder, [".png"], LabelSource(layout="{group}/*"))
    assert counts(index) == {"cat": 6, "dog": 6}
    assert index.group_names.tolist() == [b"s"]
    assert index.origins["label"] == "column label of labels.csv"
    assert index.origins["group"] == "--layout {group}/*"


@pytest.mark.parametrize(
    "layout", ["{patient}/*", "*/*", "{label}/x/y/*", "{label}/{label}/*", "{split}/*", "{label"]
)
def test_a_wrong_layout_is_one_line(tmp_path, layout):
    with pytest.raises(UsageError, match="--layout"):
        index_files(files(tmp_path, "a/1.png"), [".png"], LabelSource(layout=layout))


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{}.png", "masks/{}.png"),
        ("imagesTr/a_{}.png", "labelsTr/a_{}.png"),
        ("JPEGImages/{}.png", "SegmentationClass/{}.png"),
        ("benign/b ({}).png", "benign/b ({})_mask.png"),
        ("{}_T1w.png", "{}_seg.png"),
        ("train/images/{}.png", "train/labels/{}.png"),
        ("train/{}.png", "train_masks/{}_mask.png"),
        ("A_Input/a{}.png", "A_GroundTruth/a{}_segmentation.png"),
        ("{}.png", "masks/{}.png"),
        ("a/{}.png", "a/masks/{}_mask.png"),
        ("{}.png", "mask_{}.png"),
    ],
)
def test_masks_are_left_out_and_said(tmp_path, image, mask):
    names = [form.format(i) for i in range(5) for form in (image, mask)]
    index = index_files(files(tmp_path, *names), [".png"])
    assert [index.key(i) for i in range(len(index))] == sorted(image.format(i) for i in range(5))
    assert "5 masks beside the images are left out" in index.remarks[0]
    assert len(index_files(tmp_path, [".png"], LabelSource(masks=True))) == 10


@pytest.mark.parametrize("names", [("seg/1.png", "cat/2.png"), ("mask_1.png", "mask_2.png"),
                                   ("mask/1.png", "face/1.png"),
                                   ("with_mask/1.png", "without_mask/1.png")])  # fmt: skip
def test_what_only_sounds_like_a_mask_is_kept(tmp_path, names):
    assert len(index_files(files(tmp_path, *names), [".png"])) == 2


def test_files_of_other_endings_are_counted(tmp_path):
    names = ["1.png", "2.png", "3.gif", "4.gif", "5.avif"]
    remarks = index_files(files(tmp_path, *names), [".png"]).remarks
    assert remarks == ("Files of other endings are not read: 2 .gif, 1 .avif.",)


def test_what_belongs_to_a_product_is_not_counted(tmp_path):
    names = ["S1.SAFE/measurement/vv.png", "S1.SAFE/manifest.safe", "S1.SAFE/annotation/vv.xml"]
    assert index_files(files(tmp_path, *names), [".png"]).remarks == ()
    assert index_files(tmp_path / "S1.SAFE", [".png"]).remarks == ()


def test_a_link_to_itself_is_followed_once(tmp_path):
    files(tmp_path, "a/1.png", "a/2.png")
    (tmp_path / "self").symlink_to(".", target_is_directory=True)
    (tmp_path / "a/up").symlink_to("..", target_is_directory=True)
    assert len(index_files(tmp_path, [".png"])) == 2


def test_what_a_mac_leaves_behind_is_no_class(tmp_path):
    names = [f"{c}/{i}.png" for c in ("cat", "dog", "__MACOSX") for i in range(3)]
    assert index_files(files(tmp_path, *names), [".png"]).classes == ("cat", "dog")


def test_rows_of_parts_declare_the_group_and_split_of_their_file(folder):
    rows = ["s/0.png,7,9,tumor,p,train", "s/0.png,0,4,fat,p,train", "./s/1.png,,,cat,q,test"]
    write(folder, [[row] for row in rows], header="Path,X,Y,label,group,split")
    index = index_files(folder, [".png"])
    assert [index.group(i) for i in (0, 1)] == ["p", "q"]
    assert labels(index)[:2] == ["", "cat"]
    assert index.splits[:2].tolist() == [1, 3]
    assert any("2 rows of 'labels.csv' have x and y" in remark for remark in index.remarks)


@pytest.mark.parametrize("row", ["s/0.png,,,cat,other", "s/0.png,1,1,fat,other"])
def test_rows_of_parts_that_contradict_each_other_are_refused(folder, row):
    write(folder, [["s/0.png,7,9,tumor,p"], [row]], header="path,x,y,label,group")
    with pytest.raises(UsageError, match=r"labels.csv.*'s/0\.png'"):
        index_files(folder, [".png"])


def test_a_row_of_a_part_may_lack_the_group_of_the_file(folder):
    write(folder, [["s/0.png,,,cat,p"], ["s/0.png,1,1,fat,"]], header="path,x,y,label,group")
    index = index_files(folder, [".png"])
    assert (labels(index)[0], index.group(0)) == ("cat", "p")
