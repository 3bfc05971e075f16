"""Clustering: k-means from many seeds at once, and measures of how well clusters agree with labels, such as purity."""

from hashigo.clustering.kmeans import cluster
from hashigo.clustering.measures import accuracy, contingency, matched, purity, scores
from hashigo.clustering.probe import linear_probe
from hashigo.clustering.result import Clustering

__all__ = ["Clustering", "accuracy", "cluster", "contingency", "linear_probe", "matched", "purity", "scores"]
