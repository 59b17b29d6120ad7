"""French sentences: no mistake is right, no correction is in doubt, and the forms are those of a grammar book."""

from collections import Counter
from functools import cache
from itertools import pairwise
from random import Random

import pytest

from stillroom.language.grammar.french import realise
from stillroom.language.grammar.french_forms import elided, feminine, plural, telling, verb
from stillroom.language.grammar.french_nouns import head
from stillroom.language.grammar.generate import Pair, language, pair, realised
from stillroom.language.grammar.lexicon import Entry, Part, Phrase
from stillroom.language.grammar.mistakes import sites, spoil
from stillroom.language.grammar.pattern import Slot, parse
from stillroom.language.grammar.words import KINDS, Word, sentence

FRENCH = language("fr")
PARTS: dict[Part, int] = {"train": 11_000, "choose": 3_000, "test": 6_000}


@cache
def made(part: Part) -> list[Pair]:
    return [pair("fr", part, 0, number) for number in range(PARTS[part])]


def every() -> list[Pair]:
    return [one for part in PARTS for one in made(part)]


def part_of(number: int) -> Part:
    return next(part for part in PARTS if FRENCH.patterns[number] in FRENCH.part(part)[1])


def words_of(text: str, seed: int = 0, part: Part = "train") -> list[Word]:
    return realised(FRENCH, part, parse(text), Random(seed))[0]


def target_of(text: str, seed: int = 0) -> str:
    return sentence([word.text for word in words_of(text, seed)])


# the law of the data


def test_a_wrong_sentence_is_no_right_one() -> None:
    targets = {one.target for one in every()}
    assert not [one for one in every() if one.kinds and one.source in targets]
    assert all(bool(one.kinds) == (one.source != one.target) for one in every())


def test_a_wrong_sentence_has_one_correction() -> None:
    targets: dict[str, set[str]] = {}
    for one in every():
        targets.setdefault(one.source, set()).add(one.target)
    assert not {source: found for source, found in targets.items() if len(found) > 1}


@pytest.mark.parametrize("part", PARTS)
def test_one_in_five_sentences_at_most_is_right_as_it_is(part: Part) -> None:
    assert sum(one.source == one.target for one in made(part)) <= 0.2 * len(made(part))


def test_every_kind_is_common() -> None:
    kinds = Counter(kind for one in every() for kind in one.kinds)
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 0.07 * kinds.total()


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_every_kind(part: Part) -> None:
    kinds = Counter(kind for one in made(part) for kind in one.kinds)
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 0.05 * kinds.total()


def test_parts_share_neither_lemmas_nor_patterns() -> None:
    lemmas = [{lemma for one in made(part) for lemma in one.lemmas} for part in PARTS]
    patterns = [{one.pattern for one in made(part)} for part in PARTS]
    for train, choose, test in (lemmas, patterns):
        assert not train & choose
        assert not train & test
        assert not choose & test


def test_the_lexicon_and_the_patterns_are_many() -> None:
    names = {entry.lemma for cls in ("prénom", "ville", "pays") for entry in FRENCH.lexicon[cls]}
    assert len(set(FRENCH.lemmas) - names) >= 560
    assert len(FRENCH.patterns) >= 66


def test_no_class_is_too_small_to_be_divided_or_says_a_word_twice() -> None:
    for cls, entries in FRENCH.lexicon.items():
        assert len(entries) >= 12, cls
        assert len({entry.lemma for entry in entries}) == len(entries), cls


def test_every_class_of_the_lexicon_is_used() -> None:
    used = {item.cls for pattern in FRENCH.patterns for item in pattern if isinstance(item, Slot)}
    assert not set(FRENCH.lexicon) - used


@pytest.mark.parametrize("number", range(len(FRENCH.patterns)))
def test_every_pattern_allows_three_kinds_and_makes_clean_sentences(number: int) -> None:
    random, kinds = Random(number), set()
    for _ in range(300):
        words, _ = realised(FRENCH, part_of(number), FRENCH.patterns[number], random)
        source, found = spoil(words, random)
        kinds |= set(found)
        target = sentence([word.text for word in words])
        assert "  " not in source + target
        assert target[0].isupper()
        assert target[-1] in ".?!"
        assert 5 <= len(target.replace("'", " ").split()) <= 20, target
    assert len(kinds) >= 3


@pytest.mark.parametrize("number", range(len(FRENCH.patterns)))
def test_no_two_mistakes_of_tense_make_another_right_sentence(number: int) -> None:
    # two finite verbs that both may change their tense could move together: "quand il arrivait, nous dînions"
    simple = {"pres", "imp", "fut", "cond", "subj"}
    moving = [
        item
        for item in FRENCH.patterns[number]
        if isinstance(item, Slot) and any(f[1:] in simple for f in item.features if f[0] == "x")
    ]
    assert len(moving) <= 1


def test_elisions_and_contractions_are_right_in_every_correction() -> None:
    vowels = "aàâeéèêiîoôuû"
    for one in every():
        words = one.target.lower().rstrip(".?!").replace(",", " ,").split()
        for word, following in pairwise(words):
            assert (word, following) not in {("à", "le"), ("à", "les"), ("de", "le"), ("de", "les"), ("si", "il")}
            if following[0] in vowels and following != "onze":
                assert word not in {"le", "la", "de", "ne", "je", "me", "te", "se", "que", "ce", "ma", "ta", "sa"}, one


def test_a_pronoun_alone_does_not_show_whether_its_verb_is_wrong_in_number() -> None:
    for seed in range(40):
        words = words_of("{v:v_action.S3.pres} [bien|spelling:bin] .", seed)
        plurals = {verb(entry.lemma).present[5] for entry in FRENCH.lexicon["v_action"]}
        singulars = {verb(entry.lemma).present[2] for entry in FRENCH.lexicon["v_action"]}
        *_, spoken, _, _ = words
        spoilt = set(spoken.wrong.get("agreement", ()))
        assert not spoilt & (singulars if spoken.text in plurals else plurals)


def test_an_article_or_what_agrees_with_its_noun_is_wrong_but_never_both() -> None:
    for seed in range(200):
        article, _, colour, _ = words_of("{o:objet.un} {c:couleur>o} .", seed)
        assert not (article.wrong.get("article") and colour.wrong.get("agreement"))


def test_a_gender_that_nothing_shows_is_never_asked_for() -> None:
    pupil = Entry("personne", "élève", ("élève",))
    subject = realise(Slot("s", "personne", ("le", "pl")), pupil, {}, Random(0))
    gone = realise(Slot("v", "partir", ("être", "pc"), "s"), None, {"s": subject}, Random(0))
    assert not {"tense", "agreement"} & set(gone.words[-1].wrong)
    assert not subject.words[0].wrong


def test_what_is_fused_is_spoilt_as_one_word() -> None:
    found = {word.text: word.wrong for seed in range(60) for word in words_of("{v:habiter.S.pres} .", seed)}
    assert found["j'habite"]["agreement"] == ("j'habites", "j'habite")
    assert found["j'habite"]["spelling"] == ("je habite",)
    person = Phrase((), {"gender": "f", "number": "s", "person": 2, "seen": True, "known": True, "firm": True})
    washed = realise(Slot("v", "laver", ("refl", "pc"), "s"), None, {"s": person}, Random(0))
    assert washed.words[0].text == "s'est"
    assert washed.words[0].wrong["agreement"] == ("se sont",)
    assert [site.texts for site in sites(washed.words, Random(0)) if site.kind == "tense"] == [("s'a",), ("laver",)]


# the forms, against a grammar book


@pytest.mark.parametrize(
    ("lemma", "present"),
    [
        ("manger", "mange manges mange mangeons mangez mangent"),
        ("commencer", "commence commences commence commençons commencez commencent"),
        ("appeler", "appelle appelles appelle appelons appelez appellent"),
        ("acheter", "achète achètes achète achetons achetez achètent"),
        ("protéger", "protège protèges protège protégeons protégez protègent"),
        ("envoyer", "envoie envoies envoie envoyons envoyez envoient"),
        ("installer", "installe installes installe installons installez installent"),
        ("finir", "finis finis finit finissons finissez finissent"),
        ("découvrir", "découvre découvres découvre découvrons découvrez découvrent"),
        ("sortir", "sors sors sort sortons sortez sortent"),
        ("venir", "viens viens vient venons venez viennent"),
        ("apprendre", "apprends apprends apprend apprenons apprenez apprennent"),
        ("répondre", "réponds réponds répond répondons répondez répondent"),
        ("peindre", "peins peins peint peignons peignez peignent"),
        ("plaindre", "plains plains plaint plaignons plaignez plaignent"),
        ("recevoir", "reçois reçois reçoit recevons recevez reçoivent"),
        ("connaître", "connais connais connaît connaissons connaissez connaissent"),
        ("écrire", "écris écris écrit écrivons écrivez écrivent"),
        ("boire", "bois bois boit buvons buvez boivent"),
        ("être", "suis es est sommes êtes sont"),
        ("avoir", "ai as a avons avez ont"),
        ("aller", "vais vas va allons allez vont"),
        ("faire", "fais fais fait faisons faites font"),
        ("dire", "dis dis dit disons dites disent"),
        ("pouvoir", "peux peux peut pouvons pouvez peuvent"),
    ],
)
def test_the_present_is_that_of_the_book(lemma: str, present: str) -> None:
    assert verb(lemma).present == tuple(present.split())


@pytest.mark.parametrize(
    ("lemma", "imperfect", "future", "subjunctive", "participle", "gerund"),
    [
        ("manger", "mangions", "mangerons", "mangions", "mangé", "mangeant"),
        ("commencer", "commencions", "commencerons", "commencions", "commencé", "commençant"),
        ("jeter", "jetions", "jetterons", "jetions", "jeté", "jetant"),
        ("nettoyer", "nettoyions", "nettoierons", "nettoyions", "nettoyé", "nettoyant"),
        ("envoyer", "envoyions", "enverrons", "envoyions", "envoyé", "envoyant"),
        ("étudier", "étudiions", "étudierons", "étudiions", "étudié", "étudiant"),
        ("choisir", "choisissions", "choisirons", "choisissions", "choisi", "choisissant"),
        ("courir", "courions", "courrons", "courions", "couru", "courant"),
        ("rire", "riions", "rirons", "riions", "ri", "riant"),
        ("offrir", "offrions", "offrirons", "offrions", "offert", "offrant"),
        ("lire", "lisions", "lirons", "lisions", "lu", "lisant"),
        ("traduire", "traduisions", "traduirons", "traduisions", "traduit", "traduisant"),
        ("comprendre", "comprenions", "comprendrons", "comprenions", "compris", "comprenant"),
        ("revenir", "revenions", "reviendrons", "revenions", "revenu", "revenant"),
        ("voir", "voyions", "verrons", "voyions", "vu", "voyant"),
        ("être", "étions", "serons", "soyons", "été", "étant"),
        ("avoir", "avions", "aurons", "ayons", "eu", "ayant"),
        ("faire", "faisions", "ferons", "fassions", "fait", "faisant"),
        ("aller", "allions", "irons", "allions", "allé", "allant"),
    ],
)
def test_the_other_tenses_are_those_of_the_book(
    lemma: str, imperfect: str, future: str, subjunctive: str, participle: str, gerund: str
) -> None:
    spoken = verb(lemma)
    assert (spoken.imperfect[3], spoken.future[3], spoken.subjunctive[3]) == (imperfect, future, subjunctive)
    assert (spoken.participle, spoken.gerund) == (participle, gerund)


def test_a_participle_agrees() -> None:
    assert [verb("partir").agreeing(g, n) for g in "mf" for n in "sp"] == ["parti", "partis", "partie", "parties"]
    assert [verb("prendre").agreeing(g, n) for g in "mf" for n in "sp"] == ["pris", "pris", "prise", "prises"]


@pytest.mark.parametrize(
    ("preposition", "determiner", "gender", "number", "following", "text"),
    [
        ("", "le", "m", "s", "homme", "l'"),
        ("", "le", "m", "s", "hibou", "le"),
        ("à", "le", "m", "s", "marché", "au"),
        ("à", "le", "f", "s", "école", "à l'"),
        ("de", "le", "m", "p", "amis", "des"),
        ("", "du", "m", "s", "ail", "de l'"),
        ("", "du", "f", "s", "viande", "de la"),
        ("", "ce", "m", "s", "oncle", "cet"),
        ("", "mon", "f", "s", "amie", "mon"),
        ("de", "un", "f", "s", "amie", "d'une"),
        ("", "deb", "f", "s", "huile", "d'"),
        ("", "quel", "f", "p", "villes", "quelles"),
    ],
)
def test_a_determiner_stands_as_its_neighbours_ask(
    preposition: str, determiner: str, gender: str, number: str, following: str, text: str
) -> None:
    assert head(preposition, determiner, gender, number, following) == text


def test_nouns_and_adjectives_inflect() -> None:
    assert [plural(noun) for noun in ("journal", "festival", "neveu", "repas", "tableau")] == [
        *("journaux", "festivals", "neveux", "repas", "tableaux")
    ]
    assert [feminine(word) for word in ("léger", "sportif", "italien", "curieux", "original", "calme")] == [
        *("légère", "sportive", "italienne", "curieuse", "originale", "calme")
    ]
    assert elided("lorsque", "elle") == "lorsqu'"


def test_an_ending_tells_the_gender_of_no_noun_that_goes_against_it() -> None:
    every = (e for cls, entries in FRENCH.lexicon.items() if cls != "prénom" for e in entries)
    nouns = {e.lemma: e.fields[0] for e in every if e.fields and e.fields[0] in ("m", "f")}
    told = {noun: telling(noun) for noun in nouns if telling(noun)}
    wrong = {noun for noun, gender in told.items() if nouns[noun] != gender}
    assert len(told) > 0.5 * len(nouns)
    assert len(wrong) < 0.05 * len(told), wrong


def test_adjectives_before_nouns_and_agreement_at_a_distance() -> None:
    assert target_of("{o:objet.un.vieux} [à|preposition:en] {p:prénom} .", 3).split()[:1][0] in ("Un", "Une")
    for seed in range(60):
        words = words_of("{l:lieu.un.beau} .", seed)
        assert [word.text for word in words[:2]] in (["un", "beau"], ["un", "bel"], ["une", "belle"])


def test_all_forms_of_an_entry_start_with_its_lemma() -> None:
    for entries in FRENCH.lexicon.values():
        for entry in entries:
            forms = FRENCH.forms(entry)
            assert forms[0] == entry.lemma
            assert len(set(forms)) == len(forms)
    assert set(FRENCH.forms(Entry("couleur", "blanc", ("blanche",)))) == {"blanc", "blancs", "blanche", "blanches"}
