"""A model keeps the words of its captions: they are listed, and words that no caption has are named in a warning."""

import warnings

import pytest

from ddmi_core.conditions.sentences import HashedWords
from ddmi_core.conditions.text import Captioned, TextCondition, TextTokens, word_condition, word_tokens
from ddmi_core.conditions.vocabulary import CAPTIONS, MOST_WORDS, Kept, Vocabulary, facts_of
from ddmi_core.errors import DdmiWarning
from ddmi_core.record_files import structured

CAPTIONS_OF_SIGNALS = [["A red chair, with four legs."], ["a blue table", "A red chair, with four legs."]]
KNOWN = Vocabulary.of(CAPTIONS_OF_SIGNALS)


def test_it_has_all_words_once_and_captions_as_they_stand():
    assert KNOWN.words == ("a", "blue", "chair", "four", "legs", "red", "table", "with")
    assert KNOWN.captions == ("A red chair, with four legs.", "a blue table")


def test_it_survives_a_record_and_older_records_have_none():
    assert structured(facts_of(CAPTIONS_OF_SIGNALS), Kept).vocabulary == KNOWN
    assert structured({}, Kept).vocabulary == Vocabulary()
    assert facts_of([]) == {}


def test_captions_are_spread_over_the_data_and_too_many_words_are_not_kept():
    many = Vocabulary.of([[f"word{number}"] for number in range(MOST_WORDS)])
    assert len(many.words) == MOST_WORDS
    assert len(many.captions) == CAPTIONS
    assert many.captions[CAPTIONS // 2] == f"word{MOST_WORDS // 2}"
    more = Vocabulary.of([[f"word{number}"] for number in range(MOST_WORDS + 1)])
    assert more.words == ()
    assert more.unknown("anything") == []


@pytest.mark.parametrize("make", [word_condition, word_tokens])
def test_words_that_no_caption_has_are_named(make):
    condition = make()
    condition.vocabulary = KNOWN
    with pytest.warns(DdmiWarning, match="no caption of the training data has the 2 words 'purple', 'elephant'"):
        condition.parse("a Purple elephant, purple")
    assert condition.examples() == KNOWN.captions


@pytest.mark.parametrize("text", ["東京", "purple elephant", " ".join(f"w{n}" for n in range(1000))])
def test_a_text_without_a_known_word_has_a_louder_warning_of_bounded_length(text):
    condition = word_condition()
    condition.vocabulary = KNOWN
    with pytest.warns(DdmiWarning, match="knows no word of the text") as found:
        condition.parse(text)
    assert len(str(found[0].message)) < 400
    assert "ddmi conditions" in str(found[0].message)


class Learned(HashedWords):
    """Stands for an encoder that knows words beyond the captions."""

    by_words = False


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (TextCondition(HashedWords()), "a RED chair"),
        (TextCondition(Learned()), "a purple elephant"),
        (TextTokens(Learned()), "a purple elephant"),
    ],
)
def test_known_words_and_encoders_of_meaning_have_no_warning(condition, text):
    assert isinstance(condition, Captioned)
    condition.vocabulary = KNOWN
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        condition.parse(text)


def test_without_a_vocabulary_nothing_is_claimed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        word_condition().parse("anything")
    assert word_condition().examples() == ()
