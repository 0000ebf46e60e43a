import { createHash } from 'node:crypto';
import { escaped } from './markup.ts';

/**
 * The OpenAPI document as a page to read: written once, without scripts, and without a request to anywhere else, which its
 * headers also forbid.
 */
export interface DocsPage {
  readonly html: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Json = Record<string, unknown>;

export function docsPage(document: Json): DocsPage {
  const { info, paths, components } = document as {
    info: { title: string; version: string; description: string };
    paths: Record<string, Record<string, Json>>;
    components: { schemas: Record<string, Json> };
  };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, about]) => ({ path, method, about })),
  );
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(info.title)} API</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>${escaped(info.title)} API <small>${escaped(info.version)}</small></h1>
<p>${escaped(info.description)} The same as a document for machines: <a href="openapi.json">openapi.json</a>.</p></header>
<nav><ul>
${operations.map(({ path, method }) => `<li><a href="#${anchor(method, path)}"><b>${method.toUpperCase()}</b> ${escaped(path)}</a></li>`).join('\n')}
</ul></nav>
<main>
${operations.map((each) => section(each)).join('\n')}
<h2>Shapes</h2>
${Object.entries(components.schemas)
  .map(
    ([name, schema]) => `<section id="${escaped(name)}"><h3>${escaped(name)}</h3>${shape(schema)}</section>`,
  )
  .join('\n')}
</main>
</body>
</html>
`;
  const style = createHash('sha256').update(STYLE).digest('base64');
  return {
    html,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `default-src 'none'; style-src 'sha256-${style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    },
  };
}

function section({ path, method, about }: { path: string; method: string; about: Json }): string {
  const { summary, description, requestBody, responses, parameters, security } = about as {
    summary: string;
    /** Who may ask, where it says so. */
    description?: string;
    security: Json[];
    parameters?: { name: string; in: string; description: string }[];
    requestBody?: { content: Record<string, { schema: Json }> };
    responses: Record<string, { content?: Record<string, { schema: Json }> }>;
  };
  const rows = [
    ...(description === undefined ? [] : [row('Who', escaped(description))]),
    row(
      'Key',
      security.length === 0 ? 'none' : security.map((each) => Object.keys(each).join(', ')).join(' or '),
    ),
    ...(parameters ?? []).map((each) =>
      row(each.name, `${escaped(each.description)} (${each.in})`.trimStart()),
    ),
    ...Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) =>
      row('Takes', `${type}: ${named(schema)}`),
    ),
    ...Object.entries(responses).flatMap(([status, { content }]) =>
      Object.entries(content ?? {}).map(([type, { schema }]) => row(status, `${type}: ${named(schema)}`)),
    ),
  ];
  return `<section id="${anchor(method, path)}"><h2><b>${method.toUpperCase()}</b> <code>${escaped(path)}</code></h2>
<p>${escaped(summary)}</p><table>${rows.join('')}</table></section>`;
}

/** `what` is markup. */
function row(name: string, what: string): string {
  return `<tr><th>${escaped(name)}</th><td>${what}</td></tr>`;
}

/** The fields of an object. */
function shape(schema: Json): string {
  const {
    properties,
    required = [],
    description,
  } = schema as {
    properties?: Record<string, Json>;
    required?: string[];
    description?: string;
  };
  const words = description === undefined ? '' : `<p>${escaped(description)}</p>`;
  if (!properties) return `${words}<p>${named(schema)}</p>`;
  const rows = Object.entries(properties).map(([name, each]) => {
    const said = typeof each['description'] === 'string' ? ` — ${escaped(each['description'])}` : '';
    const needed = required.includes(name) ? ' <em>required</em>' : '';
    return row(name, `${named(each)}${needed}${said}`);
  });
  return `${words}<table>${rows.join('')}</table>`;
}

/** A type in a few words, as markup. */
function named(schema: Json, depth = 0): string {
  const reference = schema['$ref'];
  if (typeof reference === 'string') {
    const name = escaped(reference.split('/').at(-1) ?? '');
    return `<a href="#${name}">${name}</a>`;
  }
  const either = (schema['anyOf'] ?? schema['oneOf'] ?? schema['allOf']) as Json[] | undefined;
  if (either) {
    const joint = schema['allOf'] ? ' and ' : ' or ';
    if (depth > 2) return 'one of several';
    return [...new Set(either.map((each) => named(each, depth + 1)))].join(joint);
  }
  if (Array.isArray(schema['enum']))
    return schema['enum'].map((each) => `<code>${escaped(String(each))}</code>`).join(' ');
  if (schema['const'] !== undefined) return `<code>${escaped(JSON.stringify(schema['const']))}</code>`;
  if (schema['type'] === 'array') return `list of ${named((schema['items'] ?? {}) as Json, depth + 1)}`;
  const bounds = (
    [
      ['from', schema['minimum']],
      ['to', schema['maximum']],
    ] as const
  ).flatMap(([word, bound]) =>
    typeof bound === 'number' && Math.abs(bound) < 2 ** 53 - 1 ? [`${word} ${bound}`] : [],
  );
  return [escaped(typeof schema['type'] === 'string' ? schema['type'] : 'anything'), ...bounds].join(' ');
}

function anchor(method: string, path: string): string {
  return `${method}${path.replaceAll(/[^a-z]+/g, '-')}`;
}

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; }
h1 small { font-weight: normal; opacity: .6; }
nav ul { list-style: none; padding: 0; columns: 2; }
nav b, h2 b { font-size: .75em; opacity: .7; }
section { border-top: 1px solid #8884; padding: .5rem 0; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; vertical-align: top; font-weight: 600; padding: .15rem 1rem .15rem 0; white-space: nowrap; }
td { padding: .15rem 0; overflow-wrap: anywhere; }
em { opacity: .7; }
`;
