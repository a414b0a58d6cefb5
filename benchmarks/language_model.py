"""A character-level language model trained without a gradient, beside back-propagation.

python benchmarks/language_model.py [--quick] [--seconds 300]; writes benchmarks/results/language_model.json and a plot.
The text is the language reference that ships with Python (pydoc_data.topics). The models are plain Flax: a recurrent
one and a small transformer with tied embedding. Evolution: `open_es` with members of rank 1, thousands of them, each of
which reads the same few lines in a generation; back-propagation: Adam on as many characters a step as one member reads.
Losses are in nats per character, on lines that neither has seen.
"""

import argparse
import time
from pydoc_data import topics
from typing import Any

import _measure
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxes
from jaxes import lowrank, noise

KEY = jax.random.key(0)
LENGTH, LINES = 32, 8  # characters in a line, lines in a batch


class Recurrent(nn.Module):
    vocabulary: int
    width: int = 64

    @nn.compact
    def __call__(self, tokens):
        x = nn.Embed(self.vocabulary, self.width)(tokens)
        return nn.Dense(self.vocabulary)(nn.RNN(nn.GRUCell(self.width))(x))


class Transformer(nn.Module):
    vocabulary: int
    width: int = 64

    @nn.compact
    def __call__(self, tokens):
        embedding = nn.Embed(self.vocabulary, self.width)
        places = self.param("places", nn.initializers.normal(0.02), (LENGTH, self.width))
        x = embedding(tokens) + places
        mask = nn.make_causal_mask(tokens)
        for _ in range(2):
            x = x + nn.MultiHeadDotProductAttention(num_heads=4)(nn.LayerNorm()(x), mask=mask)
            x = x + nn.Dense(self.width)(nn.gelu(nn.Dense(2 * self.width)(nn.LayerNorm()(x))))
        return embedding.attend(nn.LayerNorm()(x))


def text() -> tuple[np.ndarray, np.ndarray, str]:
    """Characters to learn from, characters to be judged on, and the alphabet."""
    whole = "\n".join(topics.topics[name] for name in sorted(topics.topics))
    whole = "".join(c if c == "\n" or 32 <= ord(c) < 127 else " " for c in whole)
    alphabet = "".join(sorted(set(whole)))
    ids = np.array([alphabet.index(c) for c in whole], np.int32)
    cut = len(ids) * 9 // 10
    return ids[:cut], ids[cut:], alphabet


def lines(ids: jax.Array, key: jax.Array, count: int) -> jax.Array:
    """Lines from anywhere in a text, with one character more: what comes next."""
    starts = jax.random.randint(key, (count,), 0, ids.size - LENGTH - 1)
    return jax.vmap(lambda start: jax.lax.dynamic_slice_in_dim(ids, start, LENGTH + 1))(starts)


def loss(module: nn.Module, params: Any, batch: jax.Array) -> jax.Array:
    logits = module.apply(params, batch[:, :-1])
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch[:, 1:]))


def evolve(module: nn.Module, params: Any, learn, judge, members: int, blocks: int, seconds: float) -> dict[str, Any]:
    """Losses over time, without a gradient."""
    plan = lowrank.plan(module.apply, params, jax.ShapeDtypeStruct((LINES, LENGTH), jnp.int32))
    schedule = optax.exponential_decay(0.03, 300, 0.5)
    strategy = jaxes.open_es(members, 0.05, learning_rate=schedule, noise=noise.low_rank(plan=plan), blocks=blocks)

    def evaluate(state, key, ask, ids):
        del state, ids
        batch = lines(learn, key, LINES)
        return -jaxes.vmap(lambda member: loss(module, member, batch))(ask()), ()

    problem = jaxes.Problem(lambda key: (), evaluate, lambda state, sums: state)
    carry = (strategy.init(jax.random.key(1), params), ())
    step = jax.jit(jaxes.generation(strategy, problem))
    return timed(lambda carry: step(carry)[0], carry, lambda carry: loss(module, carry[0].mean, judge), seconds)


def descend(module: nn.Module, params: Any, learn, judge, seconds: float) -> dict[str, Any]:
    """Losses over time, by back-propagation."""
    tx = optax.adam(3e-3)

    def step(carry):
        params, state, t = carry
        batch = lines(learn, jax.random.fold_in(jax.random.key(2), t), LINES)
        gradient = jax.grad(lambda params: loss(module, params, batch))(params)
        update, state = tx.update(gradient, state, params)
        return optax.apply_updates(params, update), state, t + 1

    carry = (params, tx.init(params), jnp.int32(0))
    return timed(jax.jit(step), carry, lambda carry: loss(module, carry[0], judge), seconds)


def timed(step, carry, score, seconds: float) -> dict[str, Any]:
    """Take steps for a while; compiling is not counted."""
    jax.block_until_ready(step(carry))
    score = jax.jit(score)
    rows, steps, spent, next_look = [(0, 0.0, float(score(carry)))], 0, 0.0, 1
    while spent < seconds:
        began = time.perf_counter()
        carry = jax.block_until_ready(step(carry))
        spent, steps = spent + time.perf_counter() - began, steps + 1
        if steps >= next_look:
            rows.append((steps, round(spent, 2), float(score(carry))))
            next_look = int(next_look * 1.15) + 1
    rows.append((steps, round(spent, 2), float(score(carry))))
    return {"columns": ["steps", "seconds", "loss"], "rows": rows}


def draw(runs: dict[str, Any], members: int) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.8, 4.2), layout="constrained")
    axes = figure.subplots()
    for color, (kind, both) in zip(("tab:blue", "tab:orange"), runs.items(), strict=False):
        for name, style in (("evolution", "-"), ("back-propagation", ":")):
            _, seconds, losses = np.array(both[name]["rows"]).T
            label = f"{kind}, {name}" + (f", {members} members" if name == "evolution" else "")
            axes.plot(seconds[1:], losses[1:], style, color=color, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("seconds on two cores")
    axes.set_ylabel("loss on unseen text, nats per character")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(_measure.RESULTS / "language_model.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="of each run")
    parser.add_argument("--members", type=int, default=2048)
    parser.add_argument("--quick", action="store_true", help="a few members and seconds; nothing is saved")
    args = parser.parse_args()
    members, seconds = (32, 1.0) if args.quick else (args.members, args.seconds)
    learn, unseen, alphabet = text()
    judge = lines(jnp.asarray(unseen), jax.random.key(3), 256)
    learn, runs = jnp.asarray(learn), {}
    for kind, make in (("GRU", Recurrent), ("transformer", Transformer)):
        module = make(len(alphabet))
        params = module.init(KEY, jnp.zeros((1, LENGTH), jnp.int32))
        runs[kind] = {
            "parameters": sum(x.size for x in jax.tree.leaves(params)),
            "evolution": evolve(module, params, learn, judge, members, max(1, members // 256), seconds),
            "back-propagation": descend(module, params, learn, judge, seconds / 10),
        }
        for name in ("evolution", "back-propagation"):
            steps, spent, last = runs[kind][name]["rows"][-1]
            print(f"{kind:12s} {name:17s} loss {last:.3f} after {steps} steps, {spent:.0f} s", flush=True)
    if not args.quick:
        draw(runs, members)
        print(_measure.save("language_model", {"members": members, "characters": len(alphabet), "runs": runs}))


if __name__ == "__main__":
    main()
