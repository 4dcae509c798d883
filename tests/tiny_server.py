"""`transformers serve` with a tiny Llama that has learnt two answers: which one depends on how the prompt ends."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ANSWERS = {"grade": "Good.\nScore: 4", "rewrite": "Since $x=3$, $x+2=5$."}
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
VOCABULARY_TEXT = ["Rewrite and grade the text, score it.", *ANSWERS.values()]
LENGTH, STEPS, LEARNING_RATE = 64, 200, 1e-2


def make_model(folder: Path) -> None:
    """Writes a Hugging Face folder: the model is trained on random prompts that end with one of the words in ANSWERS."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=["</s>"], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(VOCABULARY_TEXT, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))

    torch.manual_seed(0)
    size = tokenizer.get_vocab_size()
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=0, eos_token_id=0, pad_token_id=0,
        )
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    endings = [(tokenizer.encode(f" {word}").ids, [*tokenizer.encode(answer).ids, 0]) for word, answer in ANSWERS.items()]
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - step / STEPS)
        rows, labels = [], []
        for prompt, answer in endings * 4:
            tail = prompt + answer
            noise = torch.randint(1, size, (LENGTH - len(tail),)).tolist()
            rows.append(noise + tail)
            labels.append([-100] * (LENGTH - len(answer)) + answer)
        loss = model(input_ids=torch.tensor(rows), labels=torch.tensor(labels)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The address of a `transformers serve` of this model, on a free port of this machine."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    log = folder.parent / "serve.log"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--device", "cpu"]
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=out, stderr=subprocess.STDOUT, env=environment
        )
    try:
        for _ in range(1_800):
            if process.poll() is not None:
                raise RuntimeError(f"transformers serve ended: {log.read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                    break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError(f"transformers serve does not answer: {log.read_text()[-2000:]}")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()
