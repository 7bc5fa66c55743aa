"""conservator bench: one command per benchmark; each writes one result file and prints its tables."""

from __future__ import annotations

import typer

from conservator.benchmarks.commands import machines, parts, policies, sheets, words

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Measures quality and speed. Every benchmark writes benchmarks/results/NAME.json.",
)
for command in (
    policies.spatialbench, policies.mixbench, policies.ablations, policies.compare, policies.memory,
    parts.perception, parts.noise_pairs, parts.brackets, parts.tools, parts.critic, parts.scratches, parts.seeing,
    words.masks, words.text, words.eyes, words.llm, words.regions,
    machines.speed, machines.load, machines.throughput, machines.kills, machines.fuzz,
    sheets.contact, sheets.tables,
):  # fmt: skip
    app.command()(command)
