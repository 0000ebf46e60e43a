import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { hasNetworks, type Place, TestNetwork } from './network.ts';

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
}, 120_000);

const PORT = 4_000;
/** Says back what it hears. */
const ECHO = `require('node:net').createServer((s) => s.on('error', () => {}).pipe(s)).listen(${PORT}, () => console.log('open'))`;
/** Dials an address and says what happens. */
const DIAL = `const s = require('node:net').connect(${PORT}, process.argv[1]).setEncoding('utf8');
  s.on('connect', () => console.log('connected')).on('data', (heard) => console.log(heard)).on('error', ({ code }) => console.log(code));
  process.stdin.on('data', (said) => s.write(said)).on('end', () => process.exit());`;

/** What a program in a place said; `until` resolves when it has said it. */
function runIn(place: Place, ...words: string[]) {
  const child = spawn(place.within[0] as string, [
    ...place.within.slice(1),
    process.execPath,
    '-e',
    ...words,
  ]);
  closers.push(() => end(child));
  const heard = {
    said: '',
    child,
    until: async (text: string): Promise<void> => {
      while (!heard.said.includes(text)) await once(child.stdout, 'data');
    },
  };
  child.stdout.setEncoding('utf8').on('data', (part: string) => (heard.said += part));
  return heard;
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  if (child.kill('SIGKILL')) await gone;
}

async function dial(address: string): Promise<Socket> {
  const socket = connect(PORT, address).setEncoding('utf8');
  closers.push(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

describe.skipIf(!hasNetworks())('a network of namespaces', { timeout: 120_000 }, () => {
  test('loses what is sent between two places, closes nothing, and carries it all when it is mended', async () => {
    const network = await TestNetwork.open(3);
    closers.push(() => network.close());
    const [first, second, third] = network.places as [Place, Place, Place];
    await Promise.all([second, third].map((place) => runIn(place, ECHO).until('open')));
    const [toSecond, toThird] = [runIn(first, DIAL, second.address), runIn(first, DIAL, third.address)];
    await Promise.all([toSecond.until('connected'), toThird.until('connected')]);
    const fromHere = await dial(second.address);

    await network.drop(first.address, second.address);
    await network.drop(second.address, first.address);
    const late = runIn(first, DIAL, second.address);
    toSecond.child.stdin.write('lost');
    toThird.child.stdin.write('heard');
    await toThird.until('heard');
    fromHere.write('heard here');
    expect(String(await once(fromHere, 'data'))).toBe('heard here');
    // Neither closed nor refused, and nothing came through.
    expect([toSecond.said, late.said]).toEqual(['connected\n', '']);

    await network.mend();
    await Promise.all([toSecond.until('lost'), late.until('connected')]);
  });

  test('can tell who sends that there is no way, and drop one direction alone', async () => {
    const network = await TestNetwork.open(2);
    closers.push(() => network.close());
    const [first, second] = network.places as [Place, Place];
    await runIn(second, ECHO).until('open');
    await network.drop(first.address, second.address, true);
    await runIn(first, DIAL, second.address).until('ENETUNREACH');
    await network.mend();
    const line = runIn(first, DIAL, second.address);
    await line.until('connected');
    await network.drop(second.address, first.address);
    line.child.stdin.write('there, and not back');
    await network.mend();
    await line.until('there, and not back');
    expect(line.said).toBe('connected\nthere, and not back\n');
  });

  test('leaves nothing behind, and what a killed run left is removed by the next', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    const left = `cygnet-test-${dead}-1-0`;
    expect(spawnSync('ip', ['netns', 'add', left]).status).toBe(0);
    const network = await TestNetwork.open(1);
    const names = (): string => String(spawnSync('ip', ['netns', 'list']).stdout);
    expect(names()).not.toContain(left);
    expect(names()).toContain(`cygnet-test-${process.pid}-`);
    await network.close();
    expect(names()).not.toContain(`cygnet-test-${process.pid}-`);
  });
});
