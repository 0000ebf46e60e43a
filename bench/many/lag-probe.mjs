// Loaded into a gateway (`node --import`): how late its event loop is, written to LAG_FILE each second, in milliseconds.
// Each line is of all since the last SIGUSR2: p50, p99 and the longest. The signal comes when the gateway is open, since what
// starting took is nobody's wait.
import fs from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const lag = monitorEventLoopDelay({ resolution: 5 });
lag.enable();
process.on('SIGUSR2', () => lag.reset());
setInterval(() => {
  const ms = [lag.percentile(50), lag.percentile(99), lag.max].map((ns) => (ns / 1e6).toFixed(1));
  fs.appendFileSync(process.env.LAG_FILE, `${Date.now()} ${ms.join(' ')}\n`);
}, 1_000).unref();
