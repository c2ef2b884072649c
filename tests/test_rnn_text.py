"""From raw text to numbers, and pretrained embeddings from made files."""

import numpy as np
import pytest

from deqn.rnn.text import TextPipeline, read_glove, read_stopwords

TEXTS = ["The cat sat.", "The DOG sat, and the cat ran!", "a bird"]


def test_texts_become_numbers_of_equal_length_and_a_mask():
    pipeline = TextPipeline(TEXTS, size=20, length=5)
    vocabulary = pipeline.vocabulary
    assert vocabulary[:3] == ["", "[UNK]", "the"]
    numbers, mask = pipeline(TEXTS)
    assert numbers.shape == mask.shape == (3, 5)
    words = [[vocabulary[n] for n, valid in zip(*row, strict=True) if valid] for row in zip(numbers, mask, strict=True)]
    assert words == [["the", "cat", "sat"], ["the", "dog", "sat", "and", "the"], ["a", "bird"]]
    assert np.all(numbers[~mask] == 0)


def test_a_word_outside_the_vocabulary_is_unknown():
    numbers, _ = TextPipeline(TEXTS, size=20, length=4)(["the zebra sat"])
    assert numbers[0].tolist()[1] == 1


def test_stopwords_are_dropped_as_whole_words_only(tmp_path):
    (tmp_path / "stop.txt").write_text("the\nand\n\na\n")
    pipeline = TextPipeline(TEXTS, size=20, length=5, stopwords=read_stopwords(tmp_path / "stop.txt"))
    assert set(pipeline.vocabulary[2:]) == {"cat", "sat", "dog", "ran", "bird"}


def test_a_stopword_with_an_apostrophe_is_dropped_as_texts_have_it():
    texts = ["Don't go, don\u2019t stay", "the don goes", "o'clock"]
    pipeline = TextPipeline(texts, size=20, length=5, stopwords=["don't", "the", "O'Clock"])
    assert set(pipeline.vocabulary[2:]) == {"go", "stay", "don", "goes"}


def test_the_vocabulary_keeps_the_most_frequent_tokens():
    assert TextPipeline(TEXTS, size=5, length=5).vocabulary[2] == "the"
    assert len(TextPipeline(TEXTS, size=5, length=5).vocabulary) == 5


def test_pretrained_embeddings_stand_in_the_rows_of_their_tokens(tmp_path):
    # U+0085 counts as a line's end for str.splitlines, and is a token of the published files.
    (tmp_path / "glove.txt").write_text("cat 1.0 -2.0\nunused 9 9\n\x85 3 4\ndog 0.5 0.25\n", encoding="utf-8")
    matrix, missing = read_glove(tmp_path / "glove.txt", ["", "[UNK]", "dog", "cat", "bird"])
    np.testing.assert_array_equal(matrix, [[0, 0], [0, 0], [0.5, 0.25], [1, -2], [0, 0]])
    assert missing == ("[UNK]", "bird")
    drawn, _ = read_glove(tmp_path / "glove.txt", ["", "[UNK]", "dog", "cat", "bird"], np.random.default_rng(0))
    np.testing.assert_array_equal(drawn[[0, 2, 3]], matrix[[0, 2, 3]])
    assert np.all(drawn[[1, 4]] != 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("cat 1 2\ndog 1 2 3\n", "line 2: got 3 numbers after 'dog', expected 2"),
        ("cat 1 2\nbird 1\n", "line 2: got 1 numbers after 'bird', expected 2"),
        ("cat 1 2\ndog 1 x\n", "line 2: got 'dog 1 x', expected a token and numbers"),
        ("cat\n", "line 1: got 0 numbers after 'cat', expected 1 or more"),
        ("", "got no line, expected a token and numbers on each"),
    ],
)
def test_a_damaged_file_of_embeddings_is_refused_with_the_line(tmp_path, content, words):
    (tmp_path / "glove.txt").write_text(content)
    with pytest.raises(ValueError, match=words):
        read_glove(tmp_path / "glove.txt", ["", "[UNK]", "dog", "cat"])


def test_what_the_pipeline_can_not_number_is_refused():
    with pytest.raises(ValueError, match="texts: got 2 texts without a token"):
        TextPipeline(["", " ... "], size=20, length=5)
    with pytest.raises(ValueError, match="size: got 2, expected 3 or more"):
        TextPipeline(TEXTS, size=2, length=5)
    with pytest.raises(ValueError, match="length: got 0, expected 1 token or more"):
        TextPipeline(TEXTS, size=20, length=0)
    with pytest.raises(ValueError, match=r"texts: text 1 \('!!!'\) has no token"):
        TextPipeline(TEXTS, size=20, length=5)(["cat", "!!!"])
    with pytest.raises(ValueError, match="can't be read"):
        read_stopwords("no_such_file.txt")
