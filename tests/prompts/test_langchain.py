"""The document compressor in LangChain's interface; runs where langchain-core is installed."""

from __future__ import annotations

import asyncio

import pytest

from stillroom.prompts import Compressor

documents = pytest.importorskip("langchain_core.documents", reason="pip install 'stillroom-prompts[langchain]'")


@pytest.fixture
def compressor(scorers):
    return Compressor(scorers["bert"])


def test_documents_are_compressed_in_order_and_keep_what_they_are(compressor, sentences):
    from stillroom.prompts.langchain import DocumentCompressor

    found = [
        documents.Document(text, id=str(number), metadata={"page": number}) for number, text in enumerate(sentences)
    ]
    room = DocumentCompressor(compressor=compressor, options={"rate": 0.5})
    assert isinstance(room, documents.BaseDocumentCompressor)
    left = room.compress_documents(found, "Who jumps?")
    assert [one.page_content for one in left] == [compressor.compress(text, rate=0.5).text for text in sentences]
    assert [(one.id, one.metadata) for one in left] == [(one.id, one.metadata) for one in found]
    assert [one.page_content for one in found] == sentences
    assert asyncio.run(room.acompress_documents(found, "Why?")) == left
    assert room.compress_documents([], "Who?") == []


def test_a_query_steers_only_where_it_is_asked_to(compressor, sentences):
    from stillroom.prompts.langchain import DocumentCompressor

    found = [documents.Document(sentences[0])]
    [left] = DocumentCompressor(compressor=compressor, options={"rate": 0.2}, by_query=True).compress_documents(
        found, "Is anybody watching?"
    )
    assert left.page_content == compressor.compress(sentences[0], rate=0.2, question="Is anybody watching?").text
    assert "watching" in left.page_content
