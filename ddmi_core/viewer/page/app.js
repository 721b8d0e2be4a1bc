// The page: sampling controls, gallery of samples, and interpolation of two samples.
import { ask, queue, sample } from "/requests.js";
import { Painter, START } from "/mesh.js";
import { Stage } from "/stage.js";

const $ = (id) => document.getElementById(id);
const thumbnails = queue(2);
const state = { names: [], chosen: 0, ends: {}, pinned: {}, mixing: false };
let about, stage, painter;

function complain(error) {
  $("error").hidden = false;
  $("error").firstElementChild.textContent = error.message;
  clearTimeout(complain.timer);
  complain.timer = setTimeout(() => { $("error").hidden = true; }, 12000);
}
$("error").lastElementChild.onclick = () => { $("error").hidden = true; };

const paints = () => (painter ??= new Painter());

/** Put a picture, an animation or a mesh into an element. */
async function into(element, blob) {
  if (blob.type === "model/gltf-binary") {
    const canvas = document.createElement("canvas"), buffer = await blob.arrayBuffer();
    forget(element);
    const mesh = element.mesh = paints().load(buffer);
    canvas.width = canvas.height = 256;
    const turn = (azimuth) => paints().draw(mesh, { ...START, azimuth }, canvas);
    turn(START.azimuth);
    element.onpointermove = (event) => turn(START.azimuth + (event.offsetX / element.clientWidth - 0.5) * 3);
    element.onpointerleave = () => turn(START.azimuth);
    element.prepend(canvas);
    return;
  }
  const image = document.createElement("img");
  image.alt = "";
  image.src = URL.createObjectURL(blob);
  await image.decode().catch(() => {});
  forget(element);
  element.prepend(image);
}

/** Remove the content of an element and free its memory. */
function forget(element) {
  const old = element.querySelector("canvas, img");
  if (old?.src) URL.revokeObjectURL(old.src);
  if (element.mesh) paints().drop(element.mesh);
  element.mesh = null;
  old?.remove();
}

const wanted = () => ({
  n: $("n").value, seed: $("seed").value.trim() || "0", steps: $("steps").value,
  condition: $("condition")?.value.trim() || null,
  guidance: about.guidance === null ? null : $("guidance").value,
});

/** Write the controls, the selected sample and its view into the address, which then leads back to them. */
function remember() {
  const values = { ...wanted(), sample: state.chosen, ...stage.resolution(), ...stage.place() };
  const kept = Object.entries(values).filter(([, value]) => value !== null && value !== "");
  history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
}

/** Set the controls, the selected sample and its view from the address. */
function recall() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const id of ["seed", "n", "steps", "guidance", "condition"]) {
    if (!given.has(id) || !$(id)) continue;
    $(id).value = given.get(id);
    if ($(id).type === "range") $(id).oninput();
  }
  state.chosen = Math.max(0, Math.floor(+given.get("sample"))) || 0;
  $("size").value = given.get("size") ?? "";
  $("detail").value = given.has("size") ? "other" : given.get("view") ?? 0;
  if ($("detail").selectedIndex < 0) $("detail").value = 0;
  sized();
  stage.go(given);
}

/** Take the size of files, playback and meshes from its two controls. */
function sized() {
  const other = $("detail").value === "other";
  $("size").hidden = !other;
  stage.size = other ? $("size").value.trim() : "";
  stage.detail = other ? 0 : +$("detail").value;
}

async function generate() {
  const began = performance.now();
  $("progress").hidden = false;
  $("gallery").classList.add("old");
  stage.wait();
  try {
    const names = await sample(wanted(), (step, steps) => { $("progress").firstElementChild.style.width = `${(100 * step) / steps}%`; });
    if (!names) return;
    state.names = names;
    const seconds = (performance.now() - began) / 1000;
    $("status").textContent = `${names.length} ${names.length === 1 ? "sample" : "samples"}, ${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
    $("error").hidden = true;
    cards();
    choose(Math.min(state.chosen, names.length - 1));
    ["a", "b"].forEach((letter, number) => { if (!state.pinned[letter]) end(letter, names[Math.min(number, names.length - 1)]); });
  } catch (error) {
    stage.fresh();
    complain(error);
  }
  $("progress").hidden = true;
  $("progress").firstElementChild.style.width = 0;
  $("gallery").classList.remove("old");
}

function cards() {
  thumbnails.clear();
  const gallery = $("gallery");
  for (const old of gallery.children) forget(old);
  gallery.replaceChildren(...state.names.map((name, number) => {
    const card = document.createElement("div");
    Object.assign(card, { className: "card", role: "option", tabIndex: -1, title: `sample ${number}` });
    card.onclick = () => choose(number);
    if (about.plays.startsWith("audio/")) card.append(hearing(name));
    return card;
  }));
  [...gallery.children].forEach((card, number) => thumbnails.add(async () => {
    try {
      const blob = card.isConnected && (await ask("/thumbnail", { a: state.names[number] }));
      if (card.isConnected) await into(card, blob);
    } catch (error) {
      complain(error);
    }
  }));
  marks();
}

const player = new Audio();
function hearing(name) {
  const button = document.createElement("span"); // for the mouse; the player of the selected sample is for the keyboard
  Object.assign(button, { className: "hear", textContent: "▶", title: "Play", ariaHidden: "true" });
  button.onclick = async (event) => {
    event.stopPropagation();
    try {
      const blob = await ask("/play", { a: name }, "hear");
      if (!blob) return;
      URL.revokeObjectURL(player.src);
      player.src = URL.createObjectURL(blob);
      await player.play();
    } catch (error) {
      complain(error);
    }
  };
  return button;
}

function marks() {
  [...$("gallery").children].forEach((card, number) => {
    card.ariaSelected = String(!state.mixing && number === state.chosen);
    card.tabIndex = number === state.chosen ? 0 : -1;
    card.querySelector(".mark")?.remove();
    const letters = ["a", "b"].filter((letter) => state.ends[letter] === state.names[number]).join("").toUpperCase();
    if (!letters) return;
    const mark = document.createElement("span");
    Object.assign(mark, { className: "mark", textContent: letters });
    card.append(mark);
  });
}

function choose(number) {
  state.chosen = number;
  state.mixing = false;
  sway(false);
  $("mix").value = 0;
  $("mix-shown").textContent = "";
  stage.show({ a: state.names[number] }, false, described(`sample ${number}`));
  marks();
  remember();
}

/** What the large picture shows, in words. */
const described = (what) => [what, `seed ${$("seed").value}`, $("condition")?.value.trim()].filter(Boolean).join(", ");

/** Number of the sample that a key leads to from the selected one, or `undefined`. */
function led(key, inside) {
  const count = state.names.length, columns = getComputedStyle($("gallery")).gridTemplateColumns.split(" ").length;
  const by = { ArrowRight: 1, ArrowLeft: -1, ...(inside && { ArrowDown: columns, ArrowUp: -columns }) }[key];
  if (inside && key === "Home") return 0;
  if (inside && key === "End") return count - 1;
  if (by === undefined || !count) return undefined;
  const next = state.chosen + by;
  return Math.abs(by) === 1 ? (next + count) % count : next >= 0 && next < count ? next : undefined;
}

async function end(letter, name) {
  state.ends[letter] = name;
  marks();
  try {
    await into($(`end-${letter}`), await ask("/thumbnail", { a: name }));
  } catch (error) {
    complain(error);
  }
}

function mix(brief) {
  const share = +$("mix").value;
  state.mixing = true;
  $("mix-shown").textContent = `${Math.round(100 * share)} %`;
  const shown = described(`${Math.round(100 * share)} % of the way from A to B`);
  stage.show({ a: state.ends.a, b: state.ends.b, mix: share, through: $("through").value }, brief, shown);
  marks();
}

let swaying = 0;
function sway(on) {
  cancelAnimationFrame(swaying);
  swaying = 0;
  $("sway").textContent = on ? "Stop" : "Animate";
  if (!on) return;
  const begin = performance.now() - 5000 * (Math.acos(1 - 2 * $("mix").value) / Math.PI);
  const step = (now) => {
    $("mix").value = 0.5 - 0.5 * Math.cos((Math.PI * (now - begin)) / 5000);
    mix(true);
    swaying = requestAnimationFrame(step);
  };
  swaying = requestAnimationFrame(step);
}

function condition({ kind, choices }) {
  if (kind === "none") return;
  const chooser = document.createElement(kind === "class" ? "select" : "input");
  chooser.id = "condition";
  if (kind === "class") chooser.append(new Option("any", ""), ...choices.map((name) => new Option(name, name)));
  else {
    Object.assign(chooser, { placeholder: "any; describe what to generate", maxLength: 500, spellcheck: false });
    const list = document.createElement("datalist");
    list.id = "examples";
    list.append(...choices.map((text) => new Option(text)));
    chooser.setAttribute("list", "examples");
    $("condition-place").append(list);
  }
  chooser.onchange = generate;
  $("condition-place").append(chooser);
  $("condition-box").hidden = false;
}

function scale(id, value, format = (x) => x) {
  const input = $(id), shown = $(`${id}-shown`), tell = () => { shown.textContent = format(input.value); };
  input.value = value;
  input.oninput = tell;
  input.onchange = generate;
  tell();
}

function seed(change) {
  const now = /^\d{1,18}$/.test($("seed").value.trim()) ? BigInt($("seed").value.trim()) : 0n;
  $("seed").value = String(now + change < 0n ? 0n : now + change);
  generate();
}

async function start() {
  about = JSON.parse(await (await ask("/about")).text());
  document.title = `${about.title} · ddmi view`;
  $("title").textContent = about.title;
  $("summary").textContent = about.summary;
  const { panel } = about, aspect = Math.max(0.5, Math.min(2.2, panel.aspect));
  document.body.style.setProperty("--aspect", aspect);
  if (aspect > 1.3) document.body.style.setProperty("--card-width", "170px");
  document.body.classList.toggle("line", panel.axes.length === 1);
  document.body.classList.toggle("slid", panel.sliders.length > 0 || about.plays.startsWith("audio/"));
  condition(about.condition);
  $("n").max = about.most;
  $("steps").max = Math.max(64, about.steps);
  scale("n", 16);
  scale("steps", about.steps);
  if (about.guidance !== null) {
    $("guidance-box").hidden = false;
    $("guidance").max = Math.max(10, about.guidance);
    scale("guidance", about.guidance, (x) => (+x).toFixed(1));
  }
  $("seed").onchange = generate;
  $("before").onclick = () => seed(-1n);
  $("after").onclick = () => seed(1n);
  $("controls").onsubmit = (event) => {
    event.preventDefault();
    $("seed").value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
    generate();
  };
  $("detail").append(new Option("native", 0), ...about.views.map((label, number) => new Option(label, number + 1)), new Option("other ...", "other"));
  const limit = `any, up to ${about.largest}`;
  Object.assign($("size"), { placeholder: limit, title: `As --size of ddmi sample: ${limit} cells along an axis` });
  $("detail").onchange = $("size").onchange = () => {
    sized();
    if ($("detail").value === "other" && !stage.size) return $("size").focus();
    stage.show(stage.what, false, stage.words);
    remember();
  };
  $("save").append(...about.files.map((suffix) => new Option(suffix.slice(1), suffix)));
  $("save").onchange = async () => {
    const suffix = $("save").value;
    $("save").value = "";
    try {
      const blob = await (suffix === "view" ? stage.snapshot() : ask("/file", { ...stage.what, ...stage.resolution(), suffix }, "file"));
      if (!blob) return;
      const link = document.createElement("a"), number = state.mixing ? "mixture" : state.chosen;
      const ending = suffix === "view" ? "-shown.png" : suffix;
      Object.assign(link, { href: URL.createObjectURL(blob), download: `${about.domain}-${$("seed").value}-${number}${ending}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    } catch (error) {
      complain(error);
    }
  };
  for (const letter of ["a", "b"]) {
    $(`end-${letter}`).dataset.name = letter.toUpperCase();
    $(`end-${letter}`).ariaLabel = `use the selected sample as ${letter.toUpperCase()}`;
    $(`end-${letter}`).onclick = () => { state.pinned[letter] = true; end(letter, state.names[state.chosen]); };
  }
  $("mix").oninput = () => { sway(false); mix(true); };
  $("mix").onchange = () => mix(false);
  $("through").onchange = () => mix(false);
  $("sway").onclick = () => sway(!swaying);
  document.addEventListener("keydown", (event) => {
    const inside = $("gallery").contains(event.target);
    if (event.defaultPrevented || /INPUT|SELECT|AUDIO/.test(event.target.tagName)) return;
    const number = led(event.key, inside) ?? (inside && /^( |Enter)$/.test(event.key) ? state.chosen : undefined);
    if (number === undefined) return;
    event.preventDefault();
    choose(number);
    if (inside) $("gallery").children[number].focus();
  });
  stage = new Stage(panel, about.plays, paints, complain, remember);
  recall();
  addEventListener("hashchange", () => { recall(); generate(); });
  await generate();
}

start().catch(complain);
