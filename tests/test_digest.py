import os

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from watcher import source
from watcher.digest import CHUNK, FileDigest, HashingStopped, hash_file, set_digest
from watcher.intake.scan import signature_of
from watcher.ledger import JobMember

EMPTY = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"  # from the BLAKE3 test vectors


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17])
def test_the_digest_of_a_file_is_that_of_its_content(tmp_path, size):
    content = os.urandom(size)
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    expected = "blake3:" + blake3(content).hexdigest()
    with open(path, "rb") as file:
        assert hash_file(file).text == expected
        assert hash_file(file.fileno()).text == expected
    digest = FileDigest()
    for start in range(0, size, 1000):
        digest.update(content[start : start + 1000])
    assert digest.text == expected


def test_the_digest_of_nothing_is_the_published_one(tmp_path):
    (tmp_path / "a").touch()
    with open(tmp_path / "a", "rb") as file:
        assert hash_file(file).text == EMPTY == FileDigest().text


def test_hashing_does_not_move_the_files_position(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    with open(tmp_path / "a", "rb") as file:
        file.seek(3)
        hash_file(file)
        assert file.read() == b"tent"


def test_hashing_can_be_stopped_between_chunks(tmp_path):
    (tmp_path / "a").write_bytes(bytes(4 * CHUNK))
    asked = []

    def stop():
        asked.append(None)
        return len(asked) == 3

    with open(tmp_path / "a", "rb") as file, pytest.raises(HashingStopped):
        hash_file(file, stop=stop)
    assert len(asked) == 3


def test_no_beginnings_are_worked_out_of_what_is_sent(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(bytes(5000))
    made = []

    def recorded(**options):
        made.append(FileDigest(**options))
        return made[-1]

    monkeypatch.setattr(source, "FileDigest", recorded)
    file = source.SourceFile(JobMember(1, 1, str(tmp_path / "a"), "a", signature_of(os.stat(tmp_path / "a"))), bool)
    digest = file.hash()
    assert b"".join(file.chunks()) == bytes(5000)
    assert (made[0].text, made[0].beginnings) == (digest, b"")
    assert len(file.beginnings) > 100
    file.close()


def test_a_set_of_one_has_the_digest_of_its_content_whatever_its_name():
    assert set_digest([("a.png", EMPTY)]) == set_digest([("b.png", EMPTY)]) == EMPTY


def test_an_empty_set_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        set_digest([])


def test_the_order_of_members_is_of_no_matter_but_names_and_contents_are():
    one, two, three = ("a.obj", "blake3:1"), ("a.mtl", "blake3:2"), ("x.png", "blake3:3")
    digest = set_digest([one, two, three])
    assert digest.startswith("blake3:")
    assert len(digest) == len(EMPTY)
    assert set_digest([three, one, two]) == digest
    others = [
        [one, two],
        [one, two, ("y.png", "blake3:3")],
        [one, two, ("x.png", "blake3:4")],
        [("a.obj", "blake3:2"), ("a.mtl", "blake3:1"), three],
    ]
    assert len({digest, *(set_digest(other) for other in others)}) == 5


def test_where_a_name_ends_is_part_of_the_digest():
    assert set_digest([("ab", "c"), ("d", "e")]) != set_digest([("a", "bc"), ("d", "e")])
    assert set_digest([("a", "b"), ("c", "d")]) != set_digest([("a", "bc"), ("", "d")])


@given(
    st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=4),
    st.lists(st.tuples(st.text(), st.text()), min_size=2),
)
def test_equal_digests_mean_equal_sets(first, second):
    # Hypothesis makes lone surrogates only of the kind that names on disk have not; those are left out.
    assert (set_digest(first) == set_digest(second)) == (sorted(first) == sorted(second))


def test_names_that_are_not_utf_8_have_a_digest_of_their_own():
    names = [os.fsdecode(raw) for raw in (b"\xff.png", b"\xfe.png", "ÿ.png".encode())]
    assert len({set_digest([("a.mtl", EMPTY), (name, EMPTY)]) for name in names}) == 3
