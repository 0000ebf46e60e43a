import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { packageRoot } from './package-root.ts';

/**
 * Starts `<name>.worker` as a thread: `<name>.worker.ts` beside the source that asks, or `dist/<name>.worker.mjs` in a bundle
 * (`scripts/build.mjs` puts it there). Sources need tsx, which is there in development only. The thread does not
 * keep the process alive.
 * @param name without `.worker`
 * @param askedFrom the `import.meta.url` of the file that asks
 */
export function startThread(name: string, askedFrom: string): Worker {
  const worker = askedFrom.endsWith('.ts') ? fromSource(name, askedFrom) : fromBundle(name);
  worker.unref();
  return worker;
}

function fromBundle(name: string): Worker {
  return new Worker(path.join(packageRoot(), 'dist', `${name}.worker.mjs`), { execArgv: [] });
}

/** Node 20 cannot run TypeScript, so the thread first asks tsx to, and then becomes the worker. */
function fromSource(name: string, askedFrom: string): Worker {
  // Resolving `tsx/esm/api` here finds its CommonJS twin, which cannot register itself.
  const tsx = new URL('./esm/api/index.mjs', pathToFileURL(createRequire(askedFrom).resolve('tsx'))).href;
  const source = new URL(`./${name}.worker.ts`, askedFrom).href;
  const boot = `
    const { workerData } = require('node:worker_threads');
    import(workerData.tsx).then(({ register }) => { register(); return import(workerData.source); });
  `;
  return new Worker(boot, { eval: true, execArgv: [], workerData: { tsx, source } });
}
