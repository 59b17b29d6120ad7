"""The arrow to stillroom-prompts, for those who have it: a compressor by name, as a prompt's rendering wants it.

Without that package prompts are sent as they are; nothing else here needs it.
"""

from __future__ import annotations

from stillroom.core.errors import MissingError
from stillroom.teacher.rendering import Shorten

DEFAULT = "compressor"


def shortener(name: str = DEFAULT) -> Shorten:
    """Return what compresses a text to a rate with the model of this name, a mini, folder or hub id.

    A text's result depends on that text and the rate alone, so a compressed prefix has the same bytes in every call.

    Raises
    ------
    MissingError
        stillroom-prompts is not installed.
    ModelError
        There is no such model.
    """
    try:
        from stillroom.prompts.family import find
    except ImportError as error:
        raise MissingError("compression needs stillroom-prompts: pip install 'stillroom-teacher[prompts]'") from error
    compressor = find(name)

    def shorten(text: str, rate: float) -> tuple[str, int]:
        result = compressor.compress(text, rate=rate)
        return result.text, result.original_tokens - result.compressed_tokens

    return shorten
