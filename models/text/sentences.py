"""Made sentences whose meaning depends on the order of words: "not good but cheap" praises as little as "bad"."""

import itertools

import numpy as np

SUBJECTS = ("The film", "This book", "Our dinner", "The hotel", "That song", "The journey")
GOOD = ("good", "great", "lovely", "superb", "charming", "fine")
BAD = ("bad", "awful", "boring", "poor", "dreadful", "dull")
FORMS = (
    "{subject} was {verdict}.",
    "{subject} was not {verdict}!",
    "Nobody says that {subject} was {verdict}.",
    "{subject}, which my friends did not see, was really {verdict}.",
    "{subject}, which I did see, was not really {verdict}.",
    "I found that {subject} was {verdict}, and not only once.",
)
DENIES = (False, True, True, False, True, False)


def make_sentences(count: int, generator: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Returns `count` different sentences in random order, and whether each praises, bool [count].

    "not" stands in four of six forms and denies the verdict in two of these; words alone don't tell.
    Raises ValueError for more sentences than there are.
    """
    every = list(itertools.product(range(len(FORMS)), SUBJECTS, GOOD + BAD))
    if count > len(every):
        raise ValueError(f"sentences: got {count}, expected at most {len(every)}")
    chosen = [every[i] for i in generator.permutation(len(every))[:count]]
    texts = [FORMS[form].format(subject=subject, verdict=verdict) for form, subject, verdict in chosen]
    return texts, np.array([(verdict in GOOD) != DENIES[form] for form, _, verdict in chosen])
