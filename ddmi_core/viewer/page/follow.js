// A run that is not finished: its state, asked for every few seconds, until there is a model to show.
import { ask } from "./requests.js";

const SECONDS = 3;
const at = (id) => document.getElementById(id);
const places = new Map();
let wrong = "";

/** Change a text only if it differs, so that screen readers do not repeat it. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function place(stage) {
  if (!places.has(stage.name)) {
    const section = document.querySelector("template").content.firstElementChild.cloneNode(true);
    section.setAttribute("aria-label", stage.title);
    section.querySelector("progress").setAttribute("aria-label", `progress of the ${stage.name}`);
    at("stages").append(section);
    places.set(stage.name, { section, preview: 0, curve: "" });
  }
  return places.get(stage.name);
}

async function show(stage) {
  const own = place(stage);
  const find = (name) => own.section.querySelector(name);
  say(find("h2"), stage.title);
  find("progress").value = stage.share;
  say(find(".count"), stage.done ? "done" : stage.step ? `${stage.step} of ${stage.steps} steps` : "not begun");
  if (stage.curve !== own.curve) {
    own.curve = stage.curve;
    find(".curve").innerHTML = stage.curve;
    find(".curve").hidden = !stage.curve;
  }
  if (!stage.preview || stage.preview === own.preview) return;
  const image = find("img"), before = image.src;
  const picture = await ask("/preview", { stage: stage.name, step: stage.preview }).catch(() => null);
  if (!picture) return; // removed meanwhile; the next state names another one
  own.preview = stage.preview;
  image.src = URL.createObjectURL(picture);
  image.alt = stage.alt;
  say(find("figcaption"), stage.alt);
  find(".preview").hidden = false;
  if (before) URL.revokeObjectURL(before);
}

async function look() {
  const state = JSON.parse(await (await ask("/state")).text());
  document.title = `${state.title}: ${state.state}`;
  say(at("title"), state.title);
  say(at("plugin"), state.plugin);
  say(at("sentence"), state.sentence);
  say(at("facts"), state.facts);
  at("resume").hidden = !state.command;
  say(at("resume").querySelector("pre"), state.command);
  if (state.state === "finished") {
    location.reload();
    return false;
  }
  await Promise.all(state.stages.map(show));
  return true;
}

async function follow() {
  let on = true;
  try {
    if (!document.hidden) on = await look();
    wrong = "";
  } catch (error) {
    wrong = error.message;
  }
  say(at("error").firstElementChild, wrong);
  at("error").hidden = !wrong;
  if (on) setTimeout(follow, 1000 * SECONDS);
}

document.addEventListener("visibilitychange", () => document.hidden || look().catch(() => {}));
follow();
