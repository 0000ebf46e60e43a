import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

/**
 *     npm run chaos -- [--seed 1] [--kills 1000] [--agents 6] [--clients 9]
 *
 * Three gateways under load, killed again and again, in every other trouble there is. About two seconds for each kill.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    kills: { type: 'string', default: '1000' },
    agents: { type: 'string', default: '6' },
    clients: { type: 'string', default: '9' },
  },
});
const { status } = spawnSync('npx', ['vitest', 'run', '--config', 'vitest.chaos.config.ts'], {
  stdio: 'inherit',
  env: {
    ...process.env,
    CYGNET_CHAOS_SEED: values.seed,
    CYGNET_CHAOS_KILLS: values.kills,
    CYGNET_CHAOS_AGENTS: values.agents,
    CYGNET_CHAOS_CLIENTS: values.clients,
  },
});
process.exitCode = status ?? 1;
