// Calls of the gateway. The page is at `<prefix>/ui`.

const PREFIX = location.pathname.replace(/\/ui$/, "");

/** Who is signed in: `{key, id, role}`. It is only in this variable. */
let session = null;

const own = (...parts) => PREFIX + parts.map((part) => `/${encodeURIComponent(part)}`).join("");

/** One call; throws the gateway's own message if it is refused. */
async function send(path, { method = "GET", body, key = session.key, signal } = {}) {
  const headers = { authorization: `Bearer ${key}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  const text = body === undefined ? undefined : JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: text, signal, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(/^[\x20-\x7e]*$/.test(key) ? "The gateway cannot be reached." : "A key has only ASCII characters.");
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  const text = await answer.text();
  let message = text.slice(0, 500) || `status ${answer.status}`;
  try {
    const { error } = JSON.parse(text);
    message = error.message ?? error;
  } catch {
    // it is not JSON: the text itself
  }
  return Object.assign(new Error(`${answer.status}: ${message}`), { status: answer.status });
}

/** One call's JSON. An answer that comes after its reader has signed out is dropped. */
async function read(path, options) {
  const reader = session;
  let value, failure;
  try {
    value = await (await send(path, options)).json();
  } catch (error) {
    failure = error;
  }
  if (session !== reader) throw new DOMException("signed out", "AbortError");
  if (failure) throw failure;
  return value;
}
