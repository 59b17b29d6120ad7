from base64 import b64encode
from itertools import islice

import pytest
import torch

from stillroom.demo import label, local_teacher, report
from stillroom.demo.local_teacher import Lessons
from stillroom.demo.remarks import CLASSES, PATTERNS, remarks
from stillroom.demo.tour import Tour
from stillroom.language.scratch import network, vocabulary
from stillroom.teacher.rendering import Rendering


@pytest.fixture(scope="module")
def compressor(tmp_path_factory):
    """An untrained compressor of a few hundred pieces."""
    from stillroom.prompts import architecture

    folder = tmp_path_factory.mktemp("models") / "compressor"
    sizes = architecture.Architecture(
        vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    tokenizer = architecture.fast(architecture.vocabulary([local_teacher.INSTRUCTIONS] * 3, 300), 512)
    architecture.network(sizes, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def labelled(tiny, compressor, tmp_path_factory):
    """A tour, and what the chapter found on it: a teacher that hardly learned is asked by way of its server."""
    tour = Tour.of(str(tiny), tmp_path_factory.mktemp("out"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # where nobody listens: a local server needs no proxy
        return tour, label.run(tour, compressor, rows=12, pilot=6, steps=30)


@pytest.fixture(scope="module")
def tokenizer():
    texts = [local_teacher.INSTRUCTIONS, *(one.text for one in islice(remarks(0), 50))]
    return vocabulary(texts, local_teacher.SHAPE)


def test_every_row_is_labelled_by_one_of_the_classes(labelled):
    _, result = labelled
    assert result.numbers["labelled"] == 12


def test_the_ledger_adds_up_to_what_was_spent(labelled):
    _, result = labelled
    books = result.numbers["ledger"]
    assert [row["job"] for row in books] == ["labels", "pilot"]
    assert sum(row["charged"] for row in books) == pytest.approx(1e12 * result.numbers["spent_usd"])
    for row in books:
        assert row["charged"] == row["prompt_tokens"] * 150_000 + row["completion_tokens"] * 600_000  # gpt-4o-mini


def test_a_second_run_asks_and_pays_nothing(labelled, compressor):
    tour, first = labelled
    again = label.run(tour, compressor, rows=12, pilot=6, steps=30)
    assert again.numbers["spent_usd"] == 0
    for name in ("ledger", "accuracy"):
        assert again.numbers[name] == first.numbers[name]


def test_the_page_holds_the_frontier(labelled):
    tour, result = labelled
    picture = (tour.folder("label") / "frontier.png").read_bytes()
    assert b64encode(picture).decode() in report.page(tour, [result], b"")


def test_a_remark_behind_a_shared_prompt_is_answered_as_if_it_were_alone(tokenizer):
    lessons = Lessons(tokenizer, list(islice(remarks(0), 40)), [0.5, 1.0])
    batch = lessons[3]
    model = network(local_teacher.SHAPE, tokenizer).eval()
    known = {tuple(ids) for prompts in lessons.prompts.values() for ids in prompts}
    with torch.no_grad():
        together = model(**{name: batch[name] for name in ("input_ids", "position_ids", "attention_mask")}).logits
        for row, ids in enumerate(batch["input_ids"]):
            [begun] = [prompt for prompt in known if ids[: len(prompt)].tolist() == list(prompt)]
            for end in torch.where(batch["labels"][row] == tokenizer.eos_token_id)[0][:5].tolist():
                start = end - int(batch["position_ids"][row, end]) + len(begun)
                alone = torch.cat([torch.tensor(begun), ids[start : end + 1]])
                torch.testing.assert_close(
                    model(input_ids=alone[None]).logits[0, -3:], together[row, end - 2 : end + 1], atol=1e-4, rtol=1e-4
                )


def test_the_teacher_learns_from_what_the_server_will_render(tokenizer):
    drawn = list(islice(remarks(0), 5))
    lessons = Lessons(tokenizer, drawn, [1.0])
    whole = local_teacher.prompt("food")
    messages = Rendering(whole).request({"remark": drawn[0].text}, "").body["messages"]
    asked = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert lessons.prompts["food"][0] + lessons.asked[0] + lessons.answers["food"][:1] == asked


def test_a_third_of_the_patterns_and_words_is_kept_for_later():
    def words(drawn):
        return {word.strip(".,:?!").lower() for one in drawn for word in one.text.split()}

    early, later = list(islice(remarks(0), 2000)), list(islice(remarks(1, later=True), 2000))
    assert {"risotto", "voucher", "exorbitant", "chilly"} <= words(later) - words(early)
    kept = PATTERNS[len(PATTERNS) * 2 // 3 :]
    assert not any(one.text.startswith(pattern.split("{")[0]) for one in early for pattern in kept if pattern[0] != "{")
    assert len({one.text for one in later}) == 2000


def test_only_the_prompt_says_whose_business_money_is():
    prompts = {name: local_teacher.prompt(name).instructions.text.split() for name in CLASSES}
    for name in CLASSES[1:]:
        differing = [(a, b) for a, b in zip(prompts[CLASSES[0]], prompts[name], strict=True) if a != b]
        assert len(differing) == 1
