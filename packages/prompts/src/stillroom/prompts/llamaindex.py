"""Compress what a LlamaIndex retriever found: a node postprocessor.

>>> NodeCompressor(compressor=Compressor.from_pretrained(…), options={"rate": 0.5})

Nodes keep their order, ids, scores and metadata; none is dropped. Without `by_query` a node becomes the same text
whatever was asked, which a provider's prompt cache can use again.
"""

from __future__ import annotations

from typing import Any

from stillroom.core.errors import MissingError

try:
    from llama_index.core.bridge.pydantic import Field
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import NodeWithScore, QueryBundle
except ImportError as error:
    raise MissingError("llama-index-core is not installed: `pip install 'stillroom-prompts[llamaindex]'`") from error


class NodeCompressor(BaseNodePostprocessor):  # type: ignore[misc]
    """Leaves the least telling words of nodes out; metadata is not touched.

    Parameters
    ----------
    compressor
        A `stillroom.prompts.Compressor`.
    options
        Of its `compress`, for each node: `rate`, say.
    by_query
        Prefer what speaks of the query; see `question` there.
    """

    compressor: Any = Field(exclude=True)
    options: dict[str, Any]
    by_query: bool = False

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex saves it under."""
        return "StillroomNodeCompressor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        options = self.options
        if self.by_query and query_bundle is not None:
            options = {**options, "question": query_bundle.query_str}
        results = self.compressor.compress_many([found.node.get_content() for found in nodes], **options)
        return [_with_text(found, result.text) for found, result in zip(nodes, results, strict=True)]


def _with_text(found: NodeWithScore, text: str) -> NodeWithScore:
    """Copy a node: those that were found belong to the index."""
    node = found.node.model_copy()
    node.set_content(text)
    return NodeWithScore(node=node, score=found.score)
