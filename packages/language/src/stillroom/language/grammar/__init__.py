"""Sentences with mistakes and their corrections in four languages, from hand-written lexicons and rules.

words.py      a word of a sentence, and what a learner might write in its place
pattern.py    the notation of patterns: fixed words, slots, what may be swapped
lexicon.py    a language's lemmas and patterns, read from data/*.yaml and divided into train, choose and test
english.py …  one file a language: how a slot becomes words
mistakes.py   which mistakes a sentence gets
generate.py   pairs of a wrong and a right sentence, numbered and seeded
noise.py      the same kinds of mistakes put into other people's sentences
"""

from stillroom.language.grammar.generate import LANGUAGES, Pair, pairs

__all__ = ["LANGUAGES", "Pair", "pairs"]
