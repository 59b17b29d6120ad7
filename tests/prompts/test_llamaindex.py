"""The node postprocessor in LlamaIndex's interface; runs where llama-index-core is installed."""

from __future__ import annotations

import asyncio

import pytest

from stillroom.prompts import Compressor

schema = pytest.importorskip("llama_index.core.schema", reason="pip install 'stillroom-prompts[llamaindex]'")


@pytest.fixture
def compressor(scorers):
    return Compressor(scorers["bert"])


def test_nodes_are_compressed_in_order_and_keep_what_they_are(compressor, sentences):
    from stillroom.prompts.llamaindex import NodeCompressor

    nodes = [
        schema.NodeWithScore(node=schema.TextNode(text=text, metadata={"page": number}), score=1 / (number + 1))
        for number, text in enumerate(sentences)
    ]
    room = NodeCompressor(compressor=compressor, options={"rate": 0.5})
    left = room.postprocess_nodes(nodes, query_str="Who jumps?")
    assert [one.text for one in left] == [compressor.compress(text, rate=0.5).text for text in sentences]
    assert [(one.node_id, one.score, one.metadata) for one in left] == [
        (one.node_id, one.score, one.metadata) for one in nodes
    ]
    assert [one.text for one in nodes] == sentences
    assert [one.text for one in asyncio.run(room.apostprocess_nodes(nodes))] == [one.text for one in left]
    assert "compressor" not in room.to_dict()


def test_a_query_steers_only_where_it_is_asked_to(compressor, sentences):
    from stillroom.prompts.llamaindex import NodeCompressor

    nodes = [schema.NodeWithScore(node=schema.Document(text=sentences[0]))]
    room = NodeCompressor(compressor=compressor, options={"rate": 0.2}, by_query=True)
    [left] = room.postprocess_nodes(nodes, query_str="Is anybody watching?")
    assert left.get_content() == compressor.compress(sentences[0], rate=0.2, question="Is anybody watching?").text
    assert room.postprocess_nodes(nodes)[0].get_content() == compressor.compress(sentences[0], rate=0.2).text
