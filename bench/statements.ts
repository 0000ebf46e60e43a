import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openDatabase } from '#db/database.ts';
import { migrate } from '#db/migrate.ts';
import { startPostgres } from '#db/postgres-server.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { openStatements } from '#statements/open.ts';

/**
 * What statements cost: `npx tsx bench/statements.ts [requests]`. A month of charged requests by 10,000 consumers on 20
 * models is put into the tables, then closed and invoiced, exported and reported, and one invoice is printed. Times are wall
 * time, the database's included; memory is this process's.
 */
const REQUESTS = Number(process.argv[2] ?? 300_000);
const CONSUMERS = 10_000;
const NOVEMBER = Date.UTC(2026, 10, 1);
const folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-bench-'));
chmodSync(folder, 0o755);

const server = await startPostgres({ folder: path.join(folder, 'postgres') });
const database = openDatabase({
  url: server.url,
  log: silentLog,
  deadlineMs: 1_200_000,
  statementTimeoutMs: 1_200_000,
});
await migrate(database, { url: server.url });
const { sql } = database;
const at = (n: string) =>
  sql.unsafe(`timestamptz '2026-11-01 00:00Z' + (${n} % 2592000) * interval '1 second'`);
await sql`insert into consumers (id, name, created_at) select 'con_' || n, 'Customer ' || n, now() from generate_series(0, ${CONSUMERS - 1}::int) n`;
await sql`
  insert into usage (id, at, consumer_id, key_id, model_id, provider_id, node_id, mode, streamed, outcome, input_tokens,
    output_tokens, events, bytes, attempts, total_ms, price_id, policy, charge)
  select 'req_' || n, ${at('n')}, 'con_' || n % ${CONSUMERS}::int, 'key', 'model/' || n % 20, 'prov_' || n % 7, 'node_' || n % 70,
    'websocket', true, 'completed', 100, 50, 51, 2048, 1, 300, 'price', 'standard-1', 1000000
  from generate_series(1, ${REQUESTS}::int) n`;
await sql`
  insert into entries (id, kind, at, accounts, amounts)
  select 'charge:req_' || n, 'charge', ${at('n')},
    array['consumer:con_' || n % ${CONSUMERS}::int, 'provider:prov_' || n % 7, 'platform:fee', 'platform:treasury', 'platform:burn'],
    array[-1000000, 665000, 50000, 190000, 95000]
  from generate_series(1, ${REQUESTS}::int) n`;
await sql`
  insert into entries (id, kind, at, accounts, amounts)
  select 'grant:' || n, 'grant', ${new Date(NOVEMBER)}, array['consumer:con_' || n, 'platform:promo'], array[10000000, -10000000]
  from generate_series(0, ${CONSUMERS - 1}::int) n`;
await sql`analyze`;

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const from = performance.now();
  const answer = await work();
  console.log(`${what}: ${((performance.now() - from) / 1000).toFixed(1)} s`);
  return answer;
}

const clock = { ...systemClock, wallMs: () => Date.UTC(2026, 11, 2) };
const settings = {
  issuerName: 'Bench',
  issuerAddress: [],
  issuerTaxId: undefined,
  note: undefined,
  fontFile: undefined,
};
const statements = openStatements({ database, settings, assets: [], clock });
const range = { from: NOVEMBER, to: Date.UTC(2026, 11, 1) };
const { documents } = await timed(`close and invoice a month of ${REQUESTS} requests`, () =>
  statements.billing.round(),
);
console.log(`${documents} invoices`);
const before = process.memoryUsage().rss;
let most = before;
let bytes = 0;
await timed('export its journal', async () => {
  for await (const part of statements.journal(range)) {
    bytes += part.length;
    most = Math.max(most, process.memoryUsage().rss);
  }
});
console.log(`${Math.round(bytes / 1e6)} MB, memory ${Math.round((most - before) / 1e6)} MB higher at most`);
await timed("a provider's earnings by day", () => statements.revenue.earned('prov_1', 'day', range));
await timed('revenue by node', () => statements.revenue.byNode(range));
await timed('volume by day', () => statements.revenue.volume(range));
const body = await statements.billing.find('INV-000001');
if (body) await timed('print an invoice', () => statements.press.print(body));
await database.close();
await server.stop();
rmSync(folder, { recursive: true, force: true });
