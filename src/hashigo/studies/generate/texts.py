"""The generation study's texts, in English and Japanese: claims, evidence and page.

Texts with places in braces are templates for `hashigo.pages.words.filled`.
"""

from __future__ import annotations

from hashigo.pages.words import Words

MODELS: dict[str, Words] = {
    "vae": Words("VAE without skip connections", "スキップなしのVAE"),
    "skips": Words("VAE with a U-Net's skip connections", "U-NetのスキップつきVAE"),
    "ladder": Words("ladder VAE (stochastic skip connections)", "ラダーVAE（確率的なスキップ）"),
}
WAYS: dict[str, Words] = {
    "prior": Words("from random numbers", "乱数から"),
    "zeroed": Words("zeros in the skip connections", "スキップにゼロ"),
    "borrowed": Words("a training picture's skip connections", "訓練画像のスキップ"),
    "real": Words("real training pictures", "本物の訓練画像"),
}
"""Ways of generating."""

CLAIMS: dict[str, Words] = {
    "broken": Words(
        "Ordinary skip connections break generation: with zeros in them, the pictures are bad; with the skip values of "
        "a training picture, the result is that picture",
        "通常のスキップ接続は生成を壊す：ゼロを流すと画像は崩れ、ほかの画像のスキップを流すとその画像になる",
    ),
    "unbroken": Words(
        "Stochastic skip connections do not break generation: the pictures are better than those of a VAE without any",
        "確率的なスキップ接続なら壊れない：スキップのないVAEよりよい画像ができる",
    ),
    "better": Words(
        "With stochastic skip connections the bound on the log-likelihood is better than without any",
        "確率的なスキップ接続があると、対数尤度の下界はスキップなしより高い",
    ),
    "levels": Words(
        "The uppermost level decides which class a picture belongs to, the lower ones how it is drawn",
        "最上位の潜在変数が画像のクラスを、下位のものが描き方を決める",
    ),
}

BROKEN = Words(
    "Fréchet distance {zeroed:.1f} with zeros against {vae:.1f} without skip connections, difference {gap}; with a training picture's skip connections, "
    "{donor} % of the pictures are nearest to that training picture; {basis}.",
    "フレシェ距離はゼロで {zeroed:.1f}、スキップなしで {vae:.1f}、差 {gap}。訓練画像のスキップを流すと、{donor} % がその訓練画像に最も近い。{basis}。",
)
UNBROKEN = Words(
    "Fréchet distance {ladder:.1f} against {vae:.1f} without skip connections; difference (without minus with) {gap}, {basis}.",
    "フレシェ距離は {ladder:.1f}、スキップなしは {vae:.1f}。差（なし − あり） {gap}、{basis}。",
)
BETTER = Words(
    "{ladder:.2f} nats per picture against {vae:.2f}; difference {gap}, {basis}.",
    "1枚あたり {ladder:.2f} ナット、スキップなしは {vae:.2f}。差 {gap}、{basis}。",
)
LEVELS = Words(
    "When a lower level is drawn again, {lower:.0f} % of the pictures keep their class; when the uppermost is, {upper:.0f} %; difference {gap} points, {basis}.",
    "下位を引き直すと {lower:.0f} % が同じクラスのまま、最上位を引き直すと {upper:.0f} %。差 {gap} ポイント、{basis}。",
)
SEVERAL_RUNS = Words("95 % interval over {seeds} training runs", "{seeds}回の学習にわたる95%信頼区間")
ONE_RUN = Words(
    "but with one training run per network this may be due to the initial weights; use --seeds 3 or more",
    "ただし各1回の学習では初期の重みの偶然と区別できない。--seeds 3 以上で判定できる",
)

TITLE = Words("Generation: skip connections in a variational autoencoder", "生成：変分オートエンコーダーのスキップ接続")
INTRODUCTION = Words(
    "The article expects that skip connections cannot be used in a variational autoencoder (VAE), because no encoder "
    "fills them when a picture is drawn from random numbers, and asks readers for ideas. One idea is to make every "
    "skip connection a latent of its own: the encoder proposes its values, a prior that depends only on the levels "
    "above predicts them, and the difference is part of the loss. The priors alone are then enough to draw a picture. "
    "Three networks with about the same number of parameters were trained on {train:,} pictures of {source} "
    "({height} × {width}) for {epochs} epochs, {times}.",
    "記事は「VAEではスキップ接続は使えないはずだ。乱数から生成するとき、スキップを埋めるエンコーダーの値が手に入らないからだ」と書き、方法を知る人に教えてほしいと"
    "述べている。一つの答えは、スキップごとに潜在変数を置くことである。エンコーダーはその値を提案し、上位の段だけを知る事前分布がそれを予測し、学習は両者の差を"
    "コストとして払う。生成には事前分布だけで足りる。パラメータ数をほぼそろえた3つのネットワークに {source} の画像 {train:,} 枚（{height} × {width}）を {epochs} エポック学習させた（{times}）。",
)
ONCE = Words("each of them once", "各1回")
TIMES = Words("each of them {seeds} times", "各{seeds}回")
CLAIMS_HEADING = Words("Answers", "答え")
BINARIZED = Words(
    "Pixels are black or white: in each epoch, they are drawn again with their grey value as the probability of white "
    "(dynamic binarization); test pictures are drawn once. Log-likelihoods are in nats per picture, over {bounded:,} "
    "test pictures; the importance-weighted bound uses {samples} draws for each. For comparison, published values on "
    "binarized MNIST are about −86 for a plain VAE, −82 for a five-level ladder (Sønderby et al. 2016, dynamic) and "
    "−78 for NVAE (Vahdat & Kautz 2020, dynamic), with networks that are many times larger.",
    "画素は白か黒で、毎エポック、灰色の値を白の確率として引き直す（動的二値化）。テスト画像は一度だけ引く。対数尤度は1枚あたりのナット、テスト画像 {bounded:,} 枚の平均。"
    "重点サンプリングの下界は1枚あたり {samples} 回の抽出による。参考までに、二値化MNISTで発表されている値は、通常のVAEで約−86、5段のラダーで約−82（Sønderbyら 2016、動的）、"
    "NVAEで約−78（VahdatとKautz 2020、動的）で、いずれもはるかに大きなネットワークである。",
)
QUICK = Words(
    "This is the quick setting, with few and easy digits. MNIST may give other results; run it with --preset article.",
    "これは少数のやさしい数字による簡易設定である。MNISTでは結果が変わりうる。--preset article で実行できる。",
)
LEFT_OUT = Words("{count:,} pictures were left out.", "{count:,} 枚は使えなかった。")

BOUNDS = Words("How probable test pictures are", "テスト画像の尤度")
BOUNDS_HEAD = [
    Words("network", "ネットワーク"), Words("parameters", "パラメータ数"), Words("ELBO", "ELBO"), Words("importance-weighted bound", "重点サンプリングの下界"),
    Words("95 % interval", "95%信頼区間"), Words("bits per pixel", "ビット／画素"), Words("log p(x | z)", "log p(x | z)"), Words("squared error", "二乗誤差"),
]  # fmt: skip
BOUNDS_CAPTION = Words(
    "Means over training runs. For the network with a U-Net's skip connections, these numbers are no bounds on the probability of a picture, because its decoder "
    "has seen the picture.",
    "学習全体の平均。U-Netのスキップつきのネットワークでは、デコーダーがその画像自体を見ているため、これらの値は画像の尤度の下界にはならない。",
)
KL = Words("What each level costs", "各段のコスト")
KL_HEAD = [
    Words("network", "ネットワーク"),
    Words("level", "段"),
    Words("KL divergence in nats", "KL情報量（ナット）"),
    Words("95 % interval", "95%信頼区間"),
]
BOTTLENECK = Words("bottleneck", "ボトルネック")
LOSS_CAPTION = Words(
    "Training loss of the two networks that can generate pictures, mean over training runs; at first, the weight of "
    "the KL divergence rises from 0 to 1.",
    "生成できる2つの学習損失（平均）。KL情報量の重みは初めに0から1へ上がる。",
)
EPOCH = Words("epoch", "エポック")
LOSS = Words("loss in nats", "損失（ナット）")

SAMPLES = Words("Generated pictures", "生成された画像")
SAMPLES_CAPTION = Words(
    "Drawn from random numbers (first training run); brightness is the probability of white.",
    "乱数から描いた画像（1回目の学習）。明るさは白の確率。",
)
BORROWED_CAPTION = Words(
    "Pictures drawn by the VAE with a U-Net's skip connections, using the skip values of training pictures: the skip "
    "connections decide what it draws.",
    "U-NetのスキップつきVAEに訓練画像のスキップを流した結果。何が描かれるかはスキップが決める。",
)
DONORS = Words("training pictures whose skip connections were used", "スキップを借りた訓練画像")
DRAWN = Words("what was drawn with them", "それを使って描かれた画像")
NEAREST = Words("nearest training pictures", "最も近い訓練画像")
NEAREST_CAPTION = Words("Generated pictures of the ladder VAE, and the training pictures that are nearest to them: similar, but no copies.",
                        "ラダーVAEが生成した画像と、それに最も近い訓練画像。似てはいるが複製ではない。")  # fmt: skip
QUALITY = Words("How good they are", "画像の質")
QUALITY_HEAD = [
    Words("pictures", "画像"), Words("Fréchet distance", "フレシェ距離"), Words("precision", "適合率"), Words("recall", "再現率"),
    Words("entropy of classes", "クラスのエントロピー"), Words("nearest training picture", "最近傍の訓練画像"), Words("copies", "複製"),
]  # fmt: skip
QUALITY_CAPTION = Words(
    "Measured in the features of a small classifier that the study trains on the same pictures (accuracy on the test "
    "pictures: {accuracy:.1f} %); {generated:,} pictures against {test:,} test pictures, means over training runs. "
    "Nearest: median distance to the nearest training picture, relative to that of test pictures. Copies: share of "
    "pictures that are nearer to a training picture than 99 % of the test pictures are. The largest possible entropy "
    "is {most:.2f}.",
    "この研究が同じ画像で学習させた小さな分類器（テスト画像の正解率 {accuracy:.1f} %）の特徴による。{generated:,} 枚とテスト画像 {test:,} 枚の比較、学習全体の平均。最近傍：最も近い訓練画像までの距離の"
    "中央値（テスト画像の場合を1とする）。複製：テスト画像の99%より訓練画像に近いものの割合。エントロピーの最大値は {most:.2f}。",
)
LEVELS_HEADING = Words("What each level stores", "各段が持つもの")
LEVELS_CAPTION = Words(
    "Ladder VAE, first training run: six generated pictures, one per column. The first panel shows each of them four "
    "times; in the other panels, the level named is drawn again each time. The random numbers of all other levels stay "
    "the same, and lower levels follow the levels above them.",
    "ラダーVAE（1回目の学習）。生成した6枚を1列ずつに並べた。左は同じものを4回、右は名前の段だけを毎回引き直したもの。ほかの段の乱数はそのままで、下の段は上の段に従って変わる。",
)
UNCHANGED = Words("as drawn first", "もとの画像")
DRAWN_AGAIN = Words("{level} drawn again", "{level} を引き直す")
LEVELS_HEAD = [
    Words("level drawn again", "引き直した段"),
    Words("pictures that keep their class", "クラスが変わらない画像"),
    Words("mean change of a pixel", "画素の平均変化"),
    Words("keep their class if all other values stay", "ほかの段の値を固定したとき"),
    Words("mean change in that case", "そのときの変化"),
]
LEVELS_TABLE_CAPTION = Words(
    "Means over training runs. If all other values stay, they contradict the new level: the levels below still describe the old picture.",
    "学習の平均。ほかの段の値まで固定すると、下の段は元の画像を表したままなので、引き直した段と食い違う。",
)
INTERPOLATIONS = Words("Between two pictures", "2枚のあいだ")
INTERPOLATIONS_CAPTION = Words(
    "From one test picture to another: the bottleneck's values change evenly; the ladder's other levels take their most probable values.",
    "テスト画像から別のテスト画像へ。ボトルネックの値を均等に変え、ラダーのほかの段は事前分布の平均とする。",
)
ALONG = Words("While it learns", "学習の途中")
ALONG_CAPTION = Words(
    "Pictures from the same random numbers after each epoch (first training run).",
    "各エポック後に同じ乱数から描いた画像（1回目の学習）。",
)
HOW_IT_WAS_MADE = Words(
    "The study took {minutes:.0f} minutes on {device}, with {memory}.",
    "所要時間 {minutes:.0f} 分、{device}、{memory}。",
)
