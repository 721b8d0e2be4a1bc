// Requests to the server: fields as files, samples as lines of JSON; the newest request of a channel wins.
const page = crypto.getRandomValues(new Uint32Array(2)).join("-");
const headers = { Authorization: `Bearer ${new URLSearchParams(location.search).get("token")}` };
const running = new Map();
let serial = 0;

function begin(channel) {
  running.get(channel)?.abort();
  const control = new AbortController();
  if (channel) running.set(channel, control);
  return { signal: control.signal, given: channel ? { channel: `${page}-${channel}`, serial: ++serial } : {} };
}

async function failure(response) {
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!answer.superseded) throw new Error(answer.error);
  return null;
}

async function unlessAborted(work, signal) {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) return null;
    if (error instanceof TypeError) throw new Error("the server does not answer; is ddmi view still running?");
    throw error;
  }
}

/** A blob, or null if a newer request was sent. */
export async function ask(path, values = {}, channel = "") {
  const { signal, given } = begin(channel);
  return unlessAborted(async () => {
    const response = await fetch(`${path}?${new URLSearchParams({ ...values, ...given })}`, { headers, signal });
    return response.ok ? await response.blob() : failure(response);
  }, signal);
}

/** Names of samples, or null if a newer request was sent; `report` gets the completed and the total steps. */
export async function sample(values, report) {
  const { signal, given } = begin("samples");
  return unlessAborted(async () => {
    const body = JSON.stringify({ ...values, ...given });
    const response = await fetch("/samples", { method: "POST", headers, body, signal });
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
        report(line.step, line.steps);
      }
      if (done) throw new Error("the server stopped before the samples were complete");
    }
  }, signal);
}

/** A queue of asynchronous calls with at most `most` at a time, so that the main view never waits for all of them. */
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
