"""Texts that are looked for while tokens come.

Markers of plain text are several tokens, and not always the same ones: the `>` of `</think>` may come with the line's end behind
it. So they are looked for in the bytes that tokens stand for, never among ids.
"""

from pretrain.generation.pieces import Pieces


class Marker:
    """A text that is looked for while tokens come. A state is how many of its bytes the text behind ends with.

    `caught_at`: of how many bytes on a token is said to write the marker; all of them unless told otherwise."""

    def __init__(self, text: str, pieces: Pieces, caught_at: int | None = None):
        self.bytes = text.encode()
        self._pieces = pieces
        self._caught_at = caught_at or len(self.bytes)
        self._fallback = _borders(self.bytes)
        self._writing: dict[int, frozenset[int]] = {}

    def read(self, state: int, piece: bytes) -> tuple[int, int | None]:
        """(state behind the piece, place in it behind the last whole marker, if one ended there)."""
        ended = None
        for place, byte in enumerate(piece):
            while state and self.bytes[state] != byte:
                state = self._fallback[state - 1]
            state += self.bytes[state] == byte
            if state == len(self.bytes):
                state, ended = 0, place + 1
        return state, ended

    def writing(self, state: int) -> frozenset[int]:
        """The tokens that would write the marker there."""
        if state not in self._writing:
            may = self._first_bytes(state)
            self._writing[state] = frozenset(
                token
                for token in range(len(self._pieces.all))
                if (piece := self._pieces.bytes_of(token)) and (piece[0] in may or self.bytes[0] in piece)
                if self._writes(state, piece)
            )
        return self._writing[state]

    def _writes(self, state: int, piece: bytes) -> bool:
        behind, ended = self.read(state, piece)
        return ended is not None or behind >= self._caught_at

    def _first_bytes(self, state: int) -> set[int]:
        """What a piece may begin with that goes on with the marker."""
        may = {self.bytes[state]}
        while state:
            state = self._fallback[state - 1]
            may.add(self.bytes[state])
        return may


def _borders(text: bytes) -> list[int]:
    """Of each prefix: the length of its longest proper prefix that is its end too (Knuth, Morris, Pratt)."""
    borders = [0] * len(text)
    length = 0
    for place in range(1, len(text)):
        while length and text[place] != text[length]:
            length = borders[length - 1]
        length += text[place] == text[length]
        borders[place] = length
    return borders
