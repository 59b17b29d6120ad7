"""Do a student and its teacher write in the same tokens? Asked of their tokenizers alone, before anything is trained.

A teacher's probabilities mean something to a student only if token 17 is the same piece of text for both, and if both
end an answer with the same token. How a text is cut into tokens does not matter: the teacher is asked about the
student's tokens. It knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillroom.core.errors import ModelError

ELSE = (
    "Labels, rationales and texts that the teacher wrote still work (objective `labels`); "
    "for its probabilities choose a student with the teacher's own tokenizer."
)


def check(student_tokenizer: Any, teacher_tokenizer: Any) -> int:
    """Return how many tokens student and teacher share: the size that both sides' logits are cut to.

    Either may have more tokens behind the last shared one (an added padding token, say), and its model more rows than
    its tokenizer has tokens; the tokens before must be the same, each at its number.

    Raises
    ------
    ModelError
        Some token is another one, or answers end with another token; the sentence says which recipes still work.
    """
    ours, theirs = _by_id(student_tokenizer), _by_id(teacher_tokenizer)
    size = min(max(ours), max(theirs)) + 1
    other = [number for number in range(size) if ours.get(number) != theirs.get(number)]
    if other:
        first = other[0]
        raise ModelError(
            f"Student and teacher write in different tokens ({len(other):,} of {size:,}; token {first} is "
            f"{ours.get(first)!r} to the student and {theirs.get(first)!r} to the teacher), so the teacher's "
            f"probabilities mean nothing to this student. {ELSE}"
        )
    if student_tokenizer.eos_token_id != teacher_tokenizer.eos_token_id:
        raise ModelError(
            f"The student ends an answer with {student_tokenizer.eos_token!r} and the teacher with "
            f"{teacher_tokenizer.eos_token!r}, so the student would learn never to end: give both the same "
            f"`eos_token` in tokenizer_config.json. {ELSE}"
        )
    return size


def _by_id(tokenizer: Any) -> dict[int, str]:
    vocabulary: Mapping[str, int] = tokenizer.get_vocab()
    return {number: token for token, number in vocabulary.items()}
