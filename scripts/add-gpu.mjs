// `npm run gpu -- cuda` (or `vulkan`): adds the model runtime's build for this machine's graphics processor.
//
// Those builds weigh 70 to 500 MB, so `npm ci` leaves them out (complete-lock.mjs says how). The one asked for is
// fetched into a folder of its own and then moved beside the processor build, at exactly the runtime's version.
// package.json and the lock file stay as they are, so a later `npm ci` or `npm install` takes the build away again.

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { argv, env, execPath, exit, arch as thisArch, platform as thisPlatform } from 'node:process';
import { fileURLToPath } from 'node:url';

const USAGE = 'Usage: npm run gpu -- cuda|vulkan|metal';
const SYSTEMS = /** @type {Record<string, string>} */ ({ linux: 'linux', win32: 'win', darwin: 'mac' });

/**
 * What to do for one request on one machine: the packages to add, or why there is nothing to add.
 * @param {string | undefined} kind
 * @param {string} platform as in process.platform
 * @param {string} arch as in process.arch
 * @returns {{ packages: string[] } | { done: string } | { refusal: string }}
 */
export function planGpu(kind, platform, arch) {
  if (kind !== 'cuda' && kind !== 'vulkan' && kind !== 'metal') {
    const got =
      kind === undefined ? 'Say which kind of GPU to add.' : `There is no GPU build called "${kind}".`;
    return { refusal: `${got}\n${USAGE}` };
  }
  if (platform === 'darwin' && arch === 'arm64') {
    return kind === 'metal'
      ? { done: 'Metal is part of the default install on Apple silicon: nothing to add.' }
      : {
          refusal: `There is no ${kind} build for macOS. Metal is already part of the default install on Apple silicon.`,
        };
  }
  if (kind === 'metal')
    return { refusal: `Metal needs a Mac with Apple silicon; this is ${platform} ${arch}.` };
  if ((platform !== 'linux' && platform !== 'win32') || arch !== 'x64') {
    return {
      refusal: `There is no ${kind} build for ${platform} ${arch}, only for Linux and Windows on x64. Run a model server that knows this GPU and point the agent at it.`,
    };
  }
  const base = `@node-llama-cpp/${SYSTEMS[platform]}-x64-${kind}`;
  return { packages: kind === 'cuda' ? [base, `${base}-ext`] : [base] };
}

/** @param {string[]} packages */
function add(packages) {
  const modules = fileURLToPath(new URL('../node_modules/', import.meta.url));
  const manifest = join(modules, 'node-llama-cpp', 'package.json');
  if (!existsSync(manifest)) {
    console.error('The model runtime (node-llama-cpp) is not installed. Run `npm ci` first.');
    return 1;
  }
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'));

  // Inside node_modules, so that the move is a rename on one disk and a broken attempt is swept away by the next `npm ci`.
  const workshop = mkdtempSync(join(modules, '.gpu-'));
  try {
    writeFileSync(join(workshop, 'package.json'), '{ "private": true }\n');
    const specs = packages.map((name) => `${name}@${version}`);
    console.log(`Fetching ${specs.join(' and ')} ...`);
    const options = ['--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund'];
    const code = npm(['install', '--prefix', workshop, ...options, ...specs], workshop);
    if (code !== 0) {
      console.error(`npm could not fetch ${specs.join(' and ')} (exit ${code}). Nothing was changed.`);
      return 1;
    }
    mkdirSync(join(modules, '@node-llama-cpp'), { recursive: true });
    for (const name of packages) {
      rmSync(join(modules, name), { recursive: true, force: true });
      renameSync(join(workshop, 'node_modules', name), join(modules, name));
    }
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
  console.log(
    'Added. The agent takes the GPU at its next start. `npm ci` and `npm install` remove the build: then run this again.',
  );
  return 0;
}

/**
 * @param {string[]} args
 * @param {string} cwd
 */
function npm(args, cwd) {
  // Under `npm run` the path of npm's own program is known, which spares us npm.cmd and a shell on Windows.
  const self = env['npm_execpath'];
  const [program, before, shell] = self ? [execPath, [self], false] : ['npm', [], thisPlatform === 'win32'];
  const { status, error } = spawnSync(program, [...before, ...args], {
    cwd,
    shell,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error) console.error(error.message);
  return status ?? 1;
}

if (argv[1] && realpathSync(argv[1]) === fileURLToPath(import.meta.url)) {
  const plan = planGpu(argv[2], thisPlatform, thisArch);
  if ('refusal' in plan) {
    console.error(plan.refusal);
    exit(1);
  }
  if ('done' in plan) console.log(plan.done);
  else exit(add(plan.packages));
}
