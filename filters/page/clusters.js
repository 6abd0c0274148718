// The clusters: their state, eject and restore. Read again every few seconds while they are shown.

const STATES = { healthy: ["good", "healthy"], ejected: ["bad", "ejected"], half_open: ["half", "half open"] };

async function showClusters() {
  const { data } = await read(own("upstreams"));
  const rows = data.flatMap((cluster) => [cluster, ...cluster.models.map((model) => ({ ...model, of: cluster }))]);
  const columns = [
    column("Cluster", (row) => (row.of ? ["model ", row.model] : [row.cluster, row.upstream === row.cluster ? null : note("upstream ", row.upstream)])),
    column("State", (row) => badge(...(STATES[row.state] ?? ["half", row.state]))),
    column("Reason", (row) => [row.reason?.replaceAll("_", " ") ?? "", row.of ? null : connectFailure(row)]),
    column("Time left", timeLeft),
    column("In flight", (row) => (row.of ? "" : number(row.in_flight)), true),
    column("Attempts", (row) => (row.of ? "" : number(row.uses)), true),
    column("Latency", (row) => (row.of || row.latency_ms === null ? "" : `${number(Math.round(row.latency_ms))} ms`), true),
    column("Failures in a row", (row) => number(row.consecutive_failures), true),
    column("Actions", (row) => (row.of ? "" : actions(row))),
  ];
  replace(find("#clusters .content"), table("Clusters", columns, rows, (row) => (row.of ? "sub" : null)));
}

function timeLeft(row) {
  if (row.state !== "ejected") return "";
  return row.until === null ? "until restored" : span(row.until - now());
}

function connectFailure({ last_connect_failure: failure }) {
  if (!failure) return null;
  return note(`last failure to connect ${span(now() - failure.at)} ago: ${failure.reason || failure.cause}`);
}

function actions(row) {
  const out = row.state !== "healthy" || row.models.length > 0;
  const button = (label, run) => {
    const press = (event) => attempt(() => run(row), event.currentTarget);
    return make("button", { type: "button", "aria-label": `${label} ${row.cluster}`, "data-focus": `cluster ${row.cluster}`, onclick: press }, label);
  };
  return [row.state === "ejected" ? null : button("Eject", eject), " ", out ? button("Restore", restore) : null];
}

async function eject({ cluster }) {
  const text = "It gets no new requests until the time is over or you restore it. Running requests end normally.";
  const field = { label: "For how long (30s, 10m, 2h); empty: until restored", value: "10m" };
  const time = await ask({ title: `Eject ${cluster}?`, text, yes: "Eject", field });
  if (time === null) return;
  await send(own("upstreams", cluster, "eject"), { method: "POST", body: time === "" ? undefined : { time } });
  tell(`${cluster} is ejected.`);
  await showClusters();
}

async function restore({ cluster }) {
  await send(own("upstreams", cluster, "restore"), { method: "POST" });
  tell(`${cluster} is restored.`);
  await showClusters();
}
