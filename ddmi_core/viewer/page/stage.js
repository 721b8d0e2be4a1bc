// The large view of the selected sample, with the gestures of the domain's panel: zoom, turn, orbit and play.
import { ask } from "/requests.js";
import { START } from "/mesh.js";

const NARROWEST = 2e-5; // smallest half width of the visible part, in coordinates: limit of single precision
const MOST_PIXELS = 1024;
const SETTLED = 140; // milliseconds without movement that count as rest
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const $ = (id) => document.getElementById(id);

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

/** A visible part inside [-1, 1], no narrower than single precision allows. */
function kept({ x, y, half }) {
  const width = clamp(half, NARROWEST, 1);
  return { x: clamp(x, width - 1, 1 - width), y: clamp(y, width - 1, 1 - width), half: width };
}

export class Stage {
  constructor(panel, plays, painter, complain, placed) {
    Object.assign(this, { panel, plays, painter, complain, placed });
    this.box = $("stage"); this.canvas = $("canvas"); this.clip = $("clip"); this.still = $("still"); this.sound = $("sound");
    this.box.classList.add(panel.gesture);
    this.camera = { ...START };
    this.area = { x: 0, y: 0, half: 1 };
    this.at = panel.sliders.map(() => 0);
    this.what = null; this.words = ""; this.detail = 0; this.size = ""; this.busy = false; this.waiting = false; this.mesh = null; this.whole = null; this.last = null;
    this.sliders();
    this.gestures();
    this.movie = plays.startsWith("video/") && panel.gesture === "zoom";
    $("play").hidden = !this.movie;
    $("play").onclick = () => (this.clip.hidden ? this.play() : this.halt());
    $("reset").hidden = panel.gesture === "none";
    $("reset").onclick = () => this.reset();
    new ResizeObserver(() => { this.draw(); this.refresh(true); }).observe(this.box);
  }

  /** Show a sample or a mixture: `values` are request parameters, `brief` is set while they change, `words` tell it. */
  show(values, brief = false, words = "") {
    const playing = !this.clip.hidden;
    this.what = values; this.whole = null; this.words = words;
    this.box.ariaLabel = this.canvas.ariaLabel = this.still.alt = this.clip.ariaLabel = words;
    if (!brief) this.wait();
    if (brief) this.halt();
    this.refresh(!brief);
    if (this.plays.startsWith("audio/") && !brief) this.listen();
    if (this.movie && !brief && (playing || !this.shown) && !calm.matches) this.play();
    this.shown = true;
  }

  /** Mark the picture as that of an earlier sample, until `fresh`. */
  wait() {
    this.box.classList.add("old");
    this.box.ariaBusy = "true";
  }

  fresh() {
    this.box.classList.remove("old");
    this.box.ariaBusy = "false";
  }

  /** Request parameters of the size of files, playback and meshes. */
  resolution() {
    return this.size ? { size: this.size } : { view: this.detail };
  }

  /** The visible part, the camera and the sliders, as texts for the address. */
  place() {
    const numbers = (values) => values.map((value) => +value.toPrecision(6)).join(",");
    const { area: { x, y, half }, camera: { azimuth, elevation, distance }, panel } = this, found = {};
    if (panel.gesture === "zoom" && half < 1) found.area = numbers([x, y, half]);
    if (["turn", "orbit"].includes(panel.gesture)) found.camera = numbers([azimuth, elevation, distance]);
    if (this.at.some((place) => place)) found.at = numbers(this.at);
    return found;
  }

  /** Take the visible part, the camera and the sliders from the parameters of an address. */
  go(given) {
    const numbers = (name, count) => {
      const found = (given.get(name) ?? "").split(",").map(Number);
      return given.has(name) && found.length === count && found.every(Number.isFinite) ? found : null;
    };
    const [x, y, half] = numbers("area", 3) ?? [0, 0, 1];
    const [azimuth, elevation, distance] = numbers("camera", 3) ?? [START.azimuth, START.elevation, START.distance];
    this.area = kept({ x, y, half });
    this.camera = { azimuth: azimuth % (2 * Math.PI), elevation: clamp(elevation, -1.5, 1.5), distance: clamp(distance, 0.25, 4) };
    (numbers("at", this.at.length) ?? this.at.map(() => 0)).forEach((place, number) => {
      this.at[number] = this.scales[number].input.value = clamp(place, -1, 1);
      this.scales[number].tell();
    });
  }

  /** A PNG of what is shown. */
  snapshot() {
    const { still, clip, canvas } = this, shown = clip.hidden ? (still.hidden ? canvas : still) : clip;
    const copy = document.createElement("canvas");
    copy.width = shown.videoWidth || shown.naturalWidth || shown.width;
    copy.height = shown.videoHeight || shown.naturalHeight || shown.height;
    copy.getContext("2d").drawImage(shown, 0, 0);
    return new Promise((done) => copy.toBlob(done));
  }

  reset() {
    this.area = { x: 0, y: 0, half: 1 };
    this.camera = { ...START };
    this.halt();
    this.moved();
  }

  moved() {
    this.draw();
    this.refresh(false);
    clearTimeout(this.settle);
    this.settle = setTimeout(() => { this.refresh(true); this.placed(); }, SETTLED);
  }

  parameters(rest) {
    const box = this.box.getBoundingClientRect(), density = (rest ? devicePixelRatio : 0.5);
    const shrink = Math.min(1, MOST_PIXELS / (density * Math.max(box.width, box.height)));
    const values = { ...this.what, ...this.resolution(), rest: rest ? 1 : 0,
      rows: Math.max(1, Math.round(box.height * density * shrink)), columns: Math.max(1, Math.round(box.width * density * shrink)) };
    if (this.panel.gesture === "zoom") {
      values.bounds = this.bounds().flat().map((end) => end.toPrecision(9)).join(",");
      if (this.at.length) values.at = this.at.join(",");
    }
    if (this.panel.gesture === "orbit") Object.assign(values, this.camera);
    return values;
  }

  bounds() {
    const { x, y, half } = this.area, part = (middle) => [Math.max(-1, middle - half), Math.min(1, middle + half)];
    return this.panel.axes.length === 1 ? [part(x)] : [part(y), part(x)];
  }

  // One request at a time; later changes are requested after its response. Movement does not wait for the fine
  // picture of an earlier rest.
  async refresh(rest) {
    if (!this.what) return;
    if (this.busy && (rest || !this.resting)) { this.waiting = true; this.rest = rest; return; }
    const turn = (this.turn = (this.turn ?? 0) + 1), bounds = this.bounds(), { what } = this;
    this.busy = true;
    this.resting = rest;
    try {
      const blob = await ask("/show", this.parameters(rest), "stage");
      if (blob && turn === this.turn) {
        await this.take(blob, bounds);
        if (what === this.what) this.fresh();
      }
    } catch (error) {
      this.box.ariaBusy = "false";
      this.complain(error);
    }
    if (turn !== this.turn) return;
    this.busy = false;
    if (this.waiting) { this.waiting = false; this.refresh(this.rest); }
  }

  async take(blob, bounds) {
    if (blob.type === "model/gltf-binary") {
      if (this.mesh) this.painter().drop(this.mesh);
      this.mesh = this.painter().load(await blob.arrayBuffer());
    } else if (this.panel.gesture === "none") {
      URL.revokeObjectURL(this.still.src);
      this.still.src = URL.createObjectURL(blob);
      this.still.hidden = false;
    } else {
      const picture = await createImageBitmap(blob);
      this.last = { picture, bounds };
      if (bounds.every(([low, high]) => high - low === 2)) this.whole = this.last;
    }
    this.draw();
  }

  draw() {
    const { canvas, panel } = this, ratio = Math.min(devicePixelRatio, 2);
    const width = Math.round(this.box.clientWidth * ratio), height = Math.round(this.box.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (panel.gesture === "turn") {
      if (this.mesh) this.painter().draw(this.mesh, this.camera, canvas);
      $("where").textContent = this.mesh && !this.mesh.count ? "no surface" : "";
      return;
    }
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    for (const shown of [this.whole, this.last]) {
      if (!shown) continue;
      const now = this.bounds(), part = (axis, length) => {
        if (panel.gesture !== "zoom" || axis < 0) return [0, length];
        const [low, high] = now[axis], scale = length / (high - low);
        return [(shown.bounds[axis][0] - low) * scale, (shown.bounds[axis][1] - shown.bounds[axis][0]) * scale];
      };
      const [left, wide] = part(now.length - 1, width), [top, high] = part(now.length - 2, height);
      context.drawImage(shown.picture, left, top, wide, high);
    }
    if (!this.clip.hidden) return;
    const zoom = 1 / this.area.half;
    $("where").textContent = panel.gesture === "zoom" && zoom > 1.01 ? `× ${zoom < 100 ? zoom.toPrecision(2) : Math.round(zoom).toLocaleString()}` : "";
  }

  gestures() {
    const touching = new Map(), { box, panel } = this;
    if (panel.gesture === "none") return;
    const place = (event) => {
      const { left, top, width, height } = box.getBoundingClientRect();
      return [(2 * (event.clientX - left)) / width - 1, (2 * (event.clientY - top)) / height - 1];
    };
    box.addEventListener("pointerdown", (event) => {
      touching.set(event.pointerId, place(event));
      box.setPointerCapture(event.pointerId);
      box.classList.add("held");
    });
    box.addEventListener("pointermove", (event) => {
      const from = touching.get(event.pointerId);
      if (!from) return;
      const to = place(event);
      const [other] = [...touching].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      touching.set(event.pointerId, to);
      if (other) {
        const apart = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]);
        this.closer(apart(from) / Math.max(apart(to), 1e-3), other);
      } else this.drag(to[0] - from[0], to[1] - from[1]);
    });
    for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, (event) => {
      touching.delete(event.pointerId);
      box.classList.toggle("held", touching.size > 0);
    });
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.closer(Math.exp(event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), place(event));
    }, { passive: false });
    box.addEventListener("dblclick", (event) => this.closer(0.4, place(event)));
    box.addEventListener("keydown", (event) => {
      const step = { "+": 0.7, "=": 0.7, "-": 1 / 0.7 }[event.key];
      const [right, down] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [];
      if (right !== undefined) {
        event.preventDefault();
        this.drag(-0.15 * right, -0.15 * down);
      }
      if (step) this.closer(step, [0, 0]);
      if (event.key === "0") this.reset();
    });
  }

  drag(right, down) {
    const { area, camera } = this;
    if (this.panel.gesture === "zoom") this.look({ x: area.x - right * area.half, y: area.y - down * area.half, half: area.half });
    else {
      camera.azimuth -= right * 2.4;
      camera.elevation = Math.max(-1.5, Math.min(1.5, camera.elevation + down * 1.8));
      this.turned();
    }
  }

  closer(factor, [right, down]) {
    const { area, camera } = this;
    if (this.panel.gesture === "zoom") {
      const half = Math.max(NARROWEST, Math.min(1, area.half * factor)), by = area.half - half;
      this.look({ x: area.x + right * by, y: area.y + down * by, half });
    } else {
      camera.distance = Math.max(0.25, Math.min(4, camera.distance * factor));
      this.turned();
    }
  }

  look(area) {
    this.area = kept(area);
    this.halt();
    this.moved();
  }

  turned() {
    if (this.panel.gesture !== "turn") return this.moved();
    this.draw();
    clearTimeout(this.settle);
    this.settle = setTimeout(() => this.placed(), SETTLED);
  }

  sliders() {
    this.scales = this.panel.sliders.map((name, number) => {
      const label = document.createElement("label"), input = document.createElement("input"), shown = document.createElement("output");
      Object.assign(input, { type: "range", min: -1, max: 1, step: 0.002, value: 0 });
      input.setAttribute("aria-label", `place on axis ${name}`);
      const tell = () => { shown.textContent = (+input.value).toFixed(3); };
      tell();
      input.oninput = () => { this.at[number] = +input.value; tell(); this.halt(); this.moved(); };
      label.append(name, input, shown);
      $("sliders").append(label);
      return { input, tell };
    });
  }

  async play() {
    try {
      const blob = await ask("/play", { ...this.what, ...this.resolution() }, "play");
      if (!blob) return;
      URL.revokeObjectURL(this.clip.src);
      this.clip.src = URL.createObjectURL(blob);
      this.area = { x: 0, y: 0, half: 1 };
      this.clip.hidden = false;
      $("play").textContent = "Stop";
      await this.clip.play().catch(() => {});
      const follow = () => {
        if (this.clip.hidden) return;
        $("where").textContent = `▶ ${this.clip.currentTime.toFixed(1)} s`;
        const slowest = this.scales[0];
        if (slowest && this.clip.duration) {
          this.at[0] = Math.min(1, (2 * this.clip.currentTime) / this.clip.duration - 1);
          slowest.input.value = this.at[0];
          slowest.tell();
        }
        requestAnimationFrame(follow);
      };
      follow();
    } catch (error) {
      this.complain(error);
    }
  }

  halt() {
    if (this.clip.hidden) return;
    this.clip.pause();
    this.clip.hidden = true;
    $("play").textContent = "Play";
    this.refresh(true);
  }

  async listen() {
    try {
      const blob = await ask("/play", { ...this.what, ...this.resolution() }, "play");
      if (!blob) return;
      URL.revokeObjectURL(this.sound.src);
      this.sound.src = URL.createObjectURL(blob);
      this.sound.hidden = false;
    } catch (error) {
      this.complain(error);
    }
  }
}
