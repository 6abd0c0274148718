// The keys: list, issue, revoke, restore.

const MOST_KEYS = 500;

async function showKeys() {
  const { data, has_more: more } = await read(own("keys"));
  const columns = [
    column("Id", (key) => [key.id, Object.keys(key.labels).length > 0 ? note(pairs(key.labels)) : null]),
    column("State", keyState),
    column("Kind", (key) => `${key.kind}, ${key.role}`),
    column("Models", (key) => key.models.join(", ")),
    column("Limits", (key) => pairs(key.limits).replaceAll("_", " ") || "none"),
    column("Expires", (key) => (key.expires_at === null ? "never" : moment(key.expires_at))),
    column("Actions", keyAction),
  ];
  const rest = data.length - MOST_KEYS;
  const hint = rest > 0 || more ? make("p", { class: "hint" }, `The first ${MOST_KEYS} keys are shown.`) : null;
  replace(find("#keys .content"), table("Keys", columns, data.slice(0, MOST_KEYS)), hint);
}

const pairs = (fields) => Object.entries(fields).filter(([, value]) => value !== null).map(([name, value]) => `${name}=${value}`).join(", ");

function keyState(key) {
  if (key.revoked) return badge("bad", "revoked");
  return key.expires_at !== null && key.expires_at <= now() ? badge("half", "expired") : badge("good", "valid");
}

function keyAction(key) {
  const label = key.revoked ? "Restore" : "Revoke";
  const press = (event) => attempt(() => (key.revoked ? restoreKey(key.id) : revokeKey(key.id)), event.currentTarget);
  return make("button", { type: "button", "aria-label": `${label} ${key.id}`, "data-focus": `key ${key.id}`, onclick: press }, label);
}

async function revokeKey(id) {
  const self = id === session.id;
  const text = `Every key of this id that has been issued so far is refused at once.${self ? " It is the key that you are signed in with: you lock yourself out." : ""}`;
  if ((await ask({ title: `Revoke ${id}?`, text, yes: "Revoke" })) === null) return;
  const answer = await read(own("keys", id) + (self ? "?force=true" : ""), { method: "DELETE" });
  tell(`${id} is revoked. To keep it revoked after a restart, add to auth: ${answer.config}`);
  await showKeys();
}

async function restoreKey(id) {
  await send(own("keys", id, "restore"), { method: "POST" });
  tell(`${id} is restored.`);
  await showKeys();
}

/** The body of a request for a key, from its form; empty fields are left out. */
function wanted(form) {
  const value = (name) => form.elements[name].value.trim();
  const list = (name) => value(name).split(",").map((part) => part.trim()).filter(Boolean);
  const body = { role: value("role") };
  for (const name of ["id", "expires_in"]) if (value(name)) body[name] = value(name);
  if (list("models").length > 0) body.models = list("models");
  const limits = ["requests_per_minute", "tokens_per_day", "cost_per_day", "cost_per_month"].filter((name) => value(name));
  if (limits.length > 0) body.limits = Object.fromEntries(limits.map((name) => [name, figure(form.elements[name])]));
  if (list("labels").length > 0) body.labels = Object.fromEntries(list("labels").map(label));
  return body;
}

function figure(input) {
  const value = Number(input.value.trim());
  if (Number.isFinite(value)) return value;
  throw new Error(`“${input.labels[0].textContent}” must be a number.`);
}

function label(text) {
  const at = text.indexOf("=");
  if (at < 1) throw new Error("Labels are written as name=value, separated by commas.");
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

async function issueKey(form) {
  const issued = await read(own("keys"), { method: "POST", body: wanted(form) });
  const copy = (event) => attempt(() => navigator.clipboard.writeText(issued.key).then(() => tell("The key is copied.")), event.currentTarget);
  const hide = make("button", { type: "button", onclick: hideIssued }, "Hide");
  const buttons = [navigator.clipboard ? make("button", { type: "button", onclick: copy }, "Copy") : null, hide];
  const box = find("#keys .issued");
  replace(box, make("h3", {}, "The key of ", issued.id), make("p", {}, "It is shown only now."), make("div", { class: "secret" }, make("code", {}, issued.key), ...buttons));
  box.hidden = false;
  form.reset();
  tell(`A key of the id ${issued.id} is issued.`);
  await showKeys();
}

function hideIssued() {
  const box = find("#keys .issued");
  box.hidden = true;
  replace(box);
}
