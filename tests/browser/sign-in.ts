// Signs in once for all tests: the link that `tapedeck up` prints, or `tapedeck user link`, becomes the state
// that every context of the tests begins with.
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where the signed-in state is kept; one file per run. */
export const STATE = (process.env["TAPEDECK_TEST_STATE"] ??= join(tmpdir(), `tapedeck-signed-in-${process.pid}.json`));

export default async function signIn(): Promise<void> {
  const link = process.env["TAPEDECK_TEST_LINK"];
  if (!link) throw new Error("TAPEDECK_TEST_LINK: expected the sign-in link that `tapedeck up` or `tapedeck user link` prints");
  const answer = await fetch(link, { redirect: "manual" });
  const [name, value] = answer.headers.get("set-cookie")?.split(";")[0]?.split("=") ?? [];
  if (answer.status !== 303 || !name || !value) throw new Error(`TAPEDECK_TEST_LINK: ${answer.status}: the link was used or has expired`);
  const cookie = { name, value, domain: new URL(link).hostname, path: "/", expires: -1, httpOnly: true, secure: false, sameSite: "Strict" };
  writeFileSync(STATE, JSON.stringify({ cookies: [cookie], origins: [] }), { mode: 0o600 });
}
