"""What the tiny bases share in training: one tokenizer recipe, one training loop, one way to fix the seeds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor, nn

MALAYALAM = "".join(chr(code) for code in range(0x0D00, 0x0D80))
ASCII = "".join(chr(code) for code in range(0x21, 0x7F))
WORD_PIECES = r"▁?[^▁\p{P}\p{N}]+|▁?\p{N}|▁?\p{P}|▁"


def fix_seeds(seed: int) -> None:
    """Seed Python and torch and keep torch on one thread, so that a run repeats on the same machine and libraries."""
    import torch

    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)


def character_bpe(
    texts: Iterable[str], size: int, specials: Sequence[str], *, unknown: str, lowercase: bool = False
) -> Tokenizer:
    """Train a BPE over characters, with every Malayalam and ASCII character in its alphabet.

    `specials` take the first ids in the order given and must hold `unknown`. Digits and punctuation stand alone, so
    numbers are read digit by digit. Returns a tokenizer of exactly `size` entries when the texts allow as many merges.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=unknown))
    steps = [normalizers.NFC(), normalizers.Lowercase()] if lowercase else [normalizers.NFC()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=False),
            pre_tokenizers.Split(Regex(WORD_PIECES), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(specials),
        initial_alphabet=sorted(set(MALAYALAM + ASCII + "▁\u200c")),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def shuffled_batches(count: int, size: int, seed: int) -> Iterator[list[int]]:
    """Yield lists of `size` row numbers for ever, each epoch in a new order; the rest of an epoch opens the next."""
    order = random.Random(seed)
    pool: list[int] = []
    while True:
        while len(pool) < size:
            epoch = list(range(count))
            order.shuffle(epoch)
            pool.extend(epoch)
        yield pool[:size]
        pool = pool[size:]


def fit(
    modules: Sequence[nn.Module],
    loss_of_step: Callable[[int], Tensor],
    *,
    steps: int,
    learning_rate: float,
    warmup: int = 100,
    weight_decay: float = 0.01,
    report: Callable[[str], Any] = print,
) -> float:
    """Train `modules` by AdamW for `steps` steps under a warm-up and a cosine; returns the CPU seconds it took.

    `loss_of_step(step)` returns the scalar loss of that step's batch. Progress is reported ten times.
    """
    import torch

    parameters = [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay, betas=(0.9, 0.98))
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, total_iters=warmup)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps - warmup, 1), eta_min=learning_rate * 0.02)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cosine], milestones=[warmup])
    for module in modules:
        module.train()
    start, running = time.process_time(), 0.0
    for step in range(1, steps + 1):
        loss = loss_of_step(step - 1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        running += float(loss.detach())
        block = max(steps // 10, 1)
        if step % block == 0:
            report(f"step {step}/{steps} loss {running / block:.3f} cpu {time.process_time() - start:.0f} s")
            running = 0.0
    for module in modules:
        module.eval()
    return time.process_time() - start
