import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { VARIABLES, type Variable } from '#config/env.ts';
import { packageRoot } from '#kit/package-root.ts';

/** The text of `.env.example`: each variable with its meaning and its default, commented out. */
export function envExample(): string {
  const opening = [
    '# Every setting of the server, with its default. Generated from src/config/env.ts by `npx tsx scripts/env-example.ts`.',
    '# Copy what you change into the environment, or run with: node --env-file=.env bin/cygnet.mjs start',
  ].join('\n');
  const settings = Object.values<Variable>(VARIABLES).map(
    ({ name, fallback, meaning }) => `# ${meaning}\n#${name}=${fallback ?? ''}`,
  );
  return `${[opening, ...settings].join('\n\n')}\n`;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(path.join(packageRoot(), '.env.example'), envExample());
}
