# SPDX-License-Identifier: GPL-3.0-or-later
"""The space's people and directions, identities as files, and the little linear algebra that studies need."""
import json
import math
import struct


def dot(first, second):
    return sum(map(lambda a, b: a * b, first, second))


def read_identity(path):
    """The coefficients of an identity's file."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        begin, end = header["coefficients"]["data_offsets"]
        file.seek(8 + length + begin)
        return list(struct.unpack(f"<{(end - begin) // 4}f", file.read(end - begin)))


def write_identity(path, coefficients, space_fingerprint):
    header = json.dumps(
        {
            "__metadata__": {"format": "w2w-identity", "version": "1", "space": space_fingerprint},
            "coefficients": {"dtype": "F32", "shape": [len(coefficients)], "data_offsets": [0, 4 * len(coefficients)]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + struct.pack(f"<{len(coefficients)}f", *coefficients))


class Space:
    """What study_engine tells of the space."""

    def __init__(self, answer):
        self.fingerprint, self.mean, self.std = answer["fingerprint"], answer["mean"], answer["std"]
        self.people = answer["people"]
        self.names = [attribute["name"] for attribute in answer["attributes"]]
        self.directions = {a["name"]: a["direction"] for a in answer["attributes"]}
        self.labels = {a["name"]: a["labels"] for a in answer["attributes"]}
        self.majority = {name: 1 if sum(self.labels[name]) >= 0 else -1 for name in self.names}
        self._judges = {}

    def score(self, name, coefficients, directions=None):
        direction = (directions or self.directions)[name]
        return dot(direction, (c - m for c, m in zip(coefficients, self.mean)))

    def _judge(self, name):
        """The threshold that tells the dataset's people apart best (mean share of both labels), and the scores' half range."""
        if name not in self._judges:
            ranked = sorted((self.score(name, c), label) for c, label in zip(self.people, self.labels[name]))
            n, n_with = len(ranked), sum(label > 0 for _, label in ranked)
            with_below, best, threshold = 0, -1.0, 0.0
            for i in range(n - 1):
                with_below += ranked[i][1] > 0
                right = (n_with - with_below) / n_with + (i + 1 - with_below) / (n - n_with)
                if right > best:
                    best, threshold = right, (ranked[i][0] + ranked[i + 1][0]) / 2
            self._judges[name] = threshold, (ranked[int(0.995 * (n - 1))][0] - ranked[int(0.005 * (n - 1))][0]) / 2
        return self._judges[name]

    def judge(self, coefficients):
        """Which attributes somebody has: 1 or -1 by name."""
        return {name: 1 if self.score(name, coefficients) > self._judge(name)[0] else -1 for name in self.names}

    def position(self, name, coefficients):
        """A score in half ranges of the people's, as settings of edits are."""
        return self.score(name, coefficients) / self._judge(name)[1]

    def standardise(self, coefficients):
        return [(c - m) / s for c, m, s in zip(coefficients, self.mean, self.std)]

    def distance(self, first, second):
        """In standard deviations of the population, over all components."""
        return math.dist(self.standardise(first), self.standardise(second))

    def likeness(self, first, second, without=None):
        """Cosine between two people as the population varies; `without` takes one attribute's direction out of both."""
        vectors = [self.standardise(first), self.standardise(second)]
        if without is not None:
            axis = [d * s for d, s in zip(self.directions[without], self.std)]
            for v in vectors:
                share = dot(v, axis) / dot(axis, axis)
                v[:] = [a - share * b for a, b in zip(v, axis)]
        return dot(*vectors) / math.sqrt(dot(vectors[0], vectors[0]) * dot(vectors[1], vectors[1]))


# --- linear algebra on lists ---


def solve(matrix, vectors, ridge=1e-9):
    """x with M x = b for each of the vectors; M is symmetric and positive definite (Cholesky)."""
    n = len(matrix)
    lower = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            rest = matrix[i][j] - dot(lower[i][:j], lower[j][:j])
            lower[i][j] = math.sqrt(rest + ridge * matrix[i][i]) if i == j else rest / lower[j][j]
    columns = list(zip(*lower))
    out = []
    for b in vectors:
        y, x = [], [0.0] * n
        for i in range(n):
            y.append((b[i] - dot(lower[i][:i], y)) / lower[i][i])
        for i in reversed(range(n)):
            x[i] = (y[i] - dot(columns[i][i + 1 :], x[i + 1 :])) / lower[i][i]
        out.append(x)
    return out


def fit_directions(people, labels, ridge=1e-9):
    """Least squares: by attribute the d whose products with the people come nearest to their labels of 1 and -1."""
    columns = list(zip(*people))
    gram = [[dot(columns[i], columns[j]) for j in range(i + 1)] for i in range(len(columns))]
    names = list(labels)
    solved = solve(gram, [[dot(column, labels[name]) for column in columns] for name in names], ridge)
    return dict(zip(names, solved))


def eigenvectors(matrix, n_sweeps=12):
    """Of a symmetric matrix, by Jacobi's rotations: (value, vector), the largest value first."""
    n = len(matrix)
    a = [list(row) for row in matrix]
    v = [[float(i == j) for j in range(n)] for i in range(n)]  # rows become the vectors
    for _ in range(n_sweeps):
        off = sum(a[i][j] ** 2 for i in range(n) for j in range(i))
        if off <= 1e-20 * sum(a[i][i] ** 2 for i in range(n)):
            break
        for p in range(n - 1):
            for q in range(p + 1, n):
                if a[p][q] == 0.0:
                    continue
                theta = (a[q][q] - a[p][p]) / (2 * a[p][q])
                t = math.copysign(1, theta) / (abs(theta) + math.hypot(theta, 1))
                c = 1 / math.hypot(t, 1)
                s = t * c
                first, second = a[p], a[q]
                a[p] = [c * x - s * y for x, y in zip(first, second)]
                a[q] = [s * x + c * y for x, y in zip(first, second)]
                for row in a:
                    x, y = row[p], row[q]
                    row[p], row[q] = c * x - s * y, s * x + c * y
                first, second = v[p], v[q]
                v[p] = [c * x - s * y for x, y in zip(first, second)]
                v[q] = [s * x + c * y for x, y in zip(first, second)]
    return sorted(((a[i][i], v[i]) for i in range(n)), key=lambda pair: -pair[0])


def principal_components(people, mean):
    """(variance, unit vector) by variance."""
    rows = [[c - m for c, m in zip(person, mean)] for person in people]
    columns = list(zip(*rows))
    n = len(columns)
    covariance = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            covariance[i][j] = covariance[j][i] = dot(columns[i], columns[j]) / (len(rows) - 1)
    return eigenvectors(covariance)
