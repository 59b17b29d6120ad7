"""Compress what a LangChain retriever found: a document compressor for `ContextualCompressionRetriever` and its like.

>>> DocumentCompressor(compressor=Compressor.from_pretrained(…), options={"rate": 0.5})

Documents keep their order, ids and metadata; none is dropped. Without `by_query` a document becomes the same text
whatever was asked, which a provider's prompt cache can use again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stillroom.core.errors import MissingError

try:
    from langchain_core.documents import BaseDocumentCompressor, Document
except ImportError as error:
    raise MissingError("langchain-core is not installed: `pip install 'stillroom-prompts[langchain]'`") from error


class DocumentCompressor(BaseDocumentCompressor):  # type: ignore[misc]
    """Leaves the least telling words of documents out.

    Parameters
    ----------
    compressor
        A `stillroom.prompts.Compressor`.
    options
        Of its `compress`, for each document: `rate`, say.
    by_query
        Prefer what speaks of the query; see `question` there.
    """

    compressor: Any
    options: dict[str, Any]
    by_query: bool = False

    def compress_documents(self, documents: Sequence[Document], query: str, callbacks: Any = None) -> list[Document]:
        """Return copies of the documents with their texts compressed."""
        options = {**self.options, "question": query} if self.by_query else self.options
        results = self.compressor.compress_many([document.page_content for document in documents], **options)
        return [
            document.model_copy(update={"page_content": result.text})
            for document, result in zip(documents, results, strict=True)
        ]
