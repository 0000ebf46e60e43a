import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

/**
 *     npm run chaos:upgrade -- --from <git ref> [--no-links] [--built <folder>]
 *
 * Three linked gateways of an older version under load are replaced by this one, one after the other. The older version is checked out
 * into a folder of its own, installed and built there, and removed in the end; `--built` names one that is ready instead. `--no-links`:
 * the two versions are known not to link, so it is not expected that they do.
 */
const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    built: { type: 'string' },
    'no-links': { type: 'boolean', default: false },
  },
});
const { from, built } = values;
if (from === undefined && built === undefined)
  throw new Error('Say which version to upgrade from: --from <git ref>, or --built <folder>.');

function say(command: string, words: readonly string[], folder?: string): string {
  const { status, stdout, stderr } = spawnSync(command, words, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${words.join(' ')} ended with ${status}: ${stdout}${stderr}`);
  return stdout.trim();
}

/** Runs it where everything can be read. */
function tell(command: string, words: readonly string[], folder?: string, env = process.env): number {
  console.log(`--- ${command} ${words.join(' ')}`);
  return spawnSync(command, words, { cwd: folder, stdio: 'inherit', env }).status ?? 1;
}

function upgradeFrom(folder: string): number {
  const env = {
    ...process.env,
    CYGNET_UPGRADE_PROGRAM: path.join(path.resolve(folder), 'dist', 'cygnet.mjs'),
    CYGNET_UPGRADE_LINKS: values['no-links'] ? 'no' : 'yes',
  };
  return tell('npx', ['vitest', 'run', '--config', 'vitest.chaos.config.ts'], undefined, env);
}

if (built !== undefined) process.exitCode = upgradeFrom(built);
else {
  const commit = say('git', ['rev-parse', '--verify', `${from}^{commit}`]);
  const home = mkdtempSync(path.join(tmpdir(), 'cygnet-upgrade-'));
  const folder = path.join(home, commit.slice(0, 12));
  const tidy = (): void => {
    spawnSync('git', ['worktree', 'remove', '--force', folder]);
    rmSync(home, { recursive: true, force: true });
  };
  process.once('exit', tidy);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  say('git', ['worktree', 'add', '--detach', folder, commit]);
  const ready =
    tell('npm', ['ci', '--no-audit', '--no-fund'], folder) === 0 &&
    tell('npm', ['run', 'build'], folder) === 0;
  if (!ready) console.error(`${from} could not be built.`);
  process.exitCode = ready ? upgradeFrom(folder) : 1;
}
