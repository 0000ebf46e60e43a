import type { Command } from 'commander';
import { systemClock } from '#kit/clock.ts';
import { openLogFile } from '#kit/log.ts';
import { askedToStop, openRunningMarket, SETTINGS } from './running.ts';

const STDOUT = 1;

/** `cygnet serve`: the market alone, its log on stdout, until it is asked to stop. */
export function serve(command: Command): void {
  command.addHelpText('after', SETTINGS).action(async () => {
    const destination = openLogFile(systemClock, STDOUT);
    const stop = askedToStop();
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
    await stop;
    running.log.info('The market is closing.');
    await running.close('server');
    process.off('SIGHUP', reload);
    running.log.info('The market is closed.');
    destination.close();
  });
}
