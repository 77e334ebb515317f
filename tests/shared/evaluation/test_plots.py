"""Each figure shows the data that exist and is saved to the requested file."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import image

from shared.evaluation import plots


@pytest.mark.parametrize(
    ("epochs", "panels"),
    [
        ([{"loss": 1.0, "val_loss": 1.1}, {"loss": 0.5, "val_loss": 0.7}], 1),
        ([{"loss": 1.0, "accuracy": 0.5, "val_loss": 1.1, "val_accuracy": 0.4}], 2),
        ([], 1),
    ],
)
def test_learning_curve_has_one_panel_per_recorded_metric(tmp_path, epochs, panels):
    plots.learning_curve(epochs, tmp_path / "a.png")
    height, width, _ = image.imread(tmp_path / "a.png").shape
    assert width == pytest.approx(panels * plots.new_figure(1)[0].get_figwidth() * 110, abs=2)
    assert height > 300


def test_classification_figures_are_saved_and_closed(tmp_path):
    labels = np.array([0, 1, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    before = plots.plt.get_fignums()
    plots.reliability(labels, probabilities, tmp_path / "reliability.png")
    plots.confusion(labels, probabilities, ["no", "yes"], tmp_path / "confusion.png")
    assert plots.plt.get_fignums() == before
    for name in ("reliability", "confusion"):
        assert image.imread(tmp_path / f"{name}.png").std() > 0.05  # the image is not empty


def test_a_confusion_plot_of_many_classes_shows_the_most_confused_ones(tmp_path):
    labels = np.repeat(np.arange(200), 2)
    predictions = labels.copy()
    predictions[[60, 61, 80, 90]] = [7, 7, 8, 9]  # classes 30, 40 and 45
    matrix = np.zeros((200, 200), int)
    np.add.at(matrix, (labels, predictions), 1)
    shown = plots.most_confused(matrix)
    assert len(shown) == plots.MAX_CONFUSION_CLASSES
    assert {7, 8, 9, 30, 40, 45} <= set(shown.tolist())
    plots.confusion(
        labels, np.eye(200)[predictions], [f"a long name of class {k}" for k in range(200)], tmp_path / "a.png"
    )
    assert max(image.imread(tmp_path / "a.png").shape) < 4000


def test_a_plot_of_many_labels_shows_those_with_the_lowest_f1(tmp_path):
    scores = {f"label {k}": {"precision": 0.5, "recall": float("nan"), "f1": k / 100, "support": k} for k in range(100)}
    plots.scores_by_label(scores, tmp_path / "a.png")
    height, width, _ = image.imread(tmp_path / "a.png").shape
    assert height < 2200
    assert width > 500
    plots.scores_by_label({name: scores[name] for name in list(scores)[:2]}, tmp_path / "b.png")
    assert image.imread(tmp_path / "b.png").shape[0] < height / 3
