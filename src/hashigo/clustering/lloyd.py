"""Lloyd's k-means for many seeds at once, in torch: all seeds share one matrix product, and few rows are compared twice.

Two bounds save most of the work. Neither changes a result, because they are exact except for the rounding of
float32, which they allow for:

- After the first iterations hardly any row changes its cluster. A row is compared again only when the centres have moved
  so far that its nearest one may have changed (after Hamerly 2010, "Making k-means even faster").
- Wide rows are compared by their leading principal coordinates first. What the others can add to a distance is bounded
  by their length, which is small for centres, being means. Only rows that remain undecided are compared in full.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from hashigo.clustering.result import Clustering

COARSE = 96
"""Number of principal coordinates for the first comparison, if rows are at least four times as wide."""
SAMPLE = 4096
"""Number of rows for computing principal directions. Any directions give correct results; these decide most rows."""
FEW = 0.2
"""Up to this share of the rows, a seed gathers those that it must compare; beyond it, it takes part in the product over all."""


def lloyd(
    rows: NDArray[np.float32], starts: NDArray[np.float32], *, tol: float, max_iter: int, device: str
) -> Clustering:
    """k-means from every one of `starts`, with the iterations, order of checks and end of scikit-learn's KMeans.

    A seed ends when no row changed its cluster, or when the squared shifts of its centres sum to at most `tol` times
    the mean variance of a column. In the second case the rows are assigned once more, to the final centres.

    Args:
        rows: (N, D), finite, of mean zero, which keeps the rounding of distances small.
        starts: (S, K, D), the first centres of every seed.
        tol: share of the mean variance.
        max_iter: most iterations.
        device: where torch computes; on a GPU, float32 products should have torch's "highest" precision, its default.
    """
    with torch.inference_mode():
        runs = _Runs(torch.from_numpy(rows).to(device), torch.from_numpy(starts).to(device))
        tolerance = tol * float(runs.norms.double().mean()) / rows.shape[1]
        iterations = np.full(len(starts), max_iter, np.int64)
        active, unsettled = list(range(len(starts))), set(range(len(starts)))
        for iteration in range(1, max_iter + 1):
            changed, shifts = runs.assign(active), runs.move(active)
            unsettled -= {seed for seed in active if not changed[seed]}
            ended = [seed for seed in active if not changed[seed] or shifts[seed] <= tolerance]
            iterations[ended] = iteration
            active = [seed for seed in active if seed not in ended]
            if not active:
                break
        runs.assign(sorted(unsettled))
        inertia = np.array([float(runs.distances(seed).sum(dtype=torch.float64)) for seed in range(len(starts))])
        return Clustering(runs.labels.cpu().numpy(), runs.centres.cpu().numpy(), inertia, iterations, "lloyd")


class _Look(NamedTuple):
    """The rows for one comparison: all columns, or the first principal coordinates and the remainder's length."""

    rows: Tensor
    """(N, D) or (N, P + 1)."""
    basis: Tensor | None = None
    """(D, P), the principal directions; None where all columns are seen."""

    @classmethod
    def coarse(cls, rows: Tensor) -> _Look:
        """The leading coordinates of rows (N, D)."""
        sample = rows[:: -(-len(rows) // SAMPLE)].numpy()
        basis = torch.from_numpy(randomized_svd(sample, COARSE, random_state=0)[2].T.copy())
        return cls(torch.cat([_coordinates(part, basis) for part in torch.split(rows, 1024)]), basis)

    def centres(self, centres: Tensor) -> Tensor:
        """Centres (M, D) so that their product with a row is the most that the full product can be."""
        return centres if self.basis is None else _coordinates(centres, self.basis)


def _coordinates(vectors: Tensor, basis: Tensor) -> Tensor:
    """Coordinates of (M, D) in the basis (D, P), and the length of what they leave out, (M, P + 1)."""
    seen = vectors @ basis
    rest = torch.linalg.vector_norm(vectors - seen @ basis.T, dim=1, keepdim=True)
    return torch.cat([seen, rest], dim=1)


class _Runs:
    """The state of all S seeds over the same rows; `seeds` in its methods are A of their numbers, 0..S-1.

    `path` (S, K) and `due` (S, N) tell which rows to look at: `path` is how far the cluster's centre and any other
    may have come toward each other since the start, `due` the path at which the row may have to change its cluster.
    """

    def __init__(self, rows: Tensor, starts: Tensor) -> None:
        (count, width), (seeds, clusters) = rows.shape, starts.shape[:2]
        self.rows, self.centres = rows, starts.clone()
        self.norms = torch.cat([part.square().sum(1) for part in torch.split(rows, 1024)])
        self.labels = torch.full((seeds, count), -1, dtype=torch.int32, device=rows.device)
        self.due = torch.full((seeds, count), -torch.inf, dtype=torch.float64, device=rows.device)
        self.path = torch.zeros((seeds, clusters), dtype=torch.float64, device=rows.device)
        # sums and counts of the rows in every cluster, kept by differences: in float64, so that no error adds up
        self.sums = torch.zeros((seeds, clusters, width), dtype=torch.float64, device=rows.device)
        self.counts = torch.zeros((seeds, clusters), dtype=torch.float64, device=rows.device)
        # a generous bound on the relative error of a squared distance that comes from a dot product in float32
        self.rounding = (width + 4) * torch.finfo(torch.float32).eps
        self.looks = [_Look(rows)]
        if not rows.is_cuda and width >= 4 * COARSE and count >= SAMPLE:
            self.looks.insert(0, _Look.coarse(rows))

    def assign(self, seeds: list[int]) -> dict[int, int]:
        """Puts every row into its nearest centre's cluster, in the sums and counts too: rows that changed, by seed."""
        changed = dict.fromkeys(seeds, 0)
        for look in self.looks:
            together = []
            for seed in seeds:
                due = self._due(seed)
                if len(due) > FEW * len(self.rows):
                    together.append(seed)
                    continue
                for part in torch.split(due, self._block(look, 1)):
                    changed[seed] += self._settle(look, [seed], part, look.rows.index_select(0, part))[0]
            block = self._block(look, max(1, len(together)))
            for start in range(0, len(self.rows) if together else 0, block):
                rows = look.rows[start : start + block]
                part = torch.arange(start, start + len(rows), device=rows.device)
                for seed, count in zip(together, self._settle(look, together, part, rows), strict=True):
                    changed[seed] += count
        return changed

    def _due(self, seed: int) -> Tensor:
        """Numbers of the rows that may have another nearest centre by now."""
        path = self.path[seed].index_select(0, self.labels[seed].clamp_min(0))
        return (self.due[seed] <= path).nonzero().squeeze(1)

    def _block(self, look: _Look, seeds: int) -> int:
        """Rows at a time, so that memory stays bounded and distances stay in a processor's cache."""
        numbers = max(seeds * self.centres.shape[1], look.rows.shape[1] // 4)
        return max(64, (1 << (26 if self.rows.is_cuda else 20)) // numbers)

    def _settle(self, look: _Look, seeds: list[int], part: Tensor, rows: Tensor) -> list[int]:
        """Assigns the rows (B, …) with the numbers `part` (B) for A seeds: how many changed their cluster, by seed."""
        which = torch.tensor(seeds, device=rows.device)
        labels, room = self._nearest(look, self.centres[which], rows, self.norms[part])
        at = (which[:, None], part)
        before, due = self.labels[at].long(), self.path[which].gather(1, labels) + room
        if look.basis is not None:  # what is still open waits for the full look
            labels, due = torch.where(room > 0, labels, before), torch.where(room > 0, due, -torch.inf)
        self.labels[at], self.due[at] = labels.int(), due
        changed = before != labels
        concerned = changed.any(0).nonzero().squeeze(1)
        if len(concerned):
            self._transfer(which, before[:, concerned], labels[:, concerned], part[concerned])
        return [int(count) for count in changed.sum(1).tolist()]

    def _nearest(self, look: _Look, centres: Tensor, rows: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest of the centres (A, K, D) to each row, and a lower bound on how much nearer it is than the next, (A, B)."""
        squares, seen = centres.square().sum(2), look.centres(centres.flatten(0, 1))
        # (A, K, B): the least squared distance less the row's own square, which is the same for all clusters
        distances = torch.addmm(squares.view(-1, 1), seen, rows.T, alpha=-2).view(*squares.shape, -1)
        nearest, labels = distances.min(1)
        second = distances.scatter_(1, labels[:, None], torch.inf).amin(1)
        worst = nearest
        if look.basis is not None:  # from the least to the most that the remainders' product can make of it
            worst = nearest + 4 * seen[:, -1].view(squares.shape).gather(1, labels) * rows[:, -1]
        error = self.rounding * (norms + squares.amax(1, keepdim=True))
        room = (second + norms - error).clamp_min(0).sqrt() - (worst + norms + error).clamp_min(0).sqrt()
        return labels, room

    def _transfer(self, which: Tensor, before: Tensor, after: Tensor, part: Tensor) -> None:
        """Moves rows with the numbers `part` (B) between clusters' sums, from `before` to `after` (A, B); -1 is none."""
        difference = torch.zeros((len(which), self.centres.shape[1], len(part)), device=part.device)
        for labels, sign in ((after, 1.0), (before, -1.0)):
            difference.scatter_add_(1, labels.clamp_min(0)[:, None], sign * (labels >= 0).float()[:, None])
        sums = difference.flatten(0, 1) @ self.rows.index_select(0, part)
        self.sums[which] += sums.view(*difference.shape[:2], -1).double()
        self.counts[which] += difference.sum(2)

    def move(self, seeds: list[int]) -> dict[int, float]:
        """Moves every centre to the mean of its cluster: the sum of the centres' squared shifts, by seed."""
        which = torch.tensor(seeds, device=self.rows.device)
        sums, counts = self.sums[which], self.counts[which]  # copies: a relocation lasts for one iteration
        for number in (counts == 0).any(1).nonzero().flatten().tolist():
            self._relocate(seeds[number], sums[number], counts[number])
        centres = (sums / counts.clamp_min(1)[..., None]).float()
        largest = centres.gather(1, counts.argmax(1)[:, None, None].expand(-1, 1, centres.shape[2]))
        centres = torch.where((counts == 0)[..., None], largest, centres)
        shifts = (centres - self.centres[which]).double().square().sum(2).sqrt()
        most = shifts.topk(min(2, shifts.shape[1])).values
        others = torch.where(shifts == most[:, :1], most[:, -1:], most[:, :1])
        self.path[which] += (shifts + others) * (1 + self.rounding)
        self.centres[which] = centres
        return dict(zip(seeds, shifts.square().sum(1).tolist(), strict=True))

    def _relocate(self, seed: int, sums: Tensor, counts: Tensor) -> None:
        """Gives each empty cluster one of the rows farthest from their centres, as scikit-learn does, in place.

        Where all rows lie on their centres there is nothing to gain; `move` puts such a cluster on the largest one.
        """
        empty = (counts == 0).nonzero().flatten().tolist()
        distances = self.distances(seed).cpu().numpy()
        if not distances.any():
            return
        farthest = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1].tolist()
        for cluster, row in zip(empty, farthest, strict=True):
            left = int(self.labels[seed, row])
            sums[left] -= self.rows[row]
            sums[cluster] = self.rows[row]
            counts[left] -= 1
            counts[cluster] = 1

    def distances(self, seed: int) -> Tensor:
        """The squared distance of every row to its cluster's centre, (N), from differences: right where it is small."""
        parts = zip(torch.split(self.rows, 1024), torch.split(self.labels[seed], 1024), strict=True)
        centres = self.centres[seed]
        lengths = [torch.linalg.vector_norm(centres.index_select(0, own).sub_(rows), dim=1) for rows, own in parts]
        return torch.cat(lengths).square_()
