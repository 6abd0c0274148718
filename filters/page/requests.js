// The last requests, live: where each went, and why.

const PICKED = {
  probe: "probes a cluster that returns",
  all_out: "all others are out of the pool",
  stored_response: "has the stored response",
  context_length_fallback: "too long for the model before",
};

/** What was read last. */
let requests = null;

async function showRequests() {
  if (find("#requests-pause").checked && requests) return;
  const { data } = await read(own("recent"));
  requests = data;
  drawRequests();
}

function drawRequests() {
  if (!requests) return;
  const words = find("#requests-words").value.trim().toLowerCase();
  const kind = find("#requests-status").value;
  const rows = requests.filter((row) => isKind(row, kind) && words.split(/\s+/).every((word) => searched(row).includes(word)));
  const columns = [
    column("Time", (row) => [clock(row.ended_at), row.stream ? note("stream") : null]),
    column("Key", (row) => row.key ?? ""),
    column("Model", (row) => [row.model ?? "", row.requested_model ? note("asked for ", row.requested_model) : null, row.upstream_model ? note("sent as ", row.upstream_model) : null]),
    column("Cluster", (row) => (row.picked_by ? [row.cluster, note(PICKED[row.picked_by] ?? `by ${row.picked_by}`), ...failures(row)] : "")),
    column("Status", (row) => [badge(...standing(row)), row.error && row.error !== String(row.status) ? note(words_of(row.error)) : null, row.guard_blocked ? note(row.guard_blocked) : null]),
    column("Tokens", (row) => tokens(row), true),
    column("Cost", (row) => (row.cost_microusd === undefined ? "" : dollars(row.cost_microusd / 1e6)), true),
    column("Duration", (row) => [row.duration_ms === null ? "" : `${number(row.duration_ms)} ms`, row.stream && row.time_to_first_token_ms !== undefined ? note(`first token ${number(row.time_to_first_token_ms)} ms`) : null], true),
  ];
  find("#requests .count").textContent = rows.length === requests.length ? number(rows.length) : `${number(rows.length)} of ${number(requests.length)}`;
  const nothing = make("p", {}, requests.length === 0 ? "No requests yet." : "None of the last requests match.");
  replace(find("#requests .content"), rows.length > 0 ? table("Requests", columns, rows, (row) => (isKind(row, "bad") ? "lost" : null)) : nothing);
}

/** The client left (0), or was told that it failed, or its answer broke off. */
const isKind = (row, kind) => {
  const bad = row.status === 0 || row.status >= 400 || row.error !== undefined;
  return { all: true, good: !bad, bad, retried: row.attempts > 1 }[kind];
};

const searched = (row) => [row.key, row.model, row.requested_model, row.upstream_model, row.cluster, row.outcomes, row.status].join(" ").toLowerCase();
const words_of = (name) => name.replaceAll("_", " ");

function standing(row) {
  if (row.status === 0) return ["half", "left"];
  return [row.status >= 500 || row.error === "interrupted" ? "bad" : row.status >= 400 ? "half" : "good", String(row.status)];
}

/** The attempts that failed: `a=connect_failure:dns, b=success` has one. */
function failures({ outcomes = "" }) {
  const failed = outcomes.split(", ").filter((attempt) => attempt !== "" && !attempt.endsWith("=success"));
  return failed.map((attempt) => note(words_of(attempt.replace(/=([^=]*)$/, ": $1"))));
}

function tokens(row) {
  if (row.input_tokens === undefined) return "";
  const how = row.source === "reported" ? null : note(row.source);
  return [`${number(row.input_tokens)} + ${number(row.output_tokens)}`, row.cached_input_tokens ? note(`${number(row.cached_input_tokens)} cached`) : null, how];
}

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");
