"""Documents by the hundred: what compiled passes and tokenizers take at a time."""

from collections.abc import Iterator

from datatrove.data import Document, DocumentsPipeline

BATCH_DOCUMENTS = 500  # their characters stay in the processor's cache
BATCH_CHARS = 4_000_000  # a few very long documents fill a batch too: passes take up to 40 bytes a character


def batches(data: DocumentsPipeline) -> Iterator[list[Document]]:
    batch: list[Document] = []
    num_chars = 0
    for doc in data or ():
        batch.append(doc)
        num_chars += len(doc.text)
        if len(batch) >= BATCH_DOCUMENTS or num_chars >= BATCH_CHARS:
            yield batch
            batch, num_chars = [], 0
    if batch:
        yield batch
