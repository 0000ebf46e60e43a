// Bundles the pages into dist/dashboard: hashed files, each with its compressed forms beside it, so that the gateway only
// hands out bytes. Nothing is fetched. A first load that outgrows its budget fails the build.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { env } from 'node:process';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** What a browser may have to load before it can show a page, compressed by gzip, in bytes. */
export const BUDGET = { script: 200_000, style: 30_000 };

/**
 * @typedef {{ fileName: string, content: string | Uint8Array, isEntry: boolean, imports: readonly string[] }} Built
 */

/**
 * Gzipped bytes of script and of style that the first page needs: the entry, and whatever it imports without asking.
 * @param {readonly Built[]} files
 */
export function firstLoad(files) {
  const byName = new Map(files.map((file) => [file.fileName, file]));
  /** @type {Set<string>} */
  const needed = new Set();
  /** @param {string} name */
  const need = (name) => {
    const file = byName.get(name);
    if (!file || needed.has(name)) return;
    needed.add(name);
    for (const other of file.imports) need(other);
  };
  for (const file of files) if (file.isEntry) need(file.fileName);
  const size = (/** @type {Built[]} */ some) =>
    some.reduce((sum, { content }) => sum + gzipSync(content, { level: 9 }).length, 0);
  return {
    script: size(files.filter(({ fileName }) => needed.has(fileName))),
    style: size(files.filter(({ fileName }) => fileName.endsWith('.css'))),
  };
}

/**
 * What exceeds the budget, in sentences.
 * @param {{ script: number, style: number }} load
 */
export function overBudget(load) {
  return /** @type {const} */ (['script', 'style'])
    .filter((kind) => load[kind] > BUDGET[kind])
    .map(
      (kind) =>
        `The first load of the dashboard has ${load[kind]} bytes of compressed ${kind}; ${BUDGET[kind]} are allowed. Load a page's parts with the page (docs/dashboard.md).`,
    );
}

const COMPRESSED = /\.(?:js|css|svg|html|json)$/;

/**
 * @param {string} root
 * @param {{ verbose: boolean }} options
 */
export async function buildDashboard(root, { verbose }) {
  if (!existsSync(join(root, 'dashboard', 'index.html'))) return;
  // Vite would build what helps a developer where a test run says that this is one.
  env['NODE_ENV'] = 'production';
  // Loaded here: whoever builds the programs alone needs none of it.
  const { build } = await import('vite');
  const result = await build({
    configFile: join(root, 'dashboard', 'vite.config.mjs'),
    logLevel: 'warn',
    build: { write: false },
  });
  const [bundle] = [result].flat();
  if (!bundle || !('output' in bundle)) throw new Error('vite built nothing.');
  /** @type {Built[]} */
  const files = bundle.output.map((file) =>
    file.type === 'chunk'
      ? { fileName: file.fileName, content: file.code, isEntry: file.isEntry, imports: file.imports }
      : { fileName: file.fileName, content: file.source, isEntry: false, imports: [] },
  );
  const theme = readFileSync(join(root, 'dashboard', 'theme.js'));
  const themeName = `assets/theme-${createHash('sha256').update(theme).digest('hex').slice(0, 8)}.js`;
  files.push({ fileName: themeName, content: theme, isEntry: true, imports: [] });
  for (const file of files) {
    if (file.fileName === 'index.html')
      file.content = String(file.content)
        .replace('/theme.js', `/${themeName}`)
        .replaceAll(' vite-ignore', '');
  }

  const load = firstLoad(files);
  const refusals = overBudget(load);
  if (refusals.length > 0) throw new Error(refusals.join('\n'));

  const folder = join(root, 'dist', 'dashboard');
  /** @type {Set<string>} */
  const written = new Set();
  /** @type {(name: string, content: string | Uint8Array) => void} */
  const write = (name, content) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
    written.add(name);
  };
  // The page last: whoever reads it finds everything that it names.
  for (const { fileName, content } of files.toSorted(
    (a, b) => Number(a.fileName.endsWith('.html')) - Number(b.fileName.endsWith('.html')),
  )) {
    if (COMPRESSED.test(fileName)) {
      const bytes = Buffer.from(content);
      write(`${fileName}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }));
      write(`${fileName}.gz`, gzipSync(bytes, { level: 9 }));
    }
    write(fileName, content);
  }
  for (const path of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = join(path.parentPath, path.name)
      .slice(folder.length + 1)
      .replaceAll('\\', '/');
    if (path.isFile() && !written.has(file)) rmSync(join(folder, file), { force: true });
  }
  if (verbose)
    console.log(
      `dist/dashboard: ${load.script} bytes of script and ${load.style} of style on the first load`,
    );
}
