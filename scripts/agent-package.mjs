// Makes the agent a package of its own under dist/agent-package: one program, the few libraries that it needs, and nothing of
// the market. `npm pack ./dist/agent-package` makes the archive; `npm install -g` of that is a provider's whole install.
//
// The libraries are those that the bundle really imports, with the versions of our own manifest. The model runtime is
// optional there as it is here; viem, which only signs claims, is left to whoever wants it.

import { chmodSync, cpSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { strangersInAgent } from './build.mjs';

/** What only some need, and who misses it is told how to get it. */
const ON_REQUEST = ['viem'];

/**
 * The libraries that a bundle imports, by name.
 * @param {{ outputs: Record<string, { imports: { path: string, external?: boolean }[] }> }} metafile of esbuild
 */
export function librariesOf(metafile) {
  const paths = Object.values(metafile.outputs).flatMap(({ imports }) =>
    imports.filter(({ external }) => external).map(({ path }) => path),
  );
  const names = paths
    .filter((path) => !path.startsWith('node:'))
    .map((path) =>
      path
        .split('/')
        .slice(0, path.startsWith('@') ? 2 : 1)
        .join('/'),
    );
  return [...new Set(names)].toSorted();
}

/**
 * The manifest of the agent's package.
 * @param {Record<string, any>} ours our own manifest
 * @param {readonly string[]} libraries
 */
export function manifestOf(ours, libraries) {
  const pinned = (/** @type {Record<string, string>} */ from) =>
    Object.fromEntries(libraries.filter((name) => name in from).map((name) => [name, from[name]]));
  const { version, license, engines } = ours;
  const wanted = ON_REQUEST.filter((name) => libraries.includes(name));
  const dependencies = pinned(ours['dependencies']);
  const peers = Object.fromEntries(wanted.map((name) => [name, dependencies[name]]));
  for (const name of wanted) delete dependencies[name];
  return {
    name: 'cygnet-agent',
    version,
    description: "A provider's agent: serves models to a Cygnet or Swan market, and is paid for it.",
    license,
    type: 'module',
    engines,
    bin: { 'cygnet-agent': 'agent.mjs' },
    files: ['agent.mjs', 'agent-chunks', 'deploy'],
    dependencies,
    optionalDependencies: pinned(ours['optionalDependencies']),
    peerDependencies: peers,
    peerDependenciesMeta: Object.fromEntries(wanted.map((name) => [name, { optional: true }])),
    // The runtime's own script would fetch builds from elsewhere; what npm brings is enough.
    config: { nodeLlamaCppPostinstall: 'skip' },
  };
}

/**
 * @param {string} root
 * @param {string} folder where the package is made; what is there goes
 */
export async function makeAgentPackage(root, folder) {
  rmSync(folder, { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { agent: 'src/agent/main.ts' },
    outdir: folder,
    splitting: true,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'agent-chunks/[name]-[hash]',
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    minifyWhitespace: true,
    metafile: true,
    logLevel: 'warning',
    banner: { js: '#!/usr/bin/env node' },
  });
  const strangers = strangersInAgent(metafile.inputs);
  if (strangers.length > 0)
    throw new Error(`The agent holds files of the market:\n  ${strangers.join('\n  ')}`);
  const ours = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const manifest = manifestOf(ours, librariesOf(metafile));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  chmodSync(join(folder, 'agent.mjs'), 0o755);
  mkdirSync(join(folder, 'deploy'), { recursive: true });
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  cpSync(join(root, 'deploy/systemd/cygnet-agent.service'), join(folder, 'deploy/cygnet-agent.service'));
  return { manifest, metafile };
}

if (argv[1] && realpathSync(argv[1]) === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const { manifest } = await makeAgentPackage(root, join(root, 'dist', 'agent-package'));
  console.log(`dist/agent-package: cygnet-agent ${manifest.version}`);
}
