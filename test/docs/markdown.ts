// What the generated pages share.

/** The line that says where a page comes from. */
export function generatedFrom(source: string): string {
  return `<!-- Made from ${source} by \`npm run docs\`; changes belong there. -->`;
}

/** A table, a line a row. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
