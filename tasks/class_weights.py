"""Logistic regression on breast cancer: malignant tumours weigh more, or are called at a lower probability."""

import argparse

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cpd

parser = argparse.ArgumentParser()
parser.add_argument("--weight", type=float, default=1.0, help="of a malignant tumour, a benign one's being 1")
parser.add_argument("--threshold", type=float, default=0.5, help="probability from which one is called malignant")
options = parser.parse_args()

points, kinds = load_breast_cancer(return_X_y=True)
malignant = kinds == 0
split = train_test_split(points, malignant, test_size=0.4, random_state=0, stratify=malignant)
points, held_out, malignant, held_out_malignant = split

classifier = LogisticRegression(class_weight={True: options.weight, False: 1.0}, max_iter=1000)
model = make_pipeline(StandardScaler(), classifier).fit(points, malignant)


def values(points, malignant):
    """The share of harmless tumours that are called malignant, and the malignant ones that are found."""
    called = model.predict_proba(points)[:, 1] >= options.threshold
    found = {"hits": int(np.sum(called & malignant)), "of": int(np.sum(malignant))}
    return {"false_alarms": np.mean(called[~malignant]), "recall": found}


cpd.result(values(points, malignant), held_out=values(held_out, held_out_malignant))
