import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The folder that holds our `package.json`, found upwards from this file, so that shipped data (migrations, catalogue,
 * model) is found alike from sources and from a bundle. Throws when the program was moved away from its package.
 */
export function packageRoot(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const manifest = path.join(folder, 'package.json');
    if (existsSync(manifest) && NAMES.includes(JSON.parse(readFileSync(manifest, 'utf8')).name))
      return folder;
    const parent = path.dirname(folder);
    if (parent === folder)
      throw new Error('The folder of the cygnet package was not found above this program.');
    folder = parent;
  }
}

/** The whole, and the agent as a package of its own. */
const NAMES = ['cygnet', 'cygnet-agent'];

/** Our own version, as the package has it. */
export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
