// Elements. Names of keys, models and clusters are hostile: they only ever become text or attributes' values.

const find = (selector, inside = document) => inside.querySelector(selector);
const findAll = (selector, inside = document) => [...inside.querySelectorAll(selector)];

/** Sets attributes (`on...`: a listener; null, undefined and false: none) and appends nodes and texts. */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** Replaces what an element contains; the focus stays on the element with the same `data-focus`. */
function replace(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  const open = new Set(findAll("details[open]", element).map((details) => details.dataset.name));
  element.replaceChildren(...children.flat().filter(Boolean));
  for (const details of findAll("details", element)) details.open = open.has(details.dataset.name);
  if (focused !== undefined) findAll("[data-focus]", element).find((each) => each.dataset.focus === focused)?.focus();
}

/** A column of a table: its heading, its cell for a row, and whether that is a number. */
const column = (label, cell, number = false) => ({ label, cell, number });

/** A table; on phones, each row is a card. The roles keep it a table for screen readers there. */
function table(caption, columns, rows, rowClass = () => null) {
  const kind = (each) => (each.number ? "number" : null);
  const heads = columns.map((each) => make("th", { scope: "col", role: "columnheader", class: kind(each) }, each.label));
  const lines = rows.map((row) => {
    const cells = columns.map((each, index) => {
      const content = [each.cell(row)].flat();
      if (index === 0) return make("th", { scope: "row", role: "rowheader" }, ...content);
      return make("td", { role: "cell", class: kind(each), "data-label": each.label }, content.some((part) => part !== "" && part !== null) ? make("div", {}, ...content) : null);
    });
    return make("tr", { role: "row", class: rowClass(row) }, ...cells);
  });
  const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads));
  const body = make("tbody", { role: "rowgroup" }, ...lines);
  const whole = make("table", { role: "table", class: "stack", "aria-label": caption }, head, body);
  return make("div", { class: "scroll" }, whole);
}

const note = (...children) => make("span", { class: "note" }, ...children);
const badge = (kind, text) => make("span", { class: `badge ${kind}` }, text);

/** Tells that something has been done. */
function tell(text) {
  find("#problem").textContent = "";
  find("#status").textContent = text;
}

/** Tells what is wrong. */
function complain(error) {
  if (error.name === "AbortError") return;
  find("#status").textContent = "";
  find("#problem").textContent = error.message;
}

/** Runs something that calls the gateway; its failure is told. The button cannot be pressed meanwhile. */
async function attempt(run, button) {
  if (button) button.disabled = true;
  try {
    await run();
  } catch (error) {
    complain(error);
  } finally {
    if (button) button.disabled = false;
  }
}

/** Asks before something is done. Returns the value of the field, or null; without a field, "" for yes. */
function ask({ title, text, yes, field }) {
  const dialog = find("#confirm");
  const input = find("input", dialog);
  find("h2", dialog).textContent = title;
  find(".text", dialog).textContent = text;
  find("button[value=yes]", dialog).textContent = yes;
  find(".field", dialog).hidden = !field;
  find("label", dialog).textContent = field ? field.label : "";
  input.value = field ? field.value : "";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes" ? input.value.trim() : null), { once: true });
  });
}

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const number = (value) => whole.format(value);
const compact = (value) => (value < 10000 ? number(value) : short.format(value));
const dollars = (value) => `$${new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: value < 1 ? 6 : 2 }).format(value)}`;

/** A duration, from seconds: `2 h 5 min`. */
function span(seconds) {
  const left = Math.max(0, Math.ceil(seconds));
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = parts.findIndex(([, size]) => left >= size);
  if (first < 0) return "0 s";
  const [unit, size] = parts[first];
  const next = parts[first + 1];
  const rest = next ? Math.floor((left % size) / next[1]) : 0;
  return `${Math.floor(left / size)} ${unit}${rest > 0 ? ` ${rest} ${next[0]}` : ""}`;
}

const now = () => Date.now() / 1000;
const moment = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ") + " UTC";
