// All texts of the page, in English and Japanese. A word may have places like {n}.

import { local } from "./store.js";

const EN = {
  after: "Colorized", again: "Try again", api: "HTTP API for programs", addFolder: "Add folder", addHint: "Add a hint",
  addPhotos: "Add photos", before: "Original", cancel: "Cancel {name}", cancelled: "Cancelled", chooseFiles: "Choose photos",
  chooseFolder: "Choose a folder", close: "Close", colouring: "Colorizing…", colours: "Colour of this spot",
  continue: "Continue", deleteHint: "Delete hint", done: "Done", doneColour: "Done (was already in colour)", downloadAll: "Download all", downloadOne: "Download this photo",
  downloading: "Preparing {name}…", dropHere: "Drop photos or a folder here, or choose them.", chooseHere: "Choose photos from this device.", dropNow: "Drop photos to add them",
  failed: "Failed", fit: "Fit in the window", folder: "folder", freeColour: "Other colour", help: "Help", hint: "Hint {n}: {colour}",
  hints: "Colour hints", hintsAbout: "Click or tap a spot in the photo, then choose its colour. Drag a hint to move it.",
  keys: "Keyboard", larger: "Zoom in", model: "Model", muted: "muted", next: "Next photo", noSpace:
  "The browser has no space to remember more photos. Everything works, but {name} will be missing after a reload.",
  notKept: "This browser cannot remember photos (private window?). Everything works, but a reload empties the page.",
  page: "Page", photos: "Photos", pipette: "Pick from a photo", pipetteTip: "Click or tap the colour you want, in this or any other photo.",
  placeTip: "Click or tap the spot. Or move the mark with the arrow keys; Enter chooses a colour.", previous: "Previous photo", progress: "Progress",
  redo: "Redo", remove: "Remove {name}", removeAll: "Remove all photos", removeHints: "Remove all hints",
  removed: "{name} was removed.", removedAll: "All photos were removed.", sameForAll: "Use this vividness for all photos", sameDone: "All photos on this page now use this vividness.",
  settings: "Settings", side: "Side by side", slide: "Before/after slider", slow: "The connection is slow. Still waiting for {name}…",
  smaller: "Zoom out", split: "Boundary between original and colorized", splitValue: "{n}% original", stop: "Stop", theme: "Light or dark",
  tools: "Tools", tryNow: "Try now", undo: "Undo", updating: "Colorizing…", view: "Photo", vivid: "vivid", vividness: "Vividness",
  waiting: "Waiting", whole: "Fit", welcome: "Colorize black-and-white photos", whichColour: "What colour is this spot?", yourPhotos: "Your photos",
  count: "{n} of {all}", countDone: "All {all} done", countDoneOne: "Done", countFailed: "{n} of {all} done", failures: "{n} failed", countStopped: "Stopped: {n} of {all}",
  local: "Your photos stay on this computer.", remote: "Your photos are sent to {host} and not stored there.",
  kept: "This browser remembers your photos, hints and settings, so that a reload loses nothing. The server stores nothing. “Remove all photos” clears everything.",
  skipped: "{n} files are not photos and were left out.", skippedOne: "1 file is not a photo and was left out.",
  tooMany: "At most {most} photos at once: {n} were left out. Download and remove some first.",
  already: "{n} of these photos were already here.", alreadyOne: "{name} was already here.", inTwoTabs:
  "hashigo is open in another tab too. Use only one of them: they do not see each other’s changes.",
  most: "A photo can be up to {mb} MB and {mp} megapixels. “hashigo colorize” on the command line takes larger ones.",
  packing: "Packing photo {n} of {all}…", packed: "{n} photos are in the zip file.", packedOne: "1 photo is in the zip file.",
  leftOut: "Left out: {names}.", andMore: "{names} and {n} more", nothingPacked: "No photo could be packed.", noAnswer: "The server does not answer.", stopPacking: "Stop", stopThat: "Cancel",
  saved: "{name} was downloaded.", notes: "About {name}: {notes}.", heldBack: "{name} could not be downloaded: {why}", ofBrowser: "The browser could not open this photo.",
  busy: "The server is busy. Trying again in {n} s.", gone: "The server does not answer. Is “hashigo serve” still running? Trying again in {n} s.",
  tooLarge: "This photo is too large.", tooManyMB: "It is {n} MB; at most {most} MB are allowed here. Make it smaller, or use “hashigo colorize” on the command line.",
  tooManyMP: "It has {n} megapixels; at most {most} are allowed here. Make it smaller, or use “hashigo colorize” on the command line.", notPhoto: "This file is not a photo that the server can read.",
  heic: "The server cannot read HEIC photos yet. Install the extra on the server (pip install 'hashigo[heic]') and restart it, or save the photo as JPEG.",
  broken: "This photo is damaged.", tookLong: "This photo takes too long.", lost: "The server could not process this photo.",
  denied: "The server refused the request. Open the page with the address that “hashigo serve” printed.",
  how: ["Add black-and-white photos. They are colorized right away.",
    "Drag the boundary to compare. Zoom with the wheel, two fingers or + and −. Swipe to see the next photo.",
    "Wrong colour? Click or tap the spot and choose the right one: the area around it follows. “Pick from a photo” takes a colour from any photo.",
    "The vividness goes from muted to strong colours.",
    "Download one photo, or all of them as a zip file: at full size, with the date and other metadata, and in the same format where possible."],
  keyList: [["← →", "previous or next photo"], ["Tab, then ← →", "move the boundary or a hint"], ["H", "add a hint"], ["Delete", "delete a hint"],
    ["Ctrl+Z, Ctrl+Y", "undo, redo"], ["+ − 0", "zoom in, zoom out, fit"]],
  swatches: { skin1: "light skin", skin2: "medium skin", skin3: "dark skin", lips: "lips", blond: "blond hair", brown: "brown hair", red: "red hair",
    black: "white, grey or black", sky: "sky", sea: "sea", grass: "grass", leaves: "leaves", wood: "wood", brick: "brick", sand: "sand or straw",
    khaki: "khaki uniform", olive: "olive uniform", navy: "navy uniform", crimson: "red cloth", pink: "pink cloth", purple: "purple cloth", blue: "blue cloth", green: "green cloth", yellow: "yellow cloth" },
};

const JA = {
  after: "カラー化後", again: "再試行", api: "プログラム用HTTP API", addFolder: "フォルダーを追加", addHint: "色を指定",
  addPhotos: "写真を追加", before: "元の写真", cancel: "{name}を中止", cancelled: "中止", chooseFiles: "写真を選ぶ",
  chooseFolder: "フォルダーを選ぶ", close: "閉じる", colouring: "処理中…", colours: "この場所の色",
  continue: "再開", deleteHint: "この指定を消す", done: "完了", doneColour: "完了（元からカラー）", downloadAll: "すべてダウンロード", downloadOne: "この写真をダウンロード",
  downloading: "{name}を準備しています…", dropHere: "写真やフォルダーをここにドロップするか、選んでください。", chooseHere: "この端末の写真を選んでください。", dropNow: "ドロップして写真を追加",
  failed: "失敗", fit: "画面に合わせる", folder: "フォルダー", freeColour: "その他の色", help: "使い方", hint: "色の指定{n}：{colour}",
  hints: "色の指定", hintsAbout: "写真の中の場所をクリックまたはタップして、その色を選びます。印はドラッグで動かせます。",
  keys: "キーボード", larger: "拡大", model: "モデル", muted: "控えめ", next: "次の写真",
  noSpace: "ブラウザーの保存領域がいっぱいです。操作は続けられますが、再読み込みすると{name}は消えます。",
  notKept: "このブラウザーでは写真を保存できません（プライベートウィンドウなど）。操作は続けられますが、再読み込みするとすべて消えます。",
  page: "ページ", photos: "写真", pipette: "写真から色を取る", pipetteTip: "使いたい色をクリックまたはタップしてください。別の写真の色も使えます。",
  placeTip: "場所をクリックまたはタップしてください。矢印キーで動かし、Enterで色を選ぶこともできます。", previous: "前の写真", progress: "進み具合",
  redo: "やり直す", remove: "{name}を取り除く", removeAll: "写真をすべて取り除く", removeHints: "色の指定をすべて消す",
  removed: "{name}を取り除きました。", removedAll: "写真をすべて取り除きました。", sameForAll: "この鮮やかさをすべての写真に使う", sameDone: "このページのすべての写真をこの鮮やかさにしました。",
  settings: "設定", side: "並べて比べる", slide: "線を動かして比べる", slow: "通信に時間がかかっています。{name}を待っています…",
  smaller: "縮小", split: "元の写真とカラー化後の境界", splitValue: "元の写真{n}%", stop: "止める", theme: "ライト／ダーク",
  tools: "ツール", tryNow: "今すぐ試す", undo: "元に戻す", updating: "色をつけています…", view: "写真の表示", vivid: "鮮やか", vividness: "鮮やかさ",
  waiting: "待機中", whole: "全体", welcome: "白黒写真に色をつけます", whichColour: "この場所は何色ですか？", yourPhotos: "写真の扱い",
  count: "{n}/{all}枚完了", countDone: "{all}枚すべて完了", countDoneOne: "完了", countFailed: "{n}/{all}枚完了", failures: "{n}枚失敗", countStopped: "停止中：{n}/{all}枚完了",
  local: "写真がこのコンピューターの外に出ることはありません。", remote: "写真は{host}に送られますが、保存されません。",
  kept: "写真と色の指定と設定はこのブラウザーに残るので、再読み込みしても失われません。サーバーには何も保存されません。「写真をすべて取り除く」を押すとすべて消えます。",
  skipped: "写真ではないファイルを{n}個除きました。", skippedOne: "写真ではないファイルを1個除きました。",
  tooMany: "一度に扱えるのは{most}枚までです。{n}枚は追加されませんでした。ダウンロードして取り除いてから追加してください。",
  packing: "{all}枚中{n}枚目をまとめています…", packed: "{n}枚の写真をzipファイルにまとめました。", packedOne: "1枚の写真をzipファイルにまとめました。",
  already: "このうち{n}枚はすでにあります。", alreadyOne: "{name}はすでにあります。",
  inTwoTabs: "hashigoは別のタブでも開かれています。変更は互いに反映されないので、どちらか一方だけを使ってください。",
  most: "1枚の大きさは{mb} MB、{mp}メガピクセルまでです。コマンドラインのhashigo colorizeなら、より大きな写真も扱えます。",
  leftOut: "zipに入れられなかった写真：{names}", andMore: "{names}、ほか{n}枚", nothingPacked: "まとめられる写真がありませんでした。", noAnswer: "サーバーから応答がありません。", stopPacking: "止める", stopThat: "取り消す",
  saved: "{name}をダウンロードしました。", notes: "{name}について：{notes}", heldBack: "{name}をダウンロードできませんでした：{why}", ofBrowser: "ブラウザーでこの写真を開けませんでした。",
  busy: "サーバーが混み合っています。{n}秒後に再試行します。", gone: "サーバーから応答がありません。hashigo serveは動いていますか？ {n}秒後に再試行します。",
  tooLarge: "この写真は大きすぎます。", tooManyMB: "{n} MBありますが、ここでは{most} MBまでです。写真を縮小するか、コマンドラインのhashigo colorizeを使ってください。",
  tooManyMP: "{n}メガピクセルありますが、ここでは{most}メガピクセルまでです。写真を縮小するか、コマンドラインのhashigo colorizeを使ってください。", notPhoto: "サーバーが読める写真ではありません。",
  heic: "サーバーはまだHEICの写真を読めません。サーバーで pip install 'hashigo[heic]' を実行して再起動するか、写真をJPEGで保存してください。",
  broken: "この写真は壊れています。", tookLong: "この写真は処理に時間がかかりすぎます。", lost: "サーバーでこの写真を処理できませんでした。",
  denied: "サーバーに拒否されました。hashigo serveが表示したアドレスでページを開いてください。",
  how: ["白黒写真を追加すると、すぐに色がつきます。",
    "真ん中の線をドラッグして見比べます。ホイール、二本指、または＋と−で拡大・縮小できます。左右に払うと次の写真に移ります。",
    "色が違うときは、その場所をクリックまたはタップして正しい色を選びます。周りの色も合わせて変わります。「写真から色を取る」で、ほかの写真の色も使えます。",
    "鮮やかさは、控えめから鮮やかまで調整できます。",
    "1枚ずつ、またはzipファイルでまとめてダウンロードできます。元の大きさで、日付などの情報も残り、形式もできるだけ変わりません。"],
  keyList: [["← →", "前の写真・次の写真"], ["Tabの後に← →", "真ん中の線や印を動かす"], ["H", "色を指定"], ["Delete", "色の指定を消す"],
    ["Ctrl+Z、Ctrl+Y", "元に戻す、やり直す"], ["+ − 0", "拡大、縮小、画面に合わせる"]],
  swatches: { skin1: "明るい肌", skin2: "中間の肌", skin3: "濃い肌", lips: "唇", blond: "金髪", brown: "茶髪", red: "赤毛",
    black: "白・灰色・黒", sky: "空", sea: "海", grass: "草", leaves: "木の葉", wood: "木", brick: "れんが", sand: "砂・わら",
    khaki: "カーキの制服", olive: "オリーブの制服", navy: "紺の制服", crimson: "赤い布", pink: "桃色の布", purple: "紫の布", blue: "青い布", green: "緑の布", yellow: "黄色い布" },
};

export const LANGUAGES = { en: EN, ja: JA };

let language = local.getItem("language") ?? (navigator.language.startsWith("ja") ? "ja" : "en");

/** The text of a word in the current language, with its places filled. */
export function say(word, places = {}) {
  const text = LANGUAGES[language][word];
  return typeof text === "string" ? text.replace(/\{(\w+)\}/g, (place, name) => places[name] ?? place) : text;
}

/** Puts the current language into all elements with data-word (text) or data-label (name for screen readers, and tooltip). */
export function fillWords() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.ariaLabel = say(element.dataset.label);
    if (element.tagName === "BUTTON") element.title = element.ariaLabel;
  }
  document.getElementById("how").replaceChildren(...say("how").map((text) => made("li", text)));
  document.getElementById("keyList").replaceChildren(...say("keyList").flatMap(([keys, does]) => [made("dt", keys), made("dd", does)]));
  const button = document.getElementById("language");
  button.textContent = language === "en" ? "日本語" : "English";
  button.lang = language === "en" ? "ja" : "en";
}

function made(tag, text) {
  return Object.assign(document.createElement(tag), { textContent: text });
}

/** Changes to the other language. */
export function changeLanguage() {
  language = language === "en" ? "ja" : "en";
  local.setItem("language", language);
  fillWords();
}
