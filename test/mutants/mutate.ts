import { compileStandardJson } from '../../scripts/solc.mjs';

/**
 * Small changes to a contract, each of which a test must notice. The changes are made where the compiler's own syntax tree
 * says that something is: a comparison, a condition, a statement, a modifier, an argument. The same source gives the same
 * mutants in the same order.
 */
export interface Mutant {
  /** `<contract>:<line>:<column> <what was> → <what is>`: names it for ever, as long as the source stays. */
  readonly name: string;
  readonly contract: string;
  readonly source: string;
}

interface Node {
  readonly nodeType: string;
  readonly src: string;
  readonly [member: string]: unknown;
}

interface Place {
  readonly at: number;
  readonly length: number;
}

interface Change extends Place {
  readonly text: string;
}

/** What each operator is mistaken for. */
const MISTAKEN: Readonly<Record<string, readonly string[]>> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '==': ['!='],
  '!=': ['=='],
  '&&': ['||'],
  '||': ['&&'],
  '+': ['-'],
  '-': ['+'],
  '+=': ['-=', '='],
  '-=': ['+=', '='],
};

const COMPARISONS: ReadonlySet<string> = new Set(['<', '<=', '>', '>=', '==', '!=']);

/** Members of one kind that are easily taken for each other. */
const ALIKE: Readonly<Record<string, string>> = {
  active: 'pending',
  pending: 'active',
  locked: 'waiting',
  waiting: 'locked',
};

const ROLES: Readonly<Record<string, string>> = {
  OPERATOR_ROLE: 'GUARDIAN_ROLE',
  GUARDIAN_ROLE: 'OPERATOR_ROLE',
  DEFAULT_ADMIN_ROLE: 'GUARDIAN_ROLE',
};

/** Every mutant of a source. Throws with the compiler's words when the source does not compile. */
export function mutantsOf(contract: string, source: string): Mutant[] {
  const changes: Change[] = [];
  walk(treeOf(contract, source), (node) => changes.push(...changesAt(node, source)));
  const seen = new Set<string>();
  return changes.flatMap(({ at, length, text }) => {
    const mutated = source.slice(0, at) + text + source.slice(at + length);
    if (mutated === source || seen.has(mutated)) return [];
    seen.add(mutated);
    const before = source.slice(0, at);
    const line = before.split('\n').length;
    const column = at - before.lastIndexOf('\n');
    const was = inOneLine(source.slice(at, at + length));
    const name = `${contract}:${line}:${column} ${was} → ${text === '' ? 'nothing' : inOneLine(text)}`;
    return [{ name, contract, source: mutated }];
  });
}

function changesAt(node: Node, source: string): Change[] {
  const whole = placeOf(node);
  const textOf = (part: unknown): string => {
    const { at, length } = placeOf(part as Node);
    return source.slice(at, at + length);
  };
  const instead = (text: string): Change => ({ ...whole, text });
  switch (node.nodeType) {
    case 'BinaryOperation': {
      const left = textOf(node['leftExpression']);
      const right = textOf(node['rightExpression']);
      const operators = MISTAKEN[node['operator'] as string] ?? [];
      return operators.map((operator) => instead(`${left} ${operator} ${right}`));
    }
    case 'Assignment': {
      const left = textOf(node['leftHandSide']);
      const right = textOf(node['rightHandSide']);
      const operators = MISTAKEN[node['operator'] as string] ?? [];
      return operators.map((operator) => instead(`${left} ${operator} ${right}`));
    }
    case 'IfStatement': {
      const condition = node['condition'] as Node;
      // A comparison is changed by its own operators.
      const compares = COMPARISONS.has(condition['operator'] as string);
      const negated = { ...placeOf(condition), text: `!(${textOf(condition)})` };
      const removed = { ...withSemicolon(whole, source), text: '' };
      return compares ? [removed] : [removed, negated];
    }
    case 'Conditional': {
      const [condition, yes, no] = [node['condition'], node['trueExpression'], node['falseExpression']].map(
        textOf,
      );
      return [instead(`${condition} ? ${no} : ${yes}`), instead(`${yes}`), instead(`${no}`)];
    }
    case 'ExpressionStatement':
    case 'EmitStatement': {
      const statement = withSemicolon(whole, source);
      // Not the step of a loop.
      return statement.length === whole.length ? [] : [{ ...statement, text: '' }];
    }
    case 'ModifierInvocation':
      return [instead('')];
    case 'Literal':
      return node['kind'] === 'number' ? [{ ...whole, text: oneMore(textOf(node)) }] : [];
    case 'Identifier': {
      const other = ROLES[node['name'] as string];
      return other ? [instead(other)] : [];
    }
    case 'MemberAccess': {
      const other = ALIKE[node['memberName'] as string];
      return other ? [instead(`${textOf(node['expression'])}.${other}`)] : [];
    }
    case 'FunctionCall':
      return swappedArguments(node, textOf);
    default:
      return [];
  }
}

/** Two neighbouring arguments of one type, the other way round. */
function swappedArguments(node: Node, textOf: (part: unknown) => string): Change[] {
  const args = node['arguments'] as (Node & { typeDescriptions: { typeString: string } })[];
  if ((node['names'] as string[]).length > 0) return [];
  return args.slice(1).flatMap((second, i) => {
    const first = args[i] as typeof second;
    if (first.typeDescriptions.typeString !== second.typeDescriptions.typeString) return [];
    const from = placeOf(first);
    const to = placeOf(second);
    const length = to.at + to.length - from.at;
    return [{ at: from.at, length, text: `${textOf(second)}, ${textOf(first)}` }];
  });
}

/** `7 days` → `8 days`. */
function oneMore(literal: string): string {
  return literal.replace(/^\d+/, (digits) => String(BigInt(digits) + 1n));
}

function treeOf(contract: string, source: string): Node {
  const file = `contracts/src/${contract}.sol`;
  const output = JSON.parse(
    compileStandardJson(
      JSON.stringify({
        language: 'Solidity',
        sources: { [file]: { content: source } },
        settings: { outputSelection: { [file]: { '': ['ast'] } } },
      }),
    ),
  ) as { errors?: { severity: string; formattedMessage: string }[]; sources: Record<string, { ast: Node }> };
  const errors = (output.errors ?? []).filter(({ severity }) => severity === 'error');
  const tree = output.sources[file]?.ast;
  if (errors.length > 0 || !tree) throw new Error(errors.map((one) => one.formattedMessage).join('\n'));
  return tree;
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child === 'object' && child !== null && 'nodeType' in child) walk(child as Node, visit);
    }
  }
}

/** In characters: the sources are ASCII, or the compiler's bytes would lie elsewhere. */
function placeOf(node: Node): Place {
  const [at = 0, length = 0] = node.src.split(':').map(Number);
  return { at, length };
}

function withSemicolon({ at, length }: Place, source: string): Place {
  return { at, length: source[at + length] === ';' ? length + 1 : length };
}

function inOneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 90 ? `${line.slice(0, 87)}...` : line;
}
