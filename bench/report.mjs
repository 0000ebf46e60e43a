// Makes tables out of the raw figures of a run: ratios to the floor, goals and whether they are met, the setting.
// usage: node bench/report.mjs [results.jsonl]   (the latest run, unless said); also writes summary.md beside it
//
// A ratio is formed within a round and its median over the rounds is what counts: both sides then had the same kind of
// moment. "best" divides the least figures of either side over all rounds: what an undisturbed machine would come near to.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const isWrong = (row) =>
  row.failed !== undefined ||
  row.units === 0 ||
  (row.scenario !== 'badkey' && (row.badStatus ?? 0) + (row.badRead ?? 0) + (row.badConnect ?? 0) > 0) ||
  (row.bad ?? 0) + (row.promptsBad ?? 0) > 0;

const present = (values) => values.filter((value) => typeof value === 'number' && Number.isFinite(value));

function median(values) {
  const sorted = present(values).toSorted((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
const least = (values) => (present(values).length > 0 ? Math.min(...present(values)) : null);
const most = (values) => (present(values).length > 0 ? Math.max(...present(values)) : null);

/** CPU time of the target's own processes for one request or token, in µs. */
const cost = (row) => (row.units > 0 && row.cpu > 0 ? (row.cpu / row.units) * 1e6 : null);
const otherCost = (role) => (row) =>
  row.units > 0 && row.othersCpu?.[role] !== undefined ? (row.othersCpu[role] / row.units) * 1e6 : null;

/** The figures of one run, to be asked. */
function readRun(file) {
  const lines = fs
    .readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const setting = lines.find((line) => line.kind === 'setting');
  const all = lines.filter((line) => line.kind === 'row');
  const rows = all.filter((row) => !isWrong(row) && row.skipped === undefined);
  const of = (target, scenario) => rows.filter((row) => row.target === target && row.scenario === scenario);
  const pairs = (target, base, scenario, join) =>
    of(target, scenario).flatMap((row) => {
      const other = of(base, scenario).find((each) => each.round === row.round);
      return other ? [join(row, other)] : [];
    });
  return {
    setting,
    rows,
    of,
    targets: [...new Set(all.map((row) => row.target))],
    wrong: all.filter(isWrong),
    skipped: all.filter((row) => row.skipped !== undefined),
    rounds: new Set(all.map((row) => row.round)).size,
    middle: (target, scenario, figure) => median(of(target, scenario).map(figure)),
    least: (target, scenario, figure) => least(of(target, scenario).map(figure)),
    most: (target, scenario, figure) => most(of(target, scenario).map(figure)),
    /** Median over rounds of target ÷ base. */
    ratio(target, base, scenario, figure) {
      const both = pairs(target, base, scenario, (a, b) => [figure(a), figure(b)]);
      return median(both.map(([a, b]) => (a !== null && b > 0 ? a / b : null)));
    },
    /** The least figure of the target ÷ the least of the base. */
    bestRatio(target, base, scenario, figure) {
      const [a, b] = [least(of(target, scenario).map(figure)), least(of(base, scenario).map(figure))];
      return a !== null && b > 0 ? a / b : null;
    },
    /** Median over rounds of target − base. */
    difference: (target, base, scenario, figure) =>
      median(pairs(target, base, scenario, (a, b) => figure(a) - figure(b))),
  };
}

const number = (value, digits = 2) => (value === null || value === undefined ? '-' : value.toFixed(digits));
const whole = (value) => (value === null ? '-' : Math.round(value).toLocaleString('en-US'));
/** A median, with the least disturbed figure in brackets. */
const both = (middle, best, digits = 2) =>
  middle === null ? '-' : `${number(middle, digits)} (${number(best, digits)})`;

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

/** Which of the two marks a figure reaches. Nothing measured, nothing met. */
const verdict = (measured, must, aim) => {
  if (!measured) return 'not measured';
  if (aim) return must ? 'aim met' : 'MISSED';
  return must ? 'must met' : 'MISSED';
};

function cpuGoal(run, { name, target, scenario, must, aim, timesNginx }) {
  const middle = run.ratio(target, 'floor', scenario, cost);
  const best = run.bestRatio(target, 'floor', scenario, cost);
  const toNginx = timesNginx === undefined ? null : run.ratio(target, 'nginx', scenario, cost);
  const nginxMet = timesNginx === undefined || (toNginx !== null && toNginx <= timesNginx);
  return [
    name,
    `≤ ${must}`,
    `≤ ${aim}${timesNginx ? `, and ≤ ${timesNginx} × nginx` : ''}`,
    both(middle, best) + (toNginx === null ? '' : `; ${number(toNginx)} × nginx`),
    verdict(middle !== null, middle <= must, middle <= aim && nginxMet),
  ];
}

function ttftGoal(run) {
  const ttft = (row) => row.ttft50Ms;
  const [own, floor, nginx] = ['cygnet', 'floor', 'nginx'].map((each) =>
    run.difference(each, 'direct', 'ttft', ttft),
  );
  const overFloor = run.difference('cygnet', 'floor', 'ttft', ttft);
  const overNginx = run.difference('cygnet', 'nginx', 'ttft', ttft);
  return [
    'added TTFT p50, ms',
    "≤ floor's",
    "≤ nginx's + 0.7",
    own === null ? '-' : `${number(own)} (floor ${number(floor)}, nginx ${number(nginx)})`,
    verdict(overFloor !== null, overFloor <= 0, overNginx !== null && overNginx <= 0.7),
  ];
}

function promptsGoal(run) {
  const gap = (row) => row.gap99Ms;
  const middle = run.ratio('cygnet', 'direct', 'prompts', gap);
  const best = run.bestRatio('cygnet', 'direct', 'prompts', gap);
  return [
    'p99 gap between events while 400 kB prompts arrive / direct',
    '≤ 1.5',
    '≤ 1.15',
    both(middle, best),
    verdict(middle !== null, middle <= 1.5, middle <= 1.15),
  ];
}

function hangUpGoal(run) {
  const after = run.middle('cygnet', 'cancel', (row) => row.after99);
  const learns = run.middle('cygnet', 'cancel', (row) => row.learns99Ms);
  return [
    'tokens generated after a hang-up, p99',
    '≤ 4',
    '≤ 1, cancel p99 ≤ 5 ms',
    after === null ? '-' : `${number(after, 0)}, cancel p99 ${number(learns)} ms`,
    verdict(after !== null, after <= 4, after <= 1 && learns !== null && learns <= 5),
  ];
}

/** Changes are of the p99 during the stall against that before it. */
function stallFigures(run) {
  const [row] = run.of('cygnet', 'stall');
  if (!row) return null;
  const [before, during, after] = row.segments;
  const refused = row.segments.map(
    (segment) =>
      segment.lost + Object.entries(segment.statuses).reduce((n, [s, c]) => n + (s === '200' ? 0 : c), 0),
  );
  const exact = row.charged === row.answered && row.audit === 'passed';
  return { row, before, during, after, refused, exact, change: during.p99Ms / before.p99Ms - 1 };
}

function stallGoal(run) {
  const stall = stallFigures(run);
  const percent = (share) => `${(share * 100).toFixed(0)} %`;
  return [
    'database stalled 30 s: change of p99',
    '≤ 20 %, 0 lost',
    '≤ 5 %, 0 lost',
    stall
      ? `${percent(stall.change)}, ${stall.row.answered} answered, ${stall.row.charged} charged, audit ${stall.row.audit}`
      : '-',
    verdict(stall !== null, stall?.exact && stall.change <= 0.2, stall?.exact && stall.change <= 0.05),
  ];
}

function badKeyGoal(run) {
  const rate = (row) => row.perSecond;
  const middle = run.ratio('cygnet', 'empty', 'badkey', rate);
  return [
    'bad keys refused a second / empty reply',
    '≥ 0.5',
    '≥ 0.75',
    number(middle),
    verdict(middle !== null, middle >= 0.5, middle >= 0.75),
  ];
}

function memoryGoal(run) {
  const middle = run.ratio('cygnet', 'floor', 'sat', (row) => row.rssMb);
  return [
    'peak memory at 512 streams / floor',
    '≤ 1.5',
    '≤ 1.2',
    number(middle),
    verdict(middle !== null, middle <= 1.5, middle <= 1.2),
  ];
}

function goals(run) {
  return table(
    ['figure (ratio within a round: median (best))', 'must', 'aim', 'measured', 'verdict'],
    [
      cpuGoal(run, {
        name: 'CPU per plain request / floor',
        target: 'cygnet',
        scenario: 'n64',
        must: 1.5,
        aim: 1.0,
      }),
      cpuGoal(run, {
        name: 'CPU per streamed token at 512 streams / floor, our agent',
        target: 'cygnet',
        scenario: 'sat',
        must: 1.0,
        aim: 0.65,
        timesNginx: 2,
      }),
      cpuGoal(run, {
        name: "the same with a Swan agent's JSON message per token",
        target: 'cygnet-swan',
        scenario: 'sat',
        must: 1.6,
        aim: 1.3,
      }),
      cpuGoal(run, {
        name: '64 kB prompts, CPU / floor',
        target: 'cygnet',
        scenario: 'big',
        must: 1.2,
        aim: 0.9,
      }),
      cpuGoal(run, {
        name: 'CPU per token of a burst / floor',
        target: 'cygnet',
        scenario: 'burst',
        must: 1.5,
        aim: 1.0,
      }),
      ttftGoal(run),
      promptsGoal(run),
      hangUpGoal(run),
      stallGoal(run),
      badKeyGoal(run),
      memoryGoal(run),
    ],
  );
}

function plainTable(run, targets) {
  const rows = targets.map((target) => [
    target,
    `${whole(run.middle(target, 'n64', (row) => row.perSecond))} (${whole(run.most(target, 'n64', (row) => row.perSecond))})`,
    ['p50Ms', 'p95Ms', 'p99Ms']
      .map((name) =>
        number(
          run.middle(target, 'n64', (row) => row[name]),
          1,
        ),
      )
      .join(' / '),
    both(run.middle(target, 'n64', cost), run.least(target, 'n64', cost), 1),
    both(run.ratio(target, 'floor', 'n64', cost), run.bestRatio(target, 'floor', 'n64', cost)),
    both(run.ratio(target, 'floor', 'big', cost), run.bestRatio(target, 'floor', 'big', cost)),
    number(run.difference(target, 'direct', 'n1', (row) => row.p50Ms)),
  ]);
  return table(
    [
      'target',
      'req/s, 64 connections: median (best)',
      'p50 / p95 / p99 ms',
      'CPU µs per request',
      '÷ floor',
      '64 kB prompt, ÷ floor',
      'added p50 at 1 connection, ms',
    ],
    rows,
  );
}

function streamTable(run, targets) {
  const rows = targets.map((target) => [
    target,
    whole(run.middle(target, 'burst', (row) => row.tokensPerSecond)),
    both(run.middle(target, 'burst', cost), run.least(target, 'burst', cost)),
    both(run.ratio(target, 'floor', 'burst', cost), run.bestRatio(target, 'floor', 'burst', cost)),
    whole(run.middle(target, 'sat', (row) => row.tokensPerSecond)),
    both(run.middle(target, 'sat', cost), run.least(target, 'sat', cost)),
    both(run.ratio(target, 'floor', 'sat', cost), run.bestRatio(target, 'floor', 'sat', cost)),
    number(run.difference(target, 'direct', 'ttft', (row) => row.ttft50Ms)),
    number(
      run.middle(target, 'sat', (row) => row.rssMb || null),
      0,
    ),
  ]);
  return table(
    [
      'target',
      'burst: tokens/s',
      'CPU µs per token',
      '÷ floor',
      '512 paced: tokens/s',
      'CPU µs per token',
      '÷ floor',
      'added TTFT p50, ms',
      'peak memory, MB',
    ],
    rows,
  );
}

function disturbanceTable(run, targets) {
  const rows = targets.map((target) => [
    target,
    number(
      run.middle(target, 'prompts', (row) => row.gap99Ms),
      1,
    ),
    number(run.ratio(target, 'direct', 'prompts', (row) => row.gap99Ms)),
    run.of(target, 'prompts').length > 0
      ? `${run.of(target, 'prompts').reduce((n, row) => n + row.promptsAnswered, 0)} of ${run.of(target, 'prompts').reduce((n, row) => n + row.prompts, 0)}`
      : '-',
    [
      number(
        run.middle(target, 'cancel', (row) => row.afterMean),
        1,
      ),
      number(
        run.middle(target, 'cancel', (row) => row.after99),
        0,
      ),
    ].join(' / '),
    ['learns50Ms', 'learns99Ms']
      .map((name) =>
        number(
          run.middle(target, 'cancel', (row) => row[name]),
          1,
        ),
      )
      .join(' / '),
    whole(run.middle(target, 'cancel', (row) => row.ranToTheEnd)),
  ]);
  return table(
    [
      'target',
      'long prompts: p99 gap, ms',
      '÷ direct',
      'prompts answered',
      'hang-up: events after it, mean / p99',
      'noticed after p50 / p99 ms',
      'streams that ran to the end, of 64',
    ],
    rows,
  );
}

/** The calls that carry the most bytes: out in embeddings, in with the prompts. */
function heavyTable(run, targets) {
  const cells = (target, scenario) => [
    both(run.middle(target, scenario, cost), run.least(target, scenario, cost), 0),
    both(run.ratio(target, 'floor', scenario, cost), run.bestRatio(target, 'floor', scenario, cost)),
  ];
  const gapped = targets.some((target) => run.of(target, 'gaps').length > 0);
  const rows = targets.map((target) => [
    target,
    ...cells(target, 'embed'),
    ...cells(target, 'floats'),
    ...cells(target, 'huge'),
    number(
      run.middle(target, 'huge', (row) => row.rssMb || null),
      0,
    ),
    ...(gapped
      ? [
          number(
            run.middle(target, 'gaps', (row) => row.gap99Ms),
            1,
          ),
          number(run.ratio(target, 'direct', 'gaps', (row) => row.gap99Ms)),
        ]
      : []),
  ]);
  return table(
    [
      'target',
      'embeddings in base64: CPU µs per request',
      '÷ floor',
      'in numbers: CPU µs per request',
      '÷ floor',
      '1 MB prompt: CPU µs per request',
      '÷ floor',
      'peak memory, MB',
      ...(gapped ? ['p99 gap of 512 streams beside two such prompts a second, ms', '÷ direct'] : []),
    ],
    rows,
  );
}

/** What our product uses on the other CPU. */
function partsTable(run, targets) {
  const ours = targets.filter((target) => target.startsWith('cygnet'));
  if (ours.length === 0) return null;
  const parts = (target, scenario) => [
    number(run.middle(target, scenario, cost), 1),
    number(run.middle(target, scenario, otherCost('agent')), 1),
    number(run.middle(target, scenario, otherCost('database')), 1),
  ];
  return table(
    [
      'CPU µs',
      'per request: gateway',
      'agent',
      'database',
      'per token of 512 streams: gateway',
      'agent',
      'database',
    ],
    ours.map((target) => [target, ...parts(target, 'n64'), ...parts(target, 'sat')]),
  );
}

function badKeyTable(run) {
  const targets = run.targets.filter((target) => run.of(target, 'badkey').length > 0);
  if (targets.length === 0) return null;
  return table(
    ['bad keys', 'refused a second', 'CPU µs each'],
    targets.map((target) => [
      target,
      whole(run.middle(target, 'badkey', (row) => row.perSecond)),
      number(run.middle(target, 'badkey', cost), 1),
    ]),
  );
}

function stallTable(run) {
  const stall = stallFigures(run);
  if (!stall) return null;
  return table(
    ['database stall', 'answered', 'not answered with 200', 'p50 ms', 'p99 ms', 'longest ms'],
    [
      ['before', stall.before],
      ['standing still', stall.during],
      ['after', stall.after],
    ].map(([name, segment], i) => [
      name,
      segment.answered,
      stall.refused[i],
      number(segment.p50Ms),
      number(segment.p99Ms),
      number(segment.maxMs, 0),
    ]),
  );
}

function soakTable(run) {
  const rows = run.rows.filter((row) => row.scenario === 'soak');
  if (rows.length === 0) return null;
  return table(
    [`memory over ${run.setting.soakMinutes} minutes, MB`, 'first third', 'second', 'last'],
    rows.map((row) => [
      row.target,
      ...[row.rssFirstMb, row.rssSecondMb, row.rssLastMb].map((mb) => number(mb, 0)),
    ]),
  );
}

function settingText(run) {
  const { machine, seconds, model, cpus, pacePromptsMs } = run.setting;
  const foreign = median(run.rows.map((row) => row.foreign));
  return [
    `Measured ${machine.date} UTC at commit ${machine.commit ?? 'unknown'} on ${machine.cpu}, ${machine.cores} CPUs, ` +
      `${machine.memoryGb} GB, ${machine.kernel}, Node ${machine.node}, ${machine.nginx ?? 'no nginx'}; load average before: ` +
      `${machine.loadBefore.join(', ')}. ${run.rounds} round${run.rounds === 1 ? '' : 's'} of ${seconds} s; targets on CPU ` +
      `${cpus.target}, everything else on CPU ${cpus.load}; model ${model}; prompts scenario at one event per ` +
      `${pacePromptsMs} ms.`,
    `Others used ${number(foreign * 100, 0)} % of the targets' CPU (median over all measurements).`,
  ].join('\n');
}

function mistakesText(run) {
  const said = [...run.wrong, ...run.skipped].map((row) => {
    const why =
      row.failed ??
      row.skipped ??
      (row.units === 0 ? 'nothing was answered' : undefined) ??
      `${row.badStatus ?? 0} bad statuses, ${row.badRead ?? 0} broken reads, ${row.bad ?? 0} bad streams, ${row.promptsBad ?? 0} bad prompts`;
    return `* ${row.scenario}, ${row.target}, round ${row.round}: ${String(why).replaceAll('\n', ' ').slice(0, 200)}`;
  });
  return said.length === 0 ? null : `Left out of the tables:\n\n${said.join('\n')}`;
}

/** Writes summary.md beside the raw figures and answers its text. */
export function writeReport(file) {
  const run = readRun(file);
  const measured = (scenarios) =>
    run.targets.filter((target) => scenarios.some((scenario) => run.of(target, scenario).length > 0));
  const order = ['direct', 'nginx', 'floor', 'portkey', 'empty', 'cygnet', 'cygnet-rehearsal', 'cygnet-swan'];
  const listed = (scenarios) => measured(scenarios).toSorted((a, b) => order.indexOf(a) - order.indexOf(b));
  const section = (title, scenarios, make) => {
    const targets = listed(scenarios);
    const text = targets.length > 0 ? make(run, targets) : null;
    return text === null ? null : `### ${title}\n\n${text}`;
  };
  const text = [
    settingText(run),
    `### Goals\n\n${goals(run)}`,
    section('Plain requests', ['n1', 'n64', 'big'], plainTable),
    section('Streams', ['burst', 'sat', 'ttft'], streamTable),
    section('Long prompts and hang-ups', ['prompts', 'cancel'], disturbanceTable),
    section('Embeddings and 1 MB prompts', ['embed', 'floats', 'huge', 'gaps'], heavyTable),
    section('The parts of our product', ['n64', 'sat'], partsTable),
    section('Refusals', ['badkey'], badKeyTable),
    section('A database that stands still', ['stall'], stallTable),
    section('Memory over time', ['soak'], soakTable),
    mistakesText(run),
  ]
    .filter((part) => part !== null)
    .join('\n\n');
  fs.writeFileSync(path.join(path.dirname(file), 'summary.md'), `${text}\n`);
  return text;
}

function latestRun() {
  const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'results');
  const files = fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => name.endsWith('.jsonl')) : [];
  return files.length > 0 ? path.join(folder, files.toSorted().at(-1)) : null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = process.argv[2] ?? latestRun();
  if (file) console.log(writeReport(file));
  else {
    console.error('Nothing has been measured yet: npm run bench');
    process.exitCode = 1;
  }
}
