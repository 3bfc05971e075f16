// The page: the list of photos, the queue of work, settings, downloads.

import * as server from "./server.js";
import * as store from "./store.js";
import * as viewer from "./viewer.js";
import { changeLanguage, fillWords, say } from "./words.js";

const get = (id) => document.getElementById(id);
const MOST_PHOTOS = 200, PREVIEW_PIXELS = 1280, QUICK_PIXELS = 480, THUMB_PIXELS = 200, MOST_UNDO = 100, SLOW_SECONDS = 8;
const AT_ONCE = Math.min(6, Math.max(3, navigator.hardwareConcurrency ?? 3));
const SUFFIXES = { "image/jpeg": ["jpg", "jpeg", "jpe", "jfif"], "image/png": ["png", "apng"], "image/webp": ["webp"], "image/tiff": ["tif", "tiff"],
  "image/bmp": ["bmp"], "image/gif": ["gif"], "image/avif": ["avif"] };
const PICTURE_NAMES = /\.(heic|heif|hif|tiff?|avif|jp2|j2k|jpf|jpx|pgm|ppm|pbm|pnm|tga|bmp|gif|webp|png|apng|jpe?g?|jfif|mpo)$/i;

const ORDER = new Intl.Collator(undefined, { numeric: true });  // photo 2 before photo 10
const FINAL = new Set([413, 415, 422]);  // asking again does not help
const NOTHING = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";  // one transparent pixel

const photos = [];
let current = null, models = [], model = null, working = 0, remembers = true, packing = null;

// --- photos ---

/**
 * A photo on the page. State: waiting, colouring, done, failed or cancelled. `wanted` counts changes; `shown` is the change whose result is shown, and
 * `quickShown` the one whose quick result is: small, but soon there.
 */
function photoOf({ id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, name, path = "", order = Date.now() + photos.length / 1000, file, vivid = null,
  hints = [], past = [], future = [], width = 0, height = 0 }) {
  return { id, name, path, order, file, vivid, hints, past, future, width, height, state: "waiting", problem: null, before: "", after: "", thumb: "",
    preview: null, quick: null, quickAfter: "", quickShown: 0, refining: false, coloured: false, wanted: 1, shown: 0, live: false, stop: null, gone: false, item: null };
}

const settingsOf = ({ id, name, path, order, vivid, hints, past, future, width, height }) => ({ id, name, path, order, vivid, hints, past, future, width, height });

async function remember(photo, withFile = false) {
  if (!remembers || photo.gone) return;
  try {
    await (withFile ? store.addPhoto(settingsOf(photo), photo.file) : store.saveSettings(settingsOf(photo)));
  } catch {
    notice(say("noSpace", { name: photo.name }));
  }
}

function addFiles(entries) {
  const pictures = entries.filter(({ file }) => (file.type.startsWith("image/") && file.type !== "image/svg+xml") || PICTURE_NAMES.test(file.name));
  const keyOf = ({ file, path }) => [path, file.name, file.size, file.lastModified].join("/"), known = new Set(photos.map(keyOf));
  const good = pictures.filter((entry) => !known.has(keyOf(entry)) && known.add(keyOf(entry)));
  good.sort((a, b) => ORDER.compare(a.path + a.file.name, b.path + b.file.name));
  const room = MOST_PHOTOS - photos.length, bad = entries.length - pictures.length, twice = pictures.filter((entry) => !good.includes(entry));
  if (twice.length) notice(say(twice.length === 1 ? "alreadyOne" : "already", { n: twice.length, name: twice[0].file.name }));
  if (bad) notice(say(bad === 1 ? "skippedOne" : "skipped", { n: bad }));
  if (good.length > room) notice(say("tooMany", { most: MOST_PHOTOS, n: good.length - room }));
  for (const { file, path } of good.slice(0, room)) {
    const photo = photoOf({ name: file.name, path, file });
    insert(photo);
    remember(photo, true);
  }
  if (!current && photos.length) select(photos[0]);
  drawOverall();
  pump();
}

/** Adds a photo to the list, where its `order` says. */
function insert(photo) {
  const later = photos.findIndex(({ order }) => order > photo.order), at = later < 0 ? photos.length : later;
  photos.splice(at, 0, photo);
  const item = document.createElement("li"), open = document.createElement("button"), image = document.createElement("img"), text = document.createElement("span");
  const name = Object.assign(document.createElement("span"), { className: "name", textContent: photo.name, title: photo.path + photo.name }), state = Object.assign(document.createElement("span"), { className: "state" });
  const close = Object.assign(document.createElement("button"), { className: "close", type: "button", textContent: "×" });
  Object.assign(open, { type: "button", className: "open", onclick: () => select(photo) });
  Object.assign(image, { alt: "", loading: "lazy" });
  text.append(name, state);
  open.append(image, text);
  item.append(open, close);
  close.onclick = () => (["waiting", "colouring"].includes(photo.state) ? cancel(photo) : remove(photo));
  photo.item = item;
  get("thumbs").insertBefore(item, get("thumbs").children[at] ?? null);
  drawItem(photo);
}

function drawItem(photo) {
  const { item, state } = photo, [open, close] = item.children, image = open.firstChild, words = open.lastChild.lastChild;
  item.className = state;
  const source = photo.thumb || photo.before;
  if (image.getAttribute("src") !== (source || NOTHING)) image.src = source || NOTHING;
  words.textContent = stateText(photo);
  const isTwice = photos.filter(({ name }) => name === photo.name).length > 1;
  words.previousSibling.textContent = isTwice ? photo.path + photo.name : photo.name;
  open.tabIndex = close.tabIndex = photo === current ? 0 : -1;  // the arrow keys lead to the others
  open.ariaCurrent = photo === current ? "true" : "false";
  close.ariaLabel = close.title = say(["waiting", "colouring"].includes(state) ? "cancel" : "remove", { name: photo.name });
}

function select(photo) {
  current = photo;
  store.ofTab.setItem("photo", photo?.id ?? "");
  viewer.show(photo);
  photos.forEach(drawItem);
  photo?.item.scrollIntoView({ block: "nearest", inline: "nearest" });
  drawView();
  drawOverall();
  pump();
}

function step(by) {
  const next = photos[photos.indexOf(current) + by], inList = get("thumbs").contains(document.activeElement);
  if (!next) return;
  select(next);
  if (inList) next.item.firstChild.focus();
}

function cancel(photo) {
  photo.state = "cancelled";
  photo.stop?.abort();
  drawPhoto(photo);
}

function remove(photo) {
  const at = photos.indexOf(photo), inList = get("thumbs").contains(document.activeElement);
  discard(photo);
  photos.splice(at, 1);
  store.removePhoto(photo.id).catch(() => {});
  if (photo === current) select(photos[Math.min(at, photos.length - 1)] ?? null);
  if (inList) current?.item.firstChild.focus();
  drawOverall();
  notice(say("removed", { name: photo.name }), { kind: "removed", word: "undo", action: () => bringBack([photo]) });
}

function bringBack(removed) {
  const back = removed.map((photo) => photoOf(photo));
  for (const photo of back) {
    insert(photo);
    remember(photo, true);
  }
  select(back[0]);
}

function removeAll() {
  packing?.abort();
  const removed = photos.splice(0);
  removed.forEach(discard);
  store.clear().catch(() => {});
  select(null);
  get("about").close();
  notice(say("removedAll"), { kind: "removed", seconds: 20, word: "undo", action: () => bringBack(removed) });
}

function discard(photo) {
  photo.gone = true;
  photo.stop?.abort();
  photo.item.remove();
  for (const url of [photo.before, photo.after, photo.quickAfter, photo.thumb]) URL.revokeObjectURL(url);
}

// --- work ---

function pump() {
  if (!model) return;
  const waiting = photos.filter((photo) => photo.state === "waiting" && !photo.stop);
  if (waiting.includes(current)) {  // the photo that the user looks at does not wait for others
    waiting.splice(waiting.indexOf(current), 1);
    colour(current);
  }
  while (working < AT_ONCE && waiting.length) colour(waiting.shift());
}

async function colour(photo) {
  const { wanted: version } = photo, of = model, stop = new AbortController();
  Object.assign(photo, { state: "colouring", stop, problem: null });
  working += 1;
  drawPhoto(photo);
  const slow = setTimeout(() => notice(say("slow", { name: photo.name })), 1000 * SLOW_SECONDS);
  try {
    await prepare(photo);
    stop.signal.throwIfAborted();
    if (photo.after) {
      const response = await server.apply(photo.quick.file, optionsOf(photo, photo.quick.size, { format: "jpeg", quality: 80 }), stop.signal);
      await showQuick(photo, await response.blob(), version, of);
    }
    if (photo.wanted !== version) return;
    photo.refining = Boolean(photo.after);
    const { file, size } = photo.preview, query = { format: "jpeg", quality: 88, ...(photo.before ? {} : { width: PREVIEW_PIXELS }) };
    const response = await server.apply(file, optionsOf(photo, size, query), stop.signal);
    await show(photo, await response.blob(), response, version, of);
  } catch (error) {
    if (error.name !== "AbortError" && photo.wanted === version) Object.assign(photo, { state: "failed", problem: error });
  } finally {
    clearTimeout(slow);
    working -= 1;
    photo.stop = null;
    photo.refining = false;
    if (photo.state === "colouring") photo.state = photo.shown === photo.wanted ? "done" : "waiting";
    if (!photo.gone) drawPhoto(photo);
    pump();
  }
}

/** Options for the server. size: of the upright picture that is sent. */
const optionsOf = ({ hints, vivid }, { width, height }, query) =>
  ({ model: model.name, vivid: model.vivid === null ? null : vivid, hints: model.hints && width ? hints : [], width, height, query });

/**
 * Decodes the photo and reduces it to the preview's size. What the browser cannot decode (TIFF, HEIC) goes to the server as it is, and so does
 * what may be cut short: browsers show such files without complaint.
 */
async function prepare(photo) {
  if (photo.preview) return;
  const image = new Image(), url = URL.createObjectURL(photo.file);
  image.src = url;
  try {
    const shown = await hasEnd(photo.file) && await image.decode().then(() => true, () => false);
    if (shown) Object.assign(photo, { width: image.naturalWidth, height: image.naturalHeight });
    await checkSize(photo, shown);
    if (shown) await setPreview(photo, canvasOf(image, PREVIEW_PIXELS));
    else photo.preview = { file: photo.file, size: photo };
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Whether a JPEG, PNG or WebP has its end; true for other files. Throws NotReadableError if the file is gone. */
async function hasEnd(file) {
  const bytesOf = async (start, end) => new Uint8Array(await file.slice(start, end).arrayBuffer()), head = await bytesOf(0, 12);
  const textOf = (bytes) => String.fromCharCode(...bytes), tail = await bytesOf(Math.max(0, file.size - 65_536), file.size);
  if (head[0] === 0xff && head[1] === 0xd8) return tail.some((byte, at) => byte === 0xff && tail[at + 1] === 0xd9);
  if (textOf(head.subarray(1, 4)) === "PNG") return textOf(tail.slice(-4096)).includes("IEND");
  if (textOf(head.subarray(8, 12)) === "WEBP") return new DataView(head.buffer).getUint32(4, true) + 8 <= file.size;
  return true;
}

/** A photo beyond the server's limits. */
class TooLarge extends server.Refused {
  constructor(word, places) {
    super(413, "");
    Object.assign(this, { word, places });
  }
}

async function checkSize({ file, width, height }, shown) {
  const megabytes = file.size / 1e6, megapixels = shown ? width * height / 1e6 : 0;
  if (megabytes < 5 && megapixels < 10) return;
  const { photo_mb: most, photo_megapixels: mostPixels } = await server.limits();
  if (megabytes > most) throw new TooLarge("tooManyMB", { n: megabytes.toFixed(1), most });
  if (megapixels > mostPixels) throw new TooLarge("tooManyMP", { n: megapixels.toFixed(0), most: mostPixels });
}

async function setPreview(photo, canvas) {
  photo.preview = await pictureOf(canvas);
  photo.quick = await pictureOf(canvasOf(canvas, QUICK_PIXELS));
  photo.before = URL.createObjectURL(photo.preview.file);
  remember(photo);
  drawPhoto(photo);
}

const pictureOf = async (canvas) => ({ file: await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 }), size: { width: canvas.width, height: canvas.height } });

function canvasOf(image, most) {
  const width = image.naturalWidth ?? image.width, height = image.naturalHeight ?? image.height, scale = Math.min(1, most / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))), context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";  // behind transparent pixels
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** The luma of a result, which is that of its photo: the original for the slider where the browser cannot decode it. */
function lumaOf(image) {
  const canvas = canvasOf(image, PREVIEW_PIXELS), context = canvas.getContext("2d"), pixels = context.getImageData(0, 0, canvas.width, canvas.height), { data } = pixels;
  for (let at = 0; at < data.length; at += 4) data[at] = data[at + 1] = data[at + 2] = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
  context.putImageData(pixels, 0, 0);
  return canvas;
}

async function decoded(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

/** Shows a small result at once. While the user drags, those on the way to the last one are shown too. */
async function showQuick(photo, blob, version, of) {
  const isStale = () => photo.gone || of !== model || version <= photo.quickShown || (version !== photo.wanted && !photo.live);
  const url = URL.createObjectURL(blob);
  await decoded(url);
  if (isStale()) return URL.revokeObjectURL(url);
  const old = photo.quickAfter;
  Object.assign(photo, { quickAfter: url, quickShown: version });
  drawPhoto(photo);
  URL.revokeObjectURL(old);
  performance.mark("hashigo-shown");
}

/** Shows a result, unless it is stale. */
async function show(photo, blob, response, version, of) {
  const isStale = () => photo.gone || of !== model || version !== photo.wanted;
  if (isStale()) return;
  const url = URL.createObjectURL(blob), image = await decoded(url);
  if (isStale()) return URL.revokeObjectURL(url);
  if (!photo.before) {
    [photo.width, photo.height] = response.headers.get("hashigo-photo-size").split("x").map(Number);
    await setPreview(photo, lumaOf(image));
    if (photo.hints.length) photo.wanted += 1;  // hints need the size, which was unknown
  }
  const old = [photo.after, photo.quickAfter];
  Object.assign(photo, { after: url, quickAfter: "", shown: version, coloured: response.headers.has("hashigo-was-coloured") });
  if (photo === current) viewer.refresh();
  old.forEach((previous) => URL.revokeObjectURL(previous));
  if (version === photo.wanted) setThumb(photo, image, version);
}

async function setThumb(photo, image, version) {
  const url = URL.createObjectURL(await canvasOf(image, THUMB_PIXELS).convertToBlob({ type: "image/jpeg", quality: 0.85 })), old = photo.thumb;
  if (photo.gone || photo.shown !== version) return URL.revokeObjectURL(url);
  photo.thumb = url;
  URL.revokeObjectURL(old);
  drawItem(photo);
}

// --- changes ---

const snapshot = ({ vivid, hints }) => ({ vivid, hints });

/** Before a change by the user: remembers how it was. */
function begin(photo = current) {
  photo.past = [...photo.past, snapshot(photo)].slice(-MOST_UNDO);
  photo.future = [];
  photo.live = true;
}

/** Changes a photo's settings; its result is now stale. */
function change(changes, photo = current) {
  Object.assign(photo, changes);
  photo.wanted += 1;
  if (photo.refining) photo.stop.abort();  // its result would be stale
  if (photo.state !== "colouring") photo.state = "waiting";
  drawPhoto(photo);
  pump();
}

function end(photo = current) {
  photo.live = false;
  remember(photo);
}

/** Undo (from past to future) or redo (the other way). */
function travel(from, to) {
  if (!current?.[from].length) return;
  const state = current[from].at(-1);
  current[to] = [...current[to], snapshot(current)];
  current[from] = current[from].slice(0, -1);
  change(state);
  end();
}

function setModel(name) {
  model = models.find((other) => other.name === name) ?? models[0];
  store.local.setItem("model", model.name);
  get("vividness").hidden = model.vivid === null;
  get("hinting").hidden = !model.hints;
  viewer.setHinting(model.hints);
  for (const photo of photos) {
    for (const url of [photo.after, photo.quickAfter, photo.thumb]) URL.revokeObjectURL(url);
    Object.assign(photo, { after: "", quickAfter: "", thumb: "" });
    if (photo.state !== "cancelled") change({}, photo);
  }
  drawView();
}

// --- drawing ---

function drawPhoto(photo) {
  drawItem(photo);
  if (photo === current) drawView();
  drawOverall();
}

function drawView() {
  document.body.classList.toggle("empty", !photos.length);
  if (!current) return;
  const at = photos.indexOf(current), { state } = current, failed = state === "failed" || state === "cancelled";
  get("name").textContent = current.name;
  get("state").textContent = state === "failed" ? say(state) : stateText(current);
  get("previous").disabled = at <= 0;
  get("next").disabled = at >= photos.length - 1;
  get("undo").disabled = !current.past.length;
  get("redo").disabled = !current.future.length;
  const vivid = current.vivid ?? model?.vivid ?? 0.8;
  get("vivid").value = vivid;
  get("value").textContent = `${Math.round(100 * vivid)}%`;
  get("one").disabled = state === "failed";
  get("message").hidden = !failed;
  if (failed) {
    const [title, detail] = get("message").children;
    title.textContent = state === "failed" ? whyFailed(current) : say("cancelled");
    detail.textContent = state === "failed" ? detailOf(current.problem) : "";
    get("again").hidden = state === "failed" && FINAL.has(current.problem.status) && !needsExtra(current.problem);
  }
  get("busy").hidden = state !== "colouring" && state !== "waiting";
  get("stage").classList.toggle("stale", Boolean(current.after) && current.shown !== current.wanted);
  get("busy").hidden ||= current.quickShown === current.wanted;
  viewer.refresh();
}

function drawOverall() {
  // a new preview of the photo that the user works on is no progress to report
  const stateOf = (photo) => (photo === current && photo.after && ["waiting", "colouring"].includes(photo.state) ? "done" : photo.state);
  const all = photos.length, count = (...states) => photos.filter((photo) => states.includes(stateOf(photo))).length;
  const failed = count("failed"), ended = count("done", "failed"), stopped = count("cancelled"), busy = all - ended - stopped;
  document.body.classList.toggle("empty", !all);
  get("overall").hidden = !all;
  get("bar").max = all || 1;
  get("bar").value = ended;
  get("bar").hidden = !busy;
  get("stop").hidden = !busy;
  get("continue").hidden = !stopped || busy;
  const word = busy ? "count" : stopped ? "countStopped" : failed ? "countFailed" : all === 1 ? "countDoneOne" : "countDone";
  const text = say(word, { n: failed && !busy ? ended - failed : ended, all });
  get("failures").hidden = !failed;
  get("failures").textContent = say("failures", { n: failed });
  if (get("count").textContent !== text) get("count").textContent = text;
  get("all").disabled = failed === all || Boolean(packing);
  document.title = busy ? `${ended}/${all} · hashigo` : "hashigo";
}

const stateText = (photo) => (photo.state === "failed" ? whyFailed(photo) : say(photo.state === "done" && photo.coloured ? "doneColour" : photo.state));

const needsExtra = ({ status, message }) => status === 415 && /pip install/.test(message);

/** What helps beyond `whyFailed`. What the server says of a file's contents does not: it is meant for programmers. */
const detailOf = ({ status, message, word, places }) => (word ? say(word, places) : FINAL.has(status) && status !== 413 ? "" : message);

function whyFailed({ problem }) {
  const { status = -1 } = problem;
  if (status === 415) return say(needsExtra(problem) ? "heic" : "notPhoto");
  return say({ 0: "ofBrowser", "-1": "ofBrowser", 403: "denied", 413: "tooLarge", 422: "broken", 504: "tookLong" }[status] ?? "lost");
}

/** A message for a few seconds, or until it is closed if `sticky`. It takes the place of one of the same kind. */
function notice(text, { kind = text, word = "", action = null, sticky = false, seconds = 8 } = {}) {
  const box = document.createElement("div"), words = Object.assign(document.createElement("span"), { textContent: text });
  const close = () => box.remove();
  box.append(words);
  if (word) box.append(Object.assign(document.createElement("button"), { type: "button", textContent: say(word), onclick: () => { close(); action(); } }));
  box.append(Object.assign(document.createElement("button"), { type: "button", className: "close", textContent: "×", ariaLabel: say("close"), onclick: close }));
  for (const old of get("toasts").children) if (old.dataset.kind === kind) old.remove();
  box.dataset.kind = kind;
  get("toasts").append(box);
  if (sticky) box.className = "sticky";
  else setTimeout(close, 1000 * seconds);
  for (const old of [...get("toasts").querySelectorAll(":scope > :not(.sticky)")].slice(0, -3)) old.remove();
  return { close, write: (next) => { words.textContent = next; } };
}

server.onTrouble((kind, seconds) => {
  get("banner").hidden = !kind;
  if (kind) get("banner").firstElementChild.textContent = say(kind, { n: seconds });
});

// --- downloads ---

/** "folder/stem.color.ext" for a result of the given type. */
function resultName({ name, path }, type) {
  const dot = name.lastIndexOf("."), stem = dot > 0 ? name.slice(0, dot) : name, own = dot > 0 ? name.slice(dot + 1) : "";
  const known = SUFFIXES[type] ?? [];
  return `${path}${stem}.${model.suffix}.${known.includes(own.toLowerCase()) ? own : known[0] ?? own}`;
}

/** The result at full size, from the untouched file. */
async function fullSize(photo, signal) {
  await prepare(photo);
  const response = await server.apply(photo.file, optionsOf(photo, photo, {}), signal), blob = await response.blob();
  const notes = response.headers.get("hashigo-notes");
  return { name: resultName(photo, blob.type), lastModified: new Date(photo.file.lastModified || Date.now()), input: blob, notes: notes && decodeURIComponent(notes) };
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function downloadOne(photo) {
  const wait = notice(say("downloading", { name: photo.name }), { sticky: true });
  try {
    const { name, input, notes } = await fullSize(photo);
    save(input, name.split("/").at(-1));
    notice(notes ? say("notes", { name: photo.name, notes }) : say("saved", { name: name.split("/").at(-1) }));
  } catch (error) {
    notice(say("heldBack", { name: photo.name, why: `${whyFailed({ problem: error })} ${detailOf(error)}` }), { sticky: true });
  } finally {
    wait.close();
  }
}

async function downloadAll() {
  const stop = packing = new AbortController(), wanted = photos.filter(({ state }) => state !== "failed");
  const missing = photos.filter((photo) => !wanted.includes(photo)).map(({ name }) => name), notes = [];
  let packed = 0;
  drawOverall();
  const wait = notice("", { word: "stopPacking", action: () => stop.abort(), sticky: true });

  async function* results() {
    const begun = [], used = new Set();
    for (let at = 0; at < wanted.length; at += 1) {
      while (begun.length < wanted.length && begun.length < at + AT_ONCE) {
        const promise = fullSize(wanted[begun.length], stop.signal);
        promise.catch(() => {});
        begun.push(promise);
      }
      wait.write(say("packing", { n: at + 1, all: wanted.length }));
      try {
        const result = await begun[at];
        begun[at] = null;  // its memory can be freed
        result.name = unused(result.name, used);
        if (result.notes) notes.push(say("notes", { name: wanted[at].name, notes: result.notes }));
        packed += 1;
        yield result;
      } catch (error) {
        stop.signal.throwIfAborted();
        missing.push(wanted[at].name);
      }
    }
  }

  try {
    const target = await fileToSave(), { downloadZip } = await import("./client-zip.js"), { body } = downloadZip(results());
    if (target) await body.pipeTo(await target.createWritable(), { signal: stop.signal });
    else {
      const blob = await new Response(body).blob();
      stop.signal.throwIfAborted();
      if (packed) save(new Blob([blob], { type: "application/zip" }), "hashigo.zip");
    }
    const word = !packed ? "nothingPacked" : packed === 1 ? "packedOne" : "packed", first = missing.slice(0, 3).join(", ");
    const names = missing.length > 3 ? say("andMore", { names: first, n: missing.length - 3 }) : first;
    notice(say(word, { n: packed }) + (missing.length ? ` ${say("leftOut", { names })}` : ""), { kind: "packed", sticky: missing.length > 0 });
    notes.slice(0, 3).forEach((note) => notice(note));
  } catch (error) {
    if (error.name !== "AbortError") notice(say("heldBack", { name: "hashigo.zip", why: error instanceof TypeError ? say("noAnswer") : error.message }), { kind: "packed", seconds: 20 });
  } finally {
    packing = null;
    wait.close();
    drawOverall();
  }
}

/** Where the browser can write a file piece by piece (Chrome, Edge), zips of any size need no memory. */
async function fileToSave() {
  if (!window.showSaveFilePicker) return null;
  return showSaveFilePicker({ suggestedName: "hashigo.zip", types: [{ accept: { "application/zip": [".zip"] } }] });
}

/** A path that every system can unpack: no reserved characters or names, no overlong ones. */
function safe(path) {
  const parts = path.normalize("NFC").split("/").map((part) => part.replace(/[\x00-\x1f\x7f<>:"\\|?*\u202a-\u202e\u2066-\u2069]/g, "_").replace(/^\.+$/, "_"));
  return parts.map((part) => {
    const dot = part.indexOf("."), stem = dot < 0 ? part : part.slice(0, dot), rest = dot < 0 ? "" : part.slice(dot);
    const free = /^(con|prn|aux|nul|com\d|lpt\d)$/i.test(stem) ? `${stem}_` : stem;
    return free.length + rest.length > 180 ? free.slice(0, Math.max(1, 180 - rest.slice(-40).length)) + rest.slice(-40) : free + rest;
  }).join("/");
}

function unused(path, used) {
  const name = safe(path);
  const dot = name.indexOf(".", name.lastIndexOf("/") + 1);
  let free = name;
  for (let number = 2; used.has(free.toLowerCase()); number += 1) free = `${name.slice(0, dot)} (${number})${name.slice(dot)}`;
  used.add(free.toLowerCase());
  return free;
}

// --- files that come in ---

/** All files of what was dropped, folders included, as [{file, path}]. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean), files = [];
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: "" }));
  async function walk(entry, path) {
    if (entry.isFile) files.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
    else {
      const reader = entry.createReader();
      for (let batch; (batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length;) {
        for (const inner of batch.sort((a, b) => a.name.localeCompare(b.name))) if (!inner.name.startsWith(".")) await walk(inner, `${path}${entry.name}/`);
      }
    }
  }
  for (const entry of entries) await walk(entry, "");
  return files;
}

function listenForFiles() {
  for (const button of document.querySelectorAll("[data-choose]")) button.onclick = () => get(button.dataset.choose).click();
  for (const input of [get("files"), get("folder")]) {
    input.onchange = () => {
      addFiles([...input.files].filter((file) => !/(^|\/)\./.test(file.webkitRelativePath || file.name))
        .map((file) => ({ file, path: (file.webkitRelativePath || "").split("/").slice(0, -1).map((part) => `${part}/`).join("") })));
      input.value = "";
    };
  }
  let depth = 0;
  const veil = (shown) => { get("drop").hidden = !shown; };
  addEventListener("dragenter", (event) => { if (event.dataTransfer.types.includes("Files")) veil((depth += 1) > 0); });
  addEventListener("dragleave", (event) => { if (event.dataTransfer.types.includes("Files")) veil((depth = Math.max(0, depth - 1)) > 0); });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    veil((depth = 0));
    addFiles(await filesOf(event.dataTransfer));
  });
  addEventListener("paste", (event) => { if (event.clipboardData.files.length) addFiles([...event.clipboardData.files].map((file) => ({ file, path: "" }))); });
}

// --- controls ---

function listen() {
  const vivid = get("vivid");
  let dragging = false;
  vivid.oninput = () => {
    if (!dragging) begin();
    dragging = true;
    change({ vivid: Number(vivid.value) });
  };
  vivid.onchange = () => {
    dragging = false;
    end();
  };
  get("same").onclick = () => {
    const { vivid: same } = current, others = photos.filter(({ vivid: own }) => own !== same), before = new Map(others.map((photo) => [photo, photo.vivid]));
    const setAll = (vividOf) => {
      for (const photo of others.filter(({ gone }) => !gone)) {
        begin(photo);
        change({ vivid: vividOf(photo) }, photo);
        end(photo);
      }
    };
    setAll(() => same);
    notice(say("sameDone"), { kind: "same", word: "undo", action: () => setAll((photo) => before.get(photo)) });
  };
  get("noHints").onclick = () => {
    begin();
    change({ hints: [] });
    end();
  };
  get("undo").onclick = () => travel("past", "future");
  get("redo").onclick = () => travel("future", "past");
  get("previous").onclick = () => step(-1);
  get("next").onclick = () => step(1);
  get("again").onclick = () => change({});
  get("one").onclick = () => downloadOne(current);
  get("all").onclick = downloadAll;
  get("clear").onclick = get("forget").onclick = removeAll;
  get("stop").onclick = () => photos.filter(({ state }) => state === "waiting" || state === "colouring").forEach(cancel);
  get("continue").onclick = () => photos.filter(({ state }) => state === "cancelled").forEach((photo) => change({}, photo));
  get("failures").onclick = () => {
    const failed = photos.filter(({ state }) => state === "failed");
    select(failed[(failed.indexOf(current) + 1) % failed.length]);
  };
  get("now").onclick = server.tryNow;
  get("model").onchange = (event) => setModel(event.target.value);
  get("help").onclick = async () => {
    get("about").showModal();
    const { photo_mb: mb, photo_megapixels: mp } = await server.limits().catch(() => ({}));
    if (!mb) return;
    get("most").textContent = say("most", { mb, mp });
    get("most").hidden = false;
  };
  get("done").onclick = () => get("about").close();
  get("language").onclick = () => {
    changeLanguage();
    drawAll();
  };
  get("theme").onclick = () => {
    const dark = getComputedStyle(document.documentElement).getPropertyValue("--dark").trim() === "1";
    const isOfSystem = matchMedia("(prefers-color-scheme: dark)").matches !== dark;
    if (isOfSystem) store.local.removeItem("theme");
    else store.local.setItem("theme", dark ? "light" : "dark");
    setTheme();
  };
  addEventListener("keydown", onKey);
}

function onKey(event) {
  if (event.key === "Escape" && viewer.cancel()) return;
  const isCommand = event.ctrlKey || event.metaKey, taken = isCommand ? "input:not([type=range]), dialog" : "input, select, dialog, [role=dialog]";
  if (!current || event.altKey || event.target.closest(taken)) return;
  const list = event.target.closest("#thumbs") ? { ArrowUp: -1, ArrowDown: 1 }[event.key] : 0;
  if (list) step(list);
  else if (isCommand) {
    const redo = event.key === "y" || (event.shiftKey && event.key.toLowerCase() === "z");
    if (!redo && event.key !== "z") return;
    travel(...(redo ? ["future", "past"] : ["past", "future"]));
  } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") step(event.key === "ArrowLeft" ? -1 : 1);
  else if ("+-0".includes(event.key)) viewer.zoomKey(event.key);
  else if (event.key === "h" || event.key === "H") viewer.placeByKeys();
  else return;
  event.preventDefault();
}

function setTheme() {
  const theme = store.local.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

function drawAll() {
  const here = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (matchMedia("(pointer: coarse)").matches) document.querySelector("[data-word=dropHere]").textContent = say("chooseHere");
  get("privacy").textContent = here ? say("local") : say("remote", { host: location.hostname });
  photos.forEach(drawItem);
  drawView();
  drawOverall();
}

/** Tabs share the browser's database, but not what they show. */
function warnOfOtherTabs() {
  const channel = new BroadcastChannel("hashigo"), warn = () => notice(say("inTwoTabs"), { sticky: true });
  channel.onmessage = ({ data }) => {
    warn();
    if (data === "new") channel.postMessage("old");
  };
  channel.postMessage("new");
}

async function start() {
  setTheme();
  fillWords();
  listenForFiles();
  listen();
  viewer.connect({ step, select, begin, change: (hints) => change({ hints }), end });
  drawAll();
  try {
    for (const kept of (await store.open()).sort((a, b) => a.order - b.order)) insert(photoOf(kept));
  } catch {
    remembers = false;
    notice(say("notKept"));
  }
  const last = store.ofTab.getItem("photo");
  if (photos.length) select(photos.find(({ id }) => id === last) ?? photos[0]);
  drawAll();
  warnOfOtherTabs();
  try {
    models = await server.models();
  } catch (error) {
    get("banner").hidden = false;
    get("banner").firstElementChild.textContent = `${whyFailed({ problem: error })} ${error.message}`;
    return;
  }
  get("model").replaceChildren(...models.map(({ name }) => new Option(name, name)));
  get("choosing").hidden = models.length < 2;
  setModel(store.local.getItem("model"));
  get("model").value = model.name;
  pump();
}

start();
