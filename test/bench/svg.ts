import assert from 'node:assert/strict';

/** Enough of XML for what the chart uses: every element closed in its order, no stray `<` or `&`. */
export function assertWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [, end, name = '', rest = ''] of svg.matchAll(/<(\/?)([a-z]+)([^<>]*)>/g)) {
    if (end === '/') assert.equal(open.pop(), name);
    else if (!rest.endsWith('/')) open.push(name);
    assert.match(rest, /^(\s+[a-zA-Z0-9-]+="[^"<&]*")*\s*\/?$/);
  }
  assert.deepEqual(open, []);
  assert.doesNotMatch(svg.replace(/<\/?[a-z]+[^<>]*>/g, ''), /[<>]|&(?!amp;|lt;|gt;)/);
}
