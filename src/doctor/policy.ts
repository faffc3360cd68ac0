/**
 * Bucket policies: whether one denies what it should, and how it is made to. A policy is merged statement by statement:
 * one of ours, told by its Sid, takes the place of its older self, and every other one stays where and as it is.
 */

/** As JSON has it. */
export interface Statement {
  Sid?: string;
  Effect: string;
  Principal?: unknown;
  Action?: OneOrMore;
  Resource?: OneOrMore;
  Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** A Deny of ours: for everybody, and of these actions. */
export type WantedStatement = Required<Statement> & { Sid: string };

type OneOrMore = string | readonly string[];

interface Document {
  Version?: string;
  Statement?: Statement | readonly Statement[];
}

export function statementsOf(policy: string | undefined): readonly Statement[] {
  return policy === undefined ? [] : listOf((JSON.parse(policy) as Document).Statement);
}

/** The policy with `wanted` in it. All else it says, it says as before. */
export function withStatement(policy: string | undefined, wanted: WantedStatement): string {
  const document = policy === undefined ? { Version: '2012-10-17' } : (JSON.parse(policy) as Document);
  const statements = statementsOf(policy);
  const at = statements.findIndex(({ Sid }) => Sid === wanted.Sid);
  const Statement = at < 0 ? [...statements, wanted] : statements.with(at, wanted);
  return JSON.stringify({ ...document, Statement });
}

/** Whether a statement denies all of `wanted`, and where none does, what the one that comes closest lacks. */
export function coverage(
  policy: string | undefined,
  wanted: WantedStatement,
): { by?: string; lacking?: string | undefined } {
  let lacking: string | undefined;
  for (const statement of statementsOf(policy)) {
    if (statement.Effect !== 'Deny') continue;
    const shortfall = shortfallOf(statement, wanted);
    if (shortfall === undefined) return { by: nameOf(statement) };
    if (isAbout(statement, wanted)) lacking ??= `${nameOf(statement)} ${shortfall}`;
  }
  return { lacking };
}

/** `The statement "X"`. */
export function nameOf({ Sid }: Statement): string {
  return Sid === undefined ? 'A statement without a Sid' : `The statement ${JSON.stringify(Sid)}`;
}

/** What a Deny lacks to deny everything that `wanted` denies; undefined where it does. */
function shortfallOf(statement: Statement, wanted: WantedStatement): string | undefined {
  const { Principal, Action, Resource, Condition = {} } = statement;
  if (!isEverybody(Principal)) return 'is not for every principal';
  if (!matchesAll(listOf(wanted.Action), listOf(Action), { ignoreCase: true }))
    return 'is not for all of these actions';
  if (!matchesAll(listOf(wanted.Resource), listOf(Resource))) return 'does not name the bucket and all of its objects';
  // Conditions must all hold at once, so a statement with fewer of them denies more.
  const demanded = conditionsOf(wanted.Condition);
  const isWeaker = ({ operator, key, values }: Test) => {
    const same = demanded.find((test) => test.operator === operator && test.key === key);
    return same === undefined || !denies({ operator, values }, same.values);
  };
  const weaker = conditionsOf(Condition).find(isWeaker);
  return (
    weaker &&
    `has the condition ${weaker.operator} ${weaker.key} ${weaker.values.join(', ')}, without which it would not deny`
  );
}

function isEverybody(principal: unknown): boolean {
  if (principal === '*') return true;
  const { AWS } = (principal ?? {}) as { AWS?: OneOrMore };
  return listOf(AWS).includes('*');
}

/** Whether it has to do with what is wanted: a condition on the same key. */
function isAbout({ Condition = {} }: Statement, wanted: WantedStatement): boolean {
  const keys = conditionsOf(Condition).map(({ key }) => key);
  return conditionsOf(wanted.Condition).some(({ key }) => keys.includes(key));
}

/** One test of a condition: the operator without its IfExists, the key in lower case and as it is written. */
interface Test {
  operator: string;
  key: string;
  writtenKey: string;
  values: readonly string[];
}

export function conditionsOf(condition: NonNullable<Statement['Condition']>): Test[] {
  return Object.entries(condition).flatMap(([operator, tests]) =>
    Object.entries(tests).map(([key, values]) => ({
      // With IfExists a test also holds where there is no such key: such a Deny denies more.
      operator: operator.replace(/IfExists$/, ''),
      key: key.toLowerCase(),
      writtenKey: key,
      values: listOf(values as OneOrMore).map(String),
    })),
  );
}

/** Whether a test of the same operator and key holds wherever one for `wanted` does. */
function denies({ operator, values }: Pick<Test, 'operator' | 'values'>, wanted: readonly string[]): boolean {
  if (operator === 'NumericLessThan')
    return wanted.every((one) => values.some((value) => Number(value) >= Number(one)));
  // Fewer exceptions deny more.
  if (operator.includes('Not')) return values.every((value) => wanted.includes(value));
  return wanted.every((one) => values.includes(one));
}

/** Whether each text is matched by one of the patterns, where `*` stands for any characters and `?` for one. */
function matchesAll(
  texts: readonly string[],
  patterns: readonly string[],
  { ignoreCase = false }: { ignoreCase?: boolean } = {},
): boolean {
  const expressions = patterns.map((pattern) => {
    const source = pattern
      .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    return new RegExp(`^${source}$`, ignoreCase ? 'si' : 's');
  });
  return texts.every((text) => expressions.some((expression) => expression.test(text)));
}

function listOf<Item>(items: Item | readonly Item[] | undefined): readonly Item[] {
  if (items === undefined) return [];
  return Array.isArray(items) ? items : [items as Item];
}
