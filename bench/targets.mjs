// What is measured: the peers and floors here, our own product in cygnet-target.mjs. A target says why it cannot take part
// (`missing`), and how it is started. Started, it is
//
//   port, headers     where and how to ask it
//   pids              the processes whose CPU time and memory are its own
//   others            by role, the processes (asked anew each time) that work for it elsewhere: reported apart
//   diaryUrl          who saw its clients hang up
//   refusedHeaders    a key that is well made and not accepted, where the target knows keys
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCygnet, whyNoCygnet } from './cygnet-target.mjs';
import { descendants, hasProgram } from './machine.mjs';
import { folder, freePort, listening, sleep, start } from './processes.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const PORTKEY = path.join(here, 'portkey/node_modules/@portkey-ai/gateway');

const plain = (setting, started) => ({
  headers: { authorization: 'Bearer sk-bench' },
  others: {},
  diaryUrl: setting.upstreamDiaryUrl,
  ...started,
});

export const TARGETS = {
  /** The upstream itself: what everything else adds to. */
  direct: {
    missing: () => null,
    start: async (setting) => plain(setting, { port: setting.upstreamPort, pids: [] }),
  },

  /** The compiled floor: a proxy that looks at nothing. */
  nginx: {
    missing: () => (hasProgram('nginx') ? null : 'nginx is not installed'),
    async start(setting) {
      const port = await freePort();
      const dir = path.join(folder, 'nginx');
      fs.mkdirSync(dir);
      const config = fs
        .readFileSync(path.join(here, 'targets/nginx.conf.tpl'), 'utf8')
        .replaceAll('@USER@', process.getuid() === 0 ? 'user root;' : '')
        .replaceAll('@DIR@', dir)
        .replaceAll('@UPSTREAM@', setting.upstreamPort)
        .replaceAll('@PORT@', port);
      fs.writeFileSync(path.join(dir, 'nginx.conf'), config);
      const argv = ['nginx', '-c', path.join(dir, 'nginx.conf'), '-e', path.join(dir, 'error.log')];
      const nginx = start('nginx', setting.cpus.target, argv);
      while (descendants(nginx.pid).length === 0 && nginx.alive()) await sleep(50);
      return plain(setting, { port, pids: descendants(nginx.pid), log: nginx.log });
    },
  },

  /** The floor in Node, to which all ratios are formed. */
  floor: {
    missing: () => null,
    async start(setting) {
      const argv = ['node', path.join(here, 'targets/floor.mjs'), setting.upstreamPort];
      const floor = start('floor', setting.cpus.target, argv);
      const { port } = await listening(floor);
      return plain(setting, { port, pids: [floor.pid], log: floor.log });
    },
  },

  /** A peer: Portkey's gateway from npm, its web layer pinned to the versions of its own lock file. */
  portkey: {
    missing: () => (fs.existsSync(PORTKEY) ? null : 'not installed; `npm run bench:peers` installs it'),
    async start(setting) {
      const port = await freePort();
      const portkey = start(
        'portkey',
        setting.cpus.target,
        [
          'node',
          '--require',
          path.join(here, 'targets/force-loopback.cjs'),
          path.join(PORTKEY, 'build/start-server.js'),
          `--port=${port}`,
          '--headless',
        ],
        { env: { NODE_ENV: 'production' } },
      );
      return plain(setting, {
        port,
        pids: [portkey.pid],
        log: portkey.log,
        headers: {
          authorization: 'Bearer sk-bench',
          'x-portkey-provider': 'openai',
          'x-portkey-custom-host': `http://127.0.0.1:${setting.upstreamPort}/v1`,
        },
      });
    },
  },

  /** The cheapest refusal in Node: what a flood of bad keys is measured against, and nothing else. */
  empty: {
    missing: () => null,
    async start(setting) {
      const empty = start('empty', setting.cpus.target, ['node', path.join(here, 'targets/empty-reply.mjs')]);
      const { port } = await listening(empty);
      const headers = { authorization: 'Bearer sk-bench' };
      return plain(setting, {
        port,
        pids: [empty.pid],
        log: empty.log,
        refusedHeaders: headers,
        refusesAll: true,
      });
    },
  },

  /** Our gateway and hub, our agent over the binary extension, the HTTP upstream behind it. */
  cygnet: { missing: whyNoCygnet, start: (setting) => startCygnet('cygnet', 'upstream', setting) },

  /** The same with the agent's own rehearsal backend: no second HTTP hop. */
  'cygnet-rehearsal': {
    missing: whyNoCygnet,
    start: (setting) => startCygnet('cygnet-rehearsal', 'rehearsal', setting),
  },

  /** Our gateway and hub, and an agent that speaks the Swan protocol: a JSON message for each token. */
  'cygnet-swan': { missing: whyNoCygnet, start: (setting) => startCygnet('cygnet-swan', 'swan', setting) },
};

/** Without the rehearsal: it is asked for by name. */
export const DEFAULT_TARGETS = ['direct', 'nginx', 'floor', 'portkey', 'cygnet', 'cygnet-swan'];
