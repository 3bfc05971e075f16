// The large view of one photo: comparing, zooming, and colour hints. It changes nothing itself; `on` tells the page what the user wants.

import { say } from "./words.js";

const get = (id) => document.getElementById(id);
const stage = get("stage"), picture = get("picture"), handle = get("handle"), layer = get("hints"), colours = get("colours"), tip = get("tip");
const panes = [...picture.querySelectorAll(".pane")];  // of the original and of the result, which lies above it
const MOST_ZOOM = 8, TAP_PIXELS = 8, SWIPE_PIXELS = 60, GAP = 12, LEAST_SEEN = 20;

export const SWATCHES = {
  skin1: "#e3b18f", skin2: "#c38a62", skin3: "#80533a", lips: "#b8625c", blond: "#c8a564", brown: "#6b4526", red: "#9a4d28", black: "#777777",
  sky: "#86b4dc", sea: "#3c7290", grass: "#739140", leaves: "#4c6e33", wood: "#93623a", brick: "#a8533c", sand: "#c9b184",
  khaki: "#978659", olive: "#666842", navy: "#2d3f68", crimson: "#a92f31", pink: "#d98ea0", purple: "#7d5a9a", blue: "#3762ab", green: "#3f7a52", yellow: "#d9b336",
};

let photo = null, zoom = 1, panX = 0, panY = 0, split = 50, mode = "slide", spot = null, picking = null, takesHints = true;
let on;

/** Connects the view: on.step(±1) and on.select(photo) show another photo; on.begin(), on.change(hints), on.end() change the hints. */
export function connect(handlers) {
  on = handlers;
  new ResizeObserver(layout).observe(stage);
  listen();
}

/** Shows a photo, or null for none. The zoom starts anew. */
export function show(next) {
  if (next !== photo && !picking) closeColours();
  if (next !== photo) [zoom, panX, panY, split, spot] = [1, 0, 0, 50, null];
  photo = next;
  refresh();
}

/** Whether the model takes hints. */
export function setHinting(takes) {
  takesHints = takes;
  if (!takes) closeColours();
  refresh();
}

/** Draws the photo's present state. */
export function refresh() {
  if (!photo) return;
  set(get("before"), photo.before);
  set(get("after"), photo.after);
  // until the sharp result comes: the colours of a small one over the original's luma (the blend mode "color" keeps nearly the same luma)
  get("quick").hidden = !photo.quickAfter;
  set(get("quickLuma"), photo.quickAfter && photo.before);
  set(get("quickColour"), photo.quickAfter);
  get("before").alt = `${say("before")}: ${photo.name}`;
  get("after").alt = `${say("after")}: ${photo.name}`;
  picture.classList.toggle("plain", !photo.after);
  picture.hidden = !photo.before;
  drawHints();
  layout();
}

function set(image, url) {
  if (url) {
    if (image.getAttribute("src") !== url) image.src = url;
  } else image.removeAttribute("src");
  image.hidden = !url;
}

// --- size and position ---

/** The room of each picture, and the scale at which the whole photo fits in it. */
function fit() {
  const { width, height } = stage.getBoundingClientRect(), w = photo.width || 4, h = photo.height || 3;
  const within = (wide, high) => ({ wide, high, scale: Math.min(wide / w, high / h), stacked: false });
  if (mode === "slide" || !photo.after) return within(width, height);
  const across = within((width - GAP) / 2, height), down = { ...within(width, (height - GAP) / 2), stacked: true };
  return down.scale > across.scale ? down : across;
}

/** A pane is what is visible of a picture; its sheet is the whole picture, enlarged and moved. Both pictures show the same part. */
function layout() {
  if (!photo) return;
  const { wide, high, scale, stacked } = fit(), w = (photo.width || 4) * scale * zoom, h = (photo.height || 3) * scale * zoom;
  picture.classList.toggle("side", mode === "side" && Boolean(photo.after));
  picture.classList.toggle("stacked", stacked);
  const mostX = Math.max(0, (w - wide) / 2), mostY = Math.max(0, (h - high) / 2);
  panX = Math.min(mostX, Math.max(-mostX, panX));
  panY = Math.min(mostY, Math.max(-mostY, panY));
  const lengths = { "--w": w, "--h": h, "--wide": Math.min(w, wide), "--high": Math.min(h, high), "--x": panX, "--y": panY };
  for (const [name, length] of Object.entries(lengths)) picture.style.setProperty(name, `${length}px`);
  picture.style.setProperty("--split", `${split}%`);
  panes[0].classList.toggle("unseen", mode === "slide" && split < LEAST_SEEN);
  panes[1].classList.toggle("unseen", mode === "slide" && split > 100 - LEAST_SEEN);
  stage.classList.toggle("zoomed", zoom > 1);
  get("zoom").textContent = zoom === 1 ? say("whole") : `${Math.round(100 * zoom)}%`;
  get("smaller").disabled = zoom <= 1;
  get("larger").disabled = zoom >= MOST_ZOOM;
  get("slide").ariaPressed = mode === "slide";
  get("side").ariaPressed = mode === "side";
  handle.ariaValueNow = Math.round(split);
  handle.ariaValueText = say("splitValue", { n: Math.round(split) });
  if (!colours.hidden) placeColours();
}

function zoomTo(wanted, clientX, clientY) {
  const box = (paneAt(clientX, clientY) ?? panes[1]).getBoundingClientRect(), next = Math.min(MOST_ZOOM, Math.max(1, wanted));
  const x = (clientX ?? box.x + box.width / 2) - box.x - box.width / 2, y = (clientY ?? box.y + box.height / 2) - box.y - box.height / 2;
  [panX, panY] = [x - (x - panX) * next / zoom, y - (y - panY) * next / zoom];
  zoom = next;
  layout();
}

const isIn = (box, x, y) => x >= box.x && x < box.right && y >= box.y && y < box.bottom;

/** The pane under a point of the screen; the upper one where they overlap. */
const paneAt = (clientX, clientY) => panes.findLast((pane) => isIn(pane.getBoundingClientRect(), clientX, clientY));

function moveSplit(percent) {
  split = Math.min(100, Math.max(0, percent));
  layout();
}

/** The position of a point of the screen in the photo, 0..1, and which of the two pictures it shows; null if it is outside. */
function positionOf(clientX, clientY) {
  const pane = paneAt(clientX, clientY);
  if (!pane) return null;
  const box = pane.querySelector(".sheet").getBoundingClientRect(), { x: left, width } = pane.getBoundingClientRect();
  const original = pane === panes[0] || !photo.after || (mode === "slide" && 100 * (clientX - left) < split * width);
  return { x: (clientX - box.x) / box.width, y: (clientY - box.y) / box.height, image: get(original ? "before" : "after") };
}

// --- pointers ---

const pointers = new Map();
let start = null, tapped = null;

function listen() {
  stage.addEventListener("pointerdown", (event) => {
    if (event.button || !photo || event.target.closest("#message, #tip, .hint")) return;
    pointers.set(event.pointerId, event);
    tapped = null;
    stage.setPointerCapture(event.pointerId);
    if (pointers.size === 1) start = { x: event.clientX, y: event.clientY, panX, panY, split: event.target === handle, moved: false, time: event.timeStamp };
    else if (pointers.size === 2) start = { pinch: distance(), zoom, moved: true };
  });
  stage.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId) || !start) return;
    pointers.set(event.pointerId, event);
    if (start.pinch) {
      const [a, b] = [...pointers.values()];
      zoomTo(start.zoom * distance() / start.pinch, (a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2);
      return;
    }
    const dx = event.clientX - start.x, dy = event.clientY - start.y;
    start.moved ||= Math.hypot(dx, dy) > TAP_PIXELS;
    if (!start.moved) return;
    if (start.split || (event.pointerType === "mouse" && zoom === 1 && mode === "slide")) {
      const box = picture.getBoundingClientRect();
      moveSplit(100 * (event.clientX - box.x) / box.width);
    } else if (zoom > 1) {
      [panX, panY] = [start.panX + dx, start.panY + dy];
      layout();
    }
  });
  const end = (event) => {
    if (!pointers.delete(event.pointerId) || !start) return;
    const { moved, x, y, pinch, split: dragged } = start, dx = event.clientX - x, dy = event.clientY - y;
    if (!pointers.size) start = null;
    if (event.type === "pointercancel" || pinch || (dragged && (moved || isOnKnob(event)))) return;
    if (!moved) tapped = { x: event.clientX, y: event.clientY };
    else if (zoom === 1 && event.pointerType !== "mouse" && Math.abs(dx) > SWIPE_PIXELS && Math.abs(dx) > 2 * Math.abs(dy)) on.step(dx < 0 ? 1 : -1);
  };
  stage.addEventListener("pointerup", end);
  stage.addEventListener("pointercancel", end);
  stage.addEventListener("click", () => {  // not earlier: the click of a finger goes to whatever lies under it by then
    const at = tapped;
    tapped = null;
    if (at) tap(at.x, at.y);
  });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomTo(zoom * Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
  }, { passive: false });
  handle.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: split - 5, ArrowRight: split + 5, ArrowDown: split - 5, ArrowUp: split + 5, PageDown: split - 20, PageUp: split + 20, Home: 0, End: 100 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    moveSplit(to);
  });
  get("smaller").onclick = () => zoomTo(zoom / 1.5);
  get("larger").onclick = () => zoomTo(zoom * 1.5);
  get("fit").onclick = () => zoomTo(1);
  get("slide").onclick = () => setMode("slide");
  get("side").onclick = () => setMode("side");
  get("add").onclick = placeByKeys;
  get("free").oninput = (event) => choose(event.target.value, true);
  get("free").onchange = (event) => choose(event.target.value);
  get("pipette").onclick = startPicking;
  get("delete").onclick = () => remove(spot.index);
  get("close").onclick = get("untip").onclick = () => closeColours(true);
  addEventListener("pointerdown", (event) => {
    if (!colours.hidden && !event.target.closest("#colours, #stage")) closeColours();
  });
  colours.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeColours(true);
    event.stopPropagation();
  });
}

/** Whether a point is on the round part of the handle. The rest of it is thin, and taps there are meant for the photo. */
function isOnKnob({ clientX, clientY }) {
  const box = handle.getBoundingClientRect();
  return Math.hypot(clientX - box.x - box.width / 2, clientY - box.y - box.height / 2) < 24;
}

function distance() {
  const [a, b] = [...pointers.values()];
  return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
}

function setMode(next) {
  mode = next;
  zoomTo(1);
}

/** Zoom keys of the page: "+", "-" and "0". */
export function zoomKey(key) {
  zoomTo({ "+": zoom * 1.5, "-": zoom / 1.5, 0: 1 }[key]);
}

function tap(clientX, clientY) {
  const position = positionOf(clientX, clientY);
  if (picking) {
    if (position) pick(position);
  } else if (spot && (spot.index !== null || !position)) closeColours();
  else if (position && photo.after && takesHints) openColours({ x: position.x, y: position.y, index: null });
}

// --- hints ---

/** The hints' buttons stay while hints change, so that a finger that drags one keeps it. */
function drawHints() {
  const wanted = takesHints ? photo.hints : [], open = spot && spot.index === null && !picking;
  const buttons = [...layer.querySelectorAll(".hint:not(.ghost)")];
  for (const button of buttons.splice(wanted.length)) button.remove();
  while (buttons.length < wanted.length) {
    buttons.push(hintButton(buttons.length));
    layer.append(buttons.at(-1));
  }
  wanted.forEach((hint, index) => {
    place(buttons[index], hint.x, hint.y);
    buttons[index].style.background = hint.colour;
    buttons[index].ariaLabel = say("hint", { n: index + 1, colour: nameOf(hint.colour) });
  });
  if (!open) layer.querySelector(".ghost")?.remove();
  else if (!layer.querySelector(".ghost")) layer.append(ghost());
  else place(layer.querySelector(".ghost"), spot.x, spot.y);
  get("noHints").disabled = !photo.hints.length;
  get("add").disabled = !photo.after;
}

function mark(key) {
  const button = Object.assign(document.createElement("button"), { className: "hint", type: "button" });
  button.dataset.hint = key;
  return button;
}

function place(button, x, y) {
  button.style.left = `${100 * x}%`;
  button.style.top = `${100 * y}%`;
}

function hintButton(index) {
  const button = mark(index), hint = () => photo.hints[index], open = () => openColours({ x: hint().x, y: hint().y, index });
  const moveTo = (x, y) => on.change(photo.hints.map((other, at) => (at === index ? { ...other, x: within(x), y: within(y) } : other)));
  let from = null, dragged = false;
  button.onpointerdown = (event) => {
    if (event.button || picking) return;
    event.preventDefault();
    button.focus({ preventScroll: true });
    button.setPointerCapture(event.pointerId);
    from = { x: event.clientX, y: event.clientY, moved: false };
  };
  button.onpointermove = (event) => {
    if (!from || (!from.moved && Math.hypot(event.clientX - from.x, event.clientY - from.y) < TAP_PIXELS)) return;
    if (!from.moved) {
      closeColours();
      on.begin();
    }
    from.moved = true;
    const box = layer.getBoundingClientRect();
    moveTo((event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height);
  };
  button.onpointerup = button.onpointercancel = () => {
    dragged = Boolean(from?.moved);
    if (dragged) on.end();
    from = null;
  };
  button.onclick = (event) => { if (!event.detail || !dragged) open(); };  // Enter and Space have no detail
  button.onkeydown = (event) => {
    const way = directionOf(event);
    if (way) {
      on.begin();
      moveTo(hint().x + way.x, hint().y + way.y);
      on.end();
    } else if (event.key === "Delete" || event.key === "Backspace") remove(index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return button;
}

/** The mark of a spot whose colour has not been chosen yet. */
function ghost() {
  const button = mark("new");
  place(button, spot.x, spot.y);
  button.classList.add("ghost");
  button.ariaLabel = say("addHint");
  button.onclick = () => openColours(spot);
  button.onkeydown = (event) => {
    const way = directionOf(event);
    if (way) {
      [spot.x, spot.y] = [within(spot.x + way.x), within(spot.y + way.y)];
      place(button, spot.x, spot.y);
    } else if (event.key === "Escape") closeColours(true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return button;
}

function directionOf({ key, shiftKey }) {
  const step = shiftKey ? 0.05 : 0.01;
  return { ArrowLeft: { x: -step, y: 0 }, ArrowRight: { x: step, y: 0 }, ArrowUp: { x: 0, y: -step }, ArrowDown: { x: 0, y: step } }[key];
}

const within = (share) => Math.min(0.9999, Math.max(0, share));

function nameOf(colour) {
  const key = Object.keys(SWATCHES).find((name) => SWATCHES[name] === colour);
  return key ? say("swatches")[key] : colour;
}

/** Puts a mark into the middle of what is visible in colour, to be moved with the arrow keys; a tap puts it elsewhere. */
export function placeByKeys() {
  if (!photo?.after || !takesHints) return;
  const box = panes[1].getBoundingClientRect(), share = mode === "side" || split > 85 ? 0.5 : (1 + split / 100) / 2;
  const middle = positionOf(box.x + share * box.width, box.y + box.height / 2) ?? { x: 0.5, y: 0.5 };
  closeColours();
  spot = { x: middle.x, y: middle.y, index: null };
  drawHints();
  layer.querySelector(".ghost").focus({ preventScroll: true });
  showTip("placeTip");
}

function showTip(word) {
  tip.hidden = !word;
  tip.firstChild.textContent = word ? say(word) : "";
}

function openColours(at) {
  spot = at;
  showTip("");
  drawHints();
  const current = at.index === null ? null : photo.hints[at.index].colour;
  get("swatches").replaceChildren(...Object.entries(SWATCHES).map(([name, colour]) => {
    const button = Object.assign(document.createElement("button"), { type: "button", title: say("swatches")[name], ariaLabel: say("swatches")[name] });
    button.style.background = colour;
    button.ariaPressed = colour === current;
    button.onclick = () => choose(colour);
    return button;
  }));
  get("delete").hidden = at.index === null;
  if (current) get("free").value = current;
  colours.hidden = false;
  placeColours();
  (get("swatches").querySelector("[aria-pressed=true]") ?? get("swatches").firstChild).focus({ preventScroll: true });
}

/** Beside the spot, so that it stays visible; narrow windows have it at the bottom (page.css). */
function placeColours() {
  const mark = layer.querySelector(`[data-hint="${spot?.index ?? "new"}"]`);
  if (!mark) return;
  const at = mark.getBoundingClientRect(), width = colours.offsetWidth, height = colours.offsetHeight;
  const right = at.right + 12 + width < innerWidth;
  if (colours.offsetWidth >= innerWidth && at.bottom > innerHeight - height - 12) scrollBy(0, at.bottom - innerHeight + height + 12);  // at the bottom of a phone
  colours.style.left = `${Math.max(8, right ? at.right + 12 : at.left - 12 - width)}px`;
  colours.style.top = `${Math.max(8, Math.min(innerHeight - height - 8, at.top + at.height / 2 - height / 2))}px`;
}

function closeColours(refocus = false) {
  const index = spot?.index, owner = picking?.photo;
  if (spot?.live) on.end();
  spot = null;
  picking = null;
  colours.hidden = true;
  showTip("");
  document.body.classList.remove("picking");
  if (!photo) return;
  if (refocus && owner && owner !== photo) on.select(owner);  // the pipette was put away in another photo
  drawHints();
  if (refocus) (layer.querySelector(`[data-hint="${index}"]`) ?? get("add")).focus({ preventScroll: true });
}

/** Gives the spot a colour. live: more changes will follow. */
function choose(colour, live = false) {
  if (!spot) return;
  const { x, y } = spot;
  if (!spot.live) on.begin();
  spot.live = true;
  const hints = [...photo.hints];
  if (spot.index === null) spot.index = hints.push({ x, y, colour }) - 1;
  else hints[spot.index] = { ...hints[spot.index], colour };
  on.change(hints);
  showSpot(x);
  if (!live) closeColours(true);
}

/** Moves the boundary if it hides the effect of a hint. */
function showSpot(x) {
  const pane = panes[1].getBoundingClientRect(), box = panes[1].querySelector(".sheet").getBoundingClientRect();
  const at = 100 * (box.x + x * box.width - pane.x) / pane.width;
  if (mode === "slide" && at < split + 4) moveSplit(at - 12);
}

function remove(index) {
  on.begin();
  on.change(photo.hints.filter((_, at) => at !== index));
  on.end();
  closeColours();
  get("add").focus({ preventScroll: true });
}

// --- pipette ---

function startPicking() {
  picking = { photo, spot };
  colours.hidden = true;
  drawHints();
  showTip("pipetteTip");
  document.body.classList.add("picking");
  handle.focus({ preventScroll: true });
}

/** Escape: ends what has begun. Returns whether there was something. */
export function cancel() {
  const busy = Boolean(picking || spot);
  if (busy) closeColours(true);
  return busy;
}

function pick({ x, y, image }) {
  const { photo: owner, spot: target } = picking, colour = colourAt(image, x, y);
  picking = null;
  document.body.classList.remove("picking");
  if (owner !== photo) on.select(owner);
  spot = target;
  choose(colour);
}

/** The mean colour around a point of a picture. */
function colourAt(image, x, y) {
  const size = 5, canvas = new OffscreenCanvas(size, size), context = canvas.getContext("2d");
  const left = Math.round(x * image.naturalWidth - size / 2), top = Math.round(y * image.naturalHeight - size / 2);
  context.drawImage(image, Math.max(0, Math.min(image.naturalWidth - size, left)), Math.max(0, Math.min(image.naturalHeight - size, top)), size, size, 0, 0, size, size);
  const values = context.getImageData(0, 0, size, size).data, sums = [0, 0, 0];
  values.forEach((value, at) => { if (at % 4 < 3) sums[at % 4] += value; });
  return `#${sums.map((sum) => Math.round(sum / size / size).toString(16).padStart(2, "0")).join("")}`;
}
