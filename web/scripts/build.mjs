// Builds web/dist: scripts and styles under names that carry their content's hash, and manifest.json,
// which maps plain names to them. Whatever the manifest names may be cached for ever.
//
// Deliberately absent: source maps, a development server and any download.
import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const web = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(web, "dist");
// All the script a page may load, gzipped.
const SCRIPT_BYTES_MAX = 120 * 1024;
// Packages whose code ends up in a browser; their licences go with them.
const BUNDLED = ["htmx.org", "idiomorph", "lightweight-charts", "fancy-canvas"];

const scratch = mkdtempSync(join(tmpdir(), "tapedeck-assets-"));
try {
  const outputs = new Map([
    ...(await scripts()),
    ["app.css", styles()],
    ["icon.svg", readFileSync(join(web, "client/icons/icon.svg"))],
    ["notices.txt", Buffer.from(notices())],
    ["licences.json", Buffer.from(JSON.stringify(licences(), null, 1))],
  ]);
  write(outputs);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function scripts() {
  const result = await build({
    entryPoints: ["app", "chart", "live-worker", "logs"].map((name) => join(web, "client", `${name}.ts`)),
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    write: false,
    outdir: scratch,
    logLevel: "warning",
  });
  return result.outputFiles.map((file) => [file.path.slice(scratch.length + 1), Buffer.from(file.contents)]);
}

function styles() {
  const output = join(scratch, "app.css");
  const cli = join(web, "node_modules/@tailwindcss/cli/dist/index.mjs");
  execFileSync(process.execPath, [cli, "-i", "styles/app.css", "-o", output, "--minify"], {
    cwd: web,
    stdio: ["ignore", "ignore", "pipe"],
  });
  return readFileSync(output);
}

function notices() {
  const parts = [readFileSync(join(web, "NOTICE"), "utf8").trim()];
  for (const name of BUNDLED) {
    const folder = join(web, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[sc]e/i.test(entry));
    const text = file ? readFileSync(join(folder, file), "utf8").trim() : `Licence: ${license}`;
    parts.push(`${name} ${version}\n\n${text}`);
  }
  return `${parts.join(`\n\n${"-".repeat(72)}\n\n`)}\n`;
}

// Every package that is part of the program or of its pages, with its licence: what the Rust program is linked
// from, as cargo resolves it, and what is bundled into the scripts.
function licences() {
  const found = BUNDLED.map((name) => {
    const { version, license } = JSON.parse(readFileSync(join(web, "node_modules", name, "package.json"), "utf8"));
    return { name, version, licence: license, registry: "npm" };
  });
  const { packages, resolve } = metadata();
  const byId = new Map(packages.map((one) => [one.id, one]));
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const waiting = packages.filter((one) => one.name === "tapedeck" && one.source === null).map((one) => one.id);
  const seen = new Set(waiting);
  while (waiting.length > 0) {
    const id = waiting.pop();
    const { name, version, license, source } = byId.get(id);
    if (source !== null) found.push({ name, version, licence: license ?? "see its licence file", registry: "crates.io" });
    for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
      if (seen.has(pkg) || !kinds.some(({ kind }) => kind === null)) continue;
      seen.add(pkg);
      waiting.push(pkg);
    }
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? -1 : 1));
}

function metadata() {
  const ask = (more) => {
    const options = ["metadata", "--format-version", "1", "--locked", ...more];
    const output = execFileSync("cargo", options, {
      cwd: join(web, ".."),
      maxBuffer: 1 << 28,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return JSON.parse(output);
  };
  try {
    return ask(["--offline"]);
  } catch {
    // On a new machine the packages are not there yet; building the program will need them anyway.
    return ask([]);
  }
}

function write(outputs) {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  const manifest = {};
  let scriptBytes = 0;
  for (const [name, content] of outputs) {
    const hash = createHash("sha256").update(content).digest("hex").slice(0, 12);
    const [stem, extension] = [name.slice(0, name.lastIndexOf(".")), name.slice(name.lastIndexOf("."))];
    manifest[name] = `${stem}-${hash}${extension}`;
    writeFileSync(join(dist, manifest[name]), content);
    if (extension === ".js") scriptBytes += gzipSync(content).length;
  }
  if (scriptBytes > SCRIPT_BYTES_MAX) {
    throw new Error(`scripts are ${scriptBytes} bytes gzipped; at most ${SCRIPT_BYTES_MAX} are allowed`);
  }
  writeFileSync(join(dist, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}
