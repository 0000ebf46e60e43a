// Reads a TypeScript source the way the house rules look at it: which paths it imports, and where it reaches for the
// surroundings (the clock, chance, the environment) instead of being handed them. Works on the syntax tree, so comments
// and text that merely look like code do not count.

import { parseAst } from 'vitest/node';

type Node = { type: string; start: number } & Record<string, unknown>;

export type Import = { path: string; line: number };
export type Ambient = { what: string; line: number };

export function readSource(
  source: string,
  lang: 'ts' | 'tsx' = 'ts',
): { imports: Import[]; ambient: Ambient[] } {
  const program = parseAst(source, { lang }) as unknown as Node;
  const imports: Import[] = [];
  const uses: Ambient[] = [];
  const local = new Set<string>();

  walk(program, (node) => {
    const path = importedPath(node);
    if (path !== undefined) imports.push({ path, line: lineOf(source, node) });
    for (const what of ambientUses(node)) uses.push({ what, line: lineOf(source, node) });
    const name = declaredName(node);
    if (name !== undefined) local.add(name);
  });

  // A name that the file declares or imports itself is not the global of that name.
  const ambient = uses.filter(({ what }) => !local.has(/^(?:new )?(\w+)/.exec(what)?.[1] ?? ''));
  return { imports, ambient };
}

function lineOf(source: string, node: Node): number {
  return source.slice(0, node.start).split('\n').length;
}

/** Static and type imports, re-exports, `import()` as an expression and as a type. */
function importedPath(node: Node): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return textOf(node['source']);
    default:
      return undefined;
  }
}

const MEMBERS: Record<string, RegExp> = {
  Date: /^now$/,
  Math: /^random$/,
  performance: /^(now|timeOrigin)$/,
  process: /^(env|hrtime|uptime)$/,
  crypto: /^(random\w*|getRandomValues)$/,
};
const CALLS = /^(Date|setTimeout|setInterval|setImmediate)$/;
const NAMED_IMPORTS: Record<string, RegExp> = {
  timers: /./,
  'timers/promises': /./,
  crypto: /^(random\w*|getRandomValues|webcrypto)$/,
  perf_hooks: /^performance$/,
  process: /^(env|hrtime|uptime)$/,
};

function ambientUses(node: Node): string[] {
  switch (node.type) {
    case 'NewExpression':
      return nameOf(node['callee']) === 'Date' && (node['arguments'] as Node[]).length === 0
        ? ['new Date()']
        : [];
    case 'CallExpression': {
      const name = nameOf(node['callee']) ?? '';
      return CALLS.test(name) ? [`${name}()`] : [];
    }
    case 'MemberExpression': {
      const object = node['object'] as Node;
      const key = node['computed'] ? textOf(node['property']) : nameOf(node['property']);
      if (key === undefined) return [];
      if (nameOf(object) === 'globalThis')
        return MEMBERS[key] || CALLS.test(key) ? [`globalThis.${key}`] : [];
      const name = nameOf(object);
      return name !== undefined && Object.hasOwn(MEMBERS, name) && MEMBERS[name]?.test(key)
        ? [`${name}.${key}`]
        : [];
    }
    case 'ImportDeclaration': {
      const from = textOf(node['source'])?.replace(/^node:/, '') ?? '';
      const forbidden = Object.hasOwn(NAMED_IMPORTS, from) ? NAMED_IMPORTS[from] : undefined;
      if (!forbidden || node['importKind'] === 'type') return [];
      return (node['specifiers'] as Node[])
        .map((specifier) => nameOf(specifier['imported']))
        .filter((name): name is string => name !== undefined && forbidden.test(name))
        .map((name) => `import { ${name} } from 'node:${from}'`);
    }
    default:
      return [];
  }
}

/** `import process from 'node:process'` is the global under its own name, so only other imports count as local. */
function declaredName(node: Node): string | undefined {
  switch (node.type) {
    case 'ImportSpecifier':
      return nameOf(node['local']);
    case 'VariableDeclarator':
    case 'FunctionDeclaration':
    case 'ClassDeclaration':
      return nameOf(node['id']);
    default:
      return undefined;
  }
}

function nameOf(node: unknown): string | undefined {
  const { type, name } = (node ?? {}) as { type?: string; name?: string };
  return type === 'Identifier' ? name : undefined;
}

function textOf(node: unknown): string | undefined {
  const { type, value, quasis } = (node ?? {}) as {
    type?: string;
    value?: unknown;
    quasis?: { value: { cooked: string } }[];
  };
  if (type === 'Literal' && typeof value === 'string') return value;
  return type === 'TemplateLiteral' && quasis?.length === 1 ? quasis[0]?.value.cooked : undefined;
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const child of childrenOf(node)) walk(child, visit);
}

function childrenOf(node: Node): Node[] {
  return Object.values(node)
    .flat()
    .filter(
      (child): child is Node =>
        typeof child === 'object' && child !== null && typeof (child as Node).type === 'string',
    );
}

/** The names of all tests in a source, each behind those of the groups that it is in, as written (`%s` and all). */
export function testNames(source: string): string[] {
  const names: string[] = [];
  const look = (node: Node, groups: readonly string[]): void => {
    const [kind, name] = testOrGroup(node);
    if (kind === 'test') names.push([...groups, name].join(' '));
    const within = kind === 'group' ? [...groups, name] : groups;
    for (const child of childrenOf(node)) look(child, within);
  };
  look(parseAst(source, { lang: 'ts' }) as unknown as Node, []);
  return names;
}

/** Of `it('…', …)`, `describe.each(…)('…', …)` and the like: which it is, and its name. */
function testOrGroup(node: Node): ['test' | 'group', string] | [undefined, ''] {
  if (node.type !== 'CallExpression') return [undefined, ''];
  const name = textOf((node['arguments'] as Node[])[0]);
  let callee = node['callee'] as Node;
  while (callee.type === 'MemberExpression' || callee.type === 'CallExpression') {
    callee = (callee.type === 'MemberExpression' ? callee['object'] : callee['callee']) as Node;
  }
  const root = nameOf(callee) ?? '';
  if (name === undefined || !/^(it|test|describe)$/.test(root)) return [undefined, ''];
  return [root === 'describe' ? 'group' : 'test', name];
}
