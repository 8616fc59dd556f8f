// Tables with filters: the stream only says that one changed, and the page fetches it again with its own
// filters. However many changes come, one fetch at a time is under way and one more waits; between two lies
// at least the rest that the server's rate for tables asks for, and at least as long as the fetch took.

const REST_MS = 100;

interface State {
  running: boolean;
  again: boolean;
}

const states = new Map<string, State>();

export function refetch(id: string, replace: (html: string) => void): void {
  const state = states.get(id) ?? { running: false, again: false };
  states.set(id, state);
  if (state.running) {
    state.again = true;
    return;
  }
  state.running = true;
  void run(id, state, replace);
}

async function run(id: string, state: State, replace: (html: string) => void): Promise<void> {
  do {
    // A page that nobody sees waits until somebody does.
    await shown();
    state.again = false;
    const began = performance.now();
    const url = document.getElementById(id)?.dataset["refetch"];
    if (!url) break;
    try {
      const response = await fetch(url, { headers: { accept: "text/html" } });
      const html = await response.text();
      // The address may have changed meanwhile: then this answers a question nobody asks any more.
      if (response.ok && document.getElementById(id)?.dataset["refetch"] === url) replace(html);
    } catch {
      // The connection is gone; the stream says so, and asks again when it is back.
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(REST_MS, performance.now() - began)));
  } while (state.again);
  state.running = false;
}

function shown(): Promise<void> {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", function look() {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    });
  });
}
