// What the page asks the server for: fields as files, samples as lines; the newest request of a channel wins.
const page = crypto.getRandomValues(new Uint32Array(2)).join("-");
const running = new Map();
let serial = 0;

function begin(channel) {
  running.get(channel)?.abort();
  const control = new AbortController();
  if (channel) running.set(channel, control);
  return { signal: control.signal, given: channel ? { channel: `${page}-${channel}`, serial: ++serial } : {} };
}

async function failure(response) {
  const told = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!told.superseded) throw new Error(told.error);
  return null;
}

async function quiet(work, signal) {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) return null;
    if (error instanceof TypeError) throw new Error("the server does not answer; is ddmi view still running?");
    throw error;
  }
}

/** A blob, or null where something newer was asked for. */
export async function ask(path, values = {}, channel = "") {
  const { signal, given } = begin(channel);
  return quiet(async () => {
    const response = await fetch(`${path}?${new URLSearchParams({ ...values, ...given })}`, { signal });
    return response.ok ? await response.blob() : failure(response);
  }, signal);
}

/** Names of samples, or null where others were asked for; `told` hears steps done and all steps. */
export async function sample(values, told) {
  const { signal, given } = begin("samples");
  return quiet(async () => {
    const body = JSON.stringify({ ...values, ...given });
    const response = await fetch("/samples", { method: "POST", body, signal });
    if (!response.ok) return failure(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ; ) {
      const { value, done } = await reader.read();
      text += value ?? "";
      const lines = text.split("\n");
      text = lines.pop();
      for (const line of lines.map((line) => JSON.parse(line))) {
        if (line.error) throw new Error(line.error);
        if (line.superseded) return null;
        if (line.samples) return line.samples;
        told(line.step, line.steps);
      }
      if (done) throw new Error("the server stopped before the samples were made");
    }
  }, signal);
}

/** Calls that wait for each other, a few at a time, so that what is looked at never waits behind many. */
export function queue(most) {
  const waiting = [];
  let active = 0;
  const next = () => {
    while (active < most && waiting.length) {
      active++;
      waiting.shift()().finally(() => { active--; next(); });
    }
  };
  return {
    add: (work) => { waiting.push(work); next(); },
    clear: () => { waiting.length = 0; },
  };
}
