"""What a checkpoint's files say of its vocabulary and of the token that ends a text, and whether they agree. No torch.

Trainers and servers each look elsewhere: verl and vLLM read generation_config.json, TRL the tokenizer, training data ended its
documents with what the tokenizer said then. Where these differ a model never stops, or never learns to. A file that cannot be
read fails the check `files`; what was to be read from it is not measured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pretrain.readiness.files import Files, Unreadable
from pretrain.readiness.verdicts import Check, Verdict, worst
from recipes.manifest import read_summary
from recipes.stage import Stage, is_finished, read_stage

HEAD = "lm_head.weight"
CHAT = [{"role": "user", "content": "1 + 1 = ?"}]
LONGEST = 300  # characters of an error that are told


@dataclass(frozen=True)
class Finding:
    verdict: Verdict
    told: str


def checks(checkpoint: Path, prompts: Sequence[str], trained_eos: dict[str, int]) -> dict[str, Check]:
    """`prompts`: as they are asked here. `trained_eos`: by dataset, the token that ended its documents; {} where nobody knows."""
    files = Files(checkpoint)
    found: dict[str, Callable[[], list[Finding]]] = {
        "end_of_text": lambda: _end_of_text(files, trained_eos),
        "vocabulary": lambda: _vocabulary(files.tokenizer, files.config, files.rows),
        "tied_embedding": lambda: _tied(files.config, files.has(HEAD)),
        "template": lambda: [_plain(files, prompts), _chat_template(checkpoint)],
        "round_trip": lambda: [_round_trip(files.tokenizer, prompts)],
    }
    unreadable = [Finding("fail", told) for told in files.unreadable()]
    read = unreadable or [Finding("pass", "every file can be read")]
    return {"files": _check(lambda: read), **{name: _check(find) for name, find in found.items()}}


def numbers(checkpoint: Path) -> Check:
    """Whether every weight is a number. Reads them all, with torch."""
    files = Files(checkpoint)
    if files.unreadable():
        return Check("not measured", "its files cannot be read")
    if not files.tensors:
        return Check("not measured", "its weights are no safetensors")
    broken = files.broken_numbers()
    if broken:
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        return Check("fail", f"weights that are no finite numbers: {', '.join(broken[:3])}{more}")
    return Check("pass", "every weight is a finite number")


def trained_eos(export: Path) -> dict[str, int]:
    """Follows an export, by the folders that it read, to the datasets of all training before it. {} where it is none of ours."""
    found: dict[str, int] = {}
    waiting, seen = [export], set[Path]()
    while waiting:
        folder = waiting.pop()
        if folder in seen or not is_finished(folder) or not (stage := _read(folder)):
            continue
        seen.add(folder)
        if stage.do == "tokenize":
            eos = read_summary(folder)["details"].get("eos_id")
            found |= {} if eos is None else {stage.page: int(eos)}
        elif stage.room == "pretrain":
            waiting += [Path(entry.stage) for entry in stage.inputs.values() if entry.stage]
    return dict(sorted(found.items()))


def _read(folder: Path) -> Stage | None:
    return read_stage(folder) if (folder / "recipe.yaml").is_file() else None


def _check(find: Callable[[], list[Finding]]) -> Check:
    """The worst of what is found, and what all say that are as bad."""
    try:
        findings = find()
    except Unreadable as error:
        return Check("not measured", str(error))
    verdict = worst([finding.verdict for finding in findings])
    return Check(verdict, "; ".join(finding.told for finding in findings if finding.verdict == verdict))


# ------------------------------------------------------------------------------------------------ one by one


def _end_of_text(files: Files, trained: dict[str, int]) -> list[Finding]:
    token, eos = files.special_token("eos_token")
    if token is not None and eos is None:
        return [Finding("fail", f"tokenizer_config.json names {token!r} as end of text, and tokenizer.json does not have it")]
    if eos is None:
        return [Finding("fail", "tokenizer_config.json names no eos_token: nothing tells a trainer where a text ends")]
    findings = [Finding("pass", f"the tokenizer's end of text is {eos}, as everywhere else")]
    generation = files.generation.get("eos_token_id")
    if eos not in _ids(generation):
        where = "names none" if generation is None else f"names {generation}"
        findings.append(Finding("fail", f"generation_config.json {where} as end of text, the tokenizer {eos}"))
    named = files.config.get("eos_token_id")
    if named is not None and eos not in _ids(named):
        findings.append(Finding("concern", f"config.json names {named} as end of text, the tokenizer {eos}"))
    for dataset, ended in trained.items():
        if ended != eos:
            findings.append(Finding("fail", f"documents of {dataset} ended with {ended}, the tokenizer's end of text is {eos}"))
    return findings


def _vocabulary(tokenizer: Tokenizer, config: dict[str, Any], rows: int | None) -> list[Finding]:
    size, largest = config.get("vocab_size"), max(tokenizer.get_vocab().values())
    if rows is None:
        return [Finding("not measured", "its weights are no safetensors with a table of embeddings")]
    if rows != size:
        return [Finding("fail", f"config.json says {size} rows, the weights have {rows}")]
    if largest >= rows:
        return [Finding("fail", f"the tokenizer has ids up to {largest}, the weights only {rows} rows")]
    spare = rows - tokenizer.get_vocab_size()
    return [Finding("pass", f"{rows} rows, {spare} of them without a token" if spare else f"{rows} rows, a token each")]


def _tied(config: dict[str, Any], has_head: bool | None) -> list[Finding]:
    is_tied = bool(config.get("tie_word_embeddings"))
    if has_head is None:
        return [Finding("not measured", "its weights are no safetensors")]
    if not is_tied and not has_head:
        return [Finding("fail", f"config.json says that embedding and head are not tied, but the weights have no {HEAD}")]
    if is_tied and has_head:
        return [Finding("concern", f"config.json says that embedding and head are tied, but the weights hold {HEAD} too")]
    return [Finding("pass", "tied, as config.json says" if is_tied else "not tied, as config.json says")]


def _plain(files: Files, prompts: Sequence[str]) -> Finding:
    """Special tokens of chats in a plain prompt: a base model has hardly seen them, or answers with them."""
    tokenizer, (_, first) = files.tokenizer, files.special_token("bos_token")
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special and number != first}
    met = sorted({number for prompt in prompts for number in tokenizer.encode(prompt).ids if number in special})
    if met:
        names = ", ".join(repr(tokenizer.id_to_token(number)) for number in met)
        return Finding("concern", f"prompts hold special tokens: {names}")
    return Finding("pass", "prompts are plain text")


def _chat_template(checkpoint: Path) -> Finding:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
        if not tokenizer.chat_template:
            return Finding("pass", "there is no chat template: give a trainer the prompts as text")
        text = str(tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # of transformers, of jinja, of the template itself: a trainer meets the same
        return Finding("fail", f"its chat template cannot be used ({_of(error)})"[:LONGEST])
    first = tokenizer.bos_token_id
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special and number != first}
    met = sorted(special & set(tokenizer(text, add_special_tokens=False)["input_ids"]))
    if met:
        names = ", ".join(repr(tokenizer.convert_ids_to_tokens(number)) for number in met)
        return Finding("concern", f"its chat template writes special tokens: {names}")
    return Finding("pass", "its chat template writes plain text")


def _round_trip(tokenizer: Tokenizer, prompts: Sequence[str]) -> Finding:
    for prompt in prompts:
        if tokenizer.decode(tokenizer.encode(prompt, add_special_tokens=False).ids, skip_special_tokens=False) != prompt:
            return Finding("concern", f"the tokenizer does not give this text back: {prompt[:80]!r}")
    return Finding("pass", "the tokenizer gives every prompt back as it was")


def _ids(given: Any) -> list[int]:
    return given if isinstance(given, list) else [given]


def _of(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
