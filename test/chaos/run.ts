import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

/**
 *     npm run chaos -- [--seed 1] [--kills 50] [--agents 20] [--clients 9] [--minutes N] [--long]
 *
 * Three gateways under load, killed again and again, in every other trouble there is. About two seconds for each kill; with
 * `--long` troubles last up to a minute, and a kill takes some seconds more. With
 * `--minutes` it ends after so long, however many were killed, and everything is checked as in the end.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    kills: { type: 'string', default: '50' },
    agents: { type: 'string', default: '20' },
    clients: { type: 'string', default: '9' },
    minutes: { type: 'string' },
    long: { type: 'boolean', default: false },
  },
});
const { status } = spawnSync(
  'npx',
  ['vitest', 'run', '--config', 'vitest.chaos.config.ts', 'test/chaos/chaos.test.ts'],
  {
    stdio: 'inherit',
    env: {
      ...process.env,
      CYGNET_CHAOS_SEED: values.seed,
      CYGNET_CHAOS_KILLS: values.kills,
      CYGNET_CHAOS_AGENTS: values.agents,
      CYGNET_CHAOS_CLIENTS: values.clients,
      ...(values.minutes !== undefined && { CYGNET_CHAOS_MINUTES: values.minutes }),
      CYGNET_CHAOS_LONG: values.long ? 'yes' : 'no',
    },
  },
);
process.exitCode = status ?? 1;
