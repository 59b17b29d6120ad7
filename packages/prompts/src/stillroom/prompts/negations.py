"""Words that turn a sentence around: not, nicht, ne … pas, no, ни, 不, ない.

It knows words, not grammar: a homograph in another language (Portuguese "no", German "Not") stays, too, which costs a
word; a negation that is a prefix or a suffix (unmöglich, Turkish -me-) goes unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stillroom.prompts.span import whole

WORDS = """
not no never none nor neither nobody nothing nowhere without cannot
cant wont isnt arent wasnt werent doesnt didnt hasnt havent hadnt couldnt wouldnt shouldnt
nicht nichts nie niemals niemand niemandem niemanden niemandes nirgends nirgendwo nein ohne weder
kein keine keinen keinem keiner keines keins keinerlei keineswegs keinesfalls
ne pas jamais rien personne aucun aucune aucunement nul nulle nullement ni sans guère non
nunca jamás nada nadie ningún ninguno ninguna ningunos ningunas tampoco sin
né mai nulla niente nessun nessuno nessuna senza neanche nemmeno neppure
não nem ninguém nenhum nenhuma nenhuns nenhumas sem tampouco
niet niets nooit geen zonder nergens nee
inte ej aldrig ingen inget inga utan ikke ikkje intet uden uten nej ekki
nie bez nikt nic nigdy ani żaden żadna żadne nigdzie nelze není nejsou nikdy nikdo žádný žádná žádné
не нет нету ни никогда никто никого ничего ничто без нельзя ні немає ніхто нічого ніколи
nem nincs nincsenek soha ei eivät ilman değil yok hiç asla nu nici fără niciodată
δεν δε μην μη όχι χωρίς ποτέ κανένας κανείς τίποτα
لا ليس ليست لم لن غير بدون دون לא אין אל בלי
tidak bukan tanpa jangan không chưa đừng chẳng 안 못
"""
# By first character. 非常, 未来, 特别, 分别, 别人, 是否 are no negations: "very", "future", "special", "respectively",
# "others", "whether".
SIGNS = {
    "不没沒無无勿毋않없": "",
    "非": "(?![常洲])",
    "未": "(?![来來])",
    "否": "(?<![是能可].)",
    "别別": "(?<![特分区個个性级級差识識辨告].)(?![人的墅称稱名处處])",
    "な": "(?:い|かっ|くて|くな)",
    "ま": "せん",
    "ず": "に",
    "아": "니",
    "못": "[하했]",
    "ไ": "ม่",
    "न": "हीं",
    "ब": "िना",
}


_WORDS = frozenset(form for word in WORDS.split() for form in (word, word.capitalize(), word.upper()))
_WORD = re.compile(r"[^\W_]+")
_CLITIC = re.compile(  # n't, n'; u2019 is the apostrophe in JSON
    r"['’ʼ\\](?<=[nN].)(?:(?<!\\)|u2019)[tT](?!\w)|['’ʼ](?<=[nN].)(?<![\w'’]..)\w"
)
_SIGN = re.compile(
    f"(?:[{''.join(SIGNS)}](?:" + "|".join(f"(?<=[{sign}]){rest}" for sign, rest in SIGNS.items()) + "))++"
)


def negations(text: str) -> Iterator[tuple[int, int]]:
    """Yield where negations are: words, words with clitics (don't, n'est), and signs of scripts without spaces."""
    for match in _WORD.finditer(text):
        if match[0] in _WORDS and text[match.start() - 1 : match.start()] != "\\":  # "\not" in JSON: a newline and "ot"
            yield whole(text, *match.span())
    for pattern in (_CLITIC, _SIGN):
        for match in pattern.finditer(text):
            yield whole(text, *match.span())
