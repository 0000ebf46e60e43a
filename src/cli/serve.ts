import type { Command } from 'commander';
import { readConfig } from '#config/config.ts';
import { systemClock } from '#kit/clock.ts';
import { openLog, openLogFile } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { WrongUsage } from './refusal.ts';
import { askedToStop, openRunningMarket, SETTINGS, takeDataFolder } from './running.ts';
import { isWorker, refuseWorkers, sayOpen, startWorkers } from './workers.ts';

const STDOUT = 1;
const WORKERS_MAX = 128;

/** `cygnet serve`: the market alone, its log on stdout, until it is asked to stop. */
export function serve(command: Command): void {
  command
    .option('--workers <n>', 'so many processes, for the cores of this machine; needs PostgreSQL and Redis')
    .addHelpText('after', SETTINGS)
    .action(async ({ workers }: { workers?: string }) => {
      if (workers === undefined) return await serveHere();
      const count = Number(workers);
      if (!Number.isInteger(count) || count < 1 || count > WORKERS_MAX)
        throw new WrongUsage(`--workers is a whole number from 1 to ${WORKERS_MAX}.`);
      await serveByWorkers(count);
    });
}

/** The market in this process. */
async function serveHere(): Promise<void> {
  const destination = openLogFile(systemClock, STDOUT);
  const stop = askedToStop({ onlyTerm: isWorker() });
  const running = await openRunningMarket({
    destination,
    localChain: false,
    progress: (sentence) => process.stderr.write(`${sentence}\n`),
  });
  running.log.info(
    { gatewayPort: running.market.gatewayPort, hubPort: running.market.hubPort, pid: process.pid },
    'The market is open.',
  );
  const reload = (): void => running.market.reloadTls();
  process.on('SIGHUP', reload);
  if (isWorker()) sayOpen();
  await stop;
  running.log.info('The market is closing.');
  await running.close('server');
  process.off('SIGHUP', reload);
  running.log.info('The market is closed.');
  destination.close();
  // The line to the process that watches would keep this one.
  if (isWorker()) process.disconnect();
}

async function serveByWorkers(count: number): Promise<void> {
  const config = readConfig();
  refuseWorkers(config);
  takeDataFolder(config);
  const destination = openLogFile(systemClock, STDOUT);
  const log = openLog({ level: config.logLevel, destination });
  const workers = startWorkers(count, { config, clock: systemClock, random: systemRandomness, log });
  const stop = (): void => workers.stop();
  const reload = (): void => workers.reload();
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', reload);
  process.exitCode = await workers.ended;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
  process.off('SIGHUP', reload);
  log.info('All workers have ended.');
  destination.close();
}
