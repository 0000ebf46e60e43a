// Starts a program from dist/. A checkout has none before its first build, and `npx cygnet` must work right after
// `npm ci`: npx links our bin files once, so they must exist before any build, and what they start is built when it is
// missing. `npm start` and `npm test` build anyway.

// Imported for what it does: nothing below may run on a Node.js that is too old.
// oxlint-disable-next-line import/no-unassigned-import
import './check-node.mjs';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** @param {string} program a file of dist/ */
export async function launch(program) {
  const bundle = new URL(`../dist/${program}`, import.meta.url);
  if (!existsSync(bundle)) build();
  await import(bundle.href);
}

function build() {
  if (!existsSync(new URL('../node_modules', import.meta.url))) {
    console.error('The libraries of Cygnet are missing here. Run `npm ci` first.');
    process.exit(1);
  }
  const script = fileURLToPath(new URL('../scripts/build.mjs', import.meta.url));
  // Answers belong to stdout, and this is none.
  const { status } = spawnSync(process.execPath, [script], { stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  console.error('Cygnet could not be built. Run `npm ci` again, then `npm run build`.');
  process.exit(1);
}
