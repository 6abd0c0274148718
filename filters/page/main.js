// Signing in, and the views.

const VIEWS = {
  clusters: { show: showClusters, every: 5000 },
  requests: { show: showRequests, every: 1500 },
  usage: { show: showUsage },
  limits: { show: () => Promise.all([showLimits(), suggestKeys()]), every: 10000 },
  keys: { show: showKeys },
  playground: { show: showModels },
};

let timer = 0;

async function signIn() {
  const key = find("#key").value.trim();
  const { id, role } = await read(own("whoami"), { key });
  session = { key, id, role };
  find("#key").value = "";
  find("#who span").textContent = `${id} (${role})`;
  for (const each of findAll("[data-role]")) each.hidden = each.dataset.role !== role;
  tell("");
  open();
}

/** Forgets the key, and everything that was read with it. */
function signOut() {
  clearPlayground();
  session = usage = requests = null;
  hideIssued();
  for (const form of findAll("form")) form.reset();
  for (const each of findAll(".content, datalist")) replace(each);
  tell("");
  open();
}

/** Shows the view that the address names. */
function open() {
  clearInterval(timer);
  const links = findAll("nav a").filter((link) => session && !link.hidden);
  const named = links.find((link) => link.hash === location.hash) ?? links[0];
  const name = named ? named.hash.slice(1) : "sign-in";
  for (const section of findAll("main > section")) section.hidden = section.id !== name;
  for (const link of findAll("nav a")) fillCurrent(link, link === named);
  find("nav").hidden = find("#who").hidden = !session;
  if (!session) return find("#key").focus();
  find(`#${name} h2`).focus();
  const { show, every } = VIEWS[name];
  attempt(show);
  const again = () => !document.hidden && !find("#confirm").open && attempt(show);
  if (every) timer = setInterval(again, every);
}

function fillCurrent(link, is) {
  if (is) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

/** A form's submission runs something; the page is not left. */
function submits(selector, run) {
  const form = find(selector);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => run(form), find("button[type=submit]", form));
  });
}

submits("#sign-in form", signIn);
submits("#requests form", showRequests);
submits("#limits form", showLimits);
submits("#keys form", issueKey);
submits("#playground form", play);
find("#who button").addEventListener("click", signOut);
find("#usage .refresh").addEventListener("click", (event) => attempt(showUsage, event.currentTarget));
find("#usage fieldset").addEventListener("change", showMeasure);
for (const kind of ["input", "change"]) find("#requests form").addEventListener(kind, drawRequests);
find("#play-key").addEventListener("change", () => attempt(showModels));
find("#playground .stop").addEventListener("click", () => running?.abort());
find("#playground .clear").addEventListener("click", clearPlayground);
find("#play-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("#playground form").requestSubmit();
});
addEventListener("hashchange", () => session && (tell(""), open()));
open();
