"""The purity study's page, in English and Japanese."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.clustering import matched
from hashigo.data.pictures import evenly
from hashigo.image.photo import photo_of
from hashigo.pages.page import Page
from hashigo.pages.panels import grid
from hashigo.pages.plots import LEGEND, Row, curves, intervals, matrix, scatter
from hashigo.pages.words import Words
from hashigo.studies.folder import StudyFolder
from hashigo.studies.purity.claims import ARTICLE_RAW, NAMES, trained_on
from hashigo.studies.purity.data import Pictures
from hashigo.studies.purity.network import raw_values, reconstructions, stored_latents
from hashigo.studies.purity.settings import CONDITIONS, PRESETS, PuritySettings
from hashigo.studies.setting import command, departures, memory, say_departures

MAPPED = 2000
"""Test pictures on each map."""
SHOWN = 12
"""Test pictures whose reconstructions are shown."""


def write_report(settings: PuritySettings, pictures: Pictures, study: StudyFolder, results: dict[str, Any]) -> Path:
    """Writes `report.html` from the results and the stored models; returns its path."""
    page = Page(Words("Purity: what skip connections do to the middle", "純度：スキップ接続は中間の特徴に何をするか"))
    _introduction(page, settings, results)
    page.heading(Words("The article's claims", "記事の主張"))
    for claim in results["claims"]:
        page.verdict(Words(**claim["claim"]), claim["verdict"], Words(**claim["evidence"]))
    _table(page, settings, results)
    _along_epochs(page, settings, results)
    _other_measures(page, results)
    _controls(page, results)
    _contingency(page, settings, pictures, results)
    _maps(page, settings, pictures, study)
    _reconstructions(page, settings, pictures, study)
    _foot(page, settings, study)
    path = study.path / "report.html"
    page.write(path)
    return path


def _introduction(page: Page, settings: PuritySettings, results: dict[str, Any]) -> None:
    data = results["data"]
    height, width = data["size"]
    times = "once" if settings.seeds == 1 else f"{settings.seeds} times"
    page.text(
        Words(
            f"Small U-Net autoencoders (channels {settings.width}-{2 * settings.width}-{4 * settings.width}) learned to "
            f"give back {data['train']:,} pictures of {data['source']} ({height} × {width}), for {settings.epochs} epochs "
            f"in batches of {settings.batch_size}; each condition was trained {times}. Then k-means "
            f"(k = {data['labels']}, {settings.kmeans_seeds} seeds) clustered their latent features. Purity is the share "
            "of pictures that carry the commonest label of their cluster: 1 if clusters are classes. k-means never saw a "
            f"label, nor the {data['test']:,} test pictures.",
            f"小さなU-Netオートエンコーダ（チャネル数 {settings.width}-{2 * settings.width}-{4 * settings.width}）に、"
            f"{data['source']} の画像{data['train']:,}枚（{height}×{width}）を復元させた。{settings.epochs}エポック、"
            f"バッチサイズ{settings.batch_size}、各条件を{settings.seeds}回ずつ学習。続いて潜在特徴をk-means（k = {data['labels']}、"
            f"{settings.kmeans_seeds}シード）でクラスタに分けた。純度とは、各クラスタで最も多いラベルを持つ画像の割合であり、"
            f"クラスタがクラスと一致すれば1になる。k-meansはラベルもテスト画像{data['test']:,}枚も見ていない。",
        )
    )
    flags = "--preset article"
    found = _departures(settings, results)
    if any(label == _PRECISION for label, *_ in found):
        flags += " --precision fp32"
    say_departures(page, settings.preset == "quick", found, flags)
    if data["left_out"]:
        page.text(
            Words(
                f"{data['left_out']:,} pictures were left out: unreadable, without a label, too small, or of a class that "
                "training has not.",
                f"{data['left_out']:,}枚は、読めない、ラベルがない、小さすぎる、または学習にないクラスのため除いた。",
            ),
            soft=True,
        )


def _departures(settings: PuritySettings, results: dict[str, Any]) -> list[tuple[Words, object, object]]:
    """What differs from the article's setting: of data, size and precision, where 0 and "auto" can mean it, what came of
    them."""
    data = results["data"]
    height, width = data["size"]
    found = departures(settings, PRESETS["article"], _NAMES)
    if data["train"] < ARTICLE_PICTURES:
        found.insert(0, (Words("pictures", "画像"), data["train"], ARTICLE_PICTURES))
    if (height, width) != (ARTICLE_SIDE, ARTICLE_SIDE):
        found.append((Words("size", "大きさ"), f"{height} × {width}", f"{ARTICLE_SIDE} × {ARTICLE_SIDE}"))
    machines = {one["machine"] for one in results["conditions"].values()}
    if any("bfloat16" in one for one in machines):
        found.append((_PRECISION, "bfloat16", "float32"))
    return found


ARTICLE_PICTURES, ARTICLE_SIDE = 60_000, 28
"""MNIST's training pictures and their side. They were trained on in float32, as Keras does unless told otherwise."""

_PRECISION = Words("precision", "精度")

_NAMES = {
    "data": Words("data", "データ"),
    "epochs": Words("epochs", "エポック数"),
    "batch_size": Words("batch size", "バッチサイズ"),
    "lr": Words("learning rate", "学習率"),
    "momentum": Words("momentum", "モーメンタム"),
    "width": Words("width", "チャネル数"),
    "units": Words("units of the bottleneck", "ボトルネックのユニット数"),
    "kmeans_seeds": Words("k-means runs", "k-meansの回数"),
}


def _range(one: dict[str, Any] | None, digits: int = 3) -> str:
    """ "0.671 … 0.712", a dash where there is no interval."""
    if one is None or one["low"] is None or not np.isfinite(one["low"]):
        return "–"
    return f"{one['low']:.{digits}f} … {one['high']:.{digits}f}"


def _table(page: Page, settings: PuritySettings, results: dict[str, Any]) -> None:
    page.heading(Words("The article's table", "記事の表"))
    rows: list[list[str | Words]] = []
    for name, condition in CONDITIONS.items():
        if condition.article is not None:
            found = results["conditions"][name]
            ranges = [_range(found["train"]["purity"]), _range(found["single_run"])]
            rows.append([_name(name, found), f"{condition.article:.4f}", _with_sd(found["train"]), *ranges,
                         f"{found['test']['purity']['mean']:.4f}"])  # fmt: skip
    raw = results["raw"]
    article = f"{ARTICLE_RAW[0]:.4f} ± {ARTICLE_RAW[1]:.4f}"
    rows.append([_name("raw", raw), article, _with_sd(raw["train"]), "–", "–", f"{raw['test']['purity']['mean']:.4f}"])
    page.table(
        [Words("features (values)", "特徴（次元）"), Words("article", "記事"), Words("here", "本研究"),
         Words("95 % interval", "95%信頼区間"), Words("95 % of runs", "単独学習の95%"), Words("test", "テスト")],
        rows,
        Words(
            "Purity on the training pictures ± its standard deviation over k-means seeds within a run. 95 % interval: of the "
            "mean over training runs. 95 % of runs: where one more training run of this setting would fall. Test: mean purity "
            "on pictures that neither network nor k-means saw.",
            "訓練画像での純度 ± 同じ学習内のk-meansシード間の標準偏差。95%信頼区間は学習間の平均について。「単独学習の95%」は同じ設定で"
            "もう1回学習したときに値が入る範囲。テスト：ネットワークもk-meansも見ていない画像での平均純度。",
        ),
    )  # fmt: skip
    several = settings.seeds > 1
    page.plot(
        intervals(
            [_row(name, results) for name in results["conditions"]],
            x=Words("purity, training pictures", "純度（訓練画像）"),
            references=[(NAMES["raw"], raw["train"]["purity"]["mean"])],
            legend=LEGEND if several else (Words("one k-means run", "1回のk-means"), *LEGEND[1:]),
        ),
        Words(
            "Small dots: training runs (mean over k-means seeds). Bar: 95 % interval. Diamond: the article's number.",
            "小さい点：各学習（k-meansのシード平均）。帯：95%信頼区間。ひし形：記事の値。",
        )
        if several
        else Words(
            "Small dots: the k-means runs of the one training run. Diamond: the article's number.",
            "小さい点：1回の学習に対する各k-means。ひし形：記事の値。",
        ),
    )


def _name(name: str, found: dict[str, Any]) -> Words:
    return Words(f"{NAMES[name].en} ({found['values']})", f"{NAMES[name].ja}（{found['values']}）")


def _with_sd(found: dict[str, Any]) -> str:
    return f"{found['purity']['mean']:.4f} ± {found['purity']['kmeans_sd']:.4f}"


def _row(name: str, results: dict[str, Any]) -> Row:
    one = results["conditions"][name]["train"]["purity"]
    points = [float(np.mean(run["train"]["purity"])) for run in results["runs"][name]]
    if len(points) == 1:
        points = list(map(float, results["runs"][name][0]["train"]["purity"]))
    return Row(NAMES[name], points, one["low"], one["mean"], one["high"], CONDITIONS[name].article)


def _along_epochs(page: Page, settings: PuritySettings, results: dict[str, Any]) -> None:
    page.heading(Words("Purity against epochs", "エポック数と純度"))
    page.text(
        Words(
            "The article does not say how long it trained. Epoch 0 is the untrained encoder.",
            "記事には学習の長さが書かれていない。エポック0は未学習のエンコーダである。",
        )
    )
    series, bands, losses = {}, {}, {}
    for name, found in results["conditions"].items():
        rows = [(row["epoch"], row["train"]["purity"]) for row in found["sweep"]]
        series[NAMES[name]] = [(epoch, one["mean"]) for epoch, one in rows]
        bands[NAMES[name]] = [(epoch, one["low"], one["high"]) for epoch, one in rows if np.isfinite(one["low"])]
        if CONDITIONS[name].article is not None:
            losses[NAMES[name]] = [(i + 1, float(loss)) for i, loss in enumerate(found["train_loss"])]
    several = settings.seeds > 1
    series[NAMES["raw"]] = [
        (0, results["raw"]["train"]["purity"]["mean"]),
        (settings.epochs, results["raw"]["train"]["purity"]["mean"]),
    ]
    page.plot(
        curves(
            series, x=Words("epoch", "エポック"), y=Words("purity", "純度"), log=False, bands=bands if several else None
        ),
        Words("Mean over training runs", "学習間の平均")
        if not several
        else Words("Mean over training runs, with its 95 % interval", "学習間の平均とその95%信頼区間"),
    )
    page.plot(
        curves(losses, x=Words("epoch", "エポック"), y=Words("squared error per picture", "画像あたりの二乗誤差")),
        Words(
            "Reconstruction loss of the article's four conditions on the training pictures, on a logarithmic scale",
            "記事の4条件の訓練画像における復元誤差（対数目盛）",
        ),
    )


def _other_measures(page: Page, results: dict[str, Any]) -> None:
    page.heading(Words("Other measures", "ほかの指標"))
    rows: list[list[str | Words]] = []
    for name, found in [*results["conditions"].items(), ("raw", results["raw"]), ("pca", results["pca"])]:
        probe = found["probe"]["test"]
        cells = [f"{found['test'][measure]['mean']:.3f}" for measure in ("purity", "accuracy", "nmi", "ari")]
        rows.append([NAMES[name], *cells, f"{probe['mean'] if isinstance(probe, dict) else probe:.3f}"])
    page.table(
        [
            Words("features", "特徴"),
            Words("purity", "純度"),
            "ACC",
            "NMI",
            "ARI",
            Words("linear probe", "線形プローブ"),
        ],
        rows,
        Words(
            "On the test pictures. ACC: accuracy when each cluster stands for one class (Hungarian matching). Linear probe: "
            "accuracy of a logistic regression that was given the labels.",
            "テスト画像での値。ACC：各クラスタに1クラスを割り当てた（ハンガリー法）ときの正解率。線形プローブ：ラベルを与えた"
            "ロジスティック回帰の正解率。",
        ),
    )


def _controls(page: Page, results: dict[str, Any]) -> None:
    page.heading(Words("Controls", "対照実験"))
    rows: list[list[str | Words]] = []
    for name, found in results["conditions"].items():
        pooled = found.get("pooled")
        of = (found["untrained"], found, pooled)
        cells = ["–" if one is None else f"{one['train']['purity']['mean']:.3f}" for one in of]
        ranges = [_range(found["untrained"]["train"]["purity"]), _range(found["train"]["purity"])]
        lost = "–" if pooled is None else f"{pooled['lost']['points']['mean']:.3f}"
        rows.append([_name(name, found), cells[0], ranges[0], cells[1], ranges[1], cells[2], lost])
    page.table(
        [Words("features (values)", "特徴（次元）"), Words("untrained", "未学習"), Words("95 % interval", "95%信頼区間"),
         Words("trained", "学習後"), Words("95 % interval", "95%信頼区間"), Words("pooled", "平均プーリング"),
         Words("lost", "低下")],
        rows,
        Words(
            "Purity on the training pictures. Untrained: the same encoder before its first step. Pooled: the trained features "
            "averaged over their map (global average pooling) before k-means, and the purity that this loses.",
            "訓練画像での純度。未学習：学習前の同じエンコーダ。平均プーリング：学習後の特徴をマップ全体で平均してからk-meansにかけたもの、"
            "およびそれによる純度の低下。",
        ),
    )  # fmt: skip
    raw, pca = results["raw"], results["pca"]
    page.text(
        Words(
            f"For comparison: raw pixels ({raw['values']} values) {raw['train']['purity']['mean']:.3f}; their first "
            f"{pca['values']} principal components {pca['train']['purity']['mean']:.3f}. Zeroed skips have the "
            "parameters of skip connections, but zeros flow: what they share with 'neither' and 'bottleneck' is not due to "
            "the number of parameters.",
            f"比較：生の画素（{raw['values']}次元）{raw['train']['purity']['mean']:.3f}、"
            f"その第{pca['values']}主成分まで {pca['train']['purity']['mean']:.3f}。"
            "ゼロ化スキップはスキップ接続と同じパラメータを持つが、流れるのはゼロである。",
        )
    )


def _contingency(page: Page, settings: PuritySettings, pictures: Pictures, results: dict[str, Any]) -> None:
    page.heading(Words("Which labels lie in which cluster", "ラベルとクラスタの対応"))
    classes = list(pictures.train.classes)
    parts = {name: runs[0] for name, runs in results["runs"].items()}
    plots = []
    for name, part in {**parts, "raw": results["raw"]["part"]}.items():
        table = np.asarray(part["contingency"])
        order = matched(table)
        figure = matrix(
            table[:, order],
            rows=classes,
            columns=[str(i + 1) for i in range(table.shape[1])],
            x=Words("cluster", "クラスタ"),
            y=Words("label", "ラベル"),
        )
        plots.append((NAMES[name], figure))
    page.plots(
        plots,
        Words(
            f"Pictures of each label in each cluster; training seed {settings.seed}, the k-means run with the lowest inertia; "
            "clusters in the order of the labels that fit them best",
            f"各クラスタに入った各ラベルの枚数。学習シード{settings.seed}、慣性が最小のk-means。クラスタは最もよく合うラベルの順に並べた。",
        ),
    )


def _maps(page: Page, settings: PuritySettings, pictures: Pictures, study: StudyFolder) -> None:
    page.heading(Words("Maps of the latents", "潜在特徴の地図"))
    chosen = evenly(len(pictures.test), MAPPED)
    some = pictures.test.subset(chosen)
    classes, flat = list(some.classes), []
    plots = []
    for name in [*settings.conditions(), "raw"]:
        part = study.finished(f"map-{name}")
        if part is None or len(part["points"]) != len(some):
            values = (
                raw_values(some)
                if name == "raw"
                else stored_latents(study.path / "models" / f"{name}-{settings.seed}", some)
            )
            points = _tsne(values, settings.seed)
            if points is None:
                flat.append(NAMES[name])
                continue
            part = {"points": np.round(points, 2)}
            study.keep(f"map-{name}", part)
        plots.append((NAMES[name], scatter(np.asarray(part["points"]), pictures.labels(some), classes=classes)))
    page.plots(
        plots,
        Words(
            f"{len(some):,} test pictures, brought from all their values to two dimensions by t-SNE, coloured by label; "
            f"training seed {settings.seed}. k-means works on all values, not on these maps.",
            f"テスト画像{len(some):,}枚をt-SNEで2次元に写し、ラベルで色分けした（学習シード{settings.seed}）。"
            "k-meansはこの地図ではなく、すべての次元を使う。",
        ),
    )
    if flat:
        en, ja = ", ".join(one.en for one in flat), "、".join(one.ja for one in flat)
        page.text(
            Words(
                f"No map of {en}: too few pictures, or features that are the same for all of them.",
                f"{ja}の地図はない：画像が少なすぎるか、特徴がすべての画像で同じである。",
            )
        )


def _tsne(values: NDArray[np.float32], seed: int) -> NDArray[np.float32] | None:
    """Points in the plane, (N, 2); None where there is nothing to spread out (t-SNE would crash on equal rows)."""
    from sklearn.manifold import TSNE

    if len(values) < 4 or not np.isfinite(values).all() or float(np.ptp(values, axis=0).max()) < 1e-6:
        return None
    init = "pca" if values.shape[1] > 1 else "random"
    perplexity = min(30.0, max(2.0, len(values) / 4))
    points: NDArray[np.float32] = TSNE(init=init, perplexity=perplexity, random_state=seed).fit_transform(values)
    return points


def _reconstructions(page: Page, settings: PuritySettings, pictures: Pictures, study: StudyFolder) -> None:
    page.heading(Words("What the networks give back", "ネットワークの復元結果"))
    some = pictures.test.subset(evenly(len(pictures.test), SHOWN))
    array = some.array().transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    originals: NDArray[Any] = np.broadcast_to(array, (len(array), 3, *array.shape[2:]))
    rows: Sequence[tuple[Words, NDArray[Any]]] = [(Words("original", "元の画像"), originals)] + [
        (NAMES[name], reconstructions(study.path / "models" / f"{name}-{settings.seed}", some))
        for name, condition in settings.conditions().items()
        if condition.article is not None
    ]
    for name, shown in rows:
        page.row([(name, photo_of(grid([shown], columns=SHOWN)))], pixels=True)


def _foot(page: Page, settings: PuritySettings, study: StudyFolder) -> None:
    results = json.loads((study.path / "results.json").read_text(encoding="utf-8"))
    machine, seconds, held = results["environment"], results["seconds"], memory(results)
    page.heading(Words("How it was made", "実行条件"))
    page.code(command("purity", settings, PRESETS))
    device = machine["processor"] if machine["gpu"] == "none" else machine["gpu"]
    trained = trained_on([run for runs in results["runs"].values() for run in runs])
    page.text(
        Words(
            f"{seconds / 60:.1f} minutes in all, {held.en}, on {device}; networks trained on {trained}. "
            "All numbers are in results.json; the trained networks in models/.",
            f"所要時間 {seconds / 60:.1f} 分、{held.ja}、{device}。ネットワークの学習：{trained}。すべての数値は results.json、"
            "学習済みネットワークは models/ にある。",
        )
    )
    about = {"settings": results["settings"], "environment": machine}
    page.details(
        Words("Settings, machine and versions", "設定・環境・バージョン"),
        json.dumps(about, indent=1, ensure_ascii=False),
    )
