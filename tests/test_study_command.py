"""`hashigo study`: its words become settings, and wrong words are told with the right ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashigo.cli import study as command
from hashigo.cli.main import main
from hashigo.errors import RecipeError
from hashigo.studies import STUDIES


def test_the_studies_and_their_presets() -> None:
    assert set(STUDIES) >= {"autoencode", "colorize", "purity"}
    for study in STUDIES.values():
        assert set(study.presets) == {"article", "quick"}
        assert all(preset.preset == name for name, preset in study.presets.items())


def test_words_become_settings() -> None:
    args = command.parse(["purity", "--data", "digits", "--data-root", "elsewhere", "--seeds=4", "--batch-size", "32",
                          "--controls", "false", "--run", "here"])  # fmt: skip
    settings = args.settings
    assert (settings.data, settings.data_root, settings.seeds, settings.batch_size) == ("digits", "elsewhere", 4, 32)
    assert settings.controls is False
    assert args.run == "here"


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("words", [[], ["--preset", "article"], ["--preset=article", "--epochs", "3"]], ids=str)
def test_settings_start_from_the_preset(name: str, words: list[str]) -> None:
    args = command.parse([name, *words])
    preset = STUDIES[name].presets["article" if words else "quick"]
    assert args.settings.epochs == (3 if "--epochs" in words else preset.epochs)
    assert args.settings.batch_size == preset.batch_size
    assert args.run == str(Path("studies") / f"{name}-{preset.preset}")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["puriti"], "did you mean 'purity'"),
        (["purity", "--preset", "quik"], "did you mean 'quick'"),
        (["purity", "--seed_s", "3"], "did you mean 'seeds'"),
        (["purity", "--epochs", "many"], "epochs"),
        (["purity", "--seeds", "0"], "seeds: expected at least 1"),
        (["autoencode", "--crop", "4"], "crop"),
    ],
)
def test_wrong_words_are_told(words: list[str], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        command.parse(words)


def test_exit_statuses(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study"]) == 2
    assert main(["study", "--help"]) == 0
    assert main(["study", "purity", "--help"]) == 0
    out = capsys.readouterr().out
    for word in ("autoencode", "colorize", "purity", "--kmeans-seeds", "k-means runs per set of features"):
        assert word in out
    assert main(["study", "puriti"]) == 2
    assert main(["study", "purity", "--data", str(tmp_path / "nothing")]) == 2
    assert "nothing is there" in capsys.readouterr().err


def test_a_study_from_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["study", "purity", "--data", "digits", "--size", "8", "--pictures", "200", "--test-pictures", "60", "--seeds", "1",
             "--kmeans-seeds", "2", "--epochs", "1", "--controls", "false", "--run", str(tmp_path / "run")]  # fmt: skip
    assert main(words) == 0
    said = capsys.readouterr().err
    assert f"done: open {tmp_path / 'run' / 'report.html'}" in said
    assert "raw pixels: purity 0." in said
    assert (tmp_path / "run" / "results.json").is_file()
    assert main([*words, "--lr", "0.1"]) == 2
    assert "lr was 0.001, now 0.1" in capsys.readouterr().err
