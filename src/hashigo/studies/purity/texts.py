"""The purity study's texts, in English and Japanese: claims, evidence and page.

Texts with places in braces are templates for `hashigo.pages.words.filled`.
"""

from __future__ import annotations

from hashigo.pages.words import Words

CONDITIONS: dict[str, Words] = {
    "neither": Words("neither", "どちらもなし"),
    "bottleneck": Words("bottleneck", "ボトルネックのみ"),
    "skips": Words("skips", "スキップのみ"),
    "both": Words("skips + bottleneck", "スキップ＋ボトルネック"),
    "zeroed": Words("zeroed skips", "ゼロ化スキップ"),
    "zeroed-bottleneck": Words("zeroed skips + bottleneck", "ゼロ化スキップ＋ボトルネック"),
    "dense": Words("dense autoencoder", "全結合オートエンコーダ"),
    "conv": Words("convolutional autoencoder", "畳み込みオートエンコーダ"),
    "denoising": Words(
        "denoising (bottleneck, half of the pixels hidden)", "ノイズ除去（ボトルネック、画素の半分を隠す）"
    ),
    "vae": Words("VAE (mean)", "VAE（平均）"),
    "ladder": Words("ladder VAE (uppermost level)", "ラダーVAE（最上位）"),
    "masked": Words("half of the pixels hidden", "画素の半分を隠す"),
    "dropped": Words("skips dropped with probability ½", "スキップを半分の確率で切る"),
    "fade-in": Words("skips that fade in", "スキップを徐々に強める"),
    "fade-out": Words("skips that fade out", "スキップを徐々に弱める"),
    "gated": Words("gated skips", "ゲートつきスキップ"),
    "outermost": Words("outermost skip only", "最も外側のスキップのみ"),
    "innermost": Words("innermost skip only", "最も内側のスキップのみ"),
    "alone": Words("extra loss of the bottleneck alone", "ボトルネック単独の追加損失"),
    "raw": Words("raw pixels", "生の画素"),
    "pca": Words("principal components", "主成分"),
}
"""The page's names for conditions and baselines."""

CLAIMS: dict[str, Words] = {
    "awake": Words(
        "A U-Net can have both: a bottleneck with a purity of at least {awake:.2f}, and an error of at most "
        "{times:g} times the usual one with skip connections (not in the article)",
        "両立できる：純度{awake:.2f}以上のボトルネックと、通常のスキップの{times:g}倍以内の誤差（記事にはない）",
    ),
    "bottleneck": Words(
        "A bottleneck without skip connections gives features that cluster better than raw pixels (0.6998 against 0.5900)",
        "スキップなしのボトルネックの特徴は、生の画素よりもよくクラスタに分かれる（0.6998対0.5900）",
    ),
    "harm": Words(
        "Skip connections make the bottleneck's features meaningless (0.3752 with them, 0.6998 without)",
        "スキップ接続はボトルネックの特徴から意味を奪う（ありで0.3752、なしで0.6998）",
    ),
    "both": Words(
        "With skip connections the bottleneck is even worse than raw pixels (0.3752 against 0.5900)",
        "スキップ接続があると、ボトルネックの特徴は生の画素にも劣る（0.3752対0.5900）",
    ),
    "flow": Words(
        "The cause is the information in the skip connections, not their parameters (control: the same network with zeroed "
        "skips; not in the article)",
        "原因はスキップを流れる情報であり、パラメータ数ではない（対照実験：同じネットワークにゼロを流す。記事にはない）",
    ),
    "neither": Words(
        "Without a bottleneck and without skip connections, the features are worse than raw pixels "
        "(0.5123 against 0.5900)",
        "ボトルネックもスキップもないと、特徴は生の画素に劣る（0.5123対0.5900）",
    ),
    "skips": Words(
        "Without a bottleneck but with skip connections, the features are worse than raw pixels "
        "(0.5217 against 0.5900)",
        "ボトルネックなし・スキップありでも、特徴は生の画素に劣る（0.5217対0.5900）",
    ),
    "same": Words(
        "Without a bottleneck, skip connections raise purity a little (0.5217 with them, 0.5123 without)",
        "ボトルネックがなければ、スキップ接続は純度をわずかに上げる（ありで0.5217、なしで0.5123）",
    ),
    "pooling": Words(
        "Global average pooling instead of flattening loses 20–30 % of the purity ({name})",
        "平坦化の代わりに大域平均プーリングを使うと純度の20～30%が失われる（{name}）",
    ),
}
"""The article's claims and the study's own control."""

AWAKE = Words(
    "Best of {count} remedies: {name}, purity {purity}, squared error {loss}; at most {sharp:.2f} counts as sharp. The bottleneck without skip connections has "
    "purity {without} and squared error {blurred:.2f}.",
    "{count}種の対策のうち最良：{name}、純度 {purity}、二乗誤差 {loss}（{sharp:.2f} 以下を鮮明とする）。スキップなしのボトルネックは純度 {without}、二乗誤差 {blurred:.2f}。",
)
COMPARISON = Words(
    "{left} {a:.3f}, {right} {b:.3f}; difference {gap}, {basis}.",
    "{left} {a:.3f}、{right} {b:.3f}。差 {gap}、{basis}。",
)
LOST = Words(
    "Pooling loses {share} % of the flattened features' purity, {basis}. In percentage points that is {points}; if the article's "
    "“20–30 %” means percentage points, the verdict is: {verdict}.",
    "低下は平坦化した特徴の純度の {share} %、{basis}。ポイントでは {points} で、記事の「20～30%」がポイントの意味なら判定は"
    "「{verdict}」となる。",
)
SEVERAL_RUNS = Words("95 % interval over {seeds} training runs", "{seeds}回の学習にわたる95%信頼区間")
ONE_RUN = Words(
    "but with one training run per condition this may be due to the initial weights; use --seeds 3 or more",
    "ただし各条件1回の学習では初期の重みの偶然と区別できない。--seeds 3 以上で判定できる",
)

TITLE = Words("Purity: what skip connections do to the middle", "純度：スキップ接続は中間の特徴に何をするか")
INTRODUCTION = Words(
    "Small U-Net autoencoders (channels {channels}) learned to reproduce {train:,} pictures of {source} "
    "({height} × {width}), for {epochs} epochs in batches of {batch}; each condition was trained {times}. Then k-means "
    "(k = {labels}, {kmeans} seeds) clustered their latent features. Purity is the share of pictures that have the "
    "most common label of their cluster; it is 1 if the clusters match the classes. k-means saw neither the labels nor the {test:,} test pictures.",
    "小さなU-Netオートエンコーダ（チャネル数 {channels}）に、{source} の画像{train:,}枚（{height}×{width}）を復元させた。"
    "{epochs}エポック、バッチサイズ{batch}、各条件を{times}ずつ学習。続いて潜在特徴をk-means（k = {labels}、{kmeans}シード）で"
    "クラスタに分けた。純度とは、各クラスタで最も多いラベルを持つ画像の割合であり、クラスタがクラスと一致すれば1になる。"
    "k-meansはラベルもテスト画像{test:,}枚も見ていない。",
)
ONCE = Words("once", "1回")
TIMES = Words("{seeds} times", "{seeds}回")
LEFT_OUT = Words(
    "Left out: {count:,} pictures that are unreadable, unlabelled, too small, or of a class missing from training.",
    "{count:,}枚は、読めない、ラベルがない、小さすぎる、または学習にないクラスのため除いた。",
)

PRECISION = Words("precision", "精度")
PICTURES = Words("pictures", "画像")
SIZE = Words("size", "大きさ")
SETTINGS: dict[str, Words] = {
    "data": Words("data", "データ"),
    "epochs": Words("epochs", "エポック数"),
    "batch_size": Words("batch size", "バッチサイズ"),
    "lr": Words("learning rate", "学習率"),
    "momentum": Words("momentum", "モーメンタム"),
    "width": Words("width", "チャネル数"),
    "units": Words("bottleneck units", "ボトルネックのユニット数"),
    "kmeans_seeds": Words("k-means runs", "k-meansの回数"),
}
"""The settings that may differ from the article's."""

TABLE = Words("The article's table", "記事の表")
TABLE_HEAD = (
    Words("features (values)", "特徴（次元）"),
    Words("article", "記事"),
    Words("here", "本研究"),
    Words("95 % interval", "95%信頼区間"),
    Words("95 % of runs", "単独学習の95%"),
    Words("test", "テスト"),
)
TABLE_CAPTION = Words(
    "Purity on the training pictures ± its standard deviation over k-means seeds within a run. 95 % interval: of the "
    "mean over training runs. 95 % of runs: where another training run with these settings would fall. Test: mean purity "
    "on pictures that neither the network nor k-means saw.",
    "訓練画像での純度 ± 同じ学習内のk-meansシード間の標準偏差。95%信頼区間は学習間の平均について。「単独学習の95%」は同じ設定で"
    "もう1回学習したときに値が入る範囲。テスト：ネットワークもk-meansも見ていない画像での平均純度。",
)
FEATURES = Words("{name} ({values})", "{name}（{values}）")
PURITY_AXIS = Words("purity, training pictures", "純度（訓練画像）")
ONE_KMEANS_RUN = Words("one k-means run", "1回のk-means")
INTERVALS_CAPTION = Words(
    "Small dots: training runs (mean over k-means seeds). Bar: 95 % interval. Diamond: the article's value.",
    "小さい点：各学習（k-meansのシード平均）。帯：95%信頼区間。ひし形：記事の値。",
)
ONE_RUN_CAPTION = Words(
    "Small dots: the k-means runs of the single training run. Diamond: the article's value.",
    "小さい点：1回の学習に対する各k-means。ひし形：記事の値。",
)

ALONG_EPOCHS = Words("Purity against epochs", "エポック数と純度")
ALONG_EPOCHS_TEXT = Words(
    "The article does not say how long it trained. Epoch 0 is the untrained encoder.",
    "記事には学習の長さが書かれていない。エポック0は未学習のエンコーダである。",
)
EPOCH = Words("epoch", "エポック")
PURITY = Words("purity", "純度")
MEAN_CAPTION = Words("Mean over training runs (line), compared with raw pixels", "学習間の平均（線）と生の画素")
MEAN_WITH_INTERVAL_CAPTION = Words(
    "Mean over training runs (line) and its 95 % interval (band), compared with raw pixels; all plots have the same axes",
    "学習間の平均（線）とその95%信頼区間（帯）、生の画素との比較。軸はすべて同じ",
)
LOSS = Words("squared error per picture", "画像あたりの二乗誤差")
LOSS_CAPTION = Words(
    "Reconstruction loss of the article's four conditions on the training pictures, on a logarithmic scale",
    "記事の4条件の訓練画像における復元誤差（対数目盛）",
)

OTHER_MEASURES = Words("Other measures", "ほかの指標")
OTHER_MEASURES_HEAD = (
    Words("features", "特徴"),
    Words("purity", "純度"),
    "ACC",
    "NMI",
    "ARI",
    Words("linear probe", "線形プローブ"),
)
OTHER_MEASURES_CAPTION = Words(
    "On the test pictures. ACC: accuracy if each cluster is assigned to one class (Hungarian matching). Linear probe: "
    "accuracy of a logistic regression trained with the labels.",
    "テスト画像での値。ACC：各クラスタに1クラスを割り当てた（ハンガリー法）ときの正解率。線形プローブ：ラベルを与えた"
    "ロジスティック回帰の正解率。",
)

OTHERS = Words("Other autoencoders", "ほかのオートエンコーダ")
OTHERS_HEAD = (
    Words("features (values)", "特徴（次元）"), Words("purity", "純度"), Words("95 % interval", "95%信頼区間"), "ACC", "NMI", Words("linear probe", "線形プローブ"),
    Words("squared error", "二乗誤差"),
)  # fmt: skip
OTHERS_CAPTION = Words(
    "Purity is measured on the training pictures, the rest on the test pictures. The dense and the convolutional "
    "autoencoder have the layer sizes and the loss (cross-entropy) of the Keras blog. All networks except the U-Nets were trained with Adam, for "
    "the same number of epochs, so compare with care. The squared error is shown for all, whatever loss they were trained with.",
    "純度は訓練画像、ほかはテスト画像での値。全結合と畳み込みはKerasブログの大きさと損失（交差エントロピー）。U-Net以外は同じエポック数をAdamで学習したので、比較には注意がいる。二乗誤差は、学習の損失によらず全てについて示す。",
)
UNTAUGHT = Words(
    "No better than answering every picture with the average one (squared error {error:.1f}): {names}. Such a network was trained for too few steps, or its training "
    "collapsed, or it cannot do without the skip connections that have faded out. Do not read much into its purity.",
    "どの画像にも平均の画像を返すこと（二乗誤差 {error:.1f}）を上回らない：{names}。学習が足りないか、崩壊したか、弱めて消したスキップなしでは答えられない。その純度に多くを読み取らないこと。",
)
OF_RUNS = Words("{name} ({count} of {runs} training runs)", "{name}（学習{runs}回中{count}回）")
REMEDIES = Words("Making the network use its bottleneck", "ボトルネックを眠らせない")
REMEDIES_TEXT = Words(
    "With skip connections, training has little need of the bottleneck. Each remedy changes one thing about the network with skip connections and a bottleneck; training is the same.",
    "スキップ接続があると、学習はボトルネックをほとんど必要としない。各対策は「スキップ＋ボトルネック」の一点だけを変え、学習は同じである。",
)
REMEDIES_CAPTION = Words(
    "Purity on the training pictures; squared error per test picture, with the lowest and the highest of the training runs.",
    "純度は訓練画像、二乗誤差はテスト画像1枚あたりで、括弧内は各学習の最小と最大。",
)
NETWORK = Words("network", "ネットワーク")
CONTROLS = Words("Controls", "対照実験")
CONTROLS_HEAD = (
    Words("features (values)", "特徴（次元）"),
    Words("untrained", "未学習"),
    Words("95 % interval", "95%信頼区間"),
    Words("trained", "学習後"),
    Words("95 % interval", "95%信頼区間"),
    Words("pooled", "平均プーリング"),
    Words("lost", "低下"),
)
CONTROLS_CAPTION = Words(
    "Purity on the training pictures. Untrained: the same encoder before training. Pooled: the trained features "
    "averaged over each map (global average pooling) before k-means. Lost: the purity lost by pooling.",
    "訓練画像での純度。未学習：学習前の同じエンコーダ。平均プーリング：学習後の特徴をマップ全体で平均してからk-meansにかけたもの、"
    "およびそれによる純度の低下。",
)
BASELINES = Words(
    "For comparison: raw pixels ({raw_values} values) {raw:.3f}; their first {pca_values} principal components {pca:.3f}. "
    "Zeroed skips have the parameters of skip connections but receive only zeros. If they behave like “neither” and “bottleneck”, "
    "the number of parameters is not the cause.",
    "比較：生の画素（{raw_values}次元）{raw:.3f}、その第{pca_values}主成分まで {pca:.3f}。"
    "ゼロ化スキップはスキップ接続と同じパラメータを持つが、流れるのはゼロである。",
)

CONTINGENCY = Words("Labels in each cluster", "ラベルとクラスタの対応")
CLUSTER = Words("cluster", "クラスタ")
LABEL = Words("label", "ラベル")
CONTINGENCY_CAPTION = Words(
    "Pictures of each label in each cluster; training seed {seed}, the k-means run with the lowest inertia; "
    "clusters sorted by their best-matching label",
    "各クラスタに入った各ラベルの枚数。学習シード{seed}、慣性が最小のk-means。クラスタは最もよく合うラベルの順に並べた。",
)

MAPS = Words("Maps of the latents", "潜在特徴の地図")
MAPS_CAPTION = Words(
    "{count:,} test pictures, projected to two dimensions with t-SNE and coloured by label; "
    "training seed {seed}. k-means uses all dimensions, not these maps.",
    "テスト画像{count:,}枚をt-SNEで2次元に写し、ラベルで色分けした（学習シード{seed}）。"
    "k-meansはこの地図ではなく、すべての次元を使う。",
)
NO_MAP = Words(
    "No map for {names}: too few pictures, or identical features for all of them.",
    "{names}の地図はない：画像が少なすぎるか、特徴がすべての画像で同じである。",
)

RECONSTRUCTIONS = Words("Reconstructions", "ネットワークの復元結果")
ORIGINAL = Words("original", "元の画像")

HOW_IT_WAS_MADE = Words(
    "{minutes:.1f} minutes in total, {memory}, on {device}; networks trained on {trained}. "
    "All numbers are in results.json, and the trained networks are in models/.",
    "所要時間 {minutes:.1f} 分、{memory}、{device}。ネットワークの学習：{trained}。すべての数値は results.json、"
    "学習済みネットワークは models/ にある。",
)
