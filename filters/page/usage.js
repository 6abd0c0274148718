// Requests, tokens and cost, by day, key, model and cluster.

const MEASURES = {
  requests: { of: (row) => row.requests, format: compact },
  tokens: { of: (row) => row.input_tokens + row.output_tokens, format: compact },
  cost: { of: (row) => row.cost_microusd / 1e6, format: dollars },
};
const BY = ["day", "key", "model", "cluster"];
const MOST_ROWS = 200;

/** What was read last, by `BY`, to show another measure of it. */
let usage = null;

async function showUsage() {
  const answers = await Promise.all(BY.map((by) => read(`${own("usage")}?by=${by}`)));
  usage = Object.fromEntries(BY.map((by, index) => [by, answers[index].data]));
  showMeasure();
}

function showMeasure() {
  if (!usage) return;
  const measure = MEASURES[find("#usage input:checked").value];
  const sum = (field) => usage.day.reduce((total, row) => total + row[field], 0);
  const [incomplete, hits] = [sum("incomplete_requests"), sum("cache_hits")];
  const tiles = [
    tile("requests", number(sum("requests"))),
    tile("input tokens", compact(sum("input_tokens"))),
    tile("output tokens", compact(sum("output_tokens"))),
    tile("cost", dollars(sum("cost_microusd") / 1e6)),
    incomplete > 0 ? tile("requests with estimated tokens", number(incomplete)) : null,
    hits > 0 ? tile("answers from the cache", number(hits)) : null,
    hits > 0 ? tile("tokens saved by it", compact(sum("saved_input_tokens") + sum("saved_output_tokens"))) : null,
  ];
  const cards = BY.map((by) => usageCard(by, measure));
  replace(find("#usage .content"), make("div", { class: "tiles" }, ...tiles), make("div", { class: "charts" }, ...cards));
}

const tile = (name, value) => make("div", { class: "tile" }, make("b", {}, value), name);

function usageCard(by, measure) {
  const rows = [...usage[by]];
  const label = `By ${by}`;
  const points = rows.map((row) => [row[by], measure.of(row)]);
  const chart = by === "day" ? columns(label, everyDay(points), measure.format) : bars(label, points, measure.format);
  rows.sort(by === "day" ? (one, other) => (one.day < other.day ? 1 : -1) : (one, other) => measure.of(other) - measure.of(one));
  const figures = [
    column(by[0].toUpperCase() + by.slice(1), (row) => row[by]),
    column("Requests", (row) => number(row.requests), true),
    column("Input tokens", (row) => number(row.input_tokens), true),
    column("Output tokens", (row) => number(row.output_tokens), true),
    column("Cost", (row) => dollars(row.cost_microusd / 1e6), true),
  ];
  const more = rows.length - MOST_ROWS;
  const details = make("details", { "data-name": by }, make("summary", { "data-focus": `figures ${by}` }, "Figures"), table(label, figures, rows.slice(0, MOST_ROWS)));
  if (more > 0) details.append(make("p", { class: "hint" }, `${number(more)} more are in the CSV file.`));
  const save = (event) => attempt(() => saveCsv(by), event.currentTarget);
  details.append(make("p", {}, make("button", { type: "button", "aria-label": `Save usage by ${by} as CSV`, onclick: save }, "Save as CSV")));
  return make("div", { class: "card" }, make("h3", {}, label), rows.length > 0 ? chart : make("p", { class: "hint" }, "nothing yet"), details);
}

/** The last 31 days up to the newest, with zeros for days without requests. */
function everyDay(points) {
  const known = new Map(points);
  const days = [...known.keys()].sort().slice(-31);
  const filled = [];
  for (let day = Date.parse(days[0]); day <= Date.parse(days.at(-1)) && filled.length < 62; day += 86400000) {
    const name = new Date(day).toISOString().slice(0, 10);
    filled.push([name, known.get(name) ?? 0]);
  }
  return filled.slice(-31);
}

async function saveCsv(by) {
  const answer = await send(`${own("usage")}?by=${by}&format=csv`);
  const address = URL.createObjectURL(await answer.blob());
  make("a", { href: address, download: `usage-by-${by}.csv` }).click();
  URL.revokeObjectURL(address);
}
