// What is left of the limits of a key, of its models, and of the whole gateway.

async function showLimits() {
  const key = find("#limits-key").value.trim();
  const { subjects } = await read(own("limits") + (key === "" ? "" : `?id=${encodeURIComponent(key)}`));
  const cards = subjects.map(({ subject, id, limits }) => {
    const title = subject === "gateway" ? "All callers together" : [`${subject} `, id];
    return make("div", { class: "card" }, make("h3", {}, ...[title].flat()), ...Object.entries(limits).map(([name, quota]) => quotaLine(name, quota)));
  });
  const nothing = make("p", {}, key === "" ? "No limits apply to your key." : "No limits apply to this key.");
  replace(find("#limits .content"), cards.length > 0 ? cards : nothing);
}

function quotaLine(name, { limit, used, remaining, reset_seconds: reset }) {
  const amount = name.startsWith("cost") ? dollars : number;
  const wait = reset > 0 ? note(`full again in ${span(reset)}`) : null;
  const left = make("span", {}, `${amount(remaining)} of ${amount(limit)} left`, wait);
  return make("div", { class: "quota" }, make("span", {}, name.replaceAll("_", " ")), level(limit > 0 ? used / limit : 1), left);
}

/** The ids that the field suggests. */
async function suggestKeys() {
  if (session?.role !== "admin") return;
  const { data } = await read(own("keys"));
  replace(find("#key-ids"), [...new Set(data.map(({ id }) => id))].slice(0, 1000).map((id) => make("option", { value: id })));
}
