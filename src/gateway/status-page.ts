import { createHash } from 'node:crypto';
import type { StatusBody } from '#wire/status.ts';
import { escaped } from './markup.ts';

/**
 * The public status as a page and as a feed. The page has no script and asks nothing of anybody, which its headers forbid
 * too; its bars and lines are drawn here. Each of them is said in words as well, for those who do not see them.
 */
export function statusPage(report: StatusBody): string {
  const open = report.incidents.filter((each) => each.resolved_at === null);
  const past = report.incidents.filter((each) => each.resolved_at !== null);
  const coming = report.maintenance.filter((each) => each.until > report.at);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="60">
<title>${HEADLINES[report.state]} · Status</title>
<link rel="alternate" type="application/atom+xml" title="Incidents" href="status.atom">
<style>${STYLE}</style>
</head>
<body>
<header class="banner ${report.state}"><h1>${HEADLINES[report.state]}</h1>
<p>As of ${moment(report.at)}${report.changes_frozen ? '. Changes to this market are on hold.' : ''}</p></header>
<main>
${open.length === 0 ? '' : `<section><h2>Open incidents</h2>${open.map(incident).join('')}</section>`}
${coming.length === 0 ? '' : `<section><h2>Maintenance</h2>${coming.map(maintenance).join('')}</section>`}
<section><h2>Models</h2>
${report.components.length === 0 ? '<p class="quiet">Nobody has served anything here yet.</p>' : report.components.map(component).join('\n')}
${report.components.length === 0 ? '' : LEGEND}</section>
<section><h2>Past incidents</h2>
${past.length === 0 ? '<p class="quiet">None in 90 days.</p>' : past.map(incident).join('')}</section>
</main>
<footer><p>The same for programs: <a href="status.json">JSON</a>, <a href="status.atom">Atom</a>. Times are UTC.</p></footer>
</body>
</html>
`;
}

type Component = StatusBody['components'][number];

const HEADLINES: Readonly<Record<StatusBody['state'], string>> = {
  operational: 'Every model that is served answers',
  degraded: 'Some models are impaired',
  outage: 'Models are down',
  maintenance: 'Maintenance is under way',
  unserved: 'No model is served yet',
};

const STATES: Readonly<Record<Component['state'], string>> = {
  operational: 'Operational',
  degraded: 'Impaired',
  outage: 'Down',
  maintenance: 'Maintenance',
  unserved: 'Nobody serves it now',
};

const LEGEND = `<p class="legend quiet"><span><i class="good"></i> 99.9 % and more</span> <span><i class="fair"></i> 99 % and more</span> <span><i class="poor"></i> less</span> <span><i class="none"></i> nothing was asked</span></p>`;

function component(each: Component): string {
  const {
    model,
    name,
    region,
    state,
    providers,
    availability_90d: share,
    minutes_90d: minutes,
    days,
    last_24h: last,
  } = each;
  const title = region === '' ? `<h3>${escaped(name)}</h3>` : `<h4>${escaped(region)}</h4>`;
  const pool = `${providers} ${providers === 1 ? 'provider' : 'providers'}`;
  const said =
    share === null
      ? 'nothing was asked in 90 days'
      : `${percent(share)} of ${days.some((day) => day.requests > 0) ? 'requests' : 'probes'} answered in 90 days`;
  return `<article class="${region === '' ? 'model' : 'region'}">
<div class="line">${title}<span class="state ${state}">${STATES[state]}</span></div>
<p class="quiet">${region === '' ? `<code>${escaped(model)}</code> · ` : ''}${pool} · ${said}${inMinutes(minutes)}</p>
${bars(days, said)}
<div class="ends quiet"><span>90 days ago</span><span>today</span></div>
${last ? figures(last) : ''}
</article>`;
}

/** The other way to count, which agreements are about. */
function inMinutes({ measured, unavailable, availability }: Component['minutes_90d']): string {
  if (availability === null) return '';
  return ` · by the minute: ${percent(availability)} available (${unavailable} of ${measured} measured minutes were not)`;
}

const BAR = { width: 7, gap: 3, height: 32 } as const;

/** A bar for each day, coloured by what was answered. */
function bars(days: Component['days'], said: string): string {
  const step = BAR.width + BAR.gap;
  const drawn = days.map(({ day, requests, probes, availability }, at) => {
    const of = requests > 0 ? `of ${requests} requests` : `of ${probes} probes`;
    const words = availability === null ? 'nothing was asked' : `${percent(availability)} ${of}`;
    return `<rect class="${grade(availability)}" x="${at * step}" width="${BAR.width}" height="${BAR.height}" rx="1"><title>${day}: ${words}</title></rect>`;
  });
  const width = days.length * step - BAR.gap;
  return `<svg class="bars" viewBox="0 0 ${width} ${BAR.height}" preserveAspectRatio="none" role="img" aria-label="${said}">${drawn.join('')}</svg>`;
}

function grade(share: number | null): string {
  return share === null ? 'none' : share >= 0.999 ? 'good' : share >= 0.99 ? 'fair' : 'poor';
}

function figures(last: NonNullable<Component['last_24h']>): string {
  const rows: [string, string][] = [
    ['First token, p50', duration(last.ttft_p50_ms)],
    ['First token, p95', duration(last.ttft_p95_ms)],
    ['Last token, p95, up to 256', duration(last.ttlt_256_p95_ms)],
    ['Server errors', last.server_errors === null ? '–' : percent(last.server_errors)],
    ['Too many requests', last.too_many_requests === null ? '–' : percent(last.too_many_requests)],
    ['Tokens a second', last.tokens_per_second === null ? '–' : last.tokens_per_second.toFixed(1)],
  ];
  return `<details><summary>Last 24 hours</summary><dl>${rows.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join('')}</dl>
${chart(last.ttft_p95_ms_by_hour)}</details>`;
}

const CHART = { width: 690, height: 80 } as const;

/** The p95 of the time to the first token by hour; hours in which nothing was asked are a gap. */
function chart(hours: readonly (number | null)[]): string {
  const most = Math.max(...hours.map((each) => each ?? 0));
  if (most === 0) return '';
  const x = (at: number): number => Math.round((at * CHART.width) / Math.max(1, hours.length - 1));
  const y = (ms: number): number => Math.round(CHART.height - 4 - (ms / most) * (CHART.height - 12));
  let path = '';
  let drawing = false;
  hours.forEach((ms, at) => {
    if (ms !== null) path += `${drawing ? 'L' : 'M'}${x(at)} ${y(ms)}`;
    drawing = ms !== null;
  });
  const points = hours.map((ms, at) =>
    ms === null ? '' : `<circle cx="${x(at)}" cy="${y(ms)}" r="3"><title>${duration(ms)}</title></circle>`,
  );
  return `<p class="quiet">First token, p95 by hour; at most ${duration(most)}</p>
<svg class="chart" viewBox="-4 0 ${CHART.width + 8} ${CHART.height}" role="img" aria-label="p95 of the time to the first token by hour, at most ${duration(most)}"><path d="${path}"/>${points.join('')}</svg>`;
}

function incident(each: StatusBody['incidents'][number]): string {
  const where = [each.model === '' ? 'The whole market' : each.model, each.region].filter(
    (part) => part !== '',
  );
  const ended = each.resolved_at === null ? '' : ` · over ${moment(each.resolved_at)}`;
  const steps = each.steps.toReversed();
  return `<article class="incident ${each.resolved_at === null ? each.worst : 'over'}" id="${escaped(each.id)}">
<div class="line"><h3>${where.map(escaped).join(', ')}</h3><span class="severity">${each.worst}</span></div>
<p class="quiet">Since ${moment(each.opened_at)}${ended}</p>
<ol>${steps.map(({ at, kind, words }) => `<li><b>${KINDS[kind] ?? 'Note'}</b> ${escaped(words)} <time class="quiet" datetime="${at}">${moment(at)}</time></li>`).join('')}</ol>
</article>`;
}

const KINDS: Readonly<Record<string, string>> = {
  opened: 'Opened',
  changed: 'Changed',
  note: 'Update',
  resolved: 'Resolved',
  'post-mortem': 'Post-mortem',
};

function maintenance(each: StatusBody['maintenance'][number]): string {
  return `<article class="window"><h3>${escaped(each.words)}</h3>
<p class="quiet">${each.model === '' ? 'The whole market' : escaped(each.model)} · ${moment(each.from)} to ${moment(each.until)} · announced ${moment(each.announced_at)}</p></article>`;
}

/** Incidents as an Atom feed (RFC 4287), newest first. Its links are relative: a market does not know every name it is called by. */
export function statusFeed(report: StatusBody): string {
  const entries = report.incidents.map((each) => {
    const where = [each.model === '' ? 'The whole market' : each.model, each.region].filter(
      (part) => part !== '',
    );
    const updated = each.steps.at(-1)?.at ?? each.opened_at;
    const text = each.steps.map(({ at, words }) => `${moment(at)}: ${words}`).join('\n');
    return `<entry>
<id>urn:cygnet:${escaped(each.id)}</id>
<title>${escaped(where.join(', '))}: ${each.resolved_at === null ? each.severity : 'resolved'}</title>
<link href="status#${escaped(each.id)}"/>
<published>${each.opened_at}</published>
<updated>${updated}</updated>
<content type="text">${escaped(text)}</content>
</entry>`;
  });
  const updated = report.incidents
    .map((each) => each.steps.at(-1)?.at ?? each.opened_at)
    .toSorted()
    .at(-1);
  return `<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
<id>urn:cygnet:status</id>
<title>Incidents</title>
<author><name>Cygnet</name></author>
<link rel="self" href="status.atom"/>
<link href="status"/>
<updated>${updated ?? report.at}</updated>
${entries.join('\n')}
</feed>
`;
}

/** 99.95 %: never rounded up to a whole that it is not. */
function percent(share: number): string {
  const hundredths = Math.floor(share * 10_000 + 1e-9) / 100;
  return `${hundredths} %`;
}

function duration(ms: number | null): string {
  if (ms === null) return '–';
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

function moment(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif;
  --ground: #fff; --ink: #1c2430; --soft: #5b6675; --line: #dfe3e8; --card: #f7f8fa;
  --good: #1a7f4b; --fair: #c98a00; --poor: #c4302b; --none: #d3d8de; --calm: #2b6cb0; }
@media (prefers-color-scheme: dark) { :root { --ground: #11151b; --ink: #e6eaf0; --soft: #9aa5b4; --line: #2a323d;
  --card: #181e26; --good: #3fb27f; --fair: #e0ac3a; --poor: #ef6a64; --none: #38424f; --calm: #6aa5e0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 48rem; padding: 1rem; background: var(--ground); color: var(--ink); }
h1, h2, h3, h4, p { margin: 0; }
h1 { font-size: 1.35rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; } h3 { font-size: 1rem; } h4 { font-size: .9rem; font-weight: 600; }
a { color: inherit; }
code { overflow-wrap: anywhere; }
.quiet { color: var(--soft); font-size: .85rem; }
.banner { border-radius: .5rem; padding: 1rem 1.25rem; background: var(--card); border-left: .4rem solid var(--good); }
.banner.degraded { border-color: var(--fair); } .banner.outage { border-color: var(--poor); } .banner.maintenance { border-color: var(--calm); }
article { border: 1px solid var(--line); border-radius: .5rem; padding: .85rem 1rem; margin-bottom: .75rem; background: var(--card); overflow-wrap: anywhere; }
article.region { margin-left: 1.25rem; }
.line { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; }
.state, .severity { font-size: .85rem; font-weight: 600; white-space: nowrap; color: var(--soft); }
.state.operational { color: var(--good); } .state.degraded { color: var(--fair); } .state.outage { color: var(--poor); } .state.maintenance, .state.unserved { color: var(--calm); }
.bars { display: block; width: 100%; height: 2rem; margin-top: .5rem; }
rect.good { fill: var(--good); } rect.fair { fill: var(--fair); } rect.poor { fill: var(--poor); } rect.none { fill: var(--none); }
.ends { display: flex; justify-content: space-between; font-size: .75rem; }
.legend span { white-space: nowrap; margin-right: 1rem; }
.legend i { display: inline-block; width: .7rem; height: .7rem; border-radius: .15rem; }
i.good { background: var(--good); } i.fair { background: var(--fair); } i.poor { background: var(--poor); } i.none { background: var(--none); }
details { margin-top: .5rem; } summary { cursor: pointer; font-size: .85rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .5rem 1rem; margin: .5rem 0; }
dt { font-size: .75rem; color: var(--soft); } dd { margin: 0; font-variant-numeric: tabular-nums; }
.chart { display: block; width: 100%; height: 5rem; }
.chart path { fill: none; stroke: var(--calm); stroke-width: 2; } .chart circle { fill: var(--calm); }
.incident { border-left: .3rem solid var(--fair); } .incident.critical, .incident.major { border-left-color: var(--poor); } .incident.over { border-left-color: var(--none); }
ol { list-style: none; margin: .5rem 0 0; padding: 0; } li { padding: .25rem 0; border-top: 1px solid var(--line); font-size: .9rem; white-space: pre-line; }
li time { white-space: nowrap; }
footer { margin: 2rem 0 1rem; font-size: .85rem; }
@media (max-width: 30rem) { article.region { margin-left: .5rem; } .bars { height: 1.6rem; } }
`;

/** What the page may do: show itself. */
export const STATUS_PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'public, max-age=15',
};
