"""Functional embeddings of thousands of remapped students, without building one of them.

A student's weights are prefix slices of its teacher's, and every student leaves a stage with the same channels. So
students that agree up to some block share its output, and students that pass a block with the same width
before and after it share its exact weights, whatever came before. The engine walks block by block through all
candidates at once: it computes each distinct beginning once, and batches those that share weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import torch
from torch import Tensor

from dass.config import Statistics
from dass.families.blocks import IMAGE_CHANNELS, Block, halved, side_behind
from dass.families.family import Family
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.folding import SlicedNetwork, sliced_network
from dass.networks.remapping import check_fits
from dass.networks.run_block import pad_channels
from dass.space.architecture import Architecture

HELD_BYTES = 256 * 2**20  # features of all distinct students behind one stage of a chunk
CACHE_BYTES = 2**21  # features that enter a block at a time, on CPUs: what one core's cache holds of them
GPU_BYTES = 2**26  # the same on GPUs, which want large batches; patches of them take nine times as much

Source = tuple[int, int]  # position in the stage and width of the block whose outputs are held together
Place = tuple[Source, int]  # a row of them: one distinct beginning of students


@dataclass(frozen=True)
class Embedded:
    """Embeddings of some of the architectures asked for.

    Attributes:
        indices: indices that are taken, int64 [k].
        embeddings: [k, c, h, w], output of the last stage before pooling, channels-last; zeros in the channels that
            the teacher has and the student lacks.
    """

    indices: Tensor
    embeddings: Tensor


def fixed_noise(resolution: int, seed: int) -> Tensor:
    """The fixed Gaussian input z of Eq. 4, float32 [1, 3, resolution, resolution], the same on every device."""
    return torch.randn(1, IMAGE_CHANNELS, resolution, resolution, generator=torch.Generator().manual_seed(seed))


def embed(
    teacher: ElasticResNet,
    architectures: Sequence[Architecture],
    noise: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    statistics: Statistics = "running",
    chunk: int = 4096,
) -> Iterator[Embedded]:
    """Embeds remapped students chunk by chunk, so that thousands of embeddings need not exist at once.

    Equals the features of `remap(teacher, architecture)`, with the noise in place of normalised images, in eval mode
    or, with the noise's own statistics, in train mode. Appendix B.2 does not say which the authors took, and their
    script that wrote the features is not released.

    Args:
        teacher: the network whose weights the students take; the work is done on its device.
        architectures: the students, in any order; repeats are computed once, and the teacher's own is one like
            the others.
        noise: fixed noise image, float [1, 3, r, r].
        dtype: of the arithmetic and the result: float32 (within 1e-4 of the naive forward) or bfloat16 (the
            same ranking within a correlation of 0.999).
        statistics: which the batch norms take: `running`, the teacher's, or `batch`, the noise's own.
        chunk: most architectures in one chunk; large inputs make it smaller.

    Yields:
        Every architecture once; those with common beginnings come together.

    Raises:
        UsageError: an architecture does not fit the teacher, or `batch` is asked for features of one pixel.
    """
    # One architecture for each configuration of a stage: thousands of candidates share some dozens.
    stages = {(one.family, stage, blocks): one for one in architectures for stage, blocks in enumerate(one.widths)}
    for architecture in set(stages.values()):
        check_fits(architecture, teacher.architecture)
    network = sliced_network(teacher, dtype, statistics)
    noise = noise.to(teacher.device, dtype)
    families: dict[Family, list[int]] = {}  # a stage's widths mean the same blocks within a family alone
    for index, architecture in enumerate(architectures):
        families.setdefault(architecture.family, []).append(index)
    channels = network.blocks[-1].leaving
    for members in families.values():
        for chosen in _chunks([architectures[i] for i in members], teacher.architecture, noise, chunk):
            indices = [members[member] for member in chosen]
            with torch.inference_mode():
                embeddings = _embed_chunk(network, teacher.architecture, [architectures[i] for i in indices], noise)
                embeddings = pad_channels(embeddings, channels)
            yield Embedded(torch.tensor(indices), embeddings)


def _chunks(
    architectures: Sequence[Architecture], teacher: Architecture, noise: Tensor, chunk: int
) -> Iterator[list[int]]:
    """Sorts so that common beginnings meet, and cuts where a chunk's features would need too much memory."""
    row_bytes = []
    side = side_behind(teacher.stem, noise.shape[-1])
    for stage in teacher.stages:
        side = side_behind(stage, side)
        row_bytes.append(stage[-1].leaving * side**2 * noise.element_size())
    indices: list[int] = []
    held = [0] * len(row_bytes)
    for index in sorted(range(len(architectures)), key=lambda i: architectures[i].widths):
        widths = architectures[index].widths
        previous = architectures[indices[-1]].widths if indices else ()
        more = [held[s] + (previous[: s + 1] != widths[: s + 1]) * row_bytes[s] for s in range(len(row_bytes))]
        if indices and (len(indices) >= chunk or max(more) > HELD_BYTES):
            yield indices
            indices, more = [], row_bytes
        indices.append(index)
        held = list(more)
    if indices:
        yield indices


def _embed_chunk(
    network: SlicedNetwork, teacher: Architecture, architectures: Sequence[Architecture], noise: Tensor
) -> Tensor:
    """Embeddings [k, c, h, w] of one chunk."""
    # The widest stem once, of which a student takes the first channels.
    stem = noise.permute(0, 2, 3, 1).contiguous()
    for block in architectures[0].family.stem(teacher.widths):
        stem = network.run(block, stem)
    places: list[Place] = [((0, architecture.stem[-1].leaving), 0) for architecture in architectures]
    sources = {source: stem[..., : source[1]].contiguous() for source, _ in set(places)}
    for index in range(architectures[0].family.stages):
        students = [architecture.widths[index] for architecture in architectures]
        described: dict[tuple[int, ...], Sequence[Block]] = {}
        for architecture in architectures:
            if architecture.widths[index] not in described:
                described[architecture.widths[index]] = architecture.stages[index]
        sources, places = _run_stage(network, students, described, sources, places)
    embeddings = _gather(sources, places)
    return embeddings.permute(0, 3, 1, 2)


def _run_stage(
    network: SlicedNetwork,
    students: Sequence[tuple[int, ...]],
    described: Mapping[tuple[int, ...], Sequence[Block]],
    sources: dict[Source, Tensor],
    places: Sequence[Place],
) -> tuple[dict[Source, Tensor], list[Place]]:
    """Takes all students through one stage.

    Args:
        network: network with the teacher's weights.
        students: each student's widths in this stage.
        described: the blocks of each of these, of a student that has them.
        sources: features [rows, h, w, c] with which students enter.
        places: each student's features among them; equal places mean equal beginnings.

    Returns:
        The same two for the features with which students leave.
    """
    places = list(places)
    left = {}
    active = list(range(len(students)))
    for position in range(max(map(len, students))):
        active = [i for i in active if position < len(students[i])]
        # Same weights side by side; deepest first, so that those that go on are the first rows of what they leave.
        active.sort(key=lambda i: (students[i][position], places[i][0], -len(students[i])))
        outputs = {}
        for width, group in groupby(active, key=lambda i: students[i][position]):
            members = list(group)
            rows = {row_of: row for row, row_of in enumerate(dict.fromkeys(places[i] for i in members))}
            block = described[students[members[0]]][position]
            outputs[position, width] = _run_block(network, block, sources, list(rows))
            for i in members:
                places[i] = (position, width), rows[places[i]]
        sources = outputs
        ends = {students[i][position] for i in active if len(students[i]) == position + 1}
        left.update({(position, width): sources[position, width] for width in ends})
    return left, places


def _run_block(network: SlicedNetwork, block: Block, sources: dict[Source, Tensor], places: Sequence[Place]) -> Tensor:
    """Outputs [len(places), h, w, c] of one block, for features ordered by source."""
    _, height, breadth, _ = sources[places[0][0]].shape
    sides = (halved(height, block.stride), halved(breadth, block.stride))
    outputs = sources[places[0][0]].new_empty(len(places), *sides, block.leaving)
    batch_bytes = GPU_BYTES if outputs.is_cuda else CACHE_BYTES * torch.get_num_threads()
    first = 0
    for source, group in groupby(places, key=itemgetter(0)):
        features = sources[source]
        rows = [row for _, row in group]
        batch = max(1, batch_bytes // (features[0].numel() * features.element_size()))
        for start in range(0, len(rows), batch):
            piece = rows[start : start + batch]
            network.run(block, _rows(features, piece), outputs[first : first + len(piece)])
            first += len(piece)
    return outputs


def _rows(features: Tensor, rows: Sequence[int]) -> Tensor:
    """Some rows of features: a view where they lie together, else a copy."""
    if list(rows) == list(range(rows[0], rows[0] + len(rows))):
        return features[rows[0] : rows[0] + len(rows)]
    return features.index_select(0, torch.tensor(rows, device=features.device))


def _gather(sources: dict[Source, Tensor], places: Sequence[Place]) -> Tensor:
    """The features at places, [len(places), h, w, c]."""
    some = sources[places[0][0]]
    gathered = some.new_empty(len(places), *some.shape[1:])
    for source in dict.fromkeys(source for source, _ in places):
        indices = [i for i, source_and_row in enumerate(places) if source_and_row[0] == source]
        rows = _rows(sources[source], [places[i][1] for i in indices])
        gathered.index_copy_(0, torch.tensor(indices, device=some.device), rows)
    return gathered
