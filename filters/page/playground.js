// A chat with one of the models, streamed.

/** The conversation so far, as the API takes it. */
let turns = [];
/** Ends the running request. */
let running = null;

const playKey = () => find("#play-key").value.trim() || session.key;

async function showModels() {
  const { data } = await read("/v1/models", { key: playKey() });
  replace(find("#models"), data.map(({ id }) => make("option", { value: id })));
  const field = find("#play-model");
  if (field.value === "" && data.length > 0) field.value = data[0].id;
}

/** A box of the conversation. */
function turn(who) {
  const parts = { thought: make("p", { class: "thought", hidden: true }), text: make("p"), about: note() };
  const box = make("div", { class: `turn ${who}` }, make("b", {}, who === "user" ? "You" : find("#play-model").value), parts.thought, parts.text, parts.about);
  find("#playground .turns").append(box);
  return parts;
}

async function play() {
  const text = find("#play-text").value;
  const system = find("#play-system").value.trim();
  const most = find("#play-max").value.trim();
  const stream = find("#play-stream").checked;
  const said = { role: "user", content: text };
  const messages = [...(system ? [{ role: "system", content: system }] : []), ...turns, said];
  const body = { model: find("#play-model").value, messages, stream };
  if (stream) body.stream_options = { include_usage: true };
  if (most) body.max_tokens = figure(find("#play-max"));
  tell("");
  turn("user").text.textContent = text;
  const parts = turn("assistant");
  running = new AbortController();
  const seen = { text: "", begun: performance.now(), first: null, usage: null, headers: null };
  const told = () => (parts.about.textContent = about(seen));
  find("#playground .stop").disabled = false;
  try {
    const answer = await send("/v1/chat/completions", { method: "POST", body, key: playKey(), signal: running.signal });
    seen.headers = answer.headers;
    if (stream) for await (const event of events(answer.body)) take(event, seen, parts);
    else take(await answer.json(), seen, parts);
    turns.push(said, { role: "assistant", content: seen.text });
    find("#play-text").value = "";
    told();
  } catch (error) {
    told();
    parts.about.append(error.name === "AbortError" ? " stopped" : ` ${error.message}`);
    if (error.name !== "AbortError") throw error;
  } finally {
    running = null;
    find("#playground .stop").disabled = true;
  }
}

/** Takes in an event of a stream, or a whole answer. */
function take(event, seen, parts) {
  if (event.error) throw new Error(event.error.message ?? String(event.error));
  seen.usage = event.usage ?? seen.usage;
  const said = event.choices?.[0]?.delta ?? event.choices?.[0]?.message ?? {};
  const thought = said.reasoning_content ?? said.reasoning ?? "";
  if (said.content || thought) seen.first ??= performance.now();
  seen.text += said.content ?? "";
  parts.text.append(said.content ?? "");
  parts.thought.append(thought);
  parts.thought.hidden = parts.thought.textContent === "";
}

function about({ begun, first, usage, headers }) {
  const header = (name) => headers?.get(name) ?? null;
  const ms = (time) => `${number(Math.round(time - begun))} ms`;
  const told = [
    first === null ? null : `first token after ${ms(first)}`,
    `${ms(performance.now())} in all`,
    usage ? `${number(usage.prompt_tokens)} input and ${number(usage.completion_tokens)} output tokens` : null,
    header("x-sluice-cluster") && `cluster ${header("x-sluice-cluster")}`,
    header("x-sluice-attempts") && `attempts ${header("x-sluice-attempts")}`,
    header("x-request-id") && `request ${header("x-request-id")}`,
  ];
  return told.filter(Boolean).join(" · ");
}

/** The events of a stream, parsed. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? "")).split(/\r?\n/);
    rest = done ? "" : lines.pop();
    for (const line of lines) {
      const data = line.startsWith("data:") ? line.slice(5).trim() : "";
      if (data !== "" && data !== "[DONE]") yield JSON.parse(data);
    }
    if (done) return;
  }
}

function clearPlayground() {
  running?.abort();
  turns = [];
  replace(find("#playground .turns"));
}
