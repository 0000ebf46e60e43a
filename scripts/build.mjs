// Bundles each program under dist/: the market (cygnet), the agent, and every worker thread
// (`src/**/*.worker.ts` becomes dist/<name>.worker.mjs, beside the program that starts it). What does not exist yet is
// passed over. The pages of the dashboard are built beside them (`build-dashboard.mjs`).
//
// Libraries stay outside the bundles; `npm ci` brings them. The agent runs on other people's machines and must stay
// light and free of the server, so a bundle of it with anything else inside is refused here.

import { chmodSync, existsSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildDashboard } from './build-dashboard.mjs';

const PROGRAMS = { cygnet: 'src/cli/main.ts', agent: 'src/agent/main.ts' };
/** What a build leaves behind that the next one may not write again: chunks, and workers that are no more. */
const OURS = /^dist\/(?:[\w.]+-chunks\/[^/]+|[\w.-]+\.worker)\.mjs(?:\.map)?$/;
const AGENT_ROOMS = ['src/kit/', 'src/domain/', 'src/wire/', 'src/agent/'];

/**
 * The files in the agent's bundle that do not belong there, each with a file that brought it in.
 * @param {Record<string, { imports: { path: string }[] }>} inputs of esbuild's metafile
 */
export function strangersInAgent(inputs) {
  return Object.keys(inputs)
    .filter((file) => !AGENT_ROOMS.some((room) => file.startsWith(room)))
    .map((file) => {
      const by = Object.keys(inputs).find((other) =>
        inputs[other]?.imports.some(({ path }) => path === file),
      );
      return `${file} (imported by ${by ?? 'nothing'})`;
    });
}

/**
 * Each file to write and the source it starts from.
 * @param {string[]} sources every path under src/, with forward slashes
 */
export function entryPoints(sources) {
  const present = new Set(sources);
  /** @type {Record<string, string>} */
  const entries = Object.fromEntries(Object.entries(PROGRAMS).filter(([, source]) => present.has(source)));
  for (const source of sources.filter((path) => path.endsWith('.worker.ts'))) {
    const name = basename(source, '.ts');
    if (entries[name])
      throw new Error(`${entries[name]} and ${source} would both become dist/${name}.mjs: rename one`);
    entries[name] = source;
  }
  return entries;
}

/** @param {string} root */
function sourcesUnder(root) {
  const folder = join(root, 'src');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(
    (path) => `src/${path.replaceAll('\\', '/')}`,
  );
}

/**
 * @param {string} root
 * @param {{ verbose: boolean }} options
 */
async function buildAll(root, { verbose }) {
  const entries = Object.entries(entryPoints(sourcesUnder(root)));
  /** @type {Set<string>} */
  const written = new Set();
  await Promise.all(
    entries.map(async ([name, source]) => {
      const program = Object.hasOwn(PROGRAMS, name);
      const outfile = `dist/${name}.mjs`;
      const { metafile } = await build({
        absWorkingDir: root,
        entryPoints: [source],
        outdir: 'dist',
        // Commands are loaded when they are called: each gets a file of its own, and modules stay modules, which V8
        // optimises better than one file that wraps every module in a function.
        splitting: true,
        entryNames: name,
        outExtension: { '.js': '.mjs' },
        chunkNames: `${name}-chunks/[name]-[hash]`,
        bundle: true,
        format: 'esm',
        platform: 'node',
        target: 'node20',
        packages: 'external',
        sourcemap: true,
        metafile: true,
        logLevel: 'warning',
        ...(program && { banner: { js: '#!/usr/bin/env node' } }),
      });
      for (const file of Object.keys(metafile.outputs)) written.add(file);
      const strangers = name === 'agent' ? strangersInAgent(metafile.inputs) : [];
      if (strangers.length > 0) {
        throw new Error(
          `The agent may contain only ${AGENT_ROOMS.join(', ')}, but its bundle holds\n  ${strangers.join('\n  ')}`,
        );
      }
      if (program) chmodSync(join(root, outfile), 0o755);
      if (verbose) console.log(`${outfile} ${Math.ceil((metafile.outputs[outfile]?.bytes ?? 0) / 1024)} KiB`);
    }),
  );
  // Last, so that a program which is starting meanwhile finds its chunks: those of earlier builds go, and nobody else's files.
  for (const path of readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })) {
    const file = `dist/${path.replaceAll('\\', '/')}`;
    if (OURS.test(file) && !written.has(file)) rmSync(join(root, file), { force: true });
  }
}

if (argv[1] && realpathSync(argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    const root = fileURLToPath(new URL('..', import.meta.url));
    const options = { verbose: argv.includes('--verbose') };
    await Promise.all([buildAll(root, options), buildDashboard(root, options)]);
  } catch (error) {
    // esbuild has already printed its own findings.
    if (!(error instanceof Error && 'errors' in error))
      console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
