import path from 'node:path';
import type { Command } from 'commander';
import { readConfig } from '#config/config.ts';
import { childEnvironment } from '#config/env.ts';
import { formatUsd } from '#domain/money.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { openLogFile } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import type { Sealed } from '#kit/sealed.ts';
import { agentProgram } from './agent.ts';
import { AgentProcess } from './agent-process.ts';
import { LIVE_SENTENCE, startLive } from './demo-live.ts';
import { demoParties } from './demo-parties.ts';
import { askedToStop, openRunningMarket, type RunningMarket, SETTINGS, takeDataFolder } from './running.ts';

/** The model that is shipped, as the catalogue knows it. */
const SHIPPED_MODEL = 'cygnet/cygnet-nano';
const AGENT_WAIT_MS = 60_000;

/**
 * `cygnet start`: a whole market on this machine with nothing set up before. Opens the database and the market, gives the
 * demo consumer its credit and a fresh key, starts the agent with the shipped model as a process of its own, and says how
 * to send the first request. Ctrl-C lets answers under way end, then closes everything.
 */
export function start(command: Command): void {
  command.addHelpText('after', SETTINGS).action(async () => {
    const began = systemClock.nowMs();
    const say = (sentence: string): void => {
      const seconds = ((systemClock.nowMs() - began) / 1000).toFixed(1).padStart(5);
      process.stdout.write(`${seconds} s  ${sentence}\n`);
    };
    const config = readConfig();
    takeDataFolder(config);
    const logPath = path.join(config.dataFolder, 'cygnet.log');
    const destination = openLogFile(systemClock, logPath);
    const stop = askedToStop();
    const running = await openRunningMarket({ destination, progress: say, localChain: true });
    let agent: AgentProcess | undefined;
    let live: AgentProcess[] = [];
    try {
      const parties = await demoParties({
        config: running.config,
        database: running.store.database,
        clock: systemClock,
        log: running.log,
        makeId: idMaker(systemClock, systemRandomness),
        randomness: systemRandomness,
        wallet: running.chain?.demoWallets[0],
      });
      if (running.config.embeddedAgent.enabled) {
        say('Starting the agent with the shipped model.');
        agent = startAgent(running, parties.providerKey);
        const ready = await Promise.race([
          agent.registered(AGENT_WAIT_MS),
          stop.then(() => 'stopping' as const),
        ]);
        if (ready === false) say('The agent has not registered yet; it goes on trying. See the log.');
      }
      live = await startLive(running, {
        makeId: idMaker(systemClock, systemRandomness),
        randomness: systemRandomness,
      });
      if (live.length > 0) say(`${live.length} providers of the demo month join. ${LIVE_SENTENCE}`);
      for (const line of welcome(running, { ...parties, logPath })) process.stdout.write(`${line}\n`);
      await stop;
      say('Closing: answers under way may end. Press Ctrl-C again to stop at once.');
    } finally {
      // The agent first stops asking for work; the market waits for what it still computes.
      await Promise.all([agent?.stop(), ...live.map((each) => each.stop()), running.close()]);
      destination.close();
    }
    say('Closed. Everything is kept; start again with: npm start');
  });
}

function startAgent(running: RunningMarket, key: Sealed<string>): AgentProcess {
  const { config, market } = running;
  const { modelPath, sequences, threads } = config.embeddedAgent;
  return new AgentProcess({
    program: agentProgram(),
    words: [
      '--hub',
      `ws://127.0.0.1:${market.hubPort}`,
      '--folder',
      path.join(config.dataFolder, 'agent'),
      '--model',
      `${SHIPPED_MODEL}=${modelPath}`,
      '--sequences',
      String(sequences),
      '--threads',
      String(threads),
      '--name',
      'beside-the-market',
      '--json',
    ],
    key,
    environment: childEnvironment(),
    clock: systemClock,
    log: running.log.child({ room: 'agent' }),
  });
}

function welcome(
  running: RunningMarket,
  about: { consumerKey: Sealed<string>; firstTime: boolean; logPath: string },
): string[] {
  const { config, market } = running;
  const elsewhere =
    config.dataFolder === path.resolve('.cygnet') ? '' : `CYGNET_DATA_DIR=${config.dataFolder} `;
  const base = `http://127.0.0.1:${market.gatewayPort}`;
  // Shown on purpose, this once: it is what the newcomer needs, and only its hash is kept.
  const key = about.consumerKey.open();
  const credit = about.firstTime
    ? `a fresh one, with ${formatUsd(config.money.demoCredit)} of demo credit`
    : 'a fresh one for the demo consumer; its balance is as you left it';
  return [
    '',
    'The market is open.',
    '',
    `  Gateway  ${base}/v1   (any OpenAI client: this base URL and the key below)`,
    `  Pages    ${base}   (sign up there; to run the market from them: ${elsewhere}npx cygnet operator add YOUR-EMAIL)`,
    `  Hub      ws://127.0.0.1:${market.hubPort}   (agents dial here)`,
    `  Key      ${key}   (${credit})`,
    `  Data     ${config.dataFolder}   log: ${about.logPath}`,
    '',
    'Send the first request:',
    '',
    `  curl -N ${base}/v1/chat/completions -H 'Authorization: Bearer ${key}' \\`,
    `    -H 'Content-Type: application/json' \\`,
    `    -d '{"model":"cygnet-nano","stream":true,"messages":[{"role":"user","content":"What is 17 + 25?"}]}'`,
    '',
    'See what it cost, in another terminal:',
    '',
    `  ${elsewhere}npx cygnet balance`,
    `  ${elsewhere}npx cygnet usage`,
    '',
    ...(running.chain?.isLocal
      ? [
          'Providers are paid on a chain of this machine. Pay the demo provider what it earned so far, and collect it:',
          '',
          `  ${elsewhere}CYGNET_PAYOUT_MIN_USD=0 npx cygnet settle --until $(date -u +%F)`,
          `  ${elsewhere}npx cygnet claim --demo --market ${base}      (after a minute or two)`,
          '',
        ]
      : []),
    'Stop with Ctrl-C.',
    '',
  ];
}
