"""The elements of an array as Slurm writes them, both ways: "0-3,7%4"."""

from collections.abc import Collection


def ranges(elements: Collection[int]) -> str:
    """{0, 1, 2, 3, 7} -> "0-3,7"."""
    runs: list[list[int]] = []
    for element in sorted(elements):
        if runs and element == runs[-1][1] + 1:
            runs[-1][1] = element
        else:
            runs.append([element, element])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def array(elements: Collection[int], num_at_once: int) -> str:
    """What sbatch's --array takes; where all may run at once no more needs saying."""
    return ranges(elements) + (f"%{num_at_once}" if num_at_once < len(elements) else "")


def numbers(text: str) -> tuple[int, ...]:
    """Of squeue's "4-6,9%8": (4, 5, 6, 9); of the "N/A" of a single job: ()."""
    listed = text.partition("%")[0].strip("[]")
    if not listed or not listed[0].isdigit():
        return ()
    spans = [part.partition("-")[::2] for part in listed.split(",")]
    return tuple(number for first, last in spans for number in range(int(first), int(last or first) + 1))
