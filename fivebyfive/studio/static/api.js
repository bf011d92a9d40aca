/** What the page asks of the server: JSON, streams of events, and one line where something goes wrong. */

const GONE =
  "The server does not answer. Is fivebyfive studio still running? Start it again, then read the digit again.";

const aborted = (error) => error.name === "AbortError";

/** A response with a good status. Raises an Error with the line to show. */
export async function call(path, options) {
  const response = await fetch(path, options).catch((error) => { throw aborted(error) ? error : new Error(GONE); });
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new Error(said.error ?? `The server answers ${response.status}. Reload the page and try again.`);
}

export const get = async (path, signal) => (await call(path, { signal })).json();

export const post = (path, { body, type }, signal) =>
  call(path, { method: "POST", headers: { "Content-Type": type }, body, signal });

/** Something as the body of a POST. */
export const json = (value) => ({ body: JSON.stringify(value), type: "application/json" });

/** The server-sent events of a response, as {kind, data}. An event "failed" is raised as an Error. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error) => { throw aborted(error) ? error : new Error(GONE); });
      if (done) return;
      const blocks = (text + value).split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const block of blocks) {
        const field = (name) => block.match(new RegExp(`^${name}: ?(.*)$`, "m"))?.[1].trimEnd();
        if (!field("data")) continue; // a comment that keeps the connection open
        const event = { kind: field("event"), data: JSON.parse(field("data")) };
        if (event.kind === "failed") throw new Error(event.data.error);
        yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Bytes of a base64 text. */
export const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
