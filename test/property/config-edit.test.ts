// A tunnel saved in a config file of any form: the file says what was wanted, and all else is there as it was.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TunnelConfig } from '../../src/config/config.js';
import { editTunnel, type TextEdit } from '../../src/config/edit.js';
import { formatTable, type TableValues, tunnelValues } from '../../src/config/format.js';
import { parseConfig } from '../../src/config/load.js';
import { tunnelLines } from '../support/config-lines.js';

/** `own`: says something of the tunnel. */
interface Line {
  readonly text: string;
  readonly own: boolean;
}

const FORMS = [
  ...(['table', 'dotted', 'dotted below', 'inline', 'inline below'] as const),
  ...(['inline around', 'dotted around'] as const),
];
type Form = (typeof FORMS)[number];

/** How one file is written. */
interface Layout {
  readonly form: Form;
  readonly newline: '\n' | '\r\n';
  readonly hasMark: boolean;
  readonly isOpen: boolean;
  readonly indent: string;
  readonly inParts: boolean;
  /** Whether the other tunnel stands before. */
  readonly isLast: boolean;
}

const layout: fc.Arbitrary<Layout> = fc.record({
  form: fc.constantFrom(...FORMS),
  newline: fc.constantFrom('\n', '\r\n'),
  hasMark: fc.boolean(),
  isOpen: fc.boolean(),
  indent: fc.constantFrom('', '  ', '\t'),
  inParts: fc.boolean(),
  isLast: fc.boolean(),
});

const OTHER = ['mode = "ipip"', 'remote = "198.51.100.9"', 'allow = ["any"]'];
const foreign = (text: string): Line => ({ text, own: false });

/** `key = { in = 1, out = 2 }` as `key.in = 1` and `key.out = 2`. */
function parts(line: string): string[] {
  const [, key, items] = /^(key|csum|seq|ttl|tos) = \{ (.*) \}$/.exec(line) ?? [];
  return items === undefined ? [line] : items.split(', ').map((item) => `${key}.${item}`);
}

/** The lines of tunnel t, and of another one, in a form. */
function linesOf(own: readonly string[], { form, indent, isLast, inParts }: Layout): Line[] {
  const items = inParts ? own.flatMap(parts) : own;
  let count = 0;
  const line = (text: string): Line[] => [
    { text: `${indent}# Größe 🦆 above ${++count}`, own: false },
    { text: `${indent}${text} # beside ${count} "}]`, own: true },
  ];
  const others = (lead: string): Line[] => OTHER.map((item) => foreign(`${lead}${item} # u`));
  const inOrder = (first: Line[], t: Line[], u: Line[]): Line[] =>
    isLast ? [...first, ...u, foreign(''), ...t] : [...first, ...t, foreign(''), ...u];
  const inline = (of: readonly string[]): string => `{ ${of.join(', ')} }`;
  const below = foreign('[tunnel] # all');
  const flat = `{${own.map((item) => `t.${item}`).join(' , ')},u = ${inline(OTHER)} }`;
  switch (form) {
    case 'table': {
      const headed = own.filter((item) => inParts && parts(item)[0] !== item);
      const plain = own.filter((item) => !headed.includes(item)).flatMap(line);
      const tables = headed.flatMap((item) => {
        const [, key = '', all = ''] = /^(\w+) = \{ (.*) \}$/.exec(item) ?? [];
        return [...line(`[tunnel.t.${key}]`), ...all.split(', ').flatMap(line)];
      });
      return inOrder(
        [],
        [{ text: '[tunnel.t] # t', own: true }, ...plain, foreign(''), ...tables],
        [foreign('[tunnel.u]'), ...others('')],
      );
    }
    case 'dotted':
      return inOrder(
        [],
        items.flatMap((item) => line(`tunnel . "t".${item}`)),
        others('tunnel.u.'),
      );
    case 'dotted below':
      return inOrder(
        [below],
        items.flatMap((item) => line(`t.${item}`)),
        others('u.'),
      );
    case 'inline':
      return inOrder([], line(`tunnel.t = ${inline(items)}`), others('tunnel.u.'));
    case 'inline below':
      return inOrder([below], line(`t={${items.join(',')}}`), others('u.'));
    case 'inline around':
      return line(`tunnel = { u = ${inline(OTHER)}, t = ${inline(items)} }`);
    case 'dotted around':
      return line(`tunnel = ${flat}`);
  }
}

const textOf = (lines: readonly Line[], { newline, isOpen, hasMark }: Layout): string => {
  const text = lines.map((line) => line.text + newline).join('');
  return (hasMark ? '\ufeff' : '') + (isOpen ? text.slice(0, -newline.length) : text);
};

const tunnelsOf = (text: string): readonly TunnelConfig[] | undefined =>
  parseConfig(Buffer.from(text), 'f').config?.tunnels;

const valuesIn = (text: string, name: string): TableValues | undefined => {
  const tunnel = tunnelsOf(text)?.find((one) => one.name === name);
  return tunnel && tunnelValues(tunnel);
};

/** All lines that say nothing of the tunnel are there, in their order, and beside them only what says something. */
function assertRestStays(lines: readonly Line[], edited: string, { newline }: Layout): string[] {
  const left = edited.replace(/^\ufeff/, '').split(newline);
  const added: string[] = [];
  for (const { text } of lines.filter(({ own }) => !own)) {
    let next = left.shift();
    for (; next !== undefined && next !== text; next = left.shift()) added.push(next);
    assert.equal(next, text, edited);
  }
  return [...added, ...left];
}

function assertCommentsStay(lines: readonly Line[], edited: string): void {
  for (const { text } of lines) {
    const [comment] = /# .*$/.exec(text) ?? [];
    if (comment !== undefined) assert.ok(edited.includes(comment), `${comment}\n${edited}`);
  }
}

/** The other tunnel is the same, byte for byte where it shares a line. */
function assertOtherStays(before: string, edited: string, form: Form): void {
  assert.deepEqual(valuesIn(edited, 'u'), valuesIn(before, 'u'), edited);
  if (form.endsWith('around')) assert.ok(edited.includes(`u = { ${OTHER.join(', ')} }`), edited);
}

const file = fc.tuple(layout, tunnelLines).map(([how, own]) => {
  const lines = [
    foreign('# first'),
    ...linesOf(own.split('\n'), how),
    ...[foreign(''), foreign('# last 🦆')],
  ];
  return { how, lines, text: textOf(lines, how) };
});

test('a tunnel is set to another one, whatever form its file has, and nothing else of it changes', () => {
  const forms = new Map<Form, number>();
  fc.assert(
    fc.property(
      file,
      tunnelLines,
      fc.infiniteStream(fc.boolean()),
      ({ how, lines, text }, others, coins) => {
        const was = valuesIn(text, 't');
        const wanted = valuesIn(`[tunnel.t]\n${others}`, 't');
        assert.ok(was && wanted, text);
        const keys = new Map(
          [...new Set([...was.keys(), ...wanted.keys()])]
            .filter((key) => was.get(key) !== wanted.get(key) && coins.next().value)
            .map((key) => [key, wanted.get(key)]),
        );
        const all = new Map(was);
        for (const [key, value] of keys)
          value === undefined ? all.delete(key) : all.set(key, value);
        const kept = valuesIn(formatTable('tunnel.t', all), 't');
        const edits: [TextEdit, TableValues][] = [
          [{ kind: 'set', name: 't', values: wanted }, wanted],
        ];
        if (kept) edits.push([{ kind: 'change', name: 't', keys, values: all }, kept]);
        for (const [edit, values] of edits) {
          const edited = editTunnel(text, 'f', edit);
          assert.deepEqual([...(valuesIn(edited, 't') ?? [])], [...values], edited);
          assertOtherStays(text, edited, how.form);
          assertCommentsStay(lines, edited);
          for (const line of assertRestStays(lines, edited, how)) {
            assert.match(line, /^$|=|^\[tunnel\.t|# (beside|t)/, edited);
          }
          assert.equal(edited.startsWith('\ufeff'), how.hasMark);
          assert.equal(edited.endsWith('\n'), !how.isOpen);
          assert.equal(
            edited.replaceAll(how.newline, '').includes('\n'),
            false,
            'one kind of newline',
          );
        }
        forms.set(how.form, (forms.get(how.form) ?? 0) + 1);
      },
    ),
    { numRuns: 400 },
  );
  assert.ok(
    FORMS.every((form) => (forms.get(form) ?? 0) > 20),
    JSON.stringify([...forms]),
  );
});

test('a tunnel that is removed and one that is added leave all lines of others, whatever the form', () => {
  fc.assert(
    fc.property(file, tunnelLines, ({ how, lines, text }, others) => {
      const gone = editTunnel(text, 'f', { kind: 'remove', name: 't' });
      assert.equal(valuesIn(gone, 't'), undefined);
      assertOtherStays(text, gone, how.form);
      // What stands in the lines of a table goes with it.
      assertRestStays(
        lines.filter((line) => !line.text.includes('above')),
        gone,
        how,
      );
      assert.equal(editTunnel(gone, 'f', { kind: 'remove', name: 't' }), gone);

      const values = valuesIn(`[tunnel.new]\n${others}`, 'new');
      assert.ok(values);
      const name = 'new.one';
      let added = '';
      try {
        added = editTunnel(text, 'f', { kind: 'set', name, values });
      } catch {
        return; // it takes the same packets
      }
      assert.deepEqual([...(valuesIn(added, name) ?? [])], [...values], added);
      assert.deepEqual(valuesIn(added, 't'), valuesIn(text, 't'));
      assertOtherStays(text, added, how.form);
      assertCommentsStay(lines, added);
      // And goes again without a trace, but for the empty line above.
      const again = editTunnel(added, 'f', { kind: 'remove', name });
      const empty = how.form.endsWith('around') ? '' : how.newline;
      assert.equal(again, text + empty);
    }),
    { numRuns: 400 },
  );
});
